"""Completion of field names and values while a query is typed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from otelbridge.web.answers import json_answer


async def data(request: Request) -> Response:
    return json_answer({"completions": []})


ROUTES = [Route("/complete.json", data)]
