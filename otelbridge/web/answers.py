"""Answers that are not pages: JSON, and errors as one sentence in the form the asker reads."""

from __future__ import annotations

import math
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from otelbridge.search import QueryError
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from otelbridge.web.pages import render
from otelbridge.web.state import PageState, make_state
from otelbridge.web.times import iso


class BadAddressError(Exception):
    """The address asks for something that cannot be read; answered with status 400.

    Attributes:
        position: the character of the query that is wrong, where it is the query.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def refuse_bad_state(state: PageState) -> None:
    """Raise :class:`BadAddressError` where the range or the query cannot be read."""
    if state.query_error is not None:
        raise BadAddressError(str(state.query_error), state.query_error.position)
    if state.range_error is not None:
        raise BadAddressError(state.range_error)


def json_answer(
    content: dict[str, Any], state: PageState | None = None, status: int = 200
) -> Response:
    """Answer with JSON; with ``state``, say which range and query it is of."""
    if state is not None:
        content["range"] = {
            "text": state.range_text,
            "start": iso(state.within.start),
            "end": iso(state.within.end),
        }
        content["query"] = state.query_text
    body = orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, media_type="application/json")


def wants_json(request: Request) -> bool:
    """Tell whether the asker reads JSON: the address ends so, or only JSON is accepted."""
    accepted = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or (
        "application/json" in accepted and "text/html" not in accepted
    )


def error_answer(
    request: Request, status: int, message: str, *, position: int | None = None
) -> Response:
    """Answer with an error: JSON, one line for a part of a page, or a page."""
    if wants_json(request):
        error: dict[str, Any] = {"message": message}
        if position is not None:
            error["position"] = position
        return json_answer({"error": error}, status=status)
    state = make_state(request.query_params, path=request.url.path)
    part = request.headers.get("hx-request") == "true"
    return render(
        request,
        "error_part.html" if part else "error.html",
        state,
        status=status,
        view="",
        message=message,
        code=status,
    )


async def on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = (
        error.detail
        if error.status_code != 404 or error.detail != "Not Found"
        else ("There is no page at this address.")
    )
    answer = error_answer(request, error.status_code, message)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def on_bad_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadAddressError)
    return error_answer(request, 400, str(error), position=error.position)


async def on_query_error(request: Request, error: Exception) -> Response:
    # A query can be well formed and still not run: a duration compared with a word, say.
    assert isinstance(error, QueryError)
    return error_answer(request, 400, str(error), position=error.position)


async def on_store_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreError)
    answer = error_answer(request, 503, f"The store cannot answer: {error}.")
    retry = error.retry_after if isinstance(error, StoreUnavailableError) else 1.0
    answer.headers["Retry-After"] = str(max(1, math.ceil(retry)))
    return answer
