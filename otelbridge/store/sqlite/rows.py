"""Records as rows, and rows as records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otelbridge import schema
from otelbridge.model import (
    Attributes,
    Json,
    LogRecord,
    Scope,
    Span,
    SpanEvent,
    SpanLink,
)
from otelbridge.store.sqlite.json_text import clean_text, dumps, loads

Row = tuple[Any, ...]

LOG_COLUMNS = (
    "id, time, received, observed, severity, severity_text, body, body_json, resource, scope, "
    "origin, trace_id, span_id, uid, flags, event_name, attributes"
)
SPAN_COLUMNS = (
    "id, time, duration, received, trace_id, span_id, parent_span_id, name, kind, status, "
    "status_message, resource, scope, flags, trace_state, attributes, events, links, origin"
)
# The same columns of the alias ``r``, which compiled queries speak of.
LOG_SELECTION = ", ".join(f"r.{name}" for name in LOG_COLUMNS.split(", "))
SPAN_SELECTION = ", ".join(f"r.{name}" for name in SPAN_COLUMNS.split(", "))


def storable(text: str) -> str:
    """The text itself, unless it holds lone surrogates."""
    if text.isascii():
        return text
    return clean_text(text)


def body_columns(record: LogRecord) -> tuple[str | None, int | None]:
    """A log's ``body`` and ``body_json``."""
    body = record.body
    if body is None:
        return None, None
    if isinstance(body, str):
        return storable(body), None
    return dumps(body), 1


def log_row(
    record: LogRecord,
    id: int,
    received: int,
    level: str,
    resource: int,
    scope: int,
    origin: int | None,
    attributes: Attributes,
) -> Row:
    """Make the row of a log.

    Args:
        received: milliseconds since the epoch.
        level: the usual name of its severity number.
        attributes: those that the row itself keeps, without the origin's and the uid.
    """
    time = record.time
    observed = record.observed_time
    severity_text = record.severity_text
    text = record.body
    body_json = None
    if type(text) is not str or not text.isascii():
        text, body_json = body_columns(record)
    return (
        id,
        time,
        received,
        None if observed == time else observed,
        record.severity_number,
        None if severity_text == level else storable(severity_text),
        text,
        body_json,
        resource,
        scope,
        origin,
        record.trace_id or None,
        record.span_id or None,
        record.uid or None,
        record.flags,
        storable(record.event_name) if record.event_name else None,
        dumps(attributes) if attributes else None,
    )


def log_record(
    row: Row,
    resource: Attributes,
    scope: Scope,
    origin: Attributes | None,
) -> LogRecord:
    """Read a log back from its row (the columns of ``LOG_COLUMNS``)."""
    attributes: Attributes = {} if row[16] is None else loads(row[16])
    if origin:
        attributes.update(origin)
    uid: bytes | None = row[13]
    if uid is not None and schema.RECORD_UID not in attributes:
        attributes[schema.RECORD_UID] = uid.hex()
    body: Json = row[6] if row[7] is None else loads(row[6])
    return LogRecord(
        time=row[1],
        body=body,
        attributes=attributes,
        resource=resource,
        scope=scope,
        observed_time=row[1] if row[3] is None else row[3],
        severity_number=row[4],
        severity_text=schema.severity_name(row[4]) if row[5] is None else row[5],
        trace_id=row[11],
        span_id=row[12],
        flags=row[14] or 0,
        event_name=row[15] or "",
        uid=uid,
    )


def span_row(
    span: Span,
    *,
    id: int,
    received: int,
    resource: int,
    scope: int,
    origin: int | None,
    attributes: Attributes,
) -> Row:
    """Make the row of a span.

    Args:
        received: milliseconds since the epoch.
        attributes: those that the row itself keeps, without the origin's.
    """
    return (
        id,
        span.time,
        span.duration,
        received,
        span.trace_id,
        span.span_id,
        span.parent_span_id or None,
        storable(span.name),
        span.kind,
        span.status_code,
        storable(span.status_message) if span.status_message else None,
        resource,
        scope,
        span.flags,
        storable(span.trace_state) if span.trace_state else None,
        dumps(attributes) if attributes else None,
        dumps([[event.time, event.name, event.attributes] for event in span.events])
        if span.events
        else None,
        dumps([[link.trace_id.hex(), link.span_id.hex(), link.attributes] for link in span.links])
        if span.links
        else None,
        origin,
    )


def span_events(text: str | None) -> list[SpanEvent]:
    """Read a span's events from its row's ``events``."""
    if text is None:
        return []
    return [SpanEvent(time, name, attributes) for time, name, attributes in loads(text)]


def span_record(row: Row, resource: Attributes, scope: Scope, origin: Attributes | None) -> Span:
    """Read a span back from its row (the columns of ``SPAN_COLUMNS``)."""
    attributes: Attributes = {} if row[15] is None else loads(row[15])
    if origin:
        attributes.update(origin)
    return Span(
        time=row[1],
        duration=row[2],
        trace_id=row[4],
        span_id=row[5],
        name=row[7],
        attributes=attributes,
        resource=resource,
        scope=scope,
        parent_span_id=row[6],
        kind=row[8],
        status_code=row[9],
        status_message=row[10] or "",
        events=span_events(row[16]),
        links=[
            SpanLink(bytes.fromhex(trace_id), bytes.fromhex(span_id), attributes)
            for trace_id, span_id, attributes in (() if row[17] is None else loads(row[17]))
        ],
        flags=row[13] or 0,
        trace_state=row[14] or "",
    )


def scope_object(scope: Scope) -> Attributes:
    """A scope as the JSON object that ``attribute_sets`` keeps."""
    found: Attributes = {"name": scope.name, "version": scope.version}
    if scope.attributes:
        found["attributes"] = scope.attributes
    return found


def scope_of(found: Mapping[str, Json]) -> Scope:
    """The scope that :func:`scope_object` wrote."""
    return Scope(found["name"], found["version"], found.get("attributes", {}))
