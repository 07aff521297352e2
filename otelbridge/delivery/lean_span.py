"""Starting and ending a span without what nobody has asked for.

The span is the SDK's, with all that it can do and all that stands on it. Left out is what has no
effect where the default sampler decides, no limit cuts, and none but our own processors listen:
the sampler's result, the checks and copies of attributes that are known to be clean, and the copy
that a span which has ended is handed over as. It takes a third of the time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor, Tracer, _Span
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, TraceFlags, get_current_span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind

_UNSET: Final = Status(StatusCode.UNSET)
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_AT_RANDOM: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


class OwnSpanProcessor(SpanProcessor):
    """One that may be given an ended span itself in the place of a copy of it."""


class LeanSpan(_Span):
    """A sampled span that none but our own processors are told of."""

    def end(self, end_time: int | None = None) -> None:
        """End it, at ``end_time`` in nanoseconds since 1970; now by default."""
        processors: Any = self._span_processor._span_processors  # type: ignore[attr-defined]
        if self._end_time is not None or not _are_ours(processors):
            # The program has added one meanwhile.
            super().end(end_time)
            return
        with self._lock:
            self._end_time = time.time_ns() if end_time is None else end_time
            self._attributes._immutable = True  # type: ignore[union-attr]
        for processor in processors:
            processor.on_end(self)


def start_span(
    tracer: Any,
    name: str,
    parent: Context,
    kind: SpanKind,
    attributes: dict[str, Any],
    start_time: int | None,
) -> Span:
    """Start a span, as ``tracer.start_span`` does.

    Args:
        tracer: of whatever provider.
        name: the span's.
        parent: the context it begins in.
        kind: what it is in its trace.
        attributes: the span's own from now on, if they are clean.
        start_time: nanoseconds since 1970; now by default.
    """
    above = get_current_span(parent).get_span_context()
    if not _is_plain(tracer, attributes) or (above.is_valid and not above.trace_flags.sampled):
        span: Span = tracer.start_span(name, parent, kind, attributes, start_time=start_time)
        return span
    ids = tracer.id_generator
    if above.is_valid:
        trace_id, state = above.trace_id, above.trace_state
        at_random = above.trace_flags.random_trace_id
        parent_context = above
    else:
        trace_id, state, parent_context = ids.generate_trace_id(), None, None
        at_random = ids.is_trace_id_random()
    context = SpanContext(
        trace_id,
        ids.generate_span_id(),
        is_remote=False,
        trace_flags=_SAMPLED_AT_RANDOM if at_random else _SAMPLED,
        trace_state=state,
    )
    limits = tracer._span_limits
    made = object.__new__(LeanSpan)
    # What its constructor and start() would set, in their order.
    made.__dict__ = {
        "_name": name,
        "_context": context,
        "_kind": kind,
        "_instrumentation_info": tracer.instrumentation_info,
        "_instrumentation_scope": tracer._instrumentation_scope,
        "_parent": parent_context,
        "_start_time": time.time_ns() if start_time is None else start_time,
        "_end_time": None,
        "_attributes": _bounded(attributes, limits),
        "_events": _empty(limits.max_events),
        "_links": _empty(limits.max_links),
        "_resource": tracer.resource,
        "_status": _UNSET,
        "_sampler": tracer.sampler,
        "_trace_config": None,
        "_record_exception": True,
        "_set_status_on_exception": True,
        "_span_processor": tracer.span_processor,
        "_limits": limits,
        "_lock": threading.Lock(),
        "_record_end_metrics": None,
    }
    for processor in tracer.span_processor._span_processors:
        processor.on_start(made, parent_context=parent)
    return made


def _is_plain(tracer: Any, attributes: dict[str, Any]) -> bool:
    """Tell whether nothing would come of what is left out; asked each time, as it may change."""
    if type(tracer) is not Tracer:
        return False
    limits, sampler = tracer._span_limits, tracer.sampler
    if (
        (sampler is not DEFAULT_ON and sampler is not ALWAYS_ON)
        or type(tracer.span_processor) is not SynchronousMultiSpanProcessor
        or type(tracer._tracer_metrics) is not NoOpTracerMetrics
        or not tracer._is_enabled()
        or not _are_ours(tracer.span_processor._span_processors)
        or limits.max_span_attribute_length is not None
        or (limits.max_span_attributes is not None and limits.max_span_attributes < len(attributes))
    ):
        return False
    for value in attributes.values():
        if type(value) is not str and type(value) is not int:
            return False
    return True


def _are_ours(processors: tuple[SpanProcessor, ...]) -> bool:
    # Without a generator, which takes twice as long.
    for processor in processors:  # noqa: SIM110
        if not isinstance(processor, OwnSpanProcessor):
            return False
    return True


def _bounded(attributes: dict[str, Any], limits: Any) -> BoundedAttributes:
    bounded = object.__new__(BoundedAttributes)
    bounded.__dict__ = {
        "_dict": attributes,
        "maxlen": limits.max_span_attributes,
        "dropped": 0,
        "max_value_len": None,
        "_lock": threading.Lock(),
        "_immutable": False,
    }
    return bounded


def _empty(most: int | None) -> Any:
    empty = object.__new__(BoundedList)
    empty.__dict__ = {"dropped": 0, "_dq": deque(maxlen=most), "_lock": threading.Lock()}
    return empty
