"""Random OTLP messages, and the same in OTLP/JSON."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.logs.v1 import logs_pb2 as logs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

# How many inputs each receiver is tried with; continuous integration's long form raises it.
FUZZ_EXAMPLES = int(os.environ.get("OTELBRIDGE_FUZZ_EXAMPLES", "200"))
# A decoder's share for each of the three signals.
FUZZ_EXAMPLES_A_SIGNAL = -(-FUZZ_EXAMPLES // 3)

TEXTS = st.text(max_size=12)
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 1_700_000_000 * 10**9])
I64 = st.integers(-(2**63), 2**63 - 1)
U32 = st.integers(0, 2**32 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
DOUBLES = st.floats()
TRACE_IDS = st.sampled_from([b"", bytes(16), bytes(range(16)), b"\xab" * 16]) | st.binary(
    max_size=18
)
SPAN_IDS = st.sampled_from([b"", bytes(8), bytes(range(8)), b"\xcd" * 8]) | st.binary(max_size=9)


def _lists(of: st.SearchStrategy[Any], size: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(of, max_size=size)


ANY_VALUES = st.recursive(
    st.one_of(
        st.builds(common.AnyValue),
        st.builds(common.AnyValue, string_value=TEXTS),
        st.builds(common.AnyValue, bool_value=st.booleans()),
        st.builds(common.AnyValue, int_value=I64),
        st.builds(common.AnyValue, double_value=DOUBLES),
        st.builds(common.AnyValue, bytes_value=st.binary(max_size=9)),
    ),
    lambda inner: st.one_of(
        st.builds(
            common.AnyValue,
            array_value=st.builds(common.ArrayValue, values=_lists(inner)),
        ),
        st.builds(
            common.AnyValue,
            kvlist_value=st.builds(
                common.KeyValueList,
                values=_lists(st.builds(common.KeyValue, key=TEXTS, value=inner)),
            ),
        ),
    ),
    max_leaves=6,
)
UIDS = st.sampled_from(["", "0197c5b0-0000-7000-8000-00000000ABCD", "ab" * 16, "order-17"])
PAIRS = _lists(
    st.builds(common.KeyValue, key=TEXTS, value=ANY_VALUES)
    | st.builds(
        common.KeyValue,
        key=st.just("log.record.uid"),
        value=st.builds(common.AnyValue, string_value=UIDS),
    )
)
SCOPES = st.builds(common.InstrumentationScope, name=TEXTS, version=TEXTS, attributes=PAIRS)
RESOURCES = st.builds(Resource, attributes=PAIRS)

LOG_RECORDS = st.builds(
    logs.LogRecord,
    time_unix_nano=U64,
    observed_time_unix_nano=U64,
    severity_number=st.integers(0, 24) | I32,
    severity_text=st.sampled_from(["", "INFO", "warn", "odd"]),
    body=ANY_VALUES,
    attributes=PAIRS,
    dropped_attributes_count=U32,
    flags=U32,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    event_name=TEXTS,
)
SPANS = st.builds(
    trace.Span,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    parent_span_id=SPAN_IDS,
    trace_state=TEXTS,
    flags=U32,
    name=TEXTS,
    kind=st.integers(0, 5) | I32,
    start_time_unix_nano=U64,
    end_time_unix_nano=U64,
    attributes=PAIRS,
    events=_lists(st.builds(trace.Span.Event, time_unix_nano=U64, name=TEXTS, attributes=PAIRS), 2),
    links=_lists(
        st.builds(trace.Span.Link, trace_id=TRACE_IDS, span_id=SPAN_IDS, attributes=PAIRS), 2
    ),
    status=st.builds(trace.Status, message=TEXTS, code=st.integers(0, 2) | I32),
)

_TIMES: dict[str, st.SearchStrategy[Any]] = {
    "time_unix_nano": U64,
    "start_time_unix_nano": U64,
    "attributes": PAIRS,
    "flags": st.integers(0, 1) | U32,
}
EXEMPLARS = _lists(
    st.one_of(
        st.builds(
            metrics.Exemplar,
            time_unix_nano=U64,
            as_double=DOUBLES,
            trace_id=TRACE_IDS,
            span_id=SPAN_IDS,
            filtered_attributes=PAIRS,
        ),
        st.builds(metrics.Exemplar, as_int=I64),
        st.builds(metrics.Exemplar),
    ),
    2,
)
NUMBER_POINTS = _lists(
    st.one_of(
        st.builds(metrics.NumberDataPoint, as_double=DOUBLES, exemplars=EXEMPLARS, **_TIMES),
        st.builds(metrics.NumberDataPoint, as_int=I64, exemplars=EXEMPLARS, **_TIMES),
        st.builds(metrics.NumberDataPoint, **_TIMES),
    )
)
_OBSERVED: dict[str, st.SearchStrategy[Any]] = {
    **_TIMES,
    "count": U64,
    "exemplars": EXEMPLARS,
}
_EXTREMES: dict[str, st.SearchStrategy[Any]] = {"sum": DOUBLES, "min": DOUBLES, "max": DOUBLES}
_BUCKETS = st.builds(
    metrics.ExponentialHistogramDataPoint.Buckets, offset=I32, bucket_counts=_lists(U64)
)
TEMPORALITIES = st.integers(0, 2) | I32
DATA: tuple[tuple[str, st.SearchStrategy[Message]], ...] = (
    ("gauge", st.builds(metrics.Gauge, data_points=NUMBER_POINTS)),
    (
        "sum",
        st.builds(
            metrics.Sum,
            data_points=NUMBER_POINTS,
            aggregation_temporality=TEMPORALITIES,
            is_monotonic=st.booleans(),
        ),
    ),
    (
        "histogram",
        st.builds(
            metrics.Histogram,
            aggregation_temporality=TEMPORALITIES,
            data_points=_lists(
                st.one_of(
                    st.builds(
                        metrics.HistogramDataPoint,
                        bucket_counts=_lists(U64),
                        explicit_bounds=_lists(DOUBLES),
                        **_OBSERVED,
                        **extremes,
                    )
                    for extremes in ({}, _EXTREMES)
                )
            ),
        ),
    ),
    (
        "exponential_histogram",
        st.builds(
            metrics.ExponentialHistogram,
            aggregation_temporality=TEMPORALITIES,
            data_points=_lists(
                st.one_of(
                    st.builds(
                        metrics.ExponentialHistogramDataPoint,
                        scale=I32,
                        zero_count=U64,
                        zero_threshold=DOUBLES,
                        positive=_BUCKETS,
                        negative=_BUCKETS,
                        **_OBSERVED,
                        **extremes,
                    )
                    for extremes in ({}, _EXTREMES)
                )
            ),
        ),
    ),
    (
        "summary",
        st.builds(
            metrics.Summary,
            data_points=_lists(
                st.builds(
                    metrics.SummaryDataPoint,
                    count=U64,
                    sum=DOUBLES,
                    quantile_values=_lists(
                        st.builds(
                            metrics.SummaryDataPoint.ValueAtQuantile,
                            quantile=DOUBLES,
                            value=DOUBLES,
                        )
                    ),
                    **_TIMES,
                )
            ),
        ),
    ),
)
METRICS = st.one_of(
    st.builds(metrics.Metric, name=TEXTS),
    *(
        st.builds(metrics.Metric, name=TEXTS, description=TEXTS, unit=TEXTS, **{name: data})
        for name, data in DATA
    ),
)

LOG_REQUESTS = st.builds(
    ExportLogsServiceRequest,
    resource_logs=_lists(
        st.builds(
            logs.ResourceLogs,
            resource=RESOURCES,
            schema_url=TEXTS,
            scope_logs=_lists(
                st.builds(logs.ScopeLogs, scope=SCOPES, log_records=_lists(LOG_RECORDS)), 2
            ),
        ),
        2,
    ),
)
TRACE_REQUESTS = st.builds(
    ExportTraceServiceRequest,
    resource_spans=_lists(
        st.builds(
            trace.ResourceSpans,
            resource=RESOURCES,
            scope_spans=_lists(st.builds(trace.ScopeSpans, scope=SCOPES, spans=_lists(SPANS)), 2),
        ),
        2,
    ),
)
METRIC_REQUESTS = st.builds(
    ExportMetricsServiceRequest,
    resource_metrics=_lists(
        st.builds(
            metrics.ResourceMetrics,
            resource=RESOURCES,
            scope_metrics=_lists(
                st.builds(metrics.ScopeMetrics, scope=SCOPES, metrics=_lists(METRICS)), 2
            ),
        ),
        2,
    ),
)
REQUESTS = {"logs": LOG_REQUESTS, "traces": TRACE_REQUESTS, "metrics": METRIC_REQUESTS}

_IDS = ("traceId", "spanId", "parentSpanId")


def to_json(message: Message, *, numbers: bool = False, upper: bool = False) -> bytes:
    """Write a message in OTLP/JSON.

    Args:
        numbers: enums as numbers, as OTLP's JSON has them; else by name, as protobuf's own.
        upper: ids in upper case.
    """
    return orjson.dumps(
        _with_hex_ids(MessageToDict(message, use_integers_for_enums=numbers), upper)
    )


def _with_hex_ids(value: Any, upper: bool) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item, upper) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: (_hex(item, upper) if key in _IDS else _with_hex_ids(item, upper))
        for key, item in value.items()
    }


def _hex(text: str, upper: bool) -> str:
    digits = b64decode(text).hex()
    return digits.upper() if upper else digits


def log_request(*records: logs.LogRecord, **resource: str) -> ExportLogsServiceRequest:
    """Wrap log records into a request of one resource and one scope."""
    return ExportLogsServiceRequest(
        resource_logs=[
            logs.ResourceLogs(
                resource=Resource(attributes=pairs(**resource)),
                scope_logs=[
                    logs.ScopeLogs(
                        scope=common.InstrumentationScope(name="shop"), log_records=records
                    )
                ],
            )
        ]
    )


def span_request(*spans: trace.Span) -> ExportTraceServiceRequest:
    """Wrap spans into a request of one resource and one scope."""
    return ExportTraceServiceRequest(
        resource_spans=[trace.ResourceSpans(scope_spans=[trace.ScopeSpans(spans=spans)])]
    )


def metric_request(*given: metrics.Metric) -> ExportMetricsServiceRequest:
    """Wrap metrics into a request of one resource and one scope."""
    return ExportMetricsServiceRequest(
        resource_metrics=[
            metrics.ResourceMetrics(scope_metrics=[metrics.ScopeMetrics(metrics=given)])
        ]
    )


def pairs(**values: str) -> list[common.KeyValue]:
    """Write text attributes."""
    return [
        common.KeyValue(key=key, value=common.AnyValue(string_value=value))
        for key, value in values.items()
    ]


def text(value: str) -> common.AnyValue:
    """Write a text value."""
    return common.AnyValue(string_value=value)


def log(body: str, **fields: Any) -> logs.LogRecord:
    """Make a log record with a time."""
    return logs.LogRecord(**{"time_unix_nano": 1, "body": text(body), **fields})


def span(name: str, **fields: Any) -> trace.Span:
    """Make a span with ids and times."""
    return trace.Span(
        **{
            "trace_id": b"t" * 16,
            "span_id": b"s" * 8,
            "name": name,
            "start_time_unix_nano": 10,
            "end_time_unix_nano": 30,
            **fields,
        }
    )


def gauge(name: str, *points: metrics.NumberDataPoint) -> metrics.Metric:
    """Make a gauge."""
    return metrics.Metric(name=name, gauge=metrics.Gauge(data_points=points))
