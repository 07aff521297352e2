"""What is written is read back, in order, page by page, counted and followed."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from otelbridge.model import LogRecord, MetricPoint, Scope, SpanEvent, SpanLink
from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from tests.search.queries import LOGS, MINUTE, PAYMENTS, SPANS, START, TRACE
from tests.store.elasticsearch.stored import ALL_TIME, OpenStore, opened

HOUR = TimeRange(START, START + 60 * MINUTE)


def log(time: int, body: object = "text", **rest: object) -> LogRecord:
    return LogRecord(time, body, rest.pop("attributes", {}), PAYMENTS, Scope("shop"), **rest)  # type: ignore[arg-type]


def test_a_log_comes_back_as_it_was_to_the_nanosecond(store: OpenStore) -> None:
    whole = LogRecord(
        time=START + 5,
        body="Привет",
        attributes={
            "text": "a",
            "whole": 5,
            "fraction": 0.5,
            "flag": False,
            "list": [1, 2],
            "object": {"a": {"b": [{"c": "d"}]}},
            "nothing": None,
            "big": 2**63,
        },
        resource={**PAYMENTS, "list": ["a"]},
        scope=Scope("shop", "1.2", {"key": "value"}),
        observed_time=START + 70,
        severity_number=17,
        severity_text="Error",
        trace_id=TRACE,
        span_id=b"\1" * 8,
        event_name="user.login",
        uid=b"\2" * 16,
    )
    bodies = [{"event": "login", "detail": {"by": "x"}}, [1, "a"], [{"a": 1}], 5, 0.5, True, None]
    others = [log(START + 100 + n, body) for n, body in enumerate(bodies)]
    store.write(whole, *others)

    found = store.store.logs(None, ALL_TIME)

    assert [stored.record for stored in reversed(found)] == [whole, *others]


def test_a_document_refused_by_none_of_its_values_is_stored_whatever_came_before(
    store: OpenStore,
) -> None:
    values = [51, "00", "a", 5.5, True, None, [1, "a"], {"id": 1}, [{"id": "x"}], {"id": {"x": 1}}]
    records = [log(START + n, attributes={"code": value}) for n, value in enumerate(values)]
    records += [log(START + 50, attributes={"user": "a"})]
    records += [log(START + 51, attributes={"user.id": 5, "user.name": "b"})]
    records += [log(START + 52, attributes={f"key{n}": n for n in range(10_000)})]
    store.write(*records)

    found = store.store.logs(None, ALL_TIME)

    assert [stored.record for stored in reversed(found)] == records
    for text, times in [("code: 00", [1]), ("code > 50", [0]), ("code: a", [2, 6])]:
        matching = store.store.logs(parse(text), ALL_TIME)
        assert [stored.record.time - START for stored in reversed(matching)] == times


def test_pages_show_every_record_once_newest_first(store: OpenStore) -> None:
    # Sixty at one moment, and sixty within two microseconds of another.
    times = [START] * 60 + [START + 10_000 + 30 * n for n in range(60)]
    store.write(*(log(time, str(number)) for number, time in enumerate(times)))

    ids: list[int] = []
    shown: list[str] = []
    before = None
    while page := store.store.logs(None, ALL_TIME, limit=7, before=before):
        ids += [stored.id for stored in page]
        shown += [stored.record.body for stored in page]
        before = page[-1].id

    assert sorted(shown, key=int) == [str(number) for number in range(120)]
    assert ids == sorted(set(ids), reverse=True)
    assert [int(text) // 60 for text in shown] == [1] * 60 + [0] * 60
    newest = store.store.logs(None, ALL_TIME, after=ids[50])
    assert [stored.id for stored in newest] == ids[:50]


def test_a_record_is_found_by_its_id_alone_and_among_others(store: OpenStore) -> None:
    store.write(*LOGS)
    found = store.store.logs(None, ALL_TIME)
    chosen = [stored.id for stored in found[3:6]]

    assert store.store.log(chosen[0]) == found[3]
    assert store.store.log(chosen[0] + 1) is None
    assert store.store.logs(None, ALL_TIME, ids=[*chosen, 5]) == found[3:6]
    assert store.store.logs(parse("order"), ALL_TIME, ids=[found[0].id, found[4].id]) == [found[0]]


def test_the_same_record_twice_is_one_and_the_second_is_counted(store: OpenStore) -> None:
    store.write(LOGS[0], SPANS[0])
    store.write(LOGS[0], SPANS[0])

    stats = store.store.stats()
    assert (stats.logs, stats.spans) == (1, 1)
    # The span's event is one of them.
    assert stats.duplicates == 3
    assert (stats.oldest, stats.newest) == (START, START)
    assert stats.bytes > 0


def test_logs_are_counted_over_time_by_level(store: OpenStore) -> None:
    store.write(*LOGS)

    histogram = store.store.log_histogram(None, HOUR, bars=6)

    assert histogram.step == 10 * MINUTE
    assert [bar.start for bar in histogram.bars] == [START + n * 10 * MINUTE for n in range(6)]
    assert histogram.bars[0].counts == {"INFO": 4, "WARNING": 4, "ERROR": 1, "DEBUG": 1}
    assert histogram.bars[2].counts == {"INFO": 4, "": 1}
    assert histogram.total == len(LOGS) == store.store.count_logs(None, HOUR)
    assert store.store.log_histogram(parse("refused"), HOUR).total == 3
    assert store.store.count_logs(parse("refused"), HOUR) == 3


def test_facets_show_the_most_frequent_values(store: OpenStore) -> None:
    store.write(*LOGS)
    fields = ["log.level", "service.name", "user", "team", "code", "log.logger", "nothing"]

    facets = store.store.log_facets(None, HOUR, fields, size=3)

    assert [(facet.field, facet.values) for facet in facets] == [
        ("log.level", [("INFO", 13), ("ERROR", 4), ("WARNING", 4)]),
        ("service.name", [("gateway", 11), ("orders", 7), ("payments", 6)]),
        ("user", [("alice", 2), ("Alice", 1), ("Jürgen", 1)]),
        ("team", [("edge", 10), ("core", 1)]),
        ("code", [("51", 2), ("00", 1)]),
        ("log.logger", [("shop.gateway", 11), ("shop.payments", 6), ("shop.orders", 5)]),
        ("nothing", []),
    ]


def test_names_and_values_are_suggested(store: OpenStore) -> None:
    store.write(*LOGS, *SPANS)

    assert {"user", "http.route", "order.id", "host.name", "log.level"} <= set(
        store.store.field_names("logs")
    )
    assert {"user", "span.name", "server.address"} <= set(store.store.field_names("spans"))
    assert store.store.field_values("logs", "user") == ["alice", "Alice", "Jürgen", "bob", "probe"]
    assert store.store.field_values("logs", "user", "AL") == ["alice", "Alice"]
    assert store.store.field_values("logs", "log.level", "e") == ["ERROR"]
    assert store.store.field_values("spans", "kind") == ["server", "client"]
    assert store.store.field_values("logs", "message") == []


def test_a_trace_comes_back_with_its_events_links_and_logs(store: OpenStore) -> None:
    linked = replace(
        SPANS[0],
        links=[SpanLink(b"\5" * 16, b"\6" * 8, {"why": "retry"})],
        events=[
            SpanEvent(START + 5, "exception", {"exception.type": "BankError"}),
            SpanEvent(START + 9, "", {"a": 1}),
        ],
    )
    store.write(linked, SPANS[1], *LOGS)

    trace = store.store.trace(TRACE)

    assert trace is not None
    assert [stored.span for stored in trace.spans] == [linked, SPANS[1]]
    assert [LOGS.index(stored.record) for stored in trace.logs] == [10, 11, 13]
    assert store.store.trace(b"\xee" * 16) is None
    # An event is no log.
    assert store.store.count_logs(None, ALL_TIME) == len(LOGS)


def test_traces_are_listed_newest_first_each_once(store: OpenStore) -> None:
    spans = []
    for number in range(30):
        trace_id = bytes([number + 1]) * 16
        root = replace(SPANS[0], trace_id=trace_id, time=START + number * MINUTE, events=[])
        child = replace(SPANS[1], trace_id=trace_id, time=root.time + 5)
        spans += [root, child]
    store.write(*spans)

    seen: list[int] = []
    before = None
    while page := store.store.traces(None, ALL_TIME, limit=8, before=before):
        seen += [trace.trace_id[0] for trace in page]
        before = page[-1].id
    (first,) = store.store.traces(parse("trace.id: " + "01" * 16), ALL_TIME)

    assert seen == list(range(30, 0, -1))
    assert (first.name, first.service, first.spans, first.errors) == ("POST /pay", "payments", 2, 1)
    assert (first.time, first.duration, first.http_status) == (START, 1_200_000_000, 500)
    assert first.status_code == 2
    assert len(store.store.traces(parse("error.type: timeout"), ALL_TIME, limit=50)) == 30


def test_services_are_summed_up(store: OpenStore) -> None:
    store.write(*SPANS, *LOGS)

    services = {service.name: service for service in store.store.services(HOUR, steps=6)}

    assert list(services) == ["gateway", "orders", "payments", "syslog"]
    payments = services["payments"]
    assert (payments.requests, payments.errors, payments.logs) == (1, 1, 6)
    assert payments.error_logs == 4
    assert payments.rate_series == [1, 0, 0, 0, 0, 0]
    assert payments.p50 == payments.p99_series[0] == 1_200_000_000
    assert (services["syslog"].requests, services["syslog"].p50) == (0, None)


def point(time: int, name: str, value: float, **rest: object) -> MetricPoint:
    kind = str(rest.pop("type", "gauge"))
    return MetricPoint(time, name, kind, value, {"a": "b"}, PAYMENTS, Scope(), "By", **rest)  # type: ignore[arg-type]


def test_gauges_are_shown_as_they_are_and_counters_as_rates(store: OpenStore) -> None:
    counter = {"type": "sum", "temporality": 2, "monotonic": True, "start_time": START}
    store.write(
        *(point(START + n * MINUTE, "memory", 100 + n) for n in range(3)),
        *(point(START + n * MINUTE, "requests", 60 * n, **counter) for n in range(3)),
    )

    assert store.store.metric_names(HOUR) == [("memory", "By"), ("requests", "By")]
    (memory,) = store.store.metrics("memory", HOUR, points=60)
    (requests,) = store.store.metrics("requests", HOUR, service="payments", points=60)
    assert (memory.type, memory.means) == ("gauge", [100, 101, 102])
    assert (requests.type, requests.means) == ("sum", [1.0, 1.0])
    assert store.store.metrics("memory", HOUR, service="other") == []


def test_the_newest_point_of_every_series_is_given_as_it_was_sent(store: OpenStore) -> None:
    counter = {"type": "sum", "temporality": 2, "monotonic": True, "start_time": START}
    store.write(
        *(point(START + n * MINUTE, "x.sent", 60 * n, **counter) for n in range(3)),
        point(START + MINUTE, "x.waiting.size", 7),
        point(START + 90 * MINUTE, "x.sent", 1000, **counter),
    )

    found = store.store.newest_points(["x.sent", "x.waiting.size", "x.none"], HOUR)

    assert sorted((one.name, one.time, one.value) for one in found) == [
        ("x.sent", START + 2 * MINUTE, 120),
        ("x.waiting.size", START + MINUTE, 7),
    ]
    assert {one.service for one in found} == {"payments"}
    assert found[0].attributes == {"a": "b"}


def test_histograms_are_shown_by_what_was_observed_between_two_points(store: OpenStore) -> None:
    def observed(minute: int, count: int) -> MetricPoint:
        detail = {"bounds": [10.0, 20.0], "bucket_counts": [0, count, 0]}
        more = {"type": "histogram", "temporality": 2, "start_time": START, "count": count}
        return point(START + minute * MINUTE, "took", 15.0 * count, detail=detail, **more)

    store.write(observed(0, 2), observed(1, 2), observed(2, 6))

    assert store.store.metric_names(HOUR) == [("took", "By")]
    (took,) = store.store.metrics("took", HOUR, points=60)
    assert (took.type, took.means) == ("histogram", [15.0, 15.0])
    assert [(time - START) // MINUTE for time in took.times] == [0, 2]


def test_questions_asked_while_the_first_record_makes_the_data_stream_are_answered(
    store: OpenStore,
) -> None:
    written, answers = threading.Event(), []

    def ask() -> None:
        while not written.is_set():
            store.store._open_server.forget_fields()
            answers.append(len(store.store.logs(parse("user: alice"), ALL_TIME)))

    with ThreadPoolExecutor(3) as askers:
        asking = [askers.submit(ask) for _ in range(3)]
        try:
            store.write(log(START, attributes={"user": "alice"}))
        finally:
            written.set()
        for one in asking:
            one.result()
    assert len(answers) >= 3
    assert len(store.store.logs(parse("user: alice"), ALL_TIME)) == 1


def test_what_becomes_findable_is_followed(store: OpenStore) -> None:
    # Whoever writes: this one goes past the store that follows.
    with opened(store.settings.store, store.settings.elasticsearch_namespace) as other:

        async def follow() -> tuple[list[int], list[int]]:
            arrivals = store.store.arrivals()
            await arrivals.begun()
            await asyncio.to_thread(other.write, LOGS[3], SPANS[0])
            logs: list[int] = []
            spans: list[int] = []
            while not (logs and spans):  # a look may fall between the two
                found = await asyncio.wait_for(anext(arrivals), 20)
                logs += found.logs
                spans += found.spans
            return logs, spans

        logs, spans = store.run(follow())

        assert [log.record for log in store.store.logs(None, ALL_TIME, ids=logs)] == [LOGS[3]]
        assert len(spans) == 1
