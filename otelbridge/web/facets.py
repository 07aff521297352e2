"""The fields at the left of the Logs view: the most frequent values of each, with their counts."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.store.protocol import Store
from otelbridge.web.answers import json_answer, refuse_bad_state
from otelbridge.web.pages import render
from otelbridge.web.state import read_state

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


ROUTES = [
    Route("/logs/facets", facets),
    Route("/logs/facets.json", facets_data),
    Route("/logs/facet", facet),
]
