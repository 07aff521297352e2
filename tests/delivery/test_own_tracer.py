"""Our tracer makes of whatever it is asked for what the SDK's tracer makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    Span,
    SpanLimits,
    Tracer,
    TracerProvider,
    _TracerConfig,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from otelbridge.delivery.lean_span import LeanSpan
from otelbridge.delivery.own_tracer import OwnTracer, OwnTracerProvider
from otelbridge.delivery.processors import DeliveredSpanProcessor
from tests.delivery.test_lean_span import Counted, Kept, Listener

pytestmark = pytest.mark.filterwarnings("ignore")

KEYS = st.sampled_from(["a", "b", "http.route", "token", "é", "", 7, None])
VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=4)
    | st.builds(object),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ATTRIBUTES = st.none() | st.dictionaries(KEYS, VALUES, max_size=6)
CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.sampled_from([0, 7]),
    span_id=st.sampled_from([0, 8]),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(number) for number in range(4)]),
    trace_state=st.sampled_from([None, TraceState([("a", "b")])]),
)
PARENTS = st.just(Context()) | st.builds(
    lambda span: set_span_in_context(span, Context()),
    st.builds(NonRecordingSpan, CONTEXTS) | st.just(INVALID_SPAN) | st.just("no span"),
)
LIMITS = st.builds(
    SpanLimits,
    max_span_attributes=st.sampled_from([None, 0, 1, 3]),
    max_events=st.sampled_from([None, 0, 1]),
    max_links=st.sampled_from([None, 0, 1]),
    max_event_attributes=st.sampled_from([None, 0, 1]),
    max_link_attributes=st.sampled_from([None, 1]),
    max_attribute_length=st.sampled_from([None, None, 2]),
    max_span_attribute_length=st.sampled_from([None, None, None, 3]),
)
BOOM = ValueError("boom")
STATUSES = st.sampled_from(
    [Status(StatusCode.ERROR, "no"), Status(), Status(StatusCode.OK), StatusCode.ERROR]
)


def calls(name: str, *values: Any) -> st.SearchStrategy[Callable[[Any], object]]:
    """What calls a span's method with generated arguments."""
    return st.tuples(*values).map(lambda given: lambda span: getattr(span, name)(*given))


USES = st.lists(
    calls("set_attribute", KEYS, VALUES)
    | calls("set_attributes", ATTRIBUTES.filter(lambda given: given is not None))
    | calls("add_event", st.sampled_from(["paid", ""]), ATTRIBUTES, st.integers(0, 9))
    | calls("add_link", CONTEXTS, ATTRIBUTES)
    | calls("update_name", st.text(max_size=3))
    | calls("record_exception", st.just(BOOM), ATTRIBUTES, st.just(6))
    | calls("set_status", STATUSES)
    | calls("end", st.integers(9, 12)),
    max_size=8,
)


def provider_of(lean: bool, *processors: Any, **given: Any) -> tuple[TracerProvider, Kept]:
    kept: Any = Kept()
    provider = (OwnTracerProvider if lean else TracerProvider)(
        resource=Resource({"service.name": "shop"}),
        shutdown_on_exit=False,
        **{"id_generator": Counted(), "sampler": DEFAULT_ON, **given},
    )
    for processor in (DeliveredSpanProcessor(kept), *processors):
        provider.add_span_processor(processor)
    return provider, kept


def told(span: Any) -> Any:
    """All that can be read of a span."""
    if not isinstance(span, ReadableSpan):
        return repr(span)
    names = (
        *("name", "context", "kind", "parent", "start_time", "end_time", "instrumentation_scope"),
        *("dropped_attributes", "dropped_events", "dropped_links"),
    )
    read = [getattr(span, name) for name in names]
    described = [
        (event.name, event.timestamp, dict(event.attributes or {}), event.dropped_attributes)
        for event in span.events
    ]
    linked = [(link.context, dict(link.attributes), link.dropped_attributes) for link in span.links]
    status = (span.status.status_code, span.status.description)
    return [*read, status, list((span.attributes or {}).items()), described, linked]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parent=PARENTS,
    name=st.text(max_size=4),
    kind=st.sampled_from(SpanKind),
    attributes=ATTRIBUTES,
    links=st.lists(st.tuples(CONTEXTS, ATTRIBUTES), max_size=1),
    limits=st.just(SpanLimits()) | LIMITS,
    sampler=st.sampled_from([DEFAULT_ON, DEFAULT_ON, ALWAYS_ON, ALWAYS_OFF]),
    uses=USES,
)
def test_spans_are_the_same_whatever_is_done_with_them(
    parent: Context,
    name: str,
    kind: SpanKind,
    attributes: Any,
    links: Any,
    limits: SpanLimits,
    sampler: Any,
    uses: list[Callable[[Any], object]],
) -> None:
    seen = []
    for lean in (True, False):
        provider, kept = provider_of(lean, span_limits=limits, sampler=sampler)
        tracer = provider.get_tracer("shop", "1")
        own = None if attributes is None else dict(attributes)
        span = tracer.start_span(name, parent, kind, own, [Link(*one) for one in links], 5)
        steps = [told(span)]
        if own is not None:
            own["late"] = 1  # what was given stays the giver's
        for use in [*uses, lambda one: one.end(10), lambda one: one.set_attribute("late", 1)]:
            try:
                use(span)
            except Exception as error:
                steps.append(repr(error))
            steps.append(told(span))
        steps.append(span.is_recording())
        steps += [told(each) for each in kept.records]
        if sampler is not ALWAYS_OFF:
            steps.append([each.to_json() for each in kept.records if is_plain(each)])
            steps.append(encode_spans(kept.records) if all(map(is_plain, kept.records)) else None)
        seen.append(steps)

    assert seen[0] == seen[1]


