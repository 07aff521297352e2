"""Services over a range."""

from __future__ import annotations

from otelbridge import schema
from otelbridge.model import Scope
from otelbridge.store.protocol import TimeRange
from tests.store.samples import HOUR, MINUTE, NOON, RESOURCE, SECOND, log, span

PAY = {"service.name": "pay"}
WITHIN = TimeRange(NOON, NOON + 5 * MINUTE)


def test_requests_errors_logs_and_instances_are_counted(store):
    store.put(
        *(span(NOON + n * SECOND, kind=2, status_code=2 if n < 3 else 0) for n in range(20)),
        span(NOON, kind=2, resource={**RESOURCE, "service.instance.id": "shop-2"}),
        log(NOON + 70 * SECOND, severity_number=17, severity_text="ERROR"),
        log(NOON, resource=PAY),
        span(NOON - HOUR),
    )
    pay, shop = store.services(WITHIN)
    assert (pay.name, pay.requests, pay.logs, pay.p50) == ("pay", 0, 1, None)
    assert (shop.name, shop.requests, shop.errors) == ("shop", 21, 3)
    assert (shop.logs, shop.error_logs, shop.instances) == (1, 1, 2)
    assert shop.last_seen == NOON + 70 * SECOND


def test_the_end_of_a_process_that_crashed_is_no_error_of_its_own(store):
    end = log(NOON + SECOND, severity_number=21)
    end.scope, end.event_name = Scope(schema.LIFECYCLE_SCOPE), schema.PROCESS_END
    before = log(NOON - SECOND, severity_number=21)
    before.scope, before.event_name = end.scope, end.event_name
    store.put(end, before, log(NOON + SECOND, severity_number=17))

    (shop,) = store.services(WITHIN)

    assert (shop.logs, shop.error_logs) == (2, 1)


def test_only_entry_spans_are_requests(store):
    store.put(
        span(kind=2, parent_span_id=b"p" * 8),
        span(kind=5, parent_span_id=b"p" * 8),
        span(kind=1),
        span(kind=1, parent_span_id=b"p" * 8),
        span(kind=3, parent_span_id=b"p" * 8),
    )
    assert store.services(WITHIN)[0].requests == 3


def test_series_say_when_it_happened(store):
    store.put(
        *(span(NOON + n * SECOND, duration=10**6) for n in range(10)),
        span(NOON + 65 * SECOND, status_code=2, duration=10**9),
    )
    (shop,) = store.services(WITHIN, steps=5)
    assert shop.rate_series == [10, 1, 0, 0, 0]
    assert shop.error_series == [0, 1, 0, 0, 0]
    assert [value is None for value in shop.p50_series] == [False, False, True, True, True]
    assert abs(shop.p99_series[1] - 10**9) < 0.05 * 10**9
    assert shop.p50 < shop.p99


def test_steps_are_at_least_as_wide_as_the_counts_are_kept(store):
    store.put(span())
    (shop,) = store.services(TimeRange(NOON, NOON + MINUTE), steps=30)
    assert len(shop.rate_series) == 6


def test_nothing_in_the_range_is_no_service(store):
    store.put(span(), log())
    assert store.services(TimeRange(NOON + HOUR, NOON + 2 * HOUR)) == []
    assert store.services(TimeRange(NOON, NOON)) == []


def test_a_long_range_is_summed_up_exactly_from_wide_steps(store):
    moments = [NOON + n * 7 * MINUTE + 5 * SECOND for n in range(400)]
    store.put(*(span(moment, duration=10**6) for moment in moments), *map(log, moments))
    for start, end in (
        (NOON, NOON + 48 * HOUR),
        (NOON + 3 * MINUTE, NOON + 9 * HOUR + 70 * SECOND),
    ):
        expected = [moment for moment in moments if start <= moment < end]
        (shop,) = store.services(TimeRange(start, end), steps=30)
        assert shop.requests == shop.logs == sum(shop.rate_series) == len(expected)
        assert shop.last_seen == expected[-1] - 5 * SECOND
        assert len(shop.rate_series) in range(20, 33)
