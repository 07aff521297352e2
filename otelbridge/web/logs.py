"""The Logs view: what happened?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.schema import ORIGIN_ATTRIBUTES, RECORD_UID, severity_name
from otelbridge.search import QueryError
from otelbridge.store.protocol import Store, StoredLog, TimeRange
from otelbridge.web import charts
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.documents import log_document
from otelbridge.web.fields import EXCEPTION_ATTRIBUTES, Field, body_text, fields_of, glance
from otelbridge.web.pages import render
from otelbridge.web.state import read_number, read_state
from otelbridge.web.tracebacks import Part, parse_traceback

PAGE_LENGTH = 100
LARGEST_PAGE = 5000

# Shown open at the left; every other field of the records is offered below them.
FACETS = (("service.name", "Service"), ("log.level", "Level"), ("log.logger", "Logger"))
FACET_SIZE = 10
FACET_FIELDS_OFFERED = 200

# Names a query takes that are no use as a facet: one value a record, or shown already.
_NOT_FACETS = frozenset(
    {
        *("@timestamp", "time", "observed_timestamp", "message", "body.text", "body"),
        *("service.name", "log.level", "log.logger", "severity_text", "scope.name"),
        *("severity_number", "trace.id", "span.id", "trace_id", "span_id", "log.record.uid"),
        *("error.stack_trace", "exception.stacktrace", "error.message", "exception.message"),
        *("error.type", "resource.attributes.service.name", "process.thread.id", "flags"),
        *("service.node.name", "service.version", "log.origin.file.line", "log.origin.file.name"),
        *("log.origin.function", "process.thread.name", "service.environment", "event_name"),
        *("event.name", "scope.version", "body.structured"),
    }
)

# Names that say where a record comes from, not what happened.
_PROCESS_FIELDS = (
    *("process.", "host.", "os.", "telemetry.", "service.", "thread.", "code.", "scope."),
    *("container.", "k8s.", "cloud.", "deployment."),
)

ALL_TIME = TimeRange(0, 2**63 - 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: int
    time: int
    level: str
    service: str
    message: str
    glance: list[Field]
    trace_id: str
    exception: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A record's whole content."""

    row: Row
    body: str
    attributes: list[Field]
    origin: list[Field]
    resource: list[Field]
    logger: str
    uid: str
    severity: str
    span_id: str
    event_name: str
    observed: int
    exception_type: str
    exception_message: str
    stacktrace: str
    traceback: list[Part]


def level_of(stored: StoredLog) -> str:
    """A record's level by Python's names; what the sender wrote where there is no number."""
    record = stored.record
    return severity_name(record.severity_number) or record.severity_text.upper()


def make_row(stored: StoredLog) -> Row:
    record = stored.record
    message = body_text(stored)
    return Row(
        id=stored.id,
        time=record.time,
        level=level_of(stored),
        service=str(record.resource.get("service.name", "")),
        message=message,
        glance=glance(record.attributes, message),
        trace_id=record.trace_id.hex() if record.trace_id else "",
        exception=str(record.attributes.get("exception.type", "")),
    )


def make_panel(stored: StoredLog) -> Panel:
    record = stored.record
    stacktrace = str(record.attributes.get("exception.stacktrace", ""))
    own = {
        name: value
        for name, value in record.attributes.items()
        if name not in ORIGIN_ATTRIBUTES and name not in EXCEPTION_ATTRIBUTES and name != RECORD_UID
    }
    origin = {
        name: record.attributes[name]
        for name in sorted(ORIGIN_ATTRIBUTES)
        if name in record.attributes
    }
    return Panel(
        row=make_row(stored),
        body=body_text(stored),
        attributes=fields_of(own),
        origin=fields_of(origin),
        resource=fields_of(record.resource),
        logger=record.scope.name,
        uid=str(record.attributes.get(RECORD_UID, "")),
        severity=record.severity_text or severity_name(record.severity_number),
        span_id=record.span_id.hex() if record.span_id else "",
        event_name=record.event_name,
        observed=record.observed_time if record.observed_time != record.time else 0,
        exception_type=str(record.attributes.get("exception.type", "")),
        exception_message=str(record.attributes.get("exception.message", "")),
        stacktrace=stacktrace,
        traceback=parse_traceback(stacktrace) if stacktrace else [],
    )


async def page(request: Request) -> Response:
    """Answer the page: lines at once, histogram and facets after it."""
    state = read_state(request, path="/logs")
    store: Store = request.app.state.bridge.store
    before = read_number(request, "before")
    found: list[StoredLog] = []
    opened: StoredLog | None = None
    if not state.failed:
        try:
            found = await run_in_threadpool(
                store.logs, state.query, state.within, limit=PAGE_LENGTH + 1, before=before
            )
        except QueryError as error:
            state = replace(state, query_error=error)
        record = read_number(request, "record")
        if record is not None:
            opened = await run_in_threadpool(store.log, record)
    rows = [make_row(stored) for stored in found[:PAGE_LENGTH]]
    older = rows[-1].id if len(found) > PAGE_LENGTH else None
    part = request.headers.get("hx-request") == "true"
    return render(
        request,
        "logs/older.html" if part else "logs/page.html",
        state,
        status=400 if state.failed else 200,
        view="/logs",
        rows=rows,
        older=older,
        before=before,
        live=request.query_params.get("live") == "1" and state.relative and before is None,
        panel=make_panel(opened) if opened else None,
        open_in_list=opened is not None and any(row.id == opened.id for row in rows),
        facets=FACETS,
    )


