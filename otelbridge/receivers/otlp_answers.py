"""The bodies of answers to an export request."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp import Signal

__all__ = ["Code", "failure", "success", "success_json"]

# Of each signal: its response, the field that counts rejected records, and that field in JSON.
_RESPONSES: Final[dict[Signal, tuple[Any, str, str]]] = {
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
}


def success(signal: Signal, decoded: Decoded) -> bytes:
    """Write an export response in protobuf, with ``partial_success`` where there is cause."""
    response_type, field, _ = _RESPONSES[signal]
    response = response_type()
    if decoded.rejections or decoded.warnings:
        partial = response.partial_success
        setattr(partial, field, decoded.rejected)
        partial.error_message = decoded.summary()
    written: bytes = response.SerializeToString()
    return written


def success_json(signal: Signal, decoded: Decoded) -> dict[str, Any]:
    """Write an export response as JSON data; 64-bit integers are strings there."""
    if not decoded.rejections and not decoded.warnings:
        return {}
    partial = {"errorMessage": decoded.summary()}
    if decoded.rejected:
        partial[_RESPONSES[signal][2]] = str(decoded.rejected)
    return {"partialSuccess": partial}


def failure(code: int, message: str, retry_after: float | None = None) -> bytes:
    """Write a ``google.rpc.Status`` in protobuf.

    Args:
        code: one of ``google.rpc.Code``.
        retry_after: seconds until the same request may succeed; becomes a ``RetryInfo``.
    """
    status = Status(code=code, message=message)
    if retry_after is not None:
        delay = Duration()
        delay.FromNanoseconds(int(retry_after * 1e9))
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=delay))
        status.details.append(detail)
    written: bytes = status.SerializeToString()
    return written
