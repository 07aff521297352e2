"""Spans that cost little until somebody looks.

They are the SDK's, with all that it can do and all that can be read of one. Left out is what has no
effect where the default sampler decides, no limit cuts, and none but our own processors listen:
the sampler's result, the checks and copies of attributes that are known to be clean, lists for
events and links before there are any, and the copy that a span which has ended is handed over as.
It takes a quarter of the time.
"""

from __future__ import annotations

from operator import attrgetter
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor, _Span
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util import BoundedList

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Event, Tracer
    from opentelemetry.trace import Link, SpanContext

# Values that the SDK takes as they are.
CLEAN: Final = frozenset({str, int, float, bool})


class OwnSpanProcessor(SpanProcessor):
    """One that may be given an ended span itself in the place of a copy of it.

    Attributes:
        needs_events: whether the end of a span without any events is nothing to it.
    """

    needs_events = False


class Listeners:
    """What all lean spans of a tracer share, as long as nothing changes.

    Attributes:
        processors: the SDK's tuple of them, which it replaces by another when one is added.
        starts: called with each span, and with the context that it begins in.
        ends: called with each span that has events.
        quiet_ends: called with each other span.
        at_random: whether ids are made by the SDK's default generator.
        span_processor: the SDK's that calls them.
        limits: the tracer's.
        most: how many attributes a span may have; ``None`` for any number.
        sampler: the tracer's.
        info: the tracer's scope under its old name.
        scope: the tracer's.
        resource: the tracer's.
    """

    __slots__ = (
        "at_random",
        "ends",
        "info",
        "limits",
        "most",
        "processors",
        "quiet_ends",
        "resource",
        "sampler",
        "scope",
        "span_processor",
        "starts",
    )

    def __init__(self, tracer: Tracer) -> None:
        """Look at a tracer whose processors are all ours."""
        self.span_processor: Any = tracer.span_processor
        self.limits = tracer._span_limits
        self.most = self.limits.max_span_attributes
        self.sampler = tracer.sampler
        self.info = tracer.instrumentation_info
        self.scope = tracer._instrumentation_scope
        self.resource = tracer.resource
        self.at_random = type(tracer.id_generator) is RandomIdGenerator
        self.processors: tuple[SpanProcessor, ...] = self.span_processor._span_processors
        self.starts: list[Callable[[Any, Context], None]] = []
        self.ends: list[Callable[[Any], None]] = []
        self.quiet_ends: list[Callable[[Any], None]] = []
        for each in self.processors:
            if type(each).on_start is not SpanProcessor.on_start:
                self.starts.append(each.on_start)
            if type(each).on_end is not SpanProcessor.on_end:
                self.ends.append(each.on_end)
                if not getattr(each, "needs_events", False):
                    self.quiet_ends.append(each.on_end)


class LeanSpan(_Span):
    """A sampled span that none but our own processors are told of."""

    # What nearly no span has otherwise.
    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics = None

    _context: SpanContext
    _attributes: BoundedAttributes
    _listeners: Listeners
    _limits: Any = property(attrgetter("_listeners.limits"))
    _sampler: Any = property(attrgetter("_listeners.sampler"))
    _span_processor: Any = property(attrgetter("_listeners.span_processor"))
    _instrumentation_info: Any = property(attrgetter("_listeners.info"))

    def get_span_context(self) -> SpanContext:
        """Return the span's ids and flags."""
        return self._context

    def set_attribute(self, key: str, value: Any) -> None:
        """Set an attribute."""
        if type(value) in CLEAN and type(key) is str and key:
            attributes = self._attributes
            most, plain = attributes.maxlen, attributes._dict
            with self._lock:
                if (
                    self._end_time is None
                    and key not in plain
                    and (most is None or len(plain) < most)
                ):
                    plain[key] = value
                    return
        super().set_attribute(key, value)

    def end(self, end_time: int | None = None) -> None:
        """End it, at ``end_time`` in nanoseconds since 1970; now by default."""
        listeners = self._listeners
        if listeners.span_processor._span_processors is listeners.processors:
            with self._lock:
                if self._end_time is None:
                    self._end_time = time_ns() if end_time is None else end_time
                    self._attributes._immutable = True
                    told = listeners.ends if self._events else listeners.quiet_ends
                else:
                    told = None
            if told is not None:
                for tell in told:
                    tell(self)
                return
        # The program has added a processor meanwhile, or ends it twice.
        super().end(end_time)

    def _add_event(self, event: Event) -> None:
        self._make_room("_events", self._limits.max_events)
        super()._add_event(event)

    def _add_link(self, link: Link) -> None:
        self._make_room("_links", self._limits.max_links)
        super()._add_link(link)

    def _make_room(self, name: str, most: int | None) -> None:
        with self._lock:
            if self._end_time is None and getattr(self, name) == ():
                setattr(self, name, BoundedList(most))
