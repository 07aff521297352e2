"""One record as an OTLP request of its own, at little cost.

What is the same for many records, resource and scope, is written once. What can only be written by
OpenTelemetry's own encoder is left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from otelbridge.delivery.payload import DeliveredSignal
from otelbridge.sinks import otlp_wire
from otelbridge.sinks.otlp_wire import field

# Of a request, a group or a scope's group: the first, second and third field, all of bytes.
_FIRST: Final = b"\x0a"
_SECOND: Final = b"\x12"
_THIRD: Final = b"\x1a"
_MOST_SCOPES: Final = 1_000


class AloneEncoder:
    """Encodes records one by one, from any thread; what it returns may be joined."""

    def __init__(self, signal: DeliveredSignal, stock: Callable[[Any], Any]) -> None:
        """Encode records of a signal.

        Args:
            signal: what they are.
            stock: OpenTelemetry's own encoder, which makes a request of records.
        """
        self._write = otlp_wire.log_record if signal == "logs" else otlp_wire.span
        self._stock = stock
        # Beside what was written the object it is of: an id alone may be another one's later.
        self._resource: tuple[Any, bytes, bytes] = (None, b"", b"")
        self._scopes: dict[int, tuple[Any, bytes, bytes]] = {}

    def encode(self, record: Any) -> bytes:
        """Encode one record as a request."""
        try:
            return self._encode(record)
        except Exception:
            # Text that is no Unicode, a number beyond 64 bits, a value of a kind of its own.
            return bytes(self._stock((record,)).SerializeToString())

    def _encode(self, record: Any) -> bytes:
        resource = self._resource
        if resource[0] is not record.resource:
            resource = self._resource = _written(record.resource, otlp_wire.resource)
        scope = self._scopes.get(id(record.instrumentation_scope))
        if scope is None or scope[0] is not record.instrumentation_scope:
            scope = _written(record.instrumentation_scope, otlp_wire.scope)
            if len(self._scopes) >= _MOST_SCOPES:
                self._scopes.clear()
            self._scopes[id(scope[0])] = scope
        inner = scope[1] + field(_SECOND, self._write(record)) + scope[2]
        return field(_FIRST, resource[1] + field(_SECOND, inner) + resource[2])


def _written(owner: Any, write: Callable[[Any], bytes]) -> tuple[Any, bytes, bytes]:
    """Write a resource or scope, and the schema of its group."""
    url = getattr(owner, "schema_url", None)
    return owner, field(_FIRST, write(owner)), field(_THIRD, url.encode()) if url else b""
