"""Times and durations in queries."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.search.literals import read_duration, read_time

SECOND = 10**9


def at(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * SECOND


NOW = at("2026-11-20T14:00:00")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("12", 12),
        ("12ns", 12),
        ("500ms", 500 * 10**6),
        ("500 ms", 500 * 10**6),
        ("1.5s", 1_500_000_000),
        ("0.25us", 250),
        ("250µs", 250_000),
        ("2m", 120 * SECOND),
        ("1h", 3600 * SECOND),
        ("", None),
        ("ms", None),
        ("5 parsecs", None),
        ("-5ms", None),
        ("1e3", None),
    ],
)
def test_a_duration_is_read_in_nanoseconds(text: str, nanoseconds: int | None) -> None:
    assert read_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-02", "2026-02-01", "2026-03-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026-11-20", "2026-11-20", "2026-11-21"),
        ("2026-11-20T14", "2026-11-20T14:00", "2026-11-20T15:00"),
        ("2026-11-20T14:05", "2026-11-20T14:05", "2026-11-20T14:06"),
        ("2026-11-20 14:05:09", "2026-11-20T14:05:09", "2026-11-20T14:05:10"),
        ("2026-11-20T14:05Z", "2026-11-20T14:05", "2026-11-20T14:06"),
        ("2026-11-20T14:05+01:30", "2026-11-20T12:35", "2026-11-20T12:36"),
        ("2026-11-20T14:05-0130", "2026-11-20T15:35", "2026-11-20T15:36"),
    ],
)
def test_a_time_stands_for_all_of_what_it_names(text: str, start: str, end: str) -> None:
    assert read_time(text, NOW) == (at(start), at(end))


def test_fractions_of_a_second_stand_for_their_own_length() -> None:
    start = at("2026-11-20T14:05:09")
    assert read_time("2026-11-20T14:05:09.5", NOW) == (
        start + 5 * 10**8,
        start + 6 * 10**8,
    )
    assert read_time("2026-11-20T14:05:09.000000001Z", NOW) == (start + 1, start + 2)


def test_milliseconds_since_the_epoch_are_a_time() -> None:
    assert read_time("1763647200000", NOW) == (
        1763647200000 * 10**6,
        1763647200001 * 10**6,
    )


@pytest.mark.parametrize(
    ("text", "length"), [("now", 0), ("now-15m", -900), ("now+1h", 3600), ("now-7d", -604800)]
)
def test_now_is_a_time_and_so_is_what_is_before_and_after(text: str, length: int) -> None:
    moment = NOW + length * SECOND
    assert read_time(text, NOW) == (moment, moment + 1)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13", "2026-02-30", "2026-11-20T25", "26-11-20", "0000", "9999",
             "2026-11-20T14:05+99:00", "now-", "now-5"]
)  # fmt: skip
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_time(text, NOW) is None


@given(st.text(max_size=30) | st.from_regex(r"[0-9now: TZ+\-.]{0,30}", fullmatch=True))
def test_any_text_is_a_span_of_time_or_none(text: str) -> None:
    span = read_time(text, NOW)
    assert span is None or span[0] < span[1]
