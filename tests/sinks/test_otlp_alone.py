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
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

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


@given(RESOURCES, SCOPES, st.text(max_size=300), st.integers(-(2**63), 2**63 - 1))
def test_log_records(resource, scope, body, number):
    one = record(body, resource, scope, number=number)

    written = AloneEncoder(encode_logs).encode(one)
    assert ExportLogsServiceRequest.FromString(written) == encode_logs([one])


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
    encoder = AloneEncoder(encode_spans)

    for one in exporter.get_finished_spans():
        assert ExportTraceServiceRequest.FromString(encoder.encode(one)) == encode_spans([one])


def test_what_is_joined_holds_every_record():
    encoder = AloneEncoder(encode_logs)
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
    encoder = AloneEncoder(encode_logs)
    encoder.encode(record())
    later = record(resource=Resource({"service.name": "x" * 1_000}))

    assert ExportLogsServiceRequest.FromString(encoder.encode(later)) == encode_logs([later])


def test_threads_with_different_resources_do_not_mix_them():
    encoder = AloneEncoder(encode_logs)
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
