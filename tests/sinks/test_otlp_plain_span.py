"""A span that is written where it ends is, byte for byte, the one that the whole encoder writes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otelbridge.sinks.otlp_plain_span import write_plain_span
from otelbridge.sinks.otlp_request import RequestEncoder

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.just(TraceFlags(1)),
)
PLAIN = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=150))


def whole(span: Any) -> bytes:
    return RequestEncoder("traces", encode_spans).write(span)


def at_once(span: Any) -> bytes | None:
    try:
        return write_plain_span(span)
    except ValueError:
        return None


def ended(name: str = "pay", **given_settings: Any) -> Any:
    span = TRACER.start_span(name, **given_settings)
    span.end()
    return span


@settings(deadline=None, max_examples=300)
@given(
    st.text(max_size=30),
    st.none() | CONTEXTS,
    st.sampled_from(list(SpanKind)),
    st.dictionaries(st.text(max_size=20).map("x.".__add__), PLAIN | st.floats(), max_size=6),
    st.sampled_from([None, Status(StatusCode.OK), Status(StatusCode.ERROR, "no")]),
)
def test_any_span(name, parent, kind, attributes, status):
    context = None if parent is None else set_span_in_context(NonRecordingSpan(parent))
    span = TRACER.start_span(name, context, kind, attributes)
    if status is not None:
        span.set_status(status)
    span.end()

    assert at_once(span) in (None, whole(span))


@pytest.mark.parametrize(
    "given_settings",
    [
        {},
        {"attributes": {"user": "alice", "items": 3, "change": -7}},
        {"attributes": {"one": 1}},
        {"name": "", "kind": SpanKind.SERVER},
        {"attributes": {"url.full": "http://shop.example:8000/orders/7?page=2"}},
    ],
)
def test_what_is_plain_is_written(given_settings):
    span = ended(**given_settings)

    assert at_once(span) == whole(span)


@pytest.mark.parametrize(
    "given_settings",
    [
        {"attributes": {"share": 0.5}},
        {"attributes": {"one": True}},
        {"attributes": {"one": 1.0}},
        {"attributes": {"users": ["alice"]}},
        {"attributes": {"token": "abc"}},
        {"attributes": {"note": "password=abc"}},
        {"attributes": {"note": "x" * 5_000}},
        {"name": "card 4111 1111 1111 1111"},
        {"links": [Link(SpanContext(1, 2, is_remote=False))]},
    ],
)
def test_what_has_to_be_looked_into_is_not(given_settings):
    assert at_once(ended(**given_settings)) is None


def test_nor_what_something_has_happened_to():
    span = TRACER.start_span("pay")
    span.add_event("paid")
    span.end()
    failed = TRACER.start_span("pay")
    failed.set_status(StatusCode.ERROR, "password=abc")
    failed.end()

    assert at_once(span) is None
    assert at_once(failed) is None


def test_nor_what_limits_have_cut_or_a_vendor_has_added_to():
    limited = TracerProvider(
        shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=1)
    ).get_tracer("shop")
    cut = limited.start_span("pay", attributes={"a": 1, "b": 2})
    cut.end()
    state = SpanContext(
        1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")])
    )
    added = ended(context=set_span_in_context(NonRecordingSpan(state)))

    assert at_once(cut) is None
    assert at_once(added) is None
