"""Traces: the list, and one whole."""

from __future__ import annotations

import os

import pytest

from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from tests.store.checks import assert_consistent
from tests.store.samples import EVER, MINUTE, NOON, SECOND, log, span

PAY = {"service.name": "pay", "service.instance.id": "pay-1"}


def trace_of(number, *, spans=3, error=False, at=None):
    """A request to the shop that calls the payments."""
    trace_id = number.to_bytes(16, "big")
    start = NOON + number * SECOND if at is None else at
    root_id = os.urandom(8)
    status = 500 if error else 200
    root = span(
        start,
        duration=SECOND // 2,
        trace_id=trace_id,
        span_id=root_id,
        name=f"GET /{number}",
        kind=2,
        attributes={"http.response.status_code": status, "n": number},
        status_code=2 if error else 0,
    )
    children = [
        span(
            start + 1000 * place,
            trace_id=trace_id,
            parent_span_id=root_id,
            name="charge",
            resource=PAY,
        )
        for place in range(1, spans)
    ]
    return [root, *children]


def test_a_summary_says_what_the_root_and_all_spans_say(store):
    store.put(*trace_of(1, error=True))
    (found,) = store.traces(None, EVER)
    assert found.trace_id == (1).to_bytes(16, "big")
    assert (found.name, found.service, found.services) == ("GET /1", "shop", ["pay", "shop"])
    assert (found.time, found.duration) == (NOON + SECOND, SECOND // 2)
    assert (found.spans, found.errors, found.status_code, found.http_status) == (3, 1, 2, 500)


def test_the_old_name_of_the_http_status_is_known_too(store):
    store.put(span(attributes={"http.status_code": 404}))
    assert store.traces(None, EVER)[0].http_status == 404


def test_without_its_root_a_trace_spans_from_first_to_last(store):
    trace_id = b"\7" * 16
    store.put(
        span(NOON, trace_id=trace_id, parent_span_id=b"r" * 8, name="first", duration=10),
        span(NOON + 1000, trace_id=trace_id, parent_span_id=b"r" * 8, name="then", duration=5000),
    )
    (found,) = store.traces(None, EVER)
    assert (found.name, found.time, found.duration) == ("first", NOON, 6000)


def test_pages_hold_each_trace_once_newest_first(store):
    # Long traces overlap, so that one's spans stand on both sides of a page's end.
    for number in range(40):
        store.put(*trace_of(number, spans=5, at=NOON + number * 1000))
    for query in (None, parse("charge"), parse("service.name: pay"), parse("n: *")):
        seen = []
        before = None
        while page := store.traces(query, EVER, limit=7, before=before):
            seen += page
            before = page[-1].id
        assert len(seen) == 40
        assert {found.trace_id for found in seen} == {n.to_bytes(16, "big") for n in range(40)}
        assert [found.id for found in seen] == sorted((found.id for found in seen), reverse=True)
        assert [found.time for found in seen] == sorted((one.time for one in seen), reverse=True)


def test_a_trace_stands_where_it_began_however_long_it_goes_on(store):
    for number, seconds in ((1, 600), (2, 5), (3, 90), (4, 1)):
        trace_id = number.to_bytes(16, "big")
        start = NOON + number * SECOND
        store.put(
            span(start, trace_id=trace_id, name=f"root {number}"),
            span(
                start + seconds * SECOND,
                trace_id=trace_id,
                parent_span_id=b"r" * 8,
                name="last",
            ),
        )
    for query in (None, parse("last")):
        assert [found.name for found in store.traces(query, EVER)] == [
            "root 4", "root 3", "root 2", "root 1",
        ]  # fmt: skip
        pages = []
        before = None
        while page := store.traces(query, EVER, limit=1, before=before):
            pages += page
            before = page[-1].id
        assert [found.name for found in pages] == ["root 4", "root 3", "root 2", "root 1"]


def test_a_trace_is_found_by_any_of_its_spans(store):
    store.put(*trace_of(1), *trace_of(2, error=True))
    assert [t.name for t in store.traces(parse("status.code: error"), EVER)] == ["GET /2"]
    assert [t.name for t in store.traces(parse("n: 1"), EVER)] == ["GET /1"]
    assert store.traces(parse("nothing"), EVER) == []
    later = TimeRange(NOON + 10 * MINUTE, NOON + 20 * MINUTE)
    assert store.traces(None, later) == []


def test_a_whole_trace_has_its_spans_and_logs_in_times_order(store):
    trace_id = (1).to_bytes(16, "big")
    store.put(*trace_of(1), log(NOON + 2 * SECOND, body="late", trace_id=trace_id))
    store.put(log(NOON + SECOND, body="early", trace_id=trace_id), log(body="of no trace"))
    found = store.trace(trace_id)
    assert [stored.span.name for stored in found.spans] == ["GET /1", "charge", "charge"]
    assert [stored.record.body for stored in found.logs] == ["early", "late"]


def test_a_trace_may_be_known_by_its_logs_alone(store):
    store.put(log(trace_id=b"\5" * 16))
    found = store.trace(b"\5" * 16)
    assert found.spans == []
    assert len(found.logs) == 1
    assert store.trace(b"\6" * 16) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("http.route: /orders", 20),
        ('http.route: "/orders"', 20),
        ("http.route: /ord*", 20),
        ("http.route: *", 21),
        ("http.response.status_code: 201", 20),
        ("http.response.status_code >= 201", 20),
        ("http.response.status_code > 201", 0),
        ("attributes.server.address: shop.internal", 20),
        ("user_agent.original: curl/8 and order: 7", 1),
        ("shop.internal", 20),
        ("curl*", 20),
        ("not http.route: /orders", 1),
    ],
)
def test_what_many_spans_have_in_common_is_kept_once_and_found_in_each(store, text, count):
    common = {
        "http.request.method": "POST",
        "http.route": "/orders",
        "http.response.status_code": 201,
        "server.address": "shop.internal",
        "user_agent.original": "curl/8",
    }
    store.put(
        *(span(NOON + n, attributes={"order": n, **common}) for n in range(20)),
        span(NOON + 100, name="other", attributes={"http.route": True, "server.address": None}),
    )
    found = store.traces(parse(text), EVER)
    assert len(found) == count
    for summary in found:
        (stored,) = store.trace(summary.trace_id).spans
        if summary.name != "other":
            assert summary.http_status == 201
            order = stored.span.attributes["order"]
            assert stored.span.attributes == {"order": order, **common}
    with store._reading() as (connection, _):
        (own,) = connection.execute("SELECT attributes FROM spans WHERE time = ?", (NOON + 19,))
    assert own == ('{"order":19}',)
    assert store.field_values("spans", "http.route")[0] == "/orders"
    assert_consistent(store.path)
