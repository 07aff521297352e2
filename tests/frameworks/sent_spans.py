"""What spans say when they are sent, read back from the bytes that leave the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan

from otelbridge.delivery.queue import EncodedRecords
from otelbridge.delivery.redacted import redact_records
from otelbridge.settings import read_settings
from otelbridge.sinks.otlp import OTLPDestination
from otelbridge.sinks.otlp_trouble import TroubleReport

Encode = Callable[[ReadableSpan], bytes]

DESTINATION = OTLPDestination("traces", read_settings({}), TroubleReport())


def encoded_by_opentelemetry(span: ReadableSpan) -> bytes:
    """Make a request of a span without its secrets, as OpenTelemetry's exporters do."""
    return encode_spans(redact_records("traces", [span])).SerializeToString()


def encoded_by_ours(span: ReadableSpan) -> bytes:
    """Make a request of a span as our delivery does: written where it ended, or later."""
    written = DESTINATION.write(span)
    if written is None:
        return DESTINATION.encode([span])
    encoded = EncodedRecords(span.instrumentation_scope, span.resource)
    encoded.body += written
    encoded.count = 1
    return DESTINATION.encode([encoded])


def read_back(request: bytes) -> dict[str, Any]:
    """Read a request of one span: attributes and events by themselves, the rest as text."""
    read = ExportTraceServiceRequest.FromString(request)
    [group] = read.resource_spans
    [scoped] = group.scope_spans
    [span] = scoped.spans
    told = {
        "scope": (scoped.scope.name, scoped.scope.version),
        "attributes": _plain(span.attributes),
        "events": [(event.name, _plain(event.attributes)) for event in span.events],
    }
    for holder in (span, *span.events):
        holder.ClearField("attributes")
    return {**told, "rest": str(read)}


def _plain(attributes: Any) -> dict[str, Any]:
    plain = {pair.key: _value(pair.value) for pair in attributes}
    assert len(plain) == len(attributes), "an attribute is told twice"
    return plain


def _value(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return tuple(map(_value, value.array_value.values))
        case kind:
            return getattr(value, kind)
