"""The rules every decoded metric point passes, whichever encoding brought it.

Follows the OpenTelemetry metrics data model. A point's ``detail`` holds plain JSON data: what its
type has beside value and count.
"""

from __future__ import annotations

from dataclasses import dataclass

from otelbridge.model import Attributes, Json, MetricPoint, Scope
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_records import TIME_END, finite

# DataPointFlags: the series exists, but nothing was recorded at this time.
NO_RECORDED_VALUE = 1


@dataclass(slots=True)
class Metric:
    """What all points of one metric share."""

    name: str
    description: str
    unit: str
    type: str
    temporality: int
    monotonic: bool
    resource: Attributes
    scope: Scope

    def __post_init__(self) -> None:
        if not 0 <= self.temporality <= 2:
            self.temporality = 0


def add_point(
    decoded: Decoded,
    metric: Metric,
    time: int,
    start: int,
    value: float | int | None,
    count: int | None,
    flags: int,
    attributes: Attributes,
    detail: dict[str, Json],
    now: int,
) -> None:
    """Add one data point, or say why not.

    Args:
        value: a gauge's or a sum's value, or the sum of observations where there is one. What is
            no number is kept by its name in the detail, and the value is ``None``.
        detail: may be changed here; an empty one is stored as none.
    """
    if time >= TIME_END or start >= TIME_END:
        which, wrong = (
            ("time_unix_nano", time) if time >= TIME_END else ("start_time_unix_nano", start)
        )
        decoded.reject(
            "invalid_time",
            f"metric {metric.name[:80]!r}: {which} is {wrong}, after 2262-04-11, "
            "the latest time that can be stored",
        )
        return
    if count is not None and count >= 2**63:
        decoded.reject(
            "invalid_count", f"metric {metric.name[:80]!r}: count is {count}, more than 2**63 - 1"
        )
        return
    if flags & NO_RECORDED_VALUE:
        value = None
        detail["no_recorded_value"] = True
    elif isinstance(value, float):
        named = finite(value)
        if isinstance(named, str):
            detail["value"] = named
            value = None
    decoded.batch.points.append(
        MetricPoint(
            time or now,
            metric.name,
            metric.type,
            value,
            attributes,
            metric.resource,
            metric.scope,
            metric.unit,
            metric.description,
            start,
            metric.temporality,
            metric.monotonic,
            count,
            detail or None,
        )
    )


def exemplar(
    time: int, value: float | int | None, trace_id: bytes, span_id: bytes, attributes: Attributes
) -> dict[str, Json]:
    """Describe one exemplar: an observation and the span it was made in."""
    described: dict[str, Json] = {
        "time": time,
        "value": finite(value) if isinstance(value, float) else value,
    }
    if len(trace_id) == 16 and any(trace_id):
        described["trace_id"] = trace_id.hex()
    if len(span_id) == 8 and any(span_id):
        described["span_id"] = span_id.hex()
    if attributes:
        described["attributes"] = attributes
    return described
