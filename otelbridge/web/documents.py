"""Records as JSON documents: OpenTelemetry's stored shape, the same for page, API and commands.

A log record::

    {"id": 1763730000123456, "@timestamp": "2025-11-21T13:00:00.123456789Z",
     "observed_timestamp": "...",                      (where it differs)
     "severity_number": 17, "severity_text": "ERROR",
     "body": {"text": "card declined"},                ({"structured": ...} where it is not text)
     "attributes": {"user": "alice"}, "resource": {"attributes": {"service.name": "payments"}},
     "scope": {"name": "shop.payments", "version": ""},
     "trace_id": "0af7...", "span_id": "b7ad...", "event_name": "..."}

Names are those the Collector's Elasticsearch exporter writes in its ``otel`` mapping mode; ``id``
is the record's place in the store, by which it can be asked for again.
"""

from __future__ import annotations

from typing import Any

from otelbridge.model import SpanEvent
from otelbridge.schema import severity_name
from otelbridge.store.protocol import StoredLog, StoredSpan, TraceSummary
from otelbridge.web.times import iso

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")


def log_document(stored: StoredLog) -> dict[str, Any]:
    """Write a stored log record as its document."""
    record = stored.record
    document: dict[str, Any] = {
        "id": stored.id,
        "@timestamp": iso(record.time),
        "severity_number": record.severity_number,
        "severity_text": record.severity_text or severity_name(record.severity_number),
        "body": (
            {"text": record.body} if isinstance(record.body, str) else {"structured": record.body}
        ),
        "attributes": record.attributes,
        "resource": {"attributes": record.resource},
        "scope": {"name": record.scope.name, "version": record.scope.version},
    }
    if record.observed_time and record.observed_time != record.time:
        document["observed_timestamp"] = iso(record.observed_time)
    if record.trace_id:
        document["trace_id"] = record.trace_id.hex()
    if record.span_id:
        document["span_id"] = record.span_id.hex()
    if record.event_name:
        document["event_name"] = record.event_name
    return document


def span_document(stored: StoredSpan) -> dict[str, Any]:
    """Write a stored span as its document; ``duration`` is in nanoseconds."""
    span = stored.span
    return {
        "id": stored.id,
        "@timestamp": iso(span.time),
        "duration": span.duration,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() if span.parent_span_id else None,
        "name": span.name,
        "kind": KINDS[span.kind] if 0 <= span.kind < len(KINDS) else str(span.kind),
        "status": {
            "code": STATUSES[span.status_code] if 0 <= span.status_code <= 2 else "Unset",
            "message": span.status_message,
        },
        "attributes": span.attributes,
        "events": [_event_document(event) for event in span.events],
        "links": [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": link.attributes,
            }
            for link in span.links
        ],
        "resource": {"attributes": span.resource},
        "scope": {"name": span.scope.name, "version": span.scope.version},
    }


def _event_document(event: SpanEvent) -> dict[str, Any]:
    return {"@timestamp": iso(event.time), "name": event.name, "attributes": event.attributes}


def trace_document(trace: TraceSummary) -> dict[str, Any]:
    """Write a trace's summary; ``duration`` is in nanoseconds."""
    return {
        "id": trace.id,
        "trace_id": trace.trace_id.hex(),
        "@timestamp": iso(trace.time),
        "duration": trace.duration,
        "name": trace.name,
        "service": trace.service,
        "services": trace.services,
        "spans": trace.spans,
        "errors": trace.errors,
        "status": STATUSES[trace.status_code] if 0 <= trace.status_code <= 2 else "Unset",
        "http_status": trace.http_status,
    }
