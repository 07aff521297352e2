"""The counts beside the rows are the rows' counts, always."""

from __future__ import annotations

import math
import random
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelbridge import schema
from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from otelbridge.store.sqlite import histogram
from otelbridge.store.sqlite.histogram import step_for
from tests.store import samples
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, HOUR, MINUTE, NOON, SECOND, Clock, log, opened, span

slow = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(st.lists(samples.batches, min_size=1, max_size=4), st.integers(0, 400))
def test_counts_and_words_agree_with_the_rows_before_and_after_expiry(batches, age):
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with opened(path, retention=200.0, now=clock) as store:
            for one in batches:
                store.run(store.write(one))
                clock.now += 100
            assert_consistent(path)
            clock.now += age
            store.run(store.expire())
            assert_consistent(path)


@slow
@given(
    st.lists(st.tuples(st.integers(0, 3 * 3600), st.sampled_from([0, 5, 9, 17, 21])), max_size=60),
    st.integers(-3600, 3 * 3600),
    st.integers(1, 4 * 3600 * 1000),
    st.integers(1, 100),
)
def test_a_histogram_counts_exactly_the_records_of_its_range(records, start, length, bars):
    within = TimeRange(NOON + start * SECOND, NOON + start * SECOND + length * 10**6)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "s.db") as store:
        store.put(*(log(time=NOON + at * SECOND, severity_number=n) for at, n in records))
        for query in (None, parse("hello"), parse("log.logger: shop.views"), parse("hel*")):
            found = store.log_histogram(query, within, bars)
            expected: Counter[tuple[int, str]] = Counter(
                ((NOON + at * SECOND) // found.step * found.step, schema.severity_name(number))
                for at, number in records
                if within.start <= NOON + at * SECOND < within.end
            )
            counted = {
                (bar.start, name): count for bar in found.bars for name, count in bar.counts.items()
            }
            assert counted == dict(expected)
            assert found.total == sum(expected.values()) == store.count_logs(query, within)


@slow
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3600),
            st.sampled_from([0, 5, 9, 17, 21]),
            st.sampled_from(["paid", "refused", "paid and refused"]),
        ),
        max_size=60,
    ),
    st.integers(-600, 3000),
    st.integers(1, 3600),
    st.sampled_from([0, 3, 20]),
)
def test_a_words_histogram_is_the_same_whether_few_or_many_records_hold_it(
    records, start, seconds, few
):
    within = TimeRange(NOON + start * SECOND, NOON + (start + seconds) * SECOND)
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path(folder) / "s.db") as store,
        mock.patch.object(histogram, "_FEW", few),
    ):
        store.put(
            *(log(time=NOON + at * SECOND, severity_number=n, body=text) for at, n, text in records)
        )
        for query, wanted in (("paid", {"paid"}), ("paid and refused", {"paid", "refused"})):
            found = store.log_histogram(parse(query), within, 20)
            expected: Counter[tuple[int, str]] = Counter(
                ((NOON + at * SECOND) // found.step * found.step, schema.severity_name(number))
                for at, number, text in records
                if within.start <= NOON + at * SECOND < within.end and wanted <= {*text.split()}
            )
            counted = {
                (bar.start, name): count for bar in found.bars for name, count in bar.counts.items()
            }
            assert counted == dict(expected)
            assert found.total == sum(expected.values())


def test_bars_follow_one_another_without_gaps(store):
    store.put(log(time=NOON), log(time=NOON + HOUR))
    found = store.log_histogram(None, TimeRange(NOON - MINUTE // 2, NOON + HOUR + 1), 60)
    assert found.step == MINUTE
    starts = [bar.start for bar in found.bars]
    assert starts == [NOON - MINUTE + place * MINUTE for place in range(62)]
    assert sum(bool(bar.counts) for bar in found.bars) == 2


@pytest.mark.parametrize(
    ("duration", "bars", "step"),
    [
        (60, 60, 1),
        (15 * 60, 60, 10),
        (3600, 60, 60),
        (86400, 60, 1800),
        (7 * 86400, 60, 3 * 3600),
        (30, 60, 0.5),
    ],
)
def test_steps_are_round(duration, bars, step):
    assert step_for(duration * 10**6, bars) == step * 10**6


def test_the_widest_range_has_no_more_bars_than_can_be_drawn(store):
    store.put(log())
    assert len(store.log_histogram(None, EVER, 10_000).bars) <= 2001


def test_percentiles_are_within_five_percent(store):
    chosen = random.Random(7)
    durations = sorted(round(chosen.lognormvariate(17, 1.5)) for _ in range(2000))
    store.put(
        *(span(time=NOON + n * 10**6, duration=duration) for n, duration in enumerate(durations))
    )
    (service,) = store.services(TimeRange(NOON, NOON + MINUTE))
    for percent, found in ((50, service.p50), (95, service.p95), (99, service.p99)):
        exact = durations[math.ceil(2000 * percent / 100) - 1]
        assert abs(found - exact) / exact < 0.05
