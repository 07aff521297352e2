"""OTLP over gRPC: the three ``Export`` services.

Follows the OTLP specification, "OTLP/gRPC". Requests reach the handlers as bytes, so that decoding
happens where this module wants it and errors say what was wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from otelbridge.receivers.decoded import DecodeError
from otelbridge.receivers.intake import Intake
from otelbridge.receivers.otlp import Signal, decode
from otelbridge.receivers.otlp_answers import Code, failure, success
from otelbridge.receivers.sockets import BindError
from otelbridge.receivers.token import INGEST_UNAUTHORIZED, presents_token
from otelbridge.receivers.unpacking import BodyTooLargeError
from otelbridge.store.protocol import StoreError, StoreUnavailableError

SERVICES: Final[dict[str, Signal]] = {
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}

Context = grpc.aio.ServicerContext[bytes, bytes]
Export = Callable[[bytes, Context], Awaitable[bytes]]


class GrpcReceiver:
    """Serves OTLP/gRPC.

    Args:
        token: what senders must present, ``None`` for nothing.
        max_body_bytes: largest request, unpacked.
    """

    def __init__(self, intake: Intake, *, token: str | None, max_body_bytes: int) -> None:
        self._intake = intake
        self._token = token
        self._max_body_bytes = max_body_bytes
        self._server = grpc.aio.server(
            options=[
                # gRPC itself refuses what is far too large, unread; what is a little too large
                # gets here, to be counted and answered with what to do.
                ("grpc.max_receive_message_length", 2 * max_body_bytes),
                # Without this a second bridge would share the port and take half the telemetry.
                ("grpc.so_reuseport", 0),
            ]
        )
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    service,
                    {"Export": grpc.unary_unary_rpc_method_handler(self._export(signal))},
                )
                for service, signal in SERVICES.items()
            ]
        )

    async def start(self, host: str, port: int) -> int:
        """Bind and begin to serve.

        Args:
            port: 0 lets the system choose.

        Returns:
            the port.

        Raises:
            BindError: somebody else has taken the port.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = self._server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound:
            raise BindError(
                f"port {port} (OTLP/gRPC) on {host} was taken by another program just now; "
                "set OTELBRIDGE_GRPC_PORT to another port (0 for any)"
            )
        await self._server.start()
        return bound

    async def stop(self, grace: float) -> None:
        """Refuse new requests and give those under way ``grace`` seconds."""
        await self._server.stop(grace)

    def _export(self, signal: Signal) -> Any:
        async def export(body: bytes, context: Context) -> bytes:
            if not presents_token(_authorization(context), self._token):
                self._intake.reject("unauthenticated", INGEST_UNAUTHORIZED)
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, INGEST_UNAUTHORIZED)
            try:
                if len(body) > self._max_body_bytes:
                    too_large = BodyTooLargeError(self._max_body_bytes, "unpacked")
                    self._intake.reject(too_large.reason, str(too_large))
                    raise too_large
                with self._intake.holding() as hold:
                    hold(len(body))
                    decoded = await self._intake.take(
                        lambda: decode(signal, "protobuf", body), len(body)
                    )
            except DecodeError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except StoreUnavailableError as error:
                details = failure(Code.UNAVAILABLE, str(error), error.retry_after)
                await context.abort(
                    grpc.StatusCode.UNAVAILABLE,
                    str(error),
                    (("grpc-status-details-bin", details),),
                )
            except StoreError as error:
                await context.abort(grpc.StatusCode.INTERNAL, str(error))
            return success(signal, decoded)

        return export


def _authorization(context: Context) -> str | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return value if isinstance(value, str) else value.decode("latin-1")
    return None
