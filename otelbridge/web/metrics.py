"""The Metrics view: was the machine the reason?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.store.protocol import MetricSeries, Store, TimeRange
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.pages import render
from otelbridge.web.starts import read_starts
from otelbridge.web.state import PageState, read_state

POINTS = 300


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        metrics: names by preference; the first that has series is drawn.
        state: which of the ``state`` attribute's series, ``None`` for all.
        unit: ``share`` (0 to 1), ``bytes``, or the metric's own.
    """

    key: str
    title: str
    metrics: tuple[str, ...]
    unit: str
    state: str | None = None


CHARTS = (
    Chart("cpu", "Process CPU", ("process.cpu.utilization",), "share"),
    Chart("memory", "Process memory", ("process.memory.usage",), "bytes"),
    Chart(
        "host", "Host memory", ("system.memory.usage", "system.memory.utilization"), "bytes", "used"
    ),
    Chart("host-cpu", "Host CPU", ("system.cpu.utilization",), "share", "busy"),
)


async def page(request: Request) -> Response:
    """Answer the page; it draws what :func:`data` gives it."""
    state = read_state(request, path="/metrics")
    store: Store = request.app.state.bridge.store
    names: list[tuple[str, str]] = []
    if state.range_error is None:
        names = await run_in_threadpool(store.metric_names, state.within)
    stats = None if names else await run_in_threadpool(store.stats)
    return render(
        request,
        "metrics.html",
        state,
        status=400 if state.failed else 200,
        view="/metrics",
        charts=CHARTS,
        names=[name for name, _ in names],
        service=request.query_params.get("service", ""),
        metric=request.query_params.get("metric", ""),
        stats=stats,
    )


async def data(request: Request) -> Response:
    """Answer ``/metrics.json``: the page's charts, or the one metric that ``name`` names.

    ``service`` narrows to one service. Times are milliseconds since the epoch. Beside the charts
    come the ``starts`` of processes; one that is a ``deploy`` brought another version.
    """
    state = read_state(request, path="/metrics")
    refuse_bad_state(state)
    store: Store = request.app.state.bridge.store
    service = request.query_params.get("service") or None
    name = request.query_params.get("name")
    if name:
        found = await run_in_threadpool(
            store.metrics, name, state.within, service=service, points=POINTS
        )
        unit = found[0].unit if found else ""
        return json_answer(_chart(Chart(name, name, (name,), unit), name, found, state), state)
    drawn = []
    for chart in CHARTS:
        metric, found = await run_in_threadpool(_series, store, chart, state.within, service)
        drawn.append(_chart(chart, metric, found, state))
    found_starts = await run_in_threadpool(read_starts, store, state.within, service)
    marks = [start.document() for start in found_starts]
    return json_answer({"charts": drawn, "starts": marks}, state)


def _series(
    store: Store, chart: Chart, within: TimeRange, service: str | None
) -> tuple[str, list[MetricSeries]]:
    for metric in chart.metrics:
        found = store.metrics(metric, within, service=service, points=POINTS)
        if chart.state == "busy":
            found = _busy(found)
        elif chart.state is not None:
            found = [replace(one, attributes={}) for one in found if _state(one) == chart.state]
        if found:
            return metric, found
    return chart.metrics[0], []


def _state(series: MetricSeries) -> str | None:
    for name, value in series.attributes.items():
        if name.endswith("state"):
            return str(value)
    return None


def _busy(series: list[MetricSeries]) -> list[MetricSeries]:
    """Join the series of each process's host, one a state, into how busy the host was.

    The idle share is what is left of 1; a mean over processors where there is a series for each.
    """
    idle: dict[tuple[str, str], list[MetricSeries]] = {}
    for one in series:
        if _state(one) == "idle":
            idle.setdefault((one.service, one.instance), []).append(one)
    joined = []
    for (service, instance), parts in idle.items():
        sums: dict[int, list[float]] = {}
        for part in parts:
            for moment, mean in zip(part.times, part.means, strict=True):
                if mean is not None:
                    sums.setdefault(moment, []).append(mean)
        moments = sorted(sums)
        means: list[float | None] = [
            max(0.0, 1 - sum(sums[moment]) / len(sums[moment])) for moment in moments
        ]
        joined.append(
            MetricSeries(
                parts[0].name,
                parts[0].unit,
                parts[0].type,
                service,
                instance,
                {},
                moments,
                means,
                list(means),
            )
        )
    return joined


def _chart(
    chart: Chart, metric: str, found: list[MetricSeries], state: PageState
) -> dict[str, Any]:
    unit = chart.unit
    if metric.endswith(".utilization"):
        unit = "share"
    return {
        "key": chart.key,
        "title": chart.title,
        "metric": metric,
        "unit": unit,
        "start": state.within.start // 1_000_000,
        "end": state.within.end // 1_000_000,
        "series": [_series_document(one) for one in found],
    }


def _series_document(one: MetricSeries) -> dict[str, Any]:
    means = [mean for mean in one.means if mean is not None]
    maxima = [largest for largest in one.maxima if largest is not None]
    return {
        "service": one.service,
        "instance": one.instance,
        "attributes": one.attributes,
        "type": one.type,
        "times": [moment // 1_000_000 for moment in one.times],
        "means": one.means,
        "maxima": one.maxima,
        "mean": sum(means) / len(means) if means else None,
        "max": max(maxima) if maxima else None,
    }


ROUTES = [Route("/metrics", page), Route("/metrics.json", data)]
