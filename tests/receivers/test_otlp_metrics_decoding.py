"""Every type of metric becomes points with what its type has in the detail."""

from __future__ import annotations

import orjson
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics

from otelbridge.receivers import otlp
from otelbridge.receivers.decoded import Decoded
from tests.receivers.messages import gauge, metric_request, pairs, to_json

NOW = 1_800_000_000 * 10**9


def decode(message: Message) -> Decoded:
    """Decode from protobuf, having seen that JSON gives the same."""
    decoded = otlp.decode_metrics_protobuf(message.SerializeToString(), NOW)
    assert otlp.decode_metrics_json(to_json(message), NOW) == decoded
    return decoded


def number(value: float | int, **fields) -> metrics.NumberDataPoint:
    kind = "as_int" if isinstance(value, int) else "as_double"
    return metrics.NumberDataPoint(**{"time_unix_nano": 20, kind: value, **fields})


def test_a_gauge_keeps_its_values_types():
    points = decode(metric_request(gauge("cpu", number(3), number(0.5)))).batch.points
    assert [(point.name, point.type, point.value) for point in points] == [
        ("cpu", "gauge", 3),
        ("cpu", "gauge", 0.5),
    ]
    assert [type(point.value) for point in points] == [int, float]
    assert points[0].detail is None


def test_a_sum_says_how_it_adds_up():
    metric = metrics.Metric(
        name="requests",
        description="how many",
        unit="1",
        sum=metrics.Sum(
            data_points=[number(7, start_time_unix_nano=10, attributes=pairs(route="/"))],
            aggregation_temporality=2,
            is_monotonic=True,
        ),
    )
    (point,) = decode(metric_request(metric)).batch.points
    assert (point.type, point.value, point.temporality, point.monotonic) == ("sum", 7, 2, True)
    assert (point.time, point.start_time, point.unit) == (20, 10, "1")
    assert (point.description, point.attributes) == ("how many", {"route": "/"})


def test_a_histogram_has_count_sum_and_buckets():
    metric = metrics.Metric(
        name="duration",
        histogram=metrics.Histogram(
            aggregation_temporality=1,
            data_points=[
                metrics.HistogramDataPoint(
                    time_unix_nano=20,
                    count=3,
                    sum=4.5,
                    min=0.5,
                    max=3.0,
                    explicit_bounds=[1.0, 2.0],
                    bucket_counts=[1, 0, 2],
                )
            ],
        ),
    )
    (point,) = decode(metric_request(metric)).batch.points
    assert (point.type, point.value, point.count, point.temporality) == ("histogram", 4.5, 3, 1)
    assert point.detail == {
        "bounds": [1.0, 2.0],
        "bucket_counts": [1, 0, 2],
        "min": 0.5,
        "max": 3.0,
    }


def test_a_histogram_without_a_sum_has_no_value():
    metric = metrics.Metric(
        name="d", histogram=metrics.Histogram(data_points=[metrics.HistogramDataPoint(count=1)])
    )
    (point,) = decode(metric_request(metric)).batch.points
    assert (point.value, point.count, point.time) == (None, 1, NOW)


def test_an_exponential_histogram_has_its_scale_and_both_sides():
    side = metrics.ExponentialHistogramDataPoint.Buckets
    metric = metrics.Metric(
        name="size",
        exponential_histogram=metrics.ExponentialHistogram(
            aggregation_temporality=2,
            data_points=[
                metrics.ExponentialHistogramDataPoint(
                    time_unix_nano=20,
                    count=5,
                    sum=9.0,
                    scale=-1,
                    zero_count=1,
                    zero_threshold=0.25,
                    positive=side(offset=2, bucket_counts=[1, 3]),
                    negative=side(offset=-4, bucket_counts=[]),
                )
            ],
        ),
    )
    (point,) = decode(metric_request(metric)).batch.points
    assert (point.type, point.value, point.count) == ("exponential_histogram", 9.0, 5)
    assert point.detail == {
        "scale": -1,
        "zero_count": 1,
        "zero_threshold": 0.25,
        "positive": {"offset": 2, "counts": [1, 3]},
        "negative": {"offset": -4, "counts": []},
    }


def test_a_summary_has_its_quantiles():
    metric = metrics.Metric(
        name="latency",
        summary=metrics.Summary(
            data_points=[
                metrics.SummaryDataPoint(
                    time_unix_nano=20,
                    count=2,
                    sum=3.0,
                    quantile_values=[{"quantile": 0.5, "value": 1.0}],
                )
            ]
        ),
    )
    (point,) = decode(metric_request(metric)).batch.points
    assert (point.type, point.value, point.count) == ("summary", 3.0, 2)
    assert point.detail == {"quantiles": [[0.5, 1.0]]}


def test_exemplars_lead_to_the_span_they_were_made_in():
    exemplar = metrics.Exemplar(
        time_unix_nano=19,
        as_double=1.5,
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        filtered_attributes=pairs(user="alice"),
    )
    (point,) = decode(metric_request(gauge("g", number(1, exemplars=[exemplar])))).batch.points
    assert point.detail == {
        "exemplars": [
            {
                "time": 19,
                "value": 1.5,
                "trace_id": (b"t" * 16).hex(),
                "span_id": (b"s" * 8).hex(),
                "attributes": {"user": "alice"},
            }
        ]
    }


def test_what_is_no_number_is_kept_by_name():
    (point,) = decode(metric_request(gauge("g", number(float("nan"))))).batch.points
    assert (point.value, point.detail) == (None, {"value": "NaN"})


def test_a_point_without_a_recorded_value_has_none():
    (point,) = decode(metric_request(gauge("g", number(7, flags=1)))).batch.points
    assert (point.value, point.detail) == (None, {"no_recorded_value": True})


@pytest.mark.parametrize(
    ("field", "value"), [("time_unix_nano", 2**63), ("start_time_unix_nano", 2**64 - 1)]
)
def test_a_point_after_2262_is_rejected_and_the_others_kept(field, value):
    decoded = decode(metric_request(gauge("g", number(1, **{field: value}), number(2))))
    assert [point.value for point in decoded.batch.points] == [2]
    assert decoded.rejections["invalid_time"].count == 1
    assert decoded.summary().startswith(f"metric 'g': {field} is {value}, after 2262-04-11")


def test_a_count_beyond_63_bits_is_rejected():
    point = metrics.SummaryDataPoint(count=2**63)
    metric = metrics.Metric(name="s", summary=metrics.Summary(data_points=[point]))
    decoded = decode(metric_request(metric))
    assert decoded.summary() == "metric 's': count is 9223372036854775808, more than 2**63 - 1"


def test_a_broken_json_point_is_rejected_and_the_others_kept():
    points = [{"asInt": "many"}, {"asInt": "7"}]
    metric = {"name": "g", "gauge": {"dataPoints": points}}
    body = orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    decoded = otlp.decode_metrics_json(body)
    assert [point.value for point in decoded.batch.points] == [7]
    assert decoded.summary() == "metric 'g': asInt is not an integer"
