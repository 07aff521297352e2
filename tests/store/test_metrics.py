"""Metrics, thinned."""

from __future__ import annotations

import pytest

from otelbridge.store.protocol import TimeRange
from tests.store.samples import HOUR, MINUTE, NOON, RESOURCE, SECOND, point

WITHIN = TimeRange(NOON, NOON + HOUR)


def test_a_gauge_is_shown_as_it_is(store):
    store.put(*(point(NOON + n * MINUTE, float(n)) for n in range(3)))
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert series.times == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
    assert series.means == series.maxima == [0.0, 1.0, 2.0]
    assert (series.service, series.instance, series.unit) == ("shop", "shop-1", "By")


def test_thinning_keeps_the_peak(store):
    store.put(*(point(NOON + n * SECOND, 100.0 if n == 1234 else 1.0) for n in range(3600)))
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert len(series.times) == 60
    assert max(series.maxima) == 100.0
    assert series.means[1234 // 60] == pytest.approx((59 + 100) / 60)


def test_a_growing_total_is_shown_as_its_rate_and_a_restart_is_no_fall(store):
    totals = [100.0, 160.0, 220.0, 30.0, 90.0]
    store.put(
        *(
            point(NOON - MINUTE + n * MINUTE, v, type="sum", temporality=2, monotonic=True)
            for n, v in enumerate(totals)
        )
    )
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert series.means == [1.0, 1.0, 0.5, 1.0]
    assert series.times[0] == NOON


def test_a_total_that_may_fall_is_shown_as_it_is(store):
    store.put(
        *(point(NOON + n * MINUTE, v, type="sum", temporality=2) for n, v in enumerate([3.0, 1.0]))
    )
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert series.means == [3.0, 1.0]


def test_a_cumulative_histogram_is_shown_as_the_mean_between_two_points(store):
    counts_and_sums = [(2, 10.0), (4, 30.0), (4, 30.0), (1, 7.0)]
    store.put(
        *(
            point(NOON + n * MINUTE, total, count=count, type="histogram", temporality=2)
            for n, (count, total) in enumerate(counts_and_sums)
        )
    )
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert series.means == [10.0, 7.0]


def test_a_delta_histogram_shows_its_largest_observation(store):
    store.put(
        point(NOON, 10.0, count=4, type="histogram", temporality=1, detail={"max": 8.0}),
        point(NOON + MINUTE, 0.0, count=0, type="histogram", temporality=1),
    )
    (series,) = store.metrics("process.memory.usage", WITHIN, points=60)
    assert (series.means, series.maxima) == ([2.5], [8.0])


def test_each_set_of_attributes_is_a_series_and_services_can_be_chosen(store):
    store.put(
        point(attributes={"cpu": 0}),
        point(attributes={"cpu": 1}),
        point(resource={"service.name": "pay"}),
        point(name="other", unit="1"),
    )
    found = store.metrics("process.memory.usage", WITHIN)
    assert [(s.service, s.attributes) for s in found] == [
        ("pay", {}),
        ("shop", {"cpu": 0}),
        ("shop", {"cpu": 1}),
    ]
    chosen = store.metrics("process.memory.usage", WITHIN, service="pay")
    assert [s.service for s in chosen] == ["pay"]
    assert store.metrics("process.memory.usage", TimeRange(0, SECOND)) == []


def test_names_are_those_seen_in_the_range(store):
    store.put(
        point(), point(name="cpu", unit="1", resource={**RESOURCE, "service.instance.id": "2"})
    )
    assert store.metric_names(WITHIN) == [("cpu", "1"), ("process.memory.usage", "By")]
    assert store.metric_names(TimeRange(0, SECOND)) == []


def test_the_first_point_of_what_began_within_the_range_counts_from_nothing(store):
    """A short job that sends its metrics once is seen, and so is a process's first minute."""
    began = NOON + 10 * MINUTE
    counter = {"type": "sum", "temporality": 2, "monotonic": True, "start_time": began}
    store.put(
        point(began + MINUTE, 120.0, name="jobs", **counter),
        point(began + 2 * MINUTE, 180.0, name="jobs", **counter),
        point(
            began + MINUTE,
            30.0,
            name="lasted",
            type="histogram",
            temporality=2,
            count=10,
            start_time=began,
        ),
    )
    (rate,) = store.metrics("jobs", WITHIN, points=60)
    assert rate.times == [began + MINUTE, began + 2 * MINUTE]
    assert rate.means == [2.0, 1.0]
    (mean,) = store.metrics("lasted", WITHIN, points=60)
    assert mean.means == [3.0]
    # In a range that it did not begin in, there is nothing to count the first one from.
    later = TimeRange(began + 1, NOON + HOUR)
    (rate,) = store.metrics("jobs", later, points=60)
    assert rate.means == [1.0]
    assert store.metrics("lasted", later) == []


def test_the_newest_point_of_every_series_is_given_as_it_was_sent(store):
    def total(minute, value, **attributes):
        return point(
            NOON + minute * MINUTE,
            value,
            name="sent",
            type="sum",
            temporality=2,
            monotonic=True,
            attributes=attributes,
        )

    store.put(total(0, 5.0, sink="otlp"), total(1, 7.0, sink="otlp"), total(1, 2.0, sink="udp"))
    store.put(point(NOON, 1.0, name="other"), total(90, 9.0, sink="otlp"))
    found = store.newest_points(["sent", "missing"], WITHIN)
    assert sorted((one.attributes["sink"], one.time, one.value) for one in found) == [
        ("otlp", NOON + MINUTE, 7.0),
        ("udp", NOON + MINUTE, 2.0),
    ]
    assert {(one.service, one.instance, one.name) for one in found} == {("shop", "shop-1", "sent")}
