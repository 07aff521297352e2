"""Metrics out of OTLP/JSON requests."""

from __future__ import annotations

from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from otelbridge.model import Attributes, Json, Scope
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_json import parse, read_groups
from otelbridge.receivers.otlp_json_fields import (
    FieldError,
    Message,
    attributes,
    boolean,
    double,
    enum,
    flags,
    identifier,
    integer,
    items,
    message,
    messages,
    signed,
    text,
    unsigned,
)
from otelbridge.receivers.otlp_metrics import Metric, add_point, exemplar
from otelbridge.receivers.otlp_records import finite

_TEMPORALITIES = dict(AggregationTemporality.items())
_TYPES = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}


def read_points(body: bytes, decoded: Decoded, now: int) -> None:
    """Add every data point of a request."""
    groups = parse(body, "resourceMetrics")
    read_groups(groups, "scopeMetrics", "metrics", "metric", decoded, now, _add_metric)


def _add_metric(
    decoded: Decoded, metric: Message, resource: Attributes, in_scope: Scope, now: int
) -> None:
    name = text(metric.get("name"), "name")
    field = next((field for field in _TYPES if metric.get(field) is not None), None)
    if field is None:
        return
    data = message(metric[field], field)
    described = Metric(
        name,
        text(metric.get("description"), "description"),
        text(metric.get("unit"), "unit"),
        _TYPES[field],
        0
        if field in {"gauge", "summary"}
        else enum(data.get("aggregationTemporality"), _TEMPORALITIES, "aggregationTemporality"),
        field == "sum" and boolean(data.get("isMonotonic"), "isMonotonic"),
        resource,
        in_scope,
    )
    for point in messages(data.get("dataPoints"), "dataPoints"):
        try:
            _add_point(decoded, described, point, now)
        except FieldError as error:  # noqa: PERF203 - one bad point must not end the walk
            decoded.reject("invalid_field", f"metric {name[:80]!r}: {error}")


def _add_point(decoded: Decoded, metric: Metric, point: Message, now: int) -> None:
    detail: dict[str, Json] = {}
    value: float | int | None
    count: int | None = None
    if metric.type in {"gauge", "sum"}:
        value = _number(point)
    else:
        count = unsigned(point.get("count"), "count")
        given = point.get("sum")
        value = None if given is None else double(given, "sum")
    if metric.type == "histogram":
        detail["bounds"] = _doubles(point, "explicitBounds")
        detail["bucket_counts"] = _counts(point)
    elif metric.type == "exponential_histogram":
        detail["scale"] = integer(point.get("scale"), "scale", -(2**31), 2**31)
        detail["zero_count"] = unsigned(point.get("zeroCount"), "zeroCount")
        detail["zero_threshold"] = finite(double(point.get("zeroThreshold"), "zeroThreshold"))
        detail["positive"] = _buckets(point, "positive")
        detail["negative"] = _buckets(point, "negative")
    elif metric.type == "summary":
        # A summary's sum is not optional: 0 is not written in JSON.
        value = 0.0 if value is None else value
        detail["quantiles"] = [
            [
                finite(double(at.get("quantile"), "quantile")),
                finite(double(at.get("value"), "value")),
            ]
            for at in messages(point.get("quantileValues"), "quantileValues")
        ]
    if metric.type in {"histogram", "exponential_histogram"}:
        for field in ("min", "max"):
            if point.get(field) is not None:
                detail[field] = finite(double(point[field], field))
    if metric.type != "summary":
        exemplars = [_exemplar(one) for one in messages(point.get("exemplars"), "exemplars")]
        if exemplars:
            detail["exemplars"] = exemplars
    add_point(
        decoded,
        metric,
        unsigned(point.get("timeUnixNano"), "timeUnixNano"),
        unsigned(point.get("startTimeUnixNano"), "startTimeUnixNano"),
        value,
        count,
        flags(point.get("flags")),
        attributes(point.get("attributes")),
        detail,
        now,
    )


def _number(point: Message) -> float | int | None:
    if (whole := point.get("asInt")) is not None:
        return signed(whole, "asInt")
    if (real := point.get("asDouble")) is not None:
        return double(real, "asDouble")
    return None


def _doubles(point: Message, field: str) -> list[Json]:
    return [finite(double(item, field)) for item in items(point.get(field), field)]


def _counts(holder: Message) -> list[int]:
    return [
        unsigned(item, "bucketCounts") for item in items(holder.get("bucketCounts"), "bucketCounts")
    ]


def _buckets(point: Message, field: str) -> Json:
    buckets = message(point.get(field), field)
    return {
        "offset": integer(buckets.get("offset"), "offset", -(2**31), 2**31),
        "counts": _counts(buckets),
    }


def _exemplar(one: Message) -> dict[str, Json]:
    return exemplar(
        unsigned(one.get("timeUnixNano"), "timeUnixNano"),
        _number(one),
        identifier(one.get("traceId"), "traceId"),
        identifier(one.get("spanId"), "spanId"),
        attributes(one.get("filteredAttributes")),
    )
