"""Input that nobody sends in good faith: random bytes, damaged messages, arbitrary JSON."""

from __future__ import annotations

import random

import orjson
from hypothesis import strategies as st

from otelbridge.model import Batch
from tests.receivers.messages import (
    REQUESTS,
    gauge,
    log,
    log_request,
    metric_request,
    pairs,
    span,
    span_request,
    to_json,
)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["NaN", "9223372036854775808", "AP8=", "0123456789abcdef"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)

# Field names that lead deep into a decoder, with anything at all behind them.
_OTLP_NAMES = st.sampled_from(
    [
        *("resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans"),
        *("resourceMetrics", "scopeMetrics", "metrics", "resource", "scope", "attributes"),
        *("key", "value", "stringValue", "intValue", "boolValue", "doubleValue", "bytesValue"),
        *("arrayValue", "kvlistValue", "values", "timeUnixNano", "startTimeUnixNano"),
        *("endTimeUnixNano", "body", "severityNumber", "traceId", "spanId", "parentSpanId"),
        *("events", "links", "status", "code", "name", "flags", "gauge", "sum", "histogram"),
        *("exponentialHistogram", "summary", "dataPoints", "asInt", "asDouble", "count"),
        *("bucketCounts", "explicitBounds", "positive", "negative", "quantileValues"),
        *("exemplars", "resource_logs", "time_unix_nano"),
    ]
)
OTLP_JSON = st.recursive(
    JSON_VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_OTLP_NAMES, inner, max_size=4),
    max_leaves=15,
)
_LINE_NAMES = st.sampled_from(
    [
        *("@timestamp", "timestamp", "time", "ts", "log.level", "level", "severity", "message"),
        *("msg", "short_message", "version", "host", "service", "service.name", "process"),
        *("service.node.name", "process.pid", "trace.id", "span.id", "log", "log.logger"),
        *("error", "error.type", "event", "event.sequence", "ecs.version", "log.record.uid"),
        *("_extra", "otelbridge.part.id", "otelbridge.part.number", "otelbridge.part.count"),
        "otelbridge.part.data",
    ]
)
LINES = st.dictionaries(_LINE_NAMES, JSON_VALUES | st.integers(0, 9), max_size=6)


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Valid bytes with some changed, cut out, repeated or cut off."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        end = min(len(data), at + draw(st.integers(1, 12)))
        change = draw(st.sampled_from(["set", "cut", "repeat", "insert", "end"]))
        if change == "set":
            data[at] = draw(st.integers(0, 255))
        elif change == "cut":
            del data[at:end]
        elif change == "repeat":
            data[at:at] = data[at:end]
        elif change == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=6))
        else:
            del data[at:]
    return bytes(data)


def bodies(signal: str, encoding: str) -> st.SearchStrategy[bytes]:
    """Bodies for one decoder."""
    valid = REQUESTS[signal].map(
        to_json if encoding == "json" else lambda message: message.SerializeToString()
    )
    wild = st.binary(max_size=200)
    if encoding == "json":
        wild |= OTLP_JSON.map(_json_or_null)
    return wild | valid | damaged(valid)


def _json_or_null(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits
        return b"null"


DATAGRAMS = (
    st.binary(max_size=300)
    | LINES.map(_json_or_null)
    | st.lists(LINES.map(_json_or_null), max_size=3).map(b"\n".join)
    | JSON_VALUES.map(_json_or_null)
    | damaged(LINES.map(_json_or_null))
    | st.text(max_size=40).map(lambda text: ("<13>1 " + text).encode())
)


def assert_storable(batch: Batch) -> None:
    """Check what every store relies on: plain JSON, times below 2**63, ids of their length."""
    for record in batch.logs:
        assert 0 < record.time < 2**63
        assert 0 <= record.observed_time < 2**63
        assert record.trace_id is None or len(record.trace_id) == 16
        assert record.span_id is None or len(record.span_id) == 8
        assert record.uid is None or len(record.uid) == 16
        assert 0 <= record.severity_number <= 24
        orjson.dumps([record.body, record.attributes, record.resource, record.scope.attributes])
        (record.scope.name + record.severity_text + record.event_name).encode()
    for span_ in batch.spans:
        assert 0 < span_.time < 2**63
        assert 0 <= span_.duration < 2**63
        assert (len(span_.trace_id), len(span_.span_id)) == (16, 8)
        assert span_.parent_span_id is None or len(span_.parent_span_id) == 8
        assert all(0 <= event.time < 2**63 for event in span_.events)
        orjson.dumps([span_.attributes, [event.attributes for event in span_.events]])
    for point in batch.points:
        assert 0 < point.time < 2**63
        assert 0 <= point.start_time < 2**63
        assert point.value is None or abs(float(point.value)) < float("inf")
        assert point.count is None or 0 <= point.count < 2**63
        orjson.dumps([point.attributes, point.detail])


def random_bodies(encoding: str, count: int, seed: int) -> list[tuple[str, bytes]]:
    """Damaged requests without hypothesis, whose own memory would hide a leak."""
    choose = random.Random(seed)
    requests = {
        "logs": log_request(*(log(f"text {n}", attributes=pairs(a="b")) for n in range(5))),
        "traces": span_request(*(span(f"s {n}", attributes=pairs(a="b")) for n in range(5))),
        "metrics": metric_request(*(gauge(f"g {n}", {"as_int": n}) for n in range(5))),
    }
    made = []
    for _ in range(count):
        signal, request = choose.choice(list(requests.items()))
        data = bytearray(to_json(request) if encoding == "json" else request.SerializeToString())
        for _ in range(choose.randrange(4)):
            at = choose.randrange(len(data))
            data[at] = choose.randrange(256)
            if choose.random() < 0.1:
                del data[at : at + choose.randrange(1, 50)]
        made.append((signal, bytes(data)))
    return made


def random_datagrams(count: int, seed: int) -> list[bytes]:
    """Lines, parts and noise from many senders."""
    choose = random.Random(seed)
    made = []
    for number in range(count):
        line = {
            "message": f"text {number}",
            "ecs.version": "8.11.0",
            "service.node.name": f"node {choose.randrange(3_000)}",
            "event.sequence": choose.randrange(1, 10**9),
        }
        if choose.random() < 0.5:
            line |= {
                "otelbridge.part.id": f"line {number}",
                "otelbridge.part.number": 1,
                "otelbridge.part.count": 2,
                "otelbridge.part.data": "x" * choose.randrange(2_000),
            }
        data = bytearray(orjson.dumps(line))
        for _ in range(choose.randrange(3)):
            data[choose.randrange(len(data))] = choose.randrange(256)
        made.append(bytes(data))
    return made
