"""A request that is written here is, byte for byte, the one that the stock encoder makes."""

from __future__ import annotations

import threading
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LogRecordLimits, ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from otelbridge.schema import ORIGIN_ATTRIBUTES
from otelbridge.sinks.otlp_request import RequestEncoder

SCHEMA = "https://opentelemetry.io/schemas/1.40.0"


def unused(records: Any) -> Any:
    raise AssertionError("the stock encoder is not needed for this")


def stock_bytes(encode: Any, records: Any) -> bytes:
    return bytes(encode(records).SerializeToString())


def record(body="hello", resource=None, scope=None, **attributes):
    return ReadableLogRecord(
        LogRecord(
            timestamp=1,
            observed_timestamp=2,
            body=body,
            severity_number=SeverityNumber.INFO,
            attributes=attributes,
        ),
        Resource({"service.name": "shop"}) if resource is None else resource,
        scope,
        LogRecordLimits(),
    )


# --- records as hypothesis makes them -------------------------------------------------------------

TEXT = st.text(max_size=200)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 300),
        st.floats(),
        TEXT,
        st.binary(max_size=200),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=10), inner, max_size=4),
    ),
    max_leaves=8,
)
KEYS = st.one_of(
    st.text(max_size=150),
    st.sampled_from(sorted(ORIGIN_ATTRIBUTES)),
    st.sampled_from(["http.route", "server.port", "http.response.status_code", "user"]),
)
PLAIN = st.dictionaries(KEYS, VALUES, max_size=6)
# The SDK's own, which counts what it has dropped, beside plain ones.
ATTRIBUTES = PLAIN | st.builds(BoundedAttributes, st.none() | st.integers(0, 3), PLAIN)
# What no encoder can write as it is, or only the stock one.
ODD = st.one_of(
    st.integers(2**63, 2**80),
    st.integers(-(2**80), -(2**63) - 1),
    st.text(st.characters(categories=["Cs", "L"]), min_size=1, max_size=5),
    st.sets(st.integers(), max_size=2),
    st.sampled_from([object(), range(3), bytearray(b"ab"), 1j]),
)
ODD_ATTRIBUTES = st.dictionaries(st.text(max_size=5), VALUES | ODD, max_size=4)
IDS = st.integers(0, 2**64 - 1)
TIMES = st.none() | IDS
RESOURCES = st.builds(
    Resource,
    st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=8),
    st.sampled_from([None, "", SCHEMA]),
)
SCOPES = st.one_of(
    st.none(),
    st.builds(
        InstrumentationScope,
        st.text(max_size=20),
        st.none() | st.text(max_size=5),
        st.none() | st.just(SCHEMA),
        st.none() | PLAIN,
    ),
)


@st.composite
def log_records(draw: Any, attributes: Any = ATTRIBUTES) -> Any:
    log = LogRecord(timestamp=1, observed_timestamp=2)
    log.body, log.attributes = draw(VALUES), draw(attributes)
    log.severity_number = draw(st.sampled_from([None, *SeverityNumber]))
    log.severity_text, log.event_name = draw(st.none() | TEXT), draw(st.none() | TEXT)
    log.trace_id, log.span_id = draw(st.integers(0, 2**128 - 1)), draw(IDS)
    log.trace_flags = TraceFlags(draw(st.integers(0, 255)))
    log.timestamp, log.observed_timestamp = draw(TIMES), draw(TIMES)
    return log


CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.sampled_from([TraceState(), TraceState([("a", "b"), ("c", "d")])]),
)


def some_spans(attributes: Any = ATTRIBUTES) -> Any:
    return st.fixed_dictionaries(
        {
            "name": TEXT,
            "context": CONTEXTS,
            "parent": st.none() | CONTEXTS,
            "attributes": attributes,
            "events": st.lists(
                st.builds(Event, st.text(max_size=20), attributes, st.integers(0, 2**63)),
                max_size=3,
            ),
            "links": st.lists(st.builds(Link, CONTEXTS, attributes), max_size=3),
            "kind": st.sampled_from(list(SpanKind)),
            "status": st.builds(
                Status, st.sampled_from(list(StatusCode)), st.none() | st.text(max_size=20)
            ),
            "start_time": TIMES,
            "end_time": TIMES,
        }
    )


