"""Our tracer provider: the SDK's, whose tracers start :mod:`lean spans <.lean_span>` if they may.

They may where nothing would come of what is left out, which is asked at each span, since a program
may add a processor at any time. Everything else is the SDK's own, and so is every other span.
"""

from __future__ import annotations

from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import (
    SynchronousMultiSpanProcessor,
    Tracer,
    TracerProvider,
)
from opentelemetry.sdk.trace._tracer_metrics import NoOpTracerMetrics
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from otelbridge.delivery.current_context import get_current, span_in
from otelbridge.delivery.lean_span import CLEAN, LeanSpan, Listeners, OwnSpanProcessor, make_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, TraceState
    from opentelemetry.util.types import Attributes

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_RANDOM: Final[int] = TraceFlags.RANDOM_TRACE_ID
_SAMPLED_AT_RANDOM: Final = TraceFlags(TraceFlags.SAMPLED | _RANDOM)

_TEXT: Final = frozenset({str})
_new_tuple: Final = tuple.__new__


class OwnTracerProvider(TracerProvider):
    """The SDK's tracer provider with tracers of ours."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Any:
        """Return the tracer of an instrumentation scope."""
        tracer = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if type(tracer) is Tracer:
            # The SDK makes and keeps it, and knows no other class; it has the same attributes.
            tracer.__class__ = OwnTracer
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
            lean = self.start_lean(name, here, kind, given, start_time)
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
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int | None,
    ) -> LeanSpan | None:
        """Start a span the lean way.

        Args:
            name: the span's.
            parent: the context it begins in.
            kind: what it is in its trace.
            attributes: the span's own from now on; each has a name.
            start_time: nanoseconds since 1970; now by default.

        Returns:
            ``None`` if there are wishes that only the SDK's own way fulfils.
        """
        listeners = self._listeners
        if (
            listeners is None
            or listeners.span_processor._span_processors is not listeners.processors
        ):
            listeners = self._look()
            if listeners is None:
                return None
        if not CLEAN.issuperset(map(type, attributes.values())) or (
            listeners.most is not None and listeners.most < len(attributes)
        ):
            return None
        span = span_in(parent)
        above: Any = None
        if span is not None:
            above = span._context if type(span) is LeanSpan else span.get_span_context()
            if type(above) is not SpanContext:
                return None
            if not above.is_valid:
                above = None
            elif not above.trace_flags & TraceFlags.SAMPLED:
                return None
        ids, state = self.id_generator, DEFAULT_TRACE_STATE
        if type(ids) is RandomIdGenerator:
            span_id = getrandbits(64) or ids.generate_span_id()
            if above is None:
                trace_id, flags = getrandbits(128) or ids.generate_trace_id(), _SAMPLED_AT_RANDOM
            else:
                trace_id, state = above.trace_id, above.trace_state
                flags = _SAMPLED_AT_RANDOM if above.trace_flags & _RANDOM else _SAMPLED
            # As its constructor makes it, of ids that are in their bounds.
            made = _new_tuple(SpanContext, (trace_id, span_id, False, flags, state, True))
        else:
            made = self._identify(above)
        begun = make_span(name, kind, made, above, attributes, start_time, listeners)
        for tell in listeners.starts:
            tell(begun, parent)
        return begun

    def _identify(self, above: SpanContext | None) -> SpanContext:
        """Give a span its ids, by a generator of the program's."""
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
