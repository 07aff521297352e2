"""The Traces view: a list, and one trace as a waterfall: where did it go wrong?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.search import QueryError
from otelbridge.search.query import And, Exists, Match, Or, Query
from otelbridge.store.protocol import Store, StoredLog, Trace, TraceSummary
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.documents import KINDS, log_document, span_document, trace_document
from otelbridge.web.fields import Field, body_text, fields_of
from otelbridge.web.logs import Panel, level_of, make_panel, make_row
from otelbridge.web.pages import render
from otelbridge.web.state import PageState, read_number, read_state
from otelbridge.web.tracebacks import Part, parse_traceback
from otelbridge.web.waterfall import Node, Waterfall, build_waterfall

PAGE_LENGTH = 100
# Traces of matching logs: as many of the newest of those logs are looked through.
LOGS_LOOKED_THROUGH = 2000
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


async def page(request: Request) -> Response:
    """Answer the list of traces."""
    state = read_state(request, path="/traces")
    by_logs = request.query_params.get("by") == "logs"
    before = read_number(request, "before")
    found: list[TraceSummary] = []
    if not state.failed:
        try:
            found = await _find(request, state, PAGE_LENGTH + 1, before)
        except QueryError as error:
            state = replace(state, query_error=error)
    shown = found[:PAGE_LENGTH]
    part = request.headers.get("hx-request") == "true"
    return render(
        request,
        "traces/rows.html" if part else "traces/page.html",
        state,
        status=400 if state.failed else 200,
        view="/traces",
        traces=shown,
        by_logs=by_logs,
        before=before,
        longest=max((trace.duration for trace in shown), default=0),
        older=shown[-1].id if len(found) > PAGE_LENGTH else None,
    )


async def data(request: Request) -> Response:
    """Answer ``/traces.json``: traces, newest first; ``by=logs`` matches their logs instead."""
    state = read_state(request, path="/traces")
    refuse_bad_state(state)
    limit = min(read_number(request, "limit") or PAGE_LENGTH, 1000)
    found = await _find(request, state, limit, read_number(request, "before"))
    return json_answer({"traces": [trace_document(trace) for trace in found]}, state)


async def _find(
    request: Request, state: PageState, limit: int, before: int | None
) -> list[TraceSummary]:
    store: Store = request.app.state.bridge.store
    query = state.query
    if request.query_params.get("by") == "logs" and query is not None:
        query = await run_in_threadpool(_of_logs, store, query, state)
        if query is None:
            return []
    return await run_in_threadpool(store.traces, query, state.within, limit=limit, before=before)


def _of_logs(store: Store, query: Query, state: PageState) -> Query | None:
    """Turn a query over logs into one over the spans of their traces."""
    with_trace = And((query, Exists("trace.id")))
    found = store.logs(with_trace, state.within, limit=LOGS_LOOKED_THROUGH)
    ids = dict.fromkeys(
        stored.record.trace_id.hex() for stored in found if stored.record.trace_id is not None
    )
    matches = [Match("trace.id", trace_id, quoted=True) for trace_id in list(ids)[:PAGE_LENGTH]]
    if not matches:
        return None
    return matches[0] if len(matches) == 1 else Or(tuple(matches))


async def trace(request: Request) -> Response:
    """Answer one trace's waterfall; the failing span, or the one in the address, is open."""
    state = read_state(request)
    found = await _trace(request)
    waterfall = await run_in_threadpool(build_waterfall, found)
    record = read_number(request, "record")
    rows = make_rows(waterfall, _opened(request, waterfall, record))
    return render(
        request,
        "traces/trace.html",
        state,
        view="/traces",
        trace_id=found.trace_id.hex(),
        waterfall=waterfall,
        rows=rows,
        culprit=waterfall.culprit,
        failures=sum(row.node.failed for row in rows),
        services=_services(waterfall),
        loose_rows=[make_row(stored) for stored in waterfall.loose_logs],
        log_count=len(found.logs),
        opened_record=record,
        ticks=[
            (SCALE * quarter / 4, (waterfall.end - waterfall.start) * quarter // 4)
            for quarter in range(4)
        ],
    )


def _opened(request: Request, waterfall: Waterfall, record: int | None) -> set[str]:
    """Which spans to open: the one in the address; else the culprit and that of the record."""
    asked = request.query_params.get("span", "")
    if asked:
        return {asked}
    opened = {
        node.span.span_id.hex()
        for node in waterfall.nodes()
        if record is not None and any(stored.id == record for stored in node.logs)
    }
    if waterfall.culprit is not None:
        opened.add(waterfall.culprit.span.span_id.hex())
    return opened


async def trace_data(request: Request) -> Response:
    """Answer ``/traces/{trace_id}.json``: its spans and logs, in time's order."""
    found = await _trace(request)
    return json_answer(
        {
            "trace_id": found.trace_id.hex(),
            "spans": [span_document(stored) for stored in found.spans],
            "logs": [log_document(stored) for stored in found.logs],
        }
    )


async def _trace(request: Request) -> Trace:
    text: str = request.path_params["trace_id"]
    try:
        trace_id = bytes.fromhex(text)
    except ValueError:
        trace_id = b""
    if len(trace_id) != 16:
        raise HTTPException(404, "A trace id is 32 hexadecimal digits.")
    store: Store = request.app.state.bridge.store
    found = await run_in_threadpool(store.trace, trace_id)
    if found is None:
        raise HTTPException(404, "Nothing of this trace is stored; it may have expired.")
    return found


def make_rows(waterfall: Waterfall, opened: set[str]) -> list[SpanRow]:
    """Lay out the rows of a waterfall.

    Args:
        opened: ids of the spans to open.
    """
    services = {name: place for place, name in enumerate(_services(waterfall))}
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


def _services(waterfall: Waterfall) -> list[str]:
    return list(dict.fromkeys(node.service for node in waterfall.nodes()))


def _x(moment: int, waterfall: Waterfall) -> float:
    length = max(1, waterfall.end - waterfall.start)
    share = min(1.0, max(0.0, (moment - waterfall.start) / length))
    return round(SCALE * share, 3)


def _bar(start: int, end: int, waterfall: Waterfall) -> Bar:
    left = _x(start, waterfall)
    return Bar(left, round(max(0.15, _x(end, waterfall) - left), 3))


ROUTES = [
    Route("/traces", page),
    Route("/traces.json", data),
    Route("/traces/{trace_id}.json", trace_data),
    Route("/traces/{trace_id}", trace),
]
