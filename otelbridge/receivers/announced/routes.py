"""``/v1/lifecycle``: messages of programs without OpenTelemetry, by POST and by WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from otelbridge.receivers.announced.announcement import PROTOCOL, read_announcement
from otelbridge.receivers.announced.callers import Caller
from otelbridge.receivers.announced.desk import Desk
from otelbridge.receivers.decoded import DecodeError
from otelbridge.receivers.otlp_http import BODY_SECONDS, read_body
from otelbridge.receivers.token import INGEST_UNAUTHORIZED, presents_token
from otelbridge.receivers.unpacking import BodyTooLargeError
from otelbridge.store.protocol import StoreError, StoreUnavailableError

PATH: Final = "/v1/lifecycle"
_BROWSER: Final = "a page in a browser may not send here"


def routes(desk: Desk) -> list[BaseRoute]:
    """Make the routes."""

    async def post(request: Request) -> Response:
        caller, status, problem, headers = await answer(desk, request, read_announcement)
        if caller is None:
            return _json({"error": problem}, status, headers)
        return _json({"status": "ok", "process": caller.instance, "protocol": PROTOCOL})

    async def follow(websocket: WebSocket) -> None:
        if not await admit(desk, websocket):
            return
        caller: Caller | None = None
        try:
            while True:
                body = await receive(websocket)
                try:
                    caller = await desk.take(body, read_announcement, host_of(websocket), caller)
                except StoreUnavailableError as error:
                    said = {"error": str(error), "retry_after": error.retry_after}
                except (DecodeError, StoreError) as error:
                    said = {"error": str(error)}
                else:
                    caller.connected = True
                    said = {"status": "ok", "process": caller.instance, "protocol": PROTOCOL}
                await websocket.send_text(orjson.dumps(said).decode())
        except (WebSocketDisconnect, RuntimeError):
            # It hung up, also while it was being answered. Without an end it may come back.
            pass
        finally:
            if caller is not None:
                caller.connected = False

    return [Route(PATH, post, methods=["POST"]), WebSocketRoute(PATH, follow)]


async def answer(
    desk: Desk, request: Request, read: Any
) -> tuple[Caller | None, int, str, dict[str, str]]:
    """Take in a posted message.

    Returns:
        Whose it is; or ``None`` with the status, the problem in one line, and headers.
    """
    refused = refuse(desk, request)
    if refused is not None:
        return None, *refused
    try:
        with desk.intake.holding() as hold:
            body = await asyncio.wait_for(read_body(request, desk.max_bytes, hold), BODY_SECONDS)
            return await desk.take(body, read, host_of(request)), 200, "", {}
    except asyncio.TimeoutError:
        problem = f"the body did not arrive within {BODY_SECONDS:g} s"
        desk.intake.reject("slow_body", problem)
        return None, 408, problem, {"Connection": "close"}
    except BodyTooLargeError as error:
        desk.intake.reject(error.reason, str(error))
        return None, 413, str(error), {}
    except DecodeError as error:
        return None, 400, str(error), {}
    except StoreUnavailableError as error:
        retry = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
        return None, 503, str(error), retry
    except StoreError as error:
        return None, 500, str(error), {}
    except ClientDisconnect:
        problem = "the connection closed in the middle of a body"
        desk.intake.reject("truncated_body", problem)
        return None, 400, problem, {}


def refuse(desk: Desk, request: HTTPConnection) -> tuple[int, str, dict[str, str]] | None:
    """Say why a request is turned away before it is read."""
    # Programs send none; a page elsewhere could post here by way of somebody's browser.
    if "origin" in request.headers:
        desk.intake.reject("foreign_origin", _BROWSER)
        return 403, _BROWSER, {}
    if not presents_token(request.headers.get("authorization"), desk.token):
        desk.intake.reject("unauthenticated", INGEST_UNAUTHORIZED)
        return 401, INGEST_UNAUTHORIZED, {"WWW-Authenticate": 'Bearer realm="otelbridge"'}
    return None


async def admit(desk: Desk, websocket: WebSocket) -> bool:
    """Accept a connection, or turn it away."""
    refused = refuse(desk, websocket)
    if refused is None:
        await websocket.accept()
        return True
    status, problem, headers = refused
    with contextlib.suppress(RuntimeError):
        await websocket.send_denial_response(_json({"error": problem}, status, headers))
    return False


def host_of(request: HTTPConnection) -> str:
    """Name where a message comes from."""
    return request.client.host if request.client else ""


async def receive(websocket: WebSocket) -> bytes | str:
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    text: str | None = received.get("text")
    data: bytes | None = received.get("bytes")
    return text if text is not None else data or b""


def _json(content: dict[str, Any], status: int = 200, headers: Any = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
