"""Decoding of OTLP export requests, from protobuf and from JSON.

Follows the OpenTelemetry protocol specification 1.9: unknown fields are passed over, and a record
that cannot be stored is counted and described for the response's ``partial_success`` while the rest
of its request is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelbridge.receivers import otlp_json, otlp_json_metrics, otlp_protobuf, otlp_protobuf_metrics
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_salvage import salvage
from otelbridge.receivers.otlp_shallow import Pairs, ShallowLogs, ShallowTraces, read_body

Signal = Literal["logs", "traces", "metrics"]
Encoding = Literal["protobuf", "json"]


def decode(signal: Signal, encoding: Encoding, body: bytes, now: int | None = None) -> Decoded:
    """Decode one export request.

    Args:
        body: the request, unpacked.
        now: nanoseconds since the epoch, for records without a time; the clock's by default.

    Raises:
        DecodeError: nothing of it can be used.
    """
    return _DECODERS[signal, encoding](body, now)


def decode_logs_protobuf(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportLogsServiceRequest``; see :func:`decode`."""
    return _from_protobuf(
        body,
        now,
        ExportLogsServiceRequest(),
        "log record",
        otlp_protobuf.read_logs,
        _read_shallow_logs,
    )


def decode_traces_protobuf(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportTraceServiceRequest``; see :func:`decode`."""
    return _from_protobuf(
        body,
        now,
        ExportTraceServiceRequest(),
        "span",
        otlp_protobuf.read_spans,
        _read_shallow_spans,
    )


def decode_metrics_protobuf(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportMetricsServiceRequest``; see :func:`decode`."""
    return _from_protobuf(
        body, now, ExportMetricsServiceRequest(), "metric", otlp_protobuf_metrics.read_points
    )


def decode_logs_json(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportLogsServiceRequest`` in JSON; see :func:`decode`."""
    return _from_json(body, now, otlp_json.read_logs)


def decode_traces_json(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportTraceServiceRequest`` in JSON; see :func:`decode`."""
    return _from_json(body, now, otlp_json.read_spans)


def decode_metrics_json(body: bytes, now: int | None = None) -> Decoded:
    """Decode an ``ExportMetricsServiceRequest`` in JSON; see :func:`decode`."""
    return _from_json(body, now, otlp_json_metrics.read_points)


_DECODERS: Final[dict[tuple[str, str], Callable[[bytes, int | None], Decoded]]] = {
    ("logs", "protobuf"): decode_logs_protobuf,
    ("logs", "json"): decode_logs_json,
    ("traces", "protobuf"): decode_traces_protobuf,
    ("traces", "json"): decode_traces_json,
    ("metrics", "protobuf"): decode_metrics_protobuf,
    ("metrics", "json"): decode_metrics_json,
}


def _read_shallow_logs(body: bytes, decoded: Decoded, now: int) -> None:
    request = ShallowLogs.FromString(body)
    otlp_protobuf.read_logs(request, decoded, now, Pairs().attributes, read_body)


def _read_shallow_spans(body: bytes, decoded: Decoded, now: int) -> None:
    request = ShallowTraces.FromString(body)
    otlp_protobuf.read_spans(request, decoded, now, Pairs().attributes)


def _from_protobuf(
    body: bytes,
    now: int | None,
    request: Message,
    what: str,
    read: Callable[[Any, Decoded, int], None],
    read_shallow: Callable[[bytes, Decoded, int], None] | None = None,
) -> Decoded:
    now = time.time_ns() if now is None else now
    if read_shallow is not None:
        decoded = Decoded()
        with suppress(ProtobufError, UnicodeDecodeError):
            read_shallow(body, decoded, now)
            return decoded
    decoded = Decoded()
    try:
        request.ParseFromString(body)
    except ProtobufError:
        request.Clear()
        salvage(body, request, what, decoded)
    read(request, decoded, now)
    return decoded


def _from_json(
    body: bytes, now: int | None, read: Callable[[bytes, Decoded, int], None]
) -> Decoded:
    decoded = Decoded()
    read(body, decoded, time.time_ns() if now is None else now)
    return decoded
