"""Our tracer provider: the SDK's, whose tracers start :mod:`lean spans <.lean_span>` if they may.

They may where nothing would come of what is left out, which is asked at each span, since a program
may add a processor at any time. Everything else is the SDK's own, and so is every other span.
"""

from __future__ import annotations

import threading
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import (
    SynchronousMultiSpanProcessor,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from otelbridge.delivery.current_context import get_current, span_in
from otelbridge.delivery.lean_span import CLEAN, LeanSpan, Listeners, OwnSpanProcessor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, TraceState
    from opentelemetry.util.types import Attributes

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SAMPLED_AT_RANDOM: Final = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)

_UNSET: Final = Status(StatusCode.UNSET)
_TEXT: Final = frozenset({str})
_new: Final = object.__new__
_new_tuple: Final = tuple.__new__


class OwnTracerProvider(TracerProvider):
    """The SDK's tracer provider with tracers of ours."""

    def __init__(self, **given: Any) -> None:
        """Make a provider of what the SDK's is made of."""
        super().__init__(**given)
        self._handed: dict[tuple[str, str | None, str | None], OwnTracer] = {}

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Any:
        """Return the tracer of an instrumentation scope."""
        # Many ask each time; the SDK makes two objects and a filter for warnings before it looks.
        asked = (instrumenting_module_name, instrumenting_library_version, schema_url)
        if attributes is None and asked in self._handed:
            return self._handed[asked]
        tracer = super().get_tracer(*asked, attributes)
        if type(tracer) is Tracer:
            # The SDK makes and keeps it, and knows no other class; it has the same attributes.
            tracer.__class__ = OwnTracer
        if attributes is None and isinstance(tracer, OwnTracer) and instrumenting_module_name:
            self._handed[asked] = tracer
        return tracer


class OwnTracer(Tracer):
    """The SDK's tracer, which may start a lean span."""

    _listeners: Listeners | None = None
    _changes = 0

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, and look anew at what there is before the next span."""
        held = self.__dict__
        held[name] = value
        held["_changes"] = self._changes + 1
        held["_listeners"] = None

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span."""
        if not links and (attributes is None or _are_named(attributes)):
            here = get_current() if context is None else context
            given: Any = {} if attributes is None else attributes.copy()  # type: ignore[attr-defined]
            lean = self.start_lean(name, here, span_in(here), kind, given, start_time)
            if lean is not None:
                if not record_exception:
                    lean._record_exception = False
                if not set_status_on_exception:
                    lean._set_status_on_exception = False
                return lean
        return super().start_span(
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception,
            set_status_on_exception,
        )

    def start_lean(
        self,
        name: str,
        parent: Context,
        above: Span | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int | None,
    ) -> LeanSpan | None:
        """Start a span the lean way.

        Args:
            name: the span's.
            parent: the context it begins in.
            above: the span in there, if there is one.
            kind: what it is in its trace.
            attributes: the span's own from now on; each has a name.
            start_time: nanoseconds since 1970; now by default.

        Returns:
            ``None`` if there are wishes that only the SDK's own way fulfils.
        """
        shared = self._listeners
        if shared is None or shared.span_processor._span_processors is not shared.processors:
            shared = self._look()
            if shared is None:
                return None
        most = shared.most
        if (most is not None and most < len(attributes)) or not CLEAN.issuperset(
            map(type, attributes.values())
        ):
            return None
        # As the SDK's constructors and start() do it, in one go.
        span = _new(LeanSpan)
        span._parent = parent_context = None
        if above is not None:
            known: Any = above._context if type(above) is LeanSpan else above.get_span_context()
            if type(known) is not SpanContext:
                return None
            if known.is_valid:
                if not known.trace_flags & TraceFlags.SAMPLED:
                    return None
                span._parent = parent_context = known
        if shared.at_random:
            # Its bits are drawn here, and all ids are within their bounds.
            if parent_context is None:
                trace_id = getrandbits(128) or self.id_generator.generate_trace_id()
                flags, state = _SAMPLED_AT_RANDOM, DEFAULT_TRACE_STATE
            else:
                trace_id, state = parent_context.trace_id, parent_context.trace_state
                at_random = parent_context.trace_flags & TraceFlags.RANDOM_TRACE_ID
                flags = _SAMPLED_AT_RANDOM if at_random else _SAMPLED
            span_id = getrandbits(64) or self.id_generator.generate_span_id()
            ids = (trace_id, span_id, False, flags, state, True)
            span._context = _new_tuple(SpanContext, ids)
        else:
            span._context = self._identify(parent_context)
        bounded = _new(BoundedAttributes)
        bounded._dict = attributes
        bounded.maxlen = most
        bounded.dropped = 0
        bounded.max_value_len = None
        bounded._lock = threading.Lock()  # as gevent may have changed it meanwhile
        bounded._immutable = False
        span._name = name
        span._kind = kind
        span._status = _UNSET
        span._events = span._links = ()
        span._end_time = None
        span._start_time = time_ns() if start_time is None else start_time
        span._attributes = bounded
        span._resource = shared.resource
        span._instrumentation_scope = shared.scope
        span._lock = threading.Lock()
        span._listeners = shared
        for tell in shared.starts:
            tell(span, parent)
        return span

    def _identify(self, above: SpanContext | None) -> SpanContext:
        """Give a span its ids by a generator of the program's."""
        ids = self.id_generator
        state: TraceState | None = None
        if above is None:
            trace_id, at_random = ids.generate_trace_id(), ids.is_trace_id_random()
        else:
            trace_id, state = above.trace_id, above.trace_state
            at_random = above.trace_flags.random_trace_id
        flags = _SAMPLED_AT_RANDOM if at_random else _SAMPLED
        return SpanContext(trace_id, ids.generate_span_id(), False, flags, state)

    def _look(self) -> Listeners | None:
        """Return who listens, if nothing would come of what is left out."""
        changes = self._changes
        limits, sampler, together = self._span_limits, self.sampler, self.span_processor
        if (
            (sampler is not DEFAULT_ON and sampler is not ALWAYS_ON)
            or type(together) is not SynchronousMultiSpanProcessor
            or type(self._tracer_metrics) is not NoOpTracerMetrics
            or not self._is_enabled()
            or limits.max_span_attribute_length is not None
        ):
            return None
        for processor in together._span_processors:
            if not isinstance(processor, OwnSpanProcessor):
                return None
        self.__dict__["_listeners"] = found = Listeners(self)
        # Another thread may have changed something since it was looked at.
        return found if changes == self._changes else self._look()


def _are_named(attributes: Any) -> bool:
    """Tell whether these are a dict whose keys are texts, and none is empty."""
    return (
        type(attributes) is dict
        and _TEXT.issuperset(map(type, attributes))
        and "" not in attributes
    )
