"""OTLP over HTTP: ``POST /v1/logs``, ``/v1/traces`` and ``/v1/metrics``.

Follows the OTLP specification, "OTLP/HTTP": protobuf and JSON, answers in the request's own
encoding, errors as ``google.rpc.Status``, 400 for what must not be sent again and 503 with
``Retry-After`` for what may.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from otelbridge.receivers.decoded import Decoded, DecodeError
from otelbridge.receivers.intake import Intake
from otelbridge.receivers.otlp import Encoding, Signal, decode
from otelbridge.receivers.otlp_answers import Code, failure, success, success_json
from otelbridge.receivers.token import INGEST_UNAUTHORIZED, presents_token
from otelbridge.receivers.unpacking import ENCODINGS, BodyTooLargeError, unpack
from otelbridge.store.protocol import StoreError, StoreUnavailableError

MEDIA_TYPES: Final[dict[str, Encoding]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
# A body that takes longer than this to arrive is given up.
BODY_SECONDS = 30.0


class RefusedError(Exception):
    """A request is turned away before its body is decoded."""

    def __init__(
        self,
        status: int,
        code: int,
        reason: str,
        message: str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.reason = reason
        self.headers = headers


def create_app(
    intake: Intake,
    *,
    token: str | None,
    max_body_bytes: int,
    others: Sequence[BaseRoute] = (),
) -> Starlette:
    """Make the ASGI application.

    Args:
        token: what senders must present, ``None`` for nothing.
        max_body_bytes: largest body, packed and unpacked.
        others: what else is answered at this port.
    """

    async def export(request: Request) -> Response:
        try:
            return await _take(request, intake, token, max_body_bytes)
        except RefusedError as error:
            intake.reject(error.reason, str(error))
            return _status(request, error.status, error.code, str(error), error.headers)
        except BodyTooLargeError as error:
            return _status(request, 413, Code.RESOURCE_EXHAUSTED, str(error))
        except DecodeError as error:
            return _status(request, 400, Code.INVALID_ARGUMENT, str(error))
        except StoreUnavailableError as error:
            retry = {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
            return _status(request, 503, Code.UNAVAILABLE, str(error), retry)
        except StoreError as error:
            return _status(request, 500, Code.INTERNAL, str(error))
        except ClientDisconnect:
            message = "the connection closed in the middle of a body"
            intake.reject("truncated_body", message)
            return _status(request, 400, Code.INVALID_ARGUMENT, message)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, message = _HTTP_ERRORS.get(
            error.status_code, (Code.INVALID_ARGUMENT, str(error.detail))
        )
        intake.reject(f"http_{error.status_code}", message)
        headers = dict(error.headers) if error.headers else None
        return _status(request, error.status_code, code, message, headers)

    def fail(request: Request, error: Exception) -> Response:
        # Counted by the intake, and logged by the server, to which Starlette raises it on.
        message = "the bridge failed at this request; its own log says why"
        return _status(request, 500, Code.INTERNAL, message)

    return Starlette(
        routes=[
            *(Route(path, export, methods=["POST"]) for path in _SIGNALS),
            Route("/healthz", healthz, methods=["GET"]),
            *others,
        ],
        exception_handlers={HTTPException: refuse, Exception: fail},
    )


_SIGNALS: Final[dict[str, Signal]] = {
    "/v1/logs": "logs",
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
}
_HTTP_ERRORS: Final = {
    404: (Code.NOT_FOUND, "no such path; OTLP goes to /v1/logs, /v1/traces and /v1/metrics"),
    405: (Code.UNIMPLEMENTED, "no such method here; OTLP is sent with POST"),
}


async def _take(request: Request, intake: Intake, token: str | None, limit: int) -> Response:
    headers = request.headers
    if not presents_token(headers.get("authorization"), token):
        raise RefusedError(
            401,
            Code.UNAUTHENTICATED,
            "unauthenticated",
            INGEST_UNAUTHORIZED,
            {"WWW-Authenticate": 'Bearer realm="otelbridge"'},
        )
    media_type = _media_type(request)
    if media_type not in MEDIA_TYPES:
        raise RefusedError(
            415,
            Code.INVALID_ARGUMENT,
            "unsupported_media_type",
            f"the content type is {media_type[:80]!r}; allowed: {', '.join(MEDIA_TYPES)}",
            {"Accept": ", ".join(MEDIA_TYPES)},
        )
    packing = headers.get("content-encoding", "").strip().lower()
    if packing and packing not in ENCODINGS:
        raise RefusedError(
            415,
            Code.INVALID_ARGUMENT,
            "unsupported_encoding",
            f"the content encoding is {packing[:80]!r}; allowed: {', '.join(ENCODINGS)}",
            {"Accept-Encoding": ", ".join(ENCODINGS)},
        )
    signal = _SIGNALS[request.url.path]
    encoding = MEDIA_TYPES[media_type]
    with intake.holding() as hold:
        try:
            body = await asyncio.wait_for(read_body(request, limit, hold), BODY_SECONDS)
        except asyncio.TimeoutError:
            raise RefusedError(
                408,
                Code.DEADLINE_EXCEEDED,
                "slow_body",
                f"the body did not arrive within {BODY_SECONDS:g} s",
                {"Connection": "close"},
            ) from None
        except BodyTooLargeError as error:
            intake.reject(error.reason, str(error))
            raise

        def decode_body() -> Decoded:
            return decode(signal, encoding, unpack(body, packing, limit))

        decoded = await intake.take(decode_body, len(body))
    if encoding == "protobuf":
        return Response(success(signal, decoded), media_type="application/x-protobuf")
    return Response(orjson.dumps(success_json(signal, decoded)), media_type="application/json")


async def read_body(request: Request, limit: int, hold: Callable[[int], None]) -> bytes:
    """Read a body as it was sent.

    Args:
        limit: its largest size, in bytes.
        hold: is told of each part that is kept.

    Raises:
        BodyTooLargeError: it is larger.
        ClientDisconnect: it ended before its end.
    """
    # Many clients read no answer while they send, so a body that is too large is read to its end,
    # unless that is far away.
    patience = 4 * limit
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > patience:
        raise BodyTooLargeError(limit, "as sent")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= limit:
            hold(len(chunk))
            chunks.append(chunk)
        elif size > patience:
            break
        else:
            chunks.clear()
    if size > limit:
        raise BodyTooLargeError(limit, "as sent")
    return b"".join(chunks)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _status(
    request: Request, status: int, code: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    """Answer with a ``google.rpc.Status`` in the request's encoding; JSON if it has none."""
    if MEDIA_TYPES.get(_media_type(request)) == "protobuf":
        return Response(failure(code, message), status, headers, "application/x-protobuf")
    return Response(
        orjson.dumps({"code": code, "message": message}), status, headers, "application/json"
    )
