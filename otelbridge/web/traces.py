"""The Traces view: a list, and one trace as a waterfall: where did it go wrong?"""

from __future__ import annotations

from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.search import QueryError
from otelbridge.search.query import And, Exists, Match, Or, Query
from otelbridge.store.protocol import Store, Trace, TraceSummary
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.documents import log_document, span_document, trace_document
from otelbridge.web.log_views import make_row
from otelbridge.web.pages import render
from otelbridge.web.span_views import SCALE, make_rows, service_names
from otelbridge.web.state import PageState, read_number, read_state
from otelbridge.web.waterfall import Waterfall, build_waterfall

PAGE_LENGTH = 100
# Traces of matching logs: as many of the newest of those logs are looked through.
LOGS_LOOKED_THROUGH = 2000


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
        services=service_names(waterfall),
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


ROUTES = [
    Route("/traces", page),
    Route("/traces.json", data),
    Route("/traces/{trace_id}.json", trace_data),
    Route("/traces/{trace_id}", trace),
]
