"""Records for the page's tests, small and plain."""

from __future__ import annotations

import secrets
import time
from typing import Any

from otelbridge.model import (
    KIND_SERVER,
    STATUS_ERROR,
    LogRecord,
    MetricPoint,
    Scope,
    Span,
    SpanEvent,
)
from otelbridge.schema import SEVERITY_NUMBERS

SECOND = 1_000_000_000

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/payments.py", line 12, in charge
    card = vault.load(user)
           ^^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/site-packages/vault/client.py", line 88, in load
    return self._get(name)
           ^^^^^^^^^^^^^^^
  File "/usr/lib/python3.11/site-packages/vault/client.py", line 90, in _get
    raise KeyError(name)
KeyError: 'alice'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/shop/payments.py", line 14, in charge
    raise CardError("no card") from error
payments.CardError: no card
"""


def log(
    message: Any = "hello",
    *,
    level: str = "INFO",
    service: str = "shop",
    logger: str = "shop.web",
    ago: float = 1.0,
    trace_id: bytes | None = None,
    span_id: bytes | None = None,
    resource: dict[str, Any] | None = None,
    **attributes: Any,
) -> LogRecord:
    """A log record of ``ago`` seconds ago."""
    return LogRecord(
        time=time.time_ns() - int(ago * SECOND),
        body=message,
        attributes=attributes,
        resource={"service.name": service, **(resource or {})},
        scope=Scope(logger),
        severity_number=SEVERITY_NUMBERS[level],
        severity_text=level,
        trace_id=trace_id,
        span_id=span_id,
        uid=secrets.token_bytes(16),
    )


def span(
    name: str = "GET /cart",
    *,
    trace_id: bytes,
    span_id: bytes | None = None,
    parent: bytes | None = None,
    service: str = "shop",
    start: float = -2.0,
    seconds: float = 0.1,
    failed: bool = False,
    kind: int = KIND_SERVER,
    events: list[SpanEvent] | None = None,
    **attributes: Any,
) -> Span:
    """A span that began ``start`` seconds from now (negative: before)."""
    return Span(
        time=time.time_ns() + int(start * SECOND),
        duration=int(seconds * SECOND),
        trace_id=trace_id,
        span_id=span_id or secrets.token_bytes(8),
        parent_span_id=parent,
        name=name,
        attributes=attributes,
        resource={"service.name": service, "host.name": f"{service}-host"},
        scope=Scope("tests"),
        kind=kind,
        status_code=STATUS_ERROR if failed else 0,
        status_message="it failed" if failed else "",
        events=events or [],
    )


def point(name: str, value: float, *, ago: float = 1.0, **attributes: Any) -> MetricPoint:
    """A gauge's data point of the service ``shop``."""
    return MetricPoint(
        time=time.time_ns() - int(ago * SECOND),
        name=name,
        type="gauge",
        value=value,
        attributes=attributes,
        resource={"service.name": "shop", "service.instance.id": "one"},
        scope=Scope("tests"),
        unit="1",
    )
