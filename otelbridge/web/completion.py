"""Completion of field names and values while a query is typed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.search import complete
from otelbridge.search.completion import Completion
from otelbridge.store.protocol import Store
from otelbridge.web.answers import json_answer
from otelbridge.web.state import read_number

LONGEST_QUERY = 4000
VALUES_OFFERED = 12


async def data(request: Request) -> Response:
    """Answer ``/complete.json?text=...&cursor=...&signal=logs``.

    Each completion's ``text`` takes the place of the characters from ``start`` to before ``end``.
    """
    text = request.query_params.get("text", "")[:LONGEST_QUERY]
    cursor = read_number(request, "cursor")
    signal: Literal["logs", "spans"] = (
        "spans" if request.query_params.get("signal") == "spans" else "logs"
    )
    store: Store = request.app.state.bridge.store

    def find() -> list[Completion]:
        def values(field: str, prefix: str) -> list[str]:
            return store.field_values(signal, field, prefix, VALUES_OFFERED)

        names = sorted(store.field_names(signal))
        return complete(text, len(text) if cursor is None else cursor, names, values)

    found = await run_in_threadpool(find)
    return json_answer({"completions": [asdict(completion) for completion in found]})


ROUTES = [Route("/complete.json", data)]
