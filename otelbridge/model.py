"""What a record is: OpenTelemetry's logs, spans and metric points as plain data.

Receivers hand these to a store, and the stored document is written from them.

Values in ``attributes`` and bodies are plain JSON values: text, numbers, booleans, ``None``, lists
and dicts. What JSON cannot carry is text by then, as OTLP's JSON mapping has it: bytes as base64,
``NaN`` and the infinities by name.

Times are nanoseconds since the Unix epoch, below 2**63 (April 2262).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = Any
Attributes: TypeAlias = dict[str, Json]

# SpanKind and StatusCode as OTLP numbers them.
KIND_SERVER = 2
KIND_CONSUMER = 5
STATUS_ERROR = 2


@dataclass(slots=True)
class Scope:
    """The instrumentation scope: for logs, ``name`` is the logger's."""

    name: str = ""
    version: str = ""
    attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True)
class LogRecord:
    """One log record.

    Attributes:
        time: when it happened; when it was observed, where the sender did not say.
        observed_time: when the sender observed it, 0 where it did not say.
        severity_number: 0 (not given) to 24.
        severity_text: as the sender wrote it.
        body: the message, most often text.
        uid: 16 bytes that make a resend recognisable, or ``None``.
    """

    time: int
    body: Json
    attributes: Attributes
    resource: Attributes
    scope: Scope
    observed_time: int = 0
    severity_number: int = 0
    severity_text: str = ""
    trace_id: bytes | None = None
    span_id: bytes | None = None
    flags: int = 0
    event_name: str = ""
    uid: bytes | None = None


@dataclass(slots=True)
class SpanEvent:
    time: int
    name: str
    attributes: Attributes


@dataclass(slots=True)
class SpanLink:
    trace_id: bytes
    span_id: bytes
    attributes: Attributes


@dataclass(slots=True)
class Span:
    """One span; ``trace_id`` and ``span_id`` together make a resend recognisable."""

    time: int
    duration: int
    trace_id: bytes
    span_id: bytes
    name: str
    attributes: Attributes
    resource: Attributes
    scope: Scope
    parent_span_id: bytes | None = None
    kind: int = 0
    status_code: int = 0
    status_message: str = ""
    events: list[SpanEvent] = field(default_factory=list)
    links: list[SpanLink] = field(default_factory=list)
    flags: int = 0
    trace_state: str = ""


@dataclass(slots=True)
class MetricPoint:
    """One data point of one series.

    Attributes:
        type: ``gauge``, ``sum``, ``histogram``, ``exponential_histogram`` or ``summary``.
        temporality: 0 (not applicable), 1 (delta) or 2 (cumulative).
        value: of gauges and sums; the sum of observations for the other types.
        count: observations, for the other types.
        detail: what else the type has (bounds, buckets, quantiles, min, max, exemplars).
    """

    time: int
    name: str
    type: str
    value: float | int | None
    attributes: Attributes
    resource: Attributes
    scope: Scope
    unit: str = ""
    description: str = ""
    start_time: int = 0
    temporality: int = 0
    monotonic: bool = False
    count: int | None = None
    detail: dict[str, Json] | None = None


@dataclass(slots=True)
class Batch:
    """What one request or datagram brought; stored whole, in one transaction."""

    logs: list[LogRecord] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    points: list[MetricPoint] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.logs) + len(self.spans) + len(self.points)
