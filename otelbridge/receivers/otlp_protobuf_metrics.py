"""Metrics out of OTLP protobuf messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from otelbridge.model import Json
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_metrics import Metric, add_point, exemplar
from otelbridge.receivers.otlp_protobuf import attributes_of, scope_of
from otelbridge.receivers.otlp_records import finite


def read_points(request: ExportMetricsServiceRequest, decoded: Decoded, now: int) -> None:
    """Add every data point of a request."""
    for group in request.resource_metrics:
        resource = attributes_of(group.resource.attributes)
        for scoped in group.scope_metrics:
            scope = scope_of(scoped.scope)
            for metric in scoped.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                described = Metric(
                    metric.name,
                    metric.description,
                    metric.unit,
                    kind,
                    getattr(data, "aggregation_temporality", 0),
                    getattr(data, "is_monotonic", False),
                    resource,
                    scope,
                )
                add = _ADD[kind]
                for point in data.data_points:
                    add(decoded, described, point, now)


def _add_number(decoded: Decoded, metric: Metric, point: pb.NumberDataPoint, now: int) -> None:
    detail: dict[str, Json] = {}
    _add_exemplars(detail, point.exemplars)
    add_point(
        decoded,
        metric,
        point.time_unix_nano,
        point.start_time_unix_nano,
        _number(point),
        None,
        point.flags,
        attributes_of(point.attributes),
        detail,
        now,
    )


def _add_histogram(
    decoded: Decoded, metric: Metric, point: pb.HistogramDataPoint, now: int
) -> None:
    detail: dict[str, Json] = {
        "bounds": [finite(bound) for bound in point.explicit_bounds],
        "bucket_counts": list(point.bucket_counts),
    }
    _add_extremes(detail, point)
    _add_exemplars(detail, point.exemplars)
    add_point(
        decoded,
        metric,
        point.time_unix_nano,
        point.start_time_unix_nano,
        point.sum if point.HasField("sum") else None,
        point.count,
        point.flags,
        attributes_of(point.attributes),
        detail,
        now,
    )


def _add_exponential(
    decoded: Decoded, metric: Metric, point: pb.ExponentialHistogramDataPoint, now: int
) -> None:
    detail: dict[str, Json] = {
        "scale": point.scale,
        "zero_count": point.zero_count,
        "zero_threshold": finite(point.zero_threshold),
        "positive": _buckets(point.positive),
        "negative": _buckets(point.negative),
    }
    _add_extremes(detail, point)
    _add_exemplars(detail, point.exemplars)
    add_point(
        decoded,
        metric,
        point.time_unix_nano,
        point.start_time_unix_nano,
        point.sum if point.HasField("sum") else None,
        point.count,
        point.flags,
        attributes_of(point.attributes),
        detail,
        now,
    )


def _add_summary(decoded: Decoded, metric: Metric, point: pb.SummaryDataPoint, now: int) -> None:
    detail: dict[str, Json] = {
        "quantiles": [[finite(at.quantile), finite(at.value)] for at in point.quantile_values]
    }
    add_point(
        decoded,
        metric,
        point.time_unix_nano,
        point.start_time_unix_nano,
        point.sum,
        point.count,
        point.flags,
        attributes_of(point.attributes),
        detail,
        now,
    )


_ADD: dict[str, Callable[[Decoded, Metric, Any, int], None]] = {
    "gauge": _add_number,
    "sum": _add_number,
    "histogram": _add_histogram,
    "exponential_histogram": _add_exponential,
    "summary": _add_summary,
}


def _number(point: pb.NumberDataPoint | pb.Exemplar) -> float | int | None:
    kind = point.WhichOneof("value")
    return getattr(point, kind) if kind else None


def _buckets(buckets: pb.ExponentialHistogramDataPoint.Buckets) -> Json:
    return {"offset": buckets.offset, "counts": list(buckets.bucket_counts)}


def _add_extremes(
    detail: dict[str, Json], point: pb.HistogramDataPoint | pb.ExponentialHistogramDataPoint
) -> None:
    if point.HasField("min"):
        detail["min"] = finite(point.min)
    if point.HasField("max"):
        detail["max"] = finite(point.max)


def _add_exemplars(detail: dict[str, Json], exemplars: Iterable[pb.Exemplar]) -> None:
    found = [
        exemplar(
            one.time_unix_nano,
            _number(one),
            one.trace_id,
            one.span_id,
            attributes_of(one.filtered_attributes),
        )
        for one in exemplars
    ]
    if found:
        detail["exemplars"] = found
