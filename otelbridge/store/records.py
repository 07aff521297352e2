"""What a receiver hands to a store; see :mod:`otelbridge.model`."""

from otelbridge.model import (
    KIND_CONSUMER,
    KIND_SERVER,
    STATUS_ERROR,
    Attributes,
    Batch,
    Json,
    LogRecord,
    MetricPoint,
    Scope,
    Span,
    SpanEvent,
    SpanLink,
)

__all__ = [
    "KIND_CONSUMER",
    "KIND_SERVER",
    "STATUS_ERROR",
    "Attributes",
    "Batch",
    "Json",
    "LogRecord",
    "MetricPoint",
    "Scope",
    "Span",
    "SpanEvent",
    "SpanLink",
]
