"""Geometry of the charts made on the server."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.store.protocol import Histogram, HistogramBar, TimeRange
from otelbridge.web.charts import bars, sparkline, ticks

SECOND = 1_000_000_000


def test_bars_stand_where_their_time_is() -> None:
    histogram = Histogram(
        10 * SECOND,
        [HistogramBar(0, {"INFO": 1}), HistogramBar(10 * SECOND, {"INFO": 2})],
        3,
    )

    first, second = bars(histogram, TimeRange(0, 20 * SECOND))

    assert (first.x, first.width) == (0, 50)
    assert (second.x, second.width) == (50, 50)
    assert second.pieces[0].height > first.pieces[0].height


def test_a_bar_that_reaches_out_of_the_range_is_cut() -> None:
    histogram = Histogram(10 * SECOND, [HistogramBar(0, {"INFO": 1})], 1)

    (bar,) = bars(histogram, TimeRange(5 * SECOND, 105 * SECOND))

    assert (bar.x, bar.width) == (0, 5)
    assert bar.start == 5 * SECOND


def test_errors_stand_below_the_rest_and_one_is_never_invisible() -> None:
    histogram = Histogram(SECOND, [HistogramBar(0, {"INFO": 1_000_000, "ERROR": 1})], 1_000_001)

    (bar,) = bars(histogram, TimeRange(0, SECOND), height=72)

    error, info = bar.pieces
    assert error.level == "ERROR"
    assert error.height >= 2
    assert error.y + error.height == 72
    assert info.y + info.height <= error.y + 0.01
    assert info.y >= 0


def test_ticks_are_round_moments_of_the_reader_s_clock() -> None:
    start = 1_763_730_007 * SECOND
    marks = ticks(TimeRange(start, start + 3600 * SECOND), utc_offset=345)

    assert 4 <= len(marks) <= 8
    assert all((mark.moment // SECOND + 345 * 60) % 600 == 0 for mark in marks)
    assert all(mark.text.endswith("0") for mark in marks)


@given(
    start=st.integers(0, 2**62),
    length=st.integers(1, 40 * 365 * 86400 * SECOND),
    offset=st.integers(-840, 840),
)
def test_any_range_has_few_ticks_inside_of_it(start: int, length: int, offset: int) -> None:
    marks = ticks(TimeRange(start, start + length), offset)

    assert len(marks) <= 60
    assert all(0 <= mark.x <= 100 for mark in marks)


def test_a_sparkline_breaks_where_there_is_no_value() -> None:
    lines = sparkline([1, 2, None, 3, 4])

    assert len(lines) == 2


def test_a_sparkline_of_one_value_is_seen() -> None:
    (line,) = sparkline([None, 5, None])

    assert len(line.split()) == 2


def test_a_sparkline_of_nothing_is_nothing() -> None:
    assert sparkline([None, None]) == []
    assert sparkline([]) == []
