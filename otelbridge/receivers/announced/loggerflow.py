"""LoggerFlow's own client, unchanged: what it posts and sends to ``/loggerflow``.

It says no more than its project's name, so which process a message is of goes by its connection
and by its host. Over WebSocket its end is that it hangs up in good order; over HTTP it has none.
"""

from __future__ import annotations

import math
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from otelbridge.receivers.announced.announcement import (
    Announcement,
    Event,
    MessageError,
    Reading,
)
from otelbridge.receivers.announced.callers import Caller
from otelbridge.receivers.announced.desk import Desk
from otelbridge.receivers.announced.routes import admit, answer, host_of, receive
from otelbridge.receivers.decoded import DecodeError
from otelbridge.store.protocol import StoreError

_GIGABYTE: Final = 2**30
_EVENTS: Final[dict[str, Event]] = {
    "handshake": "start",
    "heartbeat": "heartbeat",
    "project_error": "error",
}
# RFC 6455, 7.4.1: the other side has done what it came for.
_NORMAL_CLOSURE: Final = 1000


def routes(desk: Desk) -> list[BaseRoute]:
    """Make the routes."""

    async def post(request: Request) -> Response:
        event = _EVENTS[request.url.path.rpartition("/")[2]]

        def read(fields: Any) -> Announcement:
            return read_message(event, fields, "loggerflow.webhook")

        caller, status, problem, headers = await answer(desk, request, read)
        said = {"status": status} if caller is not None else {"status": status, "error": problem}
        return Response(orjson.dumps(said), status, headers, "application/json")

    async def follow(websocket: WebSocket) -> None:
        if not await admit(desk, websocket):
            return
        caller: Caller | None = None
        host = host_of(websocket)
        try:
            while True:
                body = await receive(websocket)
                # The first message is its handshake; after a lost connection it sends it again.
                read = _read_first if caller is None else _read_next
                try:
                    caller = await desk.take(body, read, host, caller, resumes=True)
                    caller.connected = True
                except (DecodeError, StoreError):
                    # It is counted, and the client hears nothing: it would answer.
                    continue
        except WebSocketDisconnect as left:
            if caller is not None and left.code == _NORMAL_CLOSURE:
                await _end(desk, caller, host)
        finally:
            if caller is not None:
                caller.connected = False

    return [
        *(Route(f"/loggerflow/{name}", post, methods=["POST"]) for name in _EVENTS),
        WebSocketRoute("/loggerflow/", follow),
        WebSocketRoute("/loggerflow", follow),
    ]


async def _end(desk: Desk, caller: Caller, host: str) -> None:
    said = desk.end(caller)
    try:
        await desk.take(b"{}", lambda _: said, host, caller)
    except (DecodeError, StoreError):
        # It is counted; the process falls silent instead.
        return


def read_message(event: Event, fields: Any, sender: str) -> Announcement:
    """Read one message.

    Raises:
        MessageError: it names no project.
    """
    if not isinstance(fields, dict):
        raise MessageError("the message is not a JSON object")
    project = fields.get("project_name")
    if not (isinstance(project, str) and project.strip()):
        raise MessageError("project_name is missing")
    found = Announcement(event=event, project=project.strip()[:500], sender=sender)
    found.readings = _readings(fields.get("last_readings"))
    interval = _number(fields.get("heartbeat"))
    if interval is not None and interval > 0:
        found.interval = interval
    found.sinks = _names(fields.get("connected_backends"))
    found.authors = _names(fields.get("authors"))
    if event == "error":
        found.traceback = str(fields.get("traceback") or "")
        found.logger = "loggerflow"
        if not found.traceback:
            raise MessageError("traceback is missing")
    return found


def _read_first(fields: Any) -> Announcement:
    return read_message("start", fields, "loggerflow.websocket")


def _read_next(fields: Any) -> Announcement:
    kind = fields.get("request_path") if isinstance(fields, dict) else None
    if kind not in _EVENTS:
        raise MessageError(f"request_path is {str(kind)[:40]!r}; known: {', '.join(_EVENTS)}")
    return read_message(_EVENTS[kind], fields, "loggerflow.websocket")


def _readings(said: Any) -> list[Reading]:
    """Read its readings: texts, in per cent of the host's processors and in gigabytes."""
    values = said if isinstance(said, dict) else {}
    found = []
    busy = _number(values.get("cpu"))
    if busy is not None:
        idle = min(1.0, max(0.0, 1.0 - busy / 100.0))
        found.append(Reading("system.cpu.utilization", "1", idle, "idle"))
    for name, metric, state in (
        ("used_memory", "system.memory.usage", "used"),
        ("total_memory", "system.memory.limit", ""),
        ("process_memory", "process.memory.usage", ""),
    ):
        size = _number(values.get(name))
        if size is not None:
            found.append(Reading(metric, "By", size * _GIGABYTE, state))
    return found


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 <= number < 2**40 else None


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, str):
        return ()
    return tuple(one.strip()[:500] for one in value.split(",") if one.strip())[:50]