def is_plain(span: Any) -> bool:
    """Whether the stock encoder and JSON take the span."""
    try:
        span.to_json()
        encode_spans([span]).SerializeToString()
    except Exception:
        return False
    return True


@pytest.fixture
def here() -> Iterator[None]:
    token = attach(Context())
    yield
    detach(token)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("flags", [(True, True), (False, True), (True, False), (False, False)])
def test_a_block_has_its_span_and_its_exception(flags):
    seen = []
    for lean in (True, False):
        provider, kept = provider_of(lean)
        tracer = provider.get_tracer("shop")
        options = dict(zip(("record_exception", "set_status_on_exception"), flags, strict=True))
        with tracer.start_as_current_span("outer", start_time=1) as outer:
            assert get_current_span() is outer
            with (
                pytest.raises(ValueError, match="boom"),
                tracer.start_as_current_span("inner", start_time=2, **options),
            ):
                raise BOOM
            with (
                pytest.raises(ValueError, match="boom"),
                tracer.start_span("by itself", start_time=3, **options),
            ):
                raise BOOM
        assert get_current() == Context()
        seen.append(
            [
                (span.name, span.context, span.parent, span.status.status_code, len(span.events))
                for span in kept.records
            ]
        )

    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


def test_tracers_and_spans_are_the_sdks():
    provider, _ = provider_of(True)
    tracer = provider.get_tracer("shop", "1", attributes={"a": 1})
    span = tracer.start_span("pay")

    assert isinstance(tracer, Tracer)
    assert type(tracer) is OwnTracer
    assert isinstance(span, Span)
    assert isinstance(span, LeanSpan)
    assert provider.get_tracer("shop", "1", attributes={"a": 1}) is tracer
    assert provider.get_tracer("shop", "1") is provider.get_tracer("shop", "1") is not tracer
    assert provider.get_tracer("shop") is provider.get_tracer("shop", "")


def test_the_sdk_can_be_disabled(monkeypatch):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    provider, _ = provider_of(True)

    assert type(provider.get_tracer("shop")) is NoOpTracer


def test_a_tracer_may_be_changed_at_any_time():
    provider, kept = provider_of(True)
    tracer: Any = provider.get_tracer("shop")

    def kinds() -> tuple[bool, bool]:
        span = tracer.start_span("pay")
        span.end()
        return isinstance(span, LeanSpan), span.is_recording() or bool(kept.records.pop())

    assert kinds() == (True, True)
    tracer.sampler = TraceIdRatioBased(1.0)
    assert kinds() == (False, True)
    tracer.sampler = DEFAULT_ON
    assert kinds() == (True, True)
    provider._set_tracer_configurator(tracer_configurator=lambda scope: _TracerConfig(False))
    assert not tracer.start_span("pay").is_recording()
    provider._set_tracer_configurator(tracer_configurator=lambda scope: _TracerConfig(True))
    assert kinds() == (True, True)
    provider._update_resource(Resource({"service.name": "other"}))
    assert tracer.start_span("pay").resource.attributes["service.name"] == "other"
    listener = Listener()
    provider.add_span_processor(listener)
    assert kinds() == (False, True)
    assert [what[0] for what in listener.seen] == ["start", "end"]


def test_spans_may_be_told_of_side_by_side():
    kept: Any = Kept()
    together = ConcurrentMultiSpanProcessor(2)
    provider = OwnTracerProvider(active_span_processor=together, shutdown_on_exit=False)
    provider.add_span_processor(DeliveredSpanProcessor(kept))
    provider.get_tracer("shop").start_span("pay").end()

    assert [type(span) for span in kept.records] == [ReadableSpan]


@pytest.mark.parametrize("flags", [1, 3])
def test_ids_are_the_default_generators(flags):
    provider, kept = provider_of(True, id_generator=None)
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("outer", Context()):
        tracer.start_span("inner").end()
    above = SpanContext(7, 8, True, TraceFlags(flags), TraceState([("a", "b")]))
    remote = set_span_in_context(NonRecordingSpan(above), Context())
    tracer.start_span("of another process", remote).end()
    inner, outer, other = (span.context for span in kept.records)

    assert inner.trace_id == outer.trace_id
    assert inner.span_id != outer.span_id
    assert all(context.is_valid and context.trace_flags == 3 for context in (inner, outer))
    assert inner == SpanContext(*inner.__getnewargs__())
    assert (other.trace_id, other.trace_flags, other.trace_state) == (7, flags, above.trace_state)
    assert kept.records[2].parent is above


def test_threads_that_end_one_span_at_once_end_it_once():
    provider, kept = provider_of(True)
    tracer = provider.get_tracer("shop")
    spans = [tracer.start_span("pay") for _ in range(200)]
    together = threading.Barrier(4)

    def end() -> None:
        together.wait()
        for span in spans:
            span.end()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(end) for _ in range(4)]:
            done.result()

    assert kept.records == spans