# --- one record -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(log_records(), RESOURCES, SCOPES)
def test_any_log_record(log, resource, scope):
    one = ReadableLogRecord(log, resource, scope, LogRecordLimits())

    assert RequestEncoder("logs", unused).encode([one]) == stock_bytes(encode_logs, [one])


@settings(deadline=None, max_examples=150)
@given(some_spans(), RESOURCES, SCOPES)
def test_any_span(span, resource, scope):
    one = ReadableSpan(**span, resource=resource, instrumentation_scope=scope)

    assert RequestEncoder("traces", unused).encode([one]) == stock_bytes(encode_spans, [one])


def test_what_was_left_out_for_the_limits_is_counted():
    provider = TracerProvider(
        span_limits=SpanLimits(
            max_span_attributes=2,
            max_events=1,
            max_links=1,
            max_event_attributes=1,
        ),
        resource=Resource.get_empty(),
    )
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    context = SpanContext(1, 2, is_remote=False)
    links = [Link(context)] * 3
    with provider.get_tracer("t").start_as_current_span("s", links=links) as span:
        for number in range(5):
            span.set_attribute(f"key{number}", number)
            span.add_event("event", {"a": 1, "b": 2})
    (one,) = exporter.get_finished_spans()
    assert (one.dropped_attributes, one.dropped_events, one.dropped_links) == (3, 4, 2)
    assert one.events[0].dropped_attributes == 1

    assert RequestEncoder("traces", unused).encode([one]) == stock_bytes(encode_spans, [one])


@pytest.mark.parametrize("size", [0, 1, 100, 110, 125, 126, 127, 128, 16_383, 16_384, 2**21])
def test_a_length_of_any_size(size):
    text = "x" * size
    one = record(text, **{"key": text, "k" * size: "", "code.file.path": text})

    assert RequestEncoder("logs", unused).encode([one]) == stock_bytes(encode_logs, [one])


@pytest.mark.parametrize("key", ["server.port", "any"])
def test_values_that_are_equal_and_of_another_type_are_not_mixed_up(key):
    """Python takes 1, 1.0 and True for one key of a dictionary."""
    records = [record(**{key: value}) for value in (1, True, 1.0, "1", b"1", 0, False, -0.0, "")]

    assert RequestEncoder("logs", unused).encode(records) == stock_bytes(encode_logs, records)


# --- what only the stock encoder can write --------------------------------------------------------


class Colour(str, Enum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "odd",
    [
        *(2**70, -(2**70), "\ud800", ["\ud800"], {1, 2}, object(), range(3), bytearray(b"ab")),
        *(Colour.RED, Size.LARGE, Text("text"), {"a": {1: "b"}}, {"\ud800": 1}, [object()]),
    ],
)
def test_an_odd_value_is_left_to_it(odd):
    one = record(odd=odd, even="good")

    assert RequestEncoder("logs", encode_logs).encode([one]) == stock_bytes(encode_logs, [one])


@settings(deadline=None, max_examples=100)
@given(log_records(ODD_ATTRIBUTES), RESOURCES, SCOPES)
def test_any_odd_log_record(log, resource, scope):
    one = ReadableLogRecord(log, resource, scope, LogRecordLimits())

    assert RequestEncoder("logs", encode_logs).encode([one]) == stock_bytes(encode_logs, [one])


@settings(deadline=None, max_examples=100)
@given(some_spans(ODD_ATTRIBUTES), RESOURCES, SCOPES)
def test_any_odd_span(span, resource, scope):
    one = ReadableSpan(**span, resource=resource, instrumentation_scope=scope)

    assert RequestEncoder("traces", encode_spans).encode([one]) == stock_bytes(encode_spans, [one])


@pytest.mark.parametrize("where", ["resource", "scope"])
def test_an_odd_resource_or_scope_is_left_to_it(where):
    odd = {"odd": "\ud800", "even": "good"}
    one = record(
        resource=Resource(odd if where == "resource" else {}),
        scope=InstrumentationScope("shop", attributes=odd if where == "scope" else {}),
    )

    assert RequestEncoder("logs", encode_logs).encode([one]) == stock_bytes(encode_logs, [one])


def test_one_odd_record_is_left_to_it_and_not_its_neighbours():
    asked = []

    def stock(records):
        asked.append(len(records))
        return encode_logs(records)

    records = [record(number=number) for number in range(100)]
    records[40] = record(number=2**70)

    written = RequestEncoder("logs", stock).encode(records)
    assert written == stock_bytes(encode_logs, records)
    assert asked == [1]


