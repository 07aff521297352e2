"""Logs and traces out of OTLP protobuf messages.

The messages are of opentelemetry-proto's generated classes, or of those in :mod:`.otlp_shallow`,
which hand out attributes and bodies as bytes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue

from otelbridge.model import Attributes, Json, Scope, SpanEvent, SpanLink
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_records import (
    CUT,
    MAX_DEPTH,
    add_event,
    add_link,
    add_log,
    add_span,
    finite,
)


def attributes_of(pairs: Iterable[KeyValue], depth: int = 0) -> Attributes:
    """Turn key-value pairs into a dict; of a key that is given twice the last value stays."""
    found: Attributes = {}
    for pair in pairs:
        value = pair.value
        kind = value.WhichOneof("value")
        if kind == "string_value":
            found[pair.key] = value.string_value
        elif kind == "int_value":
            found[pair.key] = value.int_value
        else:
            found[pair.key] = json_of(value, kind, depth)
    return found


def json_of(value: AnyValue, kind: str | None, depth: int) -> Json:
    """Turn an ``AnyValue`` into plain JSON data.

    Args:
        kind: which of the value's fields is set.
        depth: lists and dicts around it.
    """
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "int_value":
        return value.int_value
    if kind == "double_value":
        return finite(value.double_value)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind == "array_value":
        if depth >= MAX_DEPTH:
            return CUT
        return [
            json_of(item, item.WhichOneof("value"), depth + 1) for item in value.array_value.values
        ]
    if kind == "kvlist_value":
        return CUT if depth >= MAX_DEPTH else attributes_of(value.kvlist_value.values, depth + 1)
    return None


def scope_of(scope: InstrumentationScope) -> Scope:
    """Turn an instrumentation scope into ours."""
    return Scope(scope.name, scope.version, attributes_of(scope.attributes))


def body_of(body: AnyValue) -> Json:
    """Turn a log's body into plain JSON data."""
    return json_of(body, body.WhichOneof("value"), 0)


def read_logs(
    request: Any,
    decoded: Decoded,
    now: int,
    attributes: Callable[[Any], Attributes] = attributes_of,
    body: Callable[[Any], Json] = body_of,
) -> None:
    """Add every log record of a request.

    Args:
        request: an ``ExportLogsServiceRequest``.
        attributes, body: read these fields of a record.
    """
    for group in request.resource_logs:
        resource = attributes_of(group.resource.attributes)
        for scoped in group.scope_logs:
            scope = scope_of(scoped.scope)
            for record in scoped.log_records:
                add_log(
                    decoded,
                    record.time_unix_nano,
                    record.observed_time_unix_nano,
                    record.severity_number,
                    record.severity_text,
                    body(record.body),
                    attributes(record.attributes),
                    record.trace_id,
                    record.span_id,
                    record.flags,
                    record.event_name,
                    resource,
                    scope,
                    now,
                )


def read_spans(
    request: Any,
    decoded: Decoded,
    now: int,
    attributes: Callable[[Any], Attributes] = attributes_of,
) -> None:
    """Add every span of a request.

    Args:
        request: an ``ExportTraceServiceRequest``.
        attributes: reads those of a span and of its events.
    """
    for group in request.resource_spans:
        resource = attributes_of(group.resource.attributes)
        for scoped in group.scope_spans:
            scope = scope_of(scoped.scope)
            for span in scoped.spans:
                events: list[SpanEvent] = []
                for event in span.events:
                    add_event(
                        decoded,
                        events,
                        event.time_unix_nano,
                        event.name,
                        attributes(event.attributes),
                    )
                links: list[SpanLink] = []
                for link in span.links:
                    add_link(
                        decoded, links, link.trace_id, link.span_id, attributes_of(link.attributes)
                    )
                status = span.status
                add_span(
                    decoded,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id,
                    span.name,
                    span.kind,
                    status.code,
                    status.message,
                    attributes(span.attributes),
                    events,
                    links,
                    span.flags,
                    span.trace_state,
                    resource,
                    scope,
                    now,
                )