async def data(request: Request) -> Response:
    """Answer ``/logs.json``: records, newest first, and how many match.

    ``limit`` (at most 5000) and ``before`` (an id) page through them; ``total=0`` leaves the
    count out, which is the slow part of a wide search.
    """
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    limit = min(read_number(request, "limit") or PAGE_LENGTH, LARGEST_PAGE)
    found = await run_in_threadpool(
        store.logs, state.query, state.within, limit=limit, before=read_number(request, "before")
    )
    answer: dict[str, Any] = {"records": [log_document(stored) for stored in found]}
    if request.query_params.get("total") != "0":
        answer["total"] = await run_in_threadpool(store.count_logs, state.query, state.within)
    return json_answer(answer, state)


async def histogram(request: Request) -> Response:
    """Answer the chart above the lines, with the number of records that match."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    found = await run_in_threadpool(store.log_histogram, state.query, state.within, 90)
    totals: dict[str, int] = {}
    for bar in found.bars:
        for level, number in bar.counts.items():
            totals[level] = totals.get(level, 0) + number
    return render(
        request,
        "logs/histogram.html",
        state,
        histogram=found,
        bars=charts.bars(found, state.within),
        ticks=charts.ticks(state.within, state.utc_offset),
        height=charts.HISTOGRAM_HEIGHT,
        totals=[(level, totals[level]) for level in charts.LEVELS if totals.get(level)],
    )


async def histogram_data(request: Request) -> Response:
    """Answer ``/logs/histogram.json``: counts by level; ``step`` and times in nanoseconds."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    bars = min(read_number(request, "bars") or 60, 1000)
    found = await run_in_threadpool(store.log_histogram, state.query, state.within, bars)
    return json_answer(
        {
            "step": found.step,
            "total": found.total,
            "bars": [{"start": bar.start, "counts": bar.counts} for bar in found.bars],
        },
        state,
    )


async def facets(request: Request) -> Response:
    """Answer the fields at the left: the usual ones open, the rest by name."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    found = await run_in_threadpool(
        store.log_facets, state.query, state.within, [name for name, _ in FACETS], size=FACET_SIZE
    )
    names = await run_in_threadpool(store.field_names, "logs")
    offered = [name for name in sorted(names) if name not in _NOT_FACETS][:FACET_FIELDS_OFFERED]
    about_process = [name for name in offered if name.startswith(_PROCESS_FIELDS)]
    return render(
        request,
        "logs/facets.html",
        state,
        facets=list(zip([title for _, title in FACETS], found, strict=True)),
        offered=[name for name in offered if name not in about_process],
        about_process=about_process,
    )


async def facet(request: Request) -> Response:
    """Answer one more field's values."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    name = request.query_params.get("field", "")
    found = await run_in_threadpool(
        store.log_facets, state.query, state.within, [name], size=FACET_SIZE
    )
    return render(request, "logs/facet.html", state, facet=found[0])


async def facets_data(request: Request) -> Response:
    """Answer ``/logs/facets.json?field=...&field=...``: each field's top values with counts."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    names = request.query_params.getlist("field")[:20] or [name for name, _ in FACETS]
    found = await run_in_threadpool(
        store.log_facets, state.query, state.within, names, size=FACET_SIZE
    )
    return json_answer(
        {
            "facets": [
                {
                    "field": one.field,
                    "values": [{"value": value, "count": number} for value, number in one.values],
                    "sampled": one.sampled,
                }
                for one in found
            ]
        },
        state,
    )


async def empty(request: Request) -> Response:
    """Say why the list is empty and what to do."""
    state = read_state(request, path="/logs")
    refuse_bad_state(state)
    bridge = request.app.state.bridge
    store: Store = bridge.store
    newest = await run_in_threadpool(store.logs, state.query, ALL_TIME, limit=1)
    newest_of_all = newest
    if state.query is not None and not newest:
        newest_of_all = await run_in_threadpool(store.logs, None, ALL_TIME, limit=1)
    return render(
        request,
        "logs/empty.html",
        state,
        newest=newest[0] if newest else None,
        any_record=bool(newest_of_all),
        around=state.around(newest[0].record.time, 450) if newest else "",
        addresses=bridge.addresses,
    )


async def record(request: Request) -> Response:
    """Answer one record: a panel in the list, or a page of its own."""
    state = read_state(request, path="/logs")
    stored = await _find(request)
    part = request.headers.get("hx-request") == "true"
    return render(
        request,
        "logs/panel.html" if part else "logs/record.html",
        state,
        view="/logs",
        panel=make_panel(stored),
        around=state.around(stored.record.time, 30),
    )


async def record_data(request: Request) -> Response:
    """Answer ``/logs/{id}.json``."""
    return json_answer(log_document(await _find(request)))


async def _find(request: Request) -> StoredLog:
    store: Store = request.app.state.bridge.store
    stored = await run_in_threadpool(store.log, request.path_params["id"])
    if stored is None:
        raise HTTPException(404, "This record is not stored; it may have expired.")
    return stored


ROUTES = [
    Route("/logs", page),
    Route("/logs.json", data),
    Route("/logs/histogram", histogram),
    Route("/logs/histogram.json", histogram_data),
    Route("/logs/facets", facets),
    Route("/logs/facets.json", facets_data),
    Route("/logs/facet", facet),
    Route("/logs/empty", empty),
    Route("/logs/{id:int}.json", record_data),
    Route("/logs/{id:int}", record),
]
