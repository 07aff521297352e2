"""A record encoded alone says what the stock encoder's request with that record says."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
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

from otelbridge.sinks.otlp_alone import AloneEncoder

RESOURCES = st.builds(
    Resource,
    st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=8),
    st.sampled_from([None, "", "https://opentelemetry.io/schemas/1.40.0"]),
)
SCOPES = st.one_of(
    st.none(),
    st.builds(InstrumentationScope, st.text(max_size=20), st.text(max_size=5), st.text(max_size=9)),
)


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


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.text(max_size=200),
        st.binary(max_size=200),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=10), inner, max_size=4),
    ),
    max_leaves=8,
)
ATTRIBUTES = st.dictionaries(st.text(max_size=150), VALUES, max_size=6)
IDS = st.integers(0, 2**64 - 1)


def unused(records):
    raise AssertionError("the stock encoder is not needed for this")


@given(
    resource=RESOURCES,
    scope=SCOPES,
    body=VALUES,
    attributes=ATTRIBUTES,
    ids=st.tuples(IDS, IDS),
    flags=st.integers(0, 255),
    severity=st.sampled_from([None, *SeverityNumber]),
    texts=st.tuples(st.none() | st.text(max_size=9), st.none() | st.text(max_size=200)),
    times=st.tuples(st.none() | IDS, st.none() | IDS),
)
def test_log_records(resource, scope, body, attributes, ids, flags, severity, texts, times):
    log = LogRecord(timestamp=1, observed_timestamp=2)
    log.body, log.attributes, log.severity_number = body, attributes, severity
    log.trace_id, log.span_id, log.trace_flags = ids[0], ids[1], TraceFlags(flags)
    log.severity_text, log.event_name = texts
    log.timestamp, log.observed_timestamp = times
    one = ReadableLogRecord(log, resource, scope, LogRecordLimits())

    written = AloneEncoder("logs", unused).encode(one)
    assert ExportLogsServiceRequest.FromString(written) == encode_logs([one])


CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.sampled_from([TraceState(), TraceState([("a", "b"), ("c", "d")])]),
)
EVENTS = st.builds(Event, st.text(max_size=20), ATTRIBUTES, IDS)
LINKS = st.builds(Link, CONTEXTS, ATTRIBUTES)


@given(
    name=st.text(max_size=200),
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=RESOURCES,
    scope=SCOPES,
    attributes=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=3),
    links=st.lists(LINKS, max_size=3),
    kind=st.sampled_from(list(SpanKind)),
    status=st.builds(Status, st.sampled_from(list(StatusCode)), st.none() | st.text(max_size=20)),
    times=st.tuples(st.none() | IDS, st.none() | IDS),
)
def test_any_span(
    name, context, parent, resource, scope, attributes, events, links, kind, status, times
):
    one = ReadableSpan(
        name=name,
        context=context,
        parent=parent,
        resource=resource,
        attributes=attributes,
        events=events,
        links=links,
        kind=kind,
        status=status,
        start_time=times[0],
        end_time=times[1],
        instrumentation_scope=scope,
    )

    written = AloneEncoder("traces", unused).encode(one)
    assert ExportTraceServiceRequest.FromString(written) == encode_spans([one])


def test_what_was_left_out_for_the_limits_is_counted():
    provider = TracerProvider(
        span_limits=SpanLimits(max_attributes=2, max_events=1, max_links=1),
        resource=Resource.get_empty(),
    )
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    context = SpanContext(1, 2, is_remote=False)
    with provider.get_tracer("t").start_as_current_span("s", links=[Link(context)] * 3) as span:
        for number in range(5):
            span.set_attribute(f"key{number}", number)
            span.add_event("event")
    (one,) = exporter.get_finished_spans()

    written = ExportTraceServiceRequest.FromString(AloneEncoder("traces", unused).encode(one))
    assert written == encode_spans([one])
    assert written.resource_spans[0].scope_spans[0].spans[0].dropped_attributes_count == 3


@pytest.mark.parametrize("odd", [2**70, "\ud800", {1, 2}, object()])
def test_what_only_the_stock_encoder_can_write_is_left_to_it(odd):
    one = record(resource=Resource({"service.name": "shop"}), odd=odd, even="good")

    written = ExportLogsServiceRequest.FromString(AloneEncoder("logs", encode_logs).encode(one))
    assert written == encode_logs([one])


@pytest.mark.parametrize("schema_url", [None, "https://opentelemetry.io/schemas/1.40.0"])
def test_spans(schema_url):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}, schema_url))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("shop.pay", "1.0", schema_url)
    with tracer.start_as_current_span("GET /", attributes={"http.route": "/"}) as span:
        span.add_event("paid", {"amount": 3.5})
        with tracer.start_as_current_span("inner", links=()):
            pass
    encoder = AloneEncoder("traces", encode_spans)

    for one in exporter.get_finished_spans():
        assert ExportTraceServiceRequest.FromString(encoder.encode(one)) == encode_spans([one])


def test_what_is_joined_holds_every_record():
    encoder = AloneEncoder("logs", encode_logs)
    records = [record(f"{number}") for number in range(5)]

    joined = ExportLogsServiceRequest.FromString(b"".join(map(encoder.encode, records)))
    assert [
        log.body.string_value
        for group in joined.resource_logs
        for scope in group.scope_logs
        for log in scope.log_records
    ] == ["0", "1", "2", "3", "4"]


def test_a_resource_that_changes_is_noticed():
    """The service's name may become known with the first app."""
    encoder = AloneEncoder("logs", encode_logs)
    encoder.encode(record())
    later = record(resource=Resource({"service.name": "x" * 1_000}))

    assert ExportLogsServiceRequest.FromString(encoder.encode(later)) == encode_logs([later])


def test_threads_with_different_resources_do_not_mix_them():
    encoder = AloneEncoder("logs", encode_logs)
    wrong = []

    def encode(name):
        one = record(resource=Resource({"service.name": name}))
        expected = encode_logs([one])
        for _ in range(300):
            if ExportLogsServiceRequest.FromString(encoder.encode(one)) != expected:
                wrong.append(name)

    threads = [threading.Thread(target=encode, args=(f"service {n}" * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
