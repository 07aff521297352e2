"""A span as one row of the waterfall: where its bar is, what stands on it and under it."""

from __future__ import annotations

from dataclasses import dataclass

from otelbridge.store.protocol import StoredLog
from otelbridge.traceback_text import Part, parse_traceback
from otelbridge.web.documents import KINDS
from otelbridge.web.fields import Field, body_text, fields_of
from otelbridge.web.log_views import Panel, level_of, make_panel
from otelbridge.web.waterfall import Node, Waterfall

# Per cent of the track that the trace takes; the rest is for the duration of what ends last.
SCALE = 93
# Above this many spans, healthy subtrees come folded.
FOLD_ABOVE = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch on the time axis, in per cent."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the time axis: a log or an event, in per cent."""

    x: float
    level: str
    title: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log under its span."""

    stored_id: int
    level: str
    message: str
    time: int
    x: float
    exception: str


@dataclass(frozen=True, slots=True)
class Event:
    """A span event; an exception has its traceback taken apart."""

    time: int
    after: int
    name: str
    fields: list[Field]
    exception_type: str
    exception_message: str
    stacktrace: str
    traceback: list[Part]


@dataclass(frozen=True, slots=True)
class SpanRow:
    """One row of the waterfall."""

    node: Node
    span_id: str
    parent_id: str
    kind: str
    bar: Bar
    critical: list[Bar]
    marks: list[Mark]
    logs: list[LogLine]
    opened: bool
    folded: bool
    colour: int
    events: list[Event]
    exceptions: list[Panel]
    attributes: list[Field]
    resource: list[Field]
    scope: str

    @property
    def plain_events(self) -> list[Event]:
        """Events other than exceptions, which are shown with their code."""
        return [event for event in self.events if not (event.stacktrace or event.exception_type)]


def make_rows(waterfall: Waterfall, opened: set[str]) -> list[SpanRow]:
    """Lay out the rows of a waterfall.

    Args:
        opened: ids of the spans to open.
    """
    services = {name: place for place, name in enumerate(service_names(waterfall))}
    many = waterfall.total > FOLD_ABOVE
    return [_make_row(node, waterfall, services, opened, many) for node in waterfall.nodes()]


def _make_row(
    node: Node, waterfall: Waterfall, services: dict[str, int], opened: set[str], many: bool
) -> SpanRow:
    span = node.span
    bar = _bar(node.start, node.end, waterfall)
    events = [
        Event(
            event.time + node.shift,
            event.time - span.time,
            event.name,
            fields_of(
                {
                    name: value
                    for name, value in event.attributes.items()
                    if event.name != "exception" or not name.startswith("exception.")
                }
            ),
            str(event.attributes.get("exception.type", "")),
            str(event.attributes.get("exception.message", "")),
            str(event.attributes.get("exception.stacktrace", "")),
            parse_traceback(str(event.attributes.get("exception.stacktrace", ""))),
        )
        for event in span.events
    ]
    marks = [
        Mark(
            _x(event.time, waterfall),
            "ERROR" if event.name == "exception" else "EVENT",
            f"{event.name} {event.exception_type}".strip(),
        )
        for event in events
    ] + [
        Mark(
            _x(stored.record.time + node.shift, waterfall),
            level_of(stored),
            f"{level_of(stored)} {body_text(stored)[:200]}".strip(),
        )
        for stored in node.logs
    ]
    return SpanRow(
        node=node,
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if span.parent_span_id else "",
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else str(span.kind),
        bar=bar,
        critical=[_bar(start, end, waterfall) for start, end in node.critical],
        marks=marks,
        logs=[_log_line(stored, node, waterfall) for stored in node.logs],
        opened=span.span_id.hex() in opened,
        folded=many and bool(node.children) and node.depth >= 2 and not node.failing_below,
        colour=services.get(node.service, 0) % 8,
        events=events,
        exceptions=_logged_exceptions(node, events),
        attributes=fields_of(span.attributes),
        resource=fields_of(span.resource),
        scope=f"{span.scope.name} {span.scope.version}".strip(),
    )


def _logged_exceptions(node: Node, events: list[Event]) -> list[Panel]:
    """Exceptions of a span's logs, but for those that its events show already."""
    shown = {_what_happened(event.exception_type, event.exception_message) for event in events}
    panels = []
    for stored in node.logs:
        panel = make_panel(stored)
        happened = _what_happened(panel.exception_type, panel.exception_message)
        if panel.stacktrace and happened not in shown:
            shown.add(happened)
            panels.append(panel)
    return panels


def _what_happened(type_: str, message: str) -> tuple[str, str]:
    """Recognise one exception that was recorded twice: some name its module, some do not."""
    return type_.rpartition(".")[2], message


def _log_line(stored: StoredLog, node: Node, waterfall: Waterfall) -> LogLine:
    moment = stored.record.time + node.shift
    return LogLine(
        stored.id,
        level_of(stored),
        body_text(stored),
        moment,
        _x(moment, waterfall),
        str(stored.record.attributes.get("exception.type", "")),
    )


def service_names(waterfall: Waterfall) -> list[str]:
    """The services of a trace, in the order of their first spans."""
    return list(dict.fromkeys(node.service for node in waterfall.nodes()))


def _x(moment: int, waterfall: Waterfall) -> float:
    length = max(1, waterfall.end - waterfall.start)
    share = min(1.0, max(0.0, (moment - waterfall.start) / length))
    return round(SCALE * share, 3)


def _bar(start: int, end: int, waterfall: Waterfall) -> Bar:
    left = _x(start, waterfall)
    return Bar(left, round(max(0.15, _x(end, waterfall) - left), 3))
