"""The Logs view: what happened?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.search import QueryError
from otelbridge.store.protocol import Store, StoredLog
from otelbridge.web import charts
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.documents import log_document
from otelbridge.web.facets import FACETS
from otelbridge.web.log_views import make_panel, make_row
from otelbridge.web.pages import render
from otelbridge.web.state import ALL_TIME, read_number, read_state

PAGE_LENGTH = 100
LARGEST_PAGE = 5000


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
    Route("/logs/empty", empty),
    Route("/logs/{id:int}.json", record_data),
    Route("/logs/{id:int}", record),
]