@pytest.mark.parametrize("body", [2**70, "\ud800", object()])
def test_what_that_encoder_refuses_too_is_refused(body):
    with pytest.raises(Exception, match=r"."):
        encode_logs([record(body)])
    with pytest.raises(Exception, match=r"."):
        RequestEncoder("logs", encode_logs).encode([record(), record(body)])


# --- batches --------------------------------------------------------------------------------------

# Equal ones that are not the same object, and ones that are nearly equal.
SOME_RESOURCES = st.builds(
    lambda name, schema: Resource({"service.name": name}, schema),
    st.sampled_from(["shop", "till"]),
    st.sampled_from([None, SCHEMA]),
)
SOME_SCOPES = st.one_of(
    st.none(),
    st.builds(
        InstrumentationScope,
        st.sampled_from(["shop.cart", "shop.pay"]),
        st.sampled_from([None, "1"]),
        st.sampled_from([None, SCHEMA]),
        st.sampled_from([None, {"a": 1}, {"a": 2}]),
    ),
)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(SOME_RESOURCES, SOME_SCOPES, st.text(max_size=5)), min_size=1))
def test_records_are_grouped_by_resource_and_scope(batch):
    records = [record(body, resource, scope) for resource, scope, body in batch]

    encoder = RequestEncoder("logs", unused)
    assert encoder.encode(records) == stock_bytes(encode_logs, records)
    # Once more, with what it has kept of them.
    assert encoder.encode(records) == stock_bytes(encode_logs, records)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_a_batch_of_one_resource(data):
    resource = data.draw(RESOURCES)
    scopes = data.draw(st.lists(SCOPES, min_size=1, max_size=3))
    spans = [
        ReadableSpan(
            **data.draw(some_spans(ATTRIBUTES | ODD_ATTRIBUTES)),
            resource=resource,
            instrumentation_scope=data.draw(st.sampled_from(scopes)),
        )
        for _ in range(data.draw(st.integers(1, 8)))
    ]

    assert RequestEncoder("traces", encode_spans).encode(spans) == stock_bytes(encode_spans, spans)


def test_spans_as_a_program_makes_them():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}, SCHEMA))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for number in range(200):
        # A tracer for each request, with a scope that is the same only in value.
        tracer = provider.get_tracer("shop.pay", "1.0", SCHEMA)
        with tracer.start_as_current_span("GET /", attributes={"http.route": "/"}) as span:
            span.add_event("paid", {"amount": 3.5, "number": number})
            with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT) as inner:
                inner.record_exception(ValueError("no"))
                inner.set_status(Status(StatusCode.ERROR, "no"))
    spans = exporter.get_finished_spans()

    assert RequestEncoder("traces", unused).encode(spans) == stock_bytes(encode_spans, spans)


def test_what_is_joined_holds_every_record():
    encoder = RequestEncoder("logs", encode_logs)
    records = [record(f"{number}") for number in range(5)]

    joined = ExportLogsServiceRequest.FromString(b"".join(encoder.encode([one]) for one in records))
    assert [
        log.body.string_value
        for group in joined.resource_logs
        for scope in group.scope_logs
        for log in scope.log_records
    ] == ["0", "1", "2", "3", "4"]


def test_a_resource_that_changes_is_noticed():
    """The service's name may become known with the first app."""
    encoder = RequestEncoder("logs", encode_logs)
    encoder.encode([record()])
    later = record(resource=Resource({"service.name": "x" * 1_000}))

    assert encoder.encode([later]) == stock_bytes(encode_logs, [later])


def test_scopes_without_end_are_not_kept_without_end():
    encoder = RequestEncoder("logs", unused)
    resource = Resource({})
    for number in range(3_000):
        one = record("hello", resource, InstrumentationScope(f"scope {number}"))
        assert f"scope {number}".encode() in encoder.encode([one])

    assert len(encoder._scopes) <= 1_000


def test_threads_with_different_resources_do_not_mix_them():
    encoder = RequestEncoder("logs", encode_logs)
    wrong = []

    def encode(name):
        one = record(resource=Resource({"service.name": name}))
        expected = stock_bytes(encode_logs, [one])
        for _ in range(300):
            if encoder.encode([one]) != expected:
                wrong.append(name)

    threads = [threading.Thread(target=encode, args=(f"service {n}" * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
