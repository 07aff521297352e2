"""OTLP requests as bytes: halved without loss, and as JSON what upstream's JSON encoder writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.json.common._log_encoder import encode_logs as logs_as_json
from opentelemetry.exporter.otlp.json.common.metrics_encoder import (
    encode_metrics as metrics_as_json,
)
from opentelemetry.exporter.otlp.json.common.trace_encoder import encode_spans as spans_as_json
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otelbridge.sinks.otlp_body import load_encoder, rejected, split, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.one_of(
    TEXT,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(max_size=5),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXT.filter(bool), inner, max_size=3)
    ),
    max_leaves=5,
)
ATTRIBUTES = st.dictionaries(TEXT.filter(bool), VALUES, max_size=4)
PLAIN_ATTRIBUTES = st.dictionaries(TEXT.filter(bool), SCALARS, max_size=4)
TIMES = st.integers(1, 2**62)
RESOURCES = [Resource({"service.name": name}) for name in ("one", "two")]
SCOPES = [InstrumentationScope(name, "1") for name in ("a", "b")]


def context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))


CONTEXTS = st.builds(context, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))


@st.composite
def logs(draw: Any) -> ReadableLogRecord:
    within = draw(CONTEXTS)
    record = LogRecord(
        timestamp=draw(TIMES),
        observed_timestamp=draw(TIMES),
        severity_number=draw(st.sampled_from(SeverityNumber)),
        severity_text=draw(TEXT),
        body=draw(VALUES),
        attributes=draw(ATTRIBUTES),
    )
    record.trace_id, record.span_id = within.trace_id, within.span_id
    record.trace_flags = within.trace_flags
    return ReadableLogRecord(
        record, draw(st.sampled_from(RESOURCES)), draw(st.sampled_from(SCOPES))
    )


@st.composite
def spans(draw: Any) -> ReadableSpan:
    start = draw(TIMES)
    return ReadableSpan(
        name=draw(TEXT),
        context=draw(CONTEXTS),
        parent=draw(st.none() | CONTEXTS),
        resource=draw(st.sampled_from(RESOURCES)),
        attributes=draw(PLAIN_ATTRIBUTES),
        events=draw(
            st.lists(st.builds(Event, TEXT, PLAIN_ATTRIBUTES, timestamp=TIMES), max_size=2)
        ),
        links=draw(st.lists(st.builds(Link, CONTEXTS, PLAIN_ATTRIBUTES), max_size=2)),
        kind=draw(st.sampled_from(SpanKind)),
        instrumentation_scope=draw(st.sampled_from(SCOPES)),
        status=draw(st.sampled_from([Status(), Status(StatusCode.ERROR, "no")])),
        start_time=start,
        end_time=start + draw(st.integers(0, 10**9)),
    )


def encode(signal: str, records: Any) -> bytes:
    return bytes(load_encoder(signal)(records).SerializeToString())


@settings(deadline=None, max_examples=150)
@given(st.lists(logs(), min_size=1, max_size=4))
def test_logs_as_json_are_what_upstream_writes(records: list[ReadableLogRecord]) -> None:
    ours = json.loads(to_json("logs", encode("logs", records)))
    assert ours == json.loads(logs_as_json(records).to_json())


@settings(deadline=None, max_examples=150)
@given(st.lists(spans(), min_size=1, max_size=4))
def test_spans_as_json_are_what_upstream_writes(records: list[ReadableSpan]) -> None:
    ours = json.loads(to_json("traces", encode("traces", records)))
    assert ours == json.loads(spans_as_json(records).to_json())


def test_metrics_as_json_are_what_upstream_writes() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], resource=RESOURCES[0], shutdown_on_exit=False)
    meter = provider.get_meter("m", "1")
    meter.create_counter("c", "1", "counts").add(3, {"k": "v"})
    meter.create_up_down_counter("u").add(-1.5)
    meter.create_histogram("h", explicit_bucket_boundaries_advisory=[1, 10]).record(5.5)
    meter.create_observable_gauge("g", [lambda options: [Observation(2**40)]])
    readings: Any = reader.get_metrics_data()
    ours = json.loads(to_json("metrics", encode("metrics", readings)))
    assert ours == json.loads(metrics_as_json(readings).to_json())


def names(body: bytes) -> list[tuple[str, str, str]]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        (group.resource.attributes[0].value.string_value, scope.scope.name, span.name)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


@settings(deadline=None, max_examples=100)
@given(st.lists(spans(), min_size=2, max_size=9))
def test_two_halves_hold_what_the_whole_held_in_its_order(records: list[ReadableSpan]) -> None:
    body = encode("traces", records)
    first, second = split("traces", body)
    assert len(names(first)) == len(records) // 2
    assert names(first) + names(second) == names(body)


@settings(deadline=None, max_examples=50)
@given(st.lists(spans(), min_size=1, max_size=3), st.lists(spans(), min_size=1, max_size=3))
def test_two_requests_joined_are_one_request(
    first: list[ReadableSpan], second: list[ReadableSpan]
) -> None:
    one, other = encode("traces", first), encode("traces", second)
    assert names(one + other) == names(one) + names(other)


@pytest.mark.parametrize("is_json", [False, True])
def test_what_an_answer_says_was_rejected_is_read(is_json: bool) -> None:
    logs_answer = ExportLogsServiceResponse()
    logs_answer.partial_success.rejected_log_records = 3
    logs_answer.partial_success.error_message = "too old"
    body = (
        b'{"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "too old", "new": 1}}'
        if is_json
        else logs_answer.SerializeToString()
    )
    assert rejected("logs", body, is_json=is_json) == (3, "too old")


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"<html>", ExportTraceServiceResponse().SerializeToString()]
)
@pytest.mark.parametrize("is_json", [False, True])
def test_an_answer_that_says_nothing_of_it_rejects_nothing(answer: bytes, is_json: bool) -> None:
    assert rejected("traces", answer, is_json=is_json) == (0, "")
