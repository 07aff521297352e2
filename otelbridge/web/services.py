"""The Services view: is everything alive?"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.error_groups import ERROR_RECORDS
from otelbridge.search import to_text
from otelbridge.store.protocol import ServiceSummary, Store
from otelbridge.web import charts, times
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.pages import render
from otelbridge.web.state import PageState, read_state

STEPS = 30
# A service that said nothing for this long, while the range reaches to now, is called silent.
SILENT_SECONDS = 120
FAILING_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service as its row shows it.

    Attributes:
        status: ``failing``, ``errors``, ``silent`` or ``ok``.
        lines: sparklines by name, each a list of polylines.
    """

    summary: ServiceSummary
    status: str
    why: str
    rate: str
    share: str
    seen: str
    lines: dict[str, list[str]]


def make_row(summary: ServiceSummary, state: PageState) -> ServiceRow:
    status, why = status_of(summary, state)
    return ServiceRow(
        summary=summary,
        status=status,
        why=why,
        rate=times.rate(summary.requests, state.within.end - state.within.start),
        share=times.share(summary.errors, summary.requests),
        seen=times.ago(summary.last_seen, state.now),
        lines={
            "rate": charts.sparkline(summary.rate_series),
            "errors": charts.sparkline(summary.error_series) if summary.errors else [],
            "p50": charts.sparkline(summary.p50_series),
            "p95": charts.sparkline(summary.p95_series),
            "p99": charts.sparkline(summary.p99_series),
        },
    )


def status_of(summary: ServiceSummary, state: PageState) -> tuple[str, str]:
    """Say how a service is, in a word and in a sentence."""
    silent = state.now - summary.last_seen
    reaches_now = state.now - state.within.end < 60 * charts.NANOSECONDS
    if reaches_now and silent > SILENT_SECONDS * charts.NANOSECONDS:
        return "silent", f"nothing for {times.duration(silent)}"
    if summary.requests and summary.errors / summary.requests >= FAILING_SHARE:
        return "failing", f"{times.share(summary.errors, summary.requests)} of requests fail"
    if summary.errors or summary.error_logs:
        return "errors", f"{summary.errors} failed requests, {summary.error_logs} error records"
    return "ok", "no errors"


async def page(request: Request) -> Response:
    """Answer the list of services."""
    state = read_state(request, path="/services")
    store: Store = request.app.state.bridge.store
    found: list[ServiceSummary] = []
    if state.range_error is None:
        found = await run_in_threadpool(store.services, state.within, STEPS)
    stats = None if found else await run_in_threadpool(store.stats)
    return render(
        request,
        "services.html",
        state,
        status=400 if state.failed else 200,
        view="/services",
        errors=to_text(ERROR_RECORDS),
        services=[make_row(summary, state) for summary in found],
        stats=stats,
        around=state.around(stats.newest, 450) if stats and stats.newest else "",
        addresses=request.app.state.bridge.addresses,
    )


async def data(request: Request) -> Response:
    """Answer ``/services.json``: each service's counts and percentiles (nanoseconds)."""
    state = read_state(request, path="/services")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    found = await run_in_threadpool(store.services, state.within, STEPS)
    return json_answer(
        {
            "services": [
                {
                    **asdict(summary),
                    "last_seen": times.iso(summary.last_seen),
                    "status": status_of(summary, state)[0],
                }
                for summary in found
            ]
        },
        state,
    )


ROUTES = [Route("/services", page), Route("/services.json", data)]
