"""Records from stored documents: the inverse of :mod:`otelbridge.elasticsearch.documents`.

What a document does not hold is as if it had not been sent: trace flags, descriptions of metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.documents import SPAN_KINDS, STATUS_CODES
from otelbridge.elasticsearch.names import OF_THE_ROAD
from otelbridge.model import Attributes, Json, LogRecord, Scope, Span, SpanEvent, SpanLink

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def read_log(source: Mapping[str, Any]) -> LogRecord:
    """Read a log's document."""
    attributes = _sent_attributes(source)
    uid = _bytes(attributes.get(schema.RECORD_UID), 16)
    if uid is not None:
        attributes = {k: v for k, v in attributes.items() if k != schema.RECORD_UID}
    return LogRecord(
        time=read_time(source.get("@timestamp")),
        body=_body(source.get("body")),
        attributes=attributes,
        resource=_attributes(_object(source.get("resource"))),
        scope=_scope(source),
        observed_time=read_time(source.get("observed_timestamp")),
        severity_number=_integer(source.get("severity_number")),
        severity_text=_text(source.get("severity_text")),
        trace_id=_bytes(source.get("trace_id"), 16),
        span_id=_bytes(source.get("span_id"), 8),
        event_name=_text(source.get("event_name")),
        uid=uid,
    )


def _body(body: Any) -> Json:
    if not isinstance(body, dict):
        return body
    if "structured" not in body:
        return body.get("text")
    structured = body["structured"]
    # How a list of anything but objects is written.
    if isinstance(structured, dict) and structured.keys() == {"value"}:
        value = structured["value"]
        if isinstance(value, list) and not all(isinstance(item, dict) for item in value):
            return value
    return structured


def read_span(source: Mapping[str, Any], events: Iterable[Mapping[str, Any]] = ()) -> Span | None:
    """Read a span's document.

    Args:
        events: the documents of its events.

    Returns:
        The span, or ``None`` where the document has no usable trace and span id.
    """
    trace_id, span_id = _bytes(source.get("trace_id"), 16), _bytes(source.get("span_id"), 8)
    if trace_id is None or span_id is None:
        return None
    status = _object(source.get("status"))
    return Span(
        time=read_time(source.get("@timestamp")),
        duration=_integer(source.get("duration")),
        trace_id=trace_id,
        span_id=span_id,
        name=_text(source.get("name")),
        attributes=_sent_attributes(source),
        resource=_attributes(_object(source.get("resource"))),
        scope=_scope(source),
        parent_span_id=_bytes(source.get("parent_span_id"), 8),
        kind=_place(SPAN_KINDS, source.get("kind")),
        status_code=_place(STATUS_CODES, status.get("code")),
        status_message=_text(status.get("message")),
        events=sorted(map(_event, events), key=lambda event: event.time),
        links=[link for item in _list(source.get("links")) if (link := _link(item)) is not None],
        trace_state=_text(source.get("trace_state")),
    )


def _event(source: Mapping[str, Any]) -> SpanEvent:
    attributes, name = _attributes(source), _text(source.get("event_name"))
    if attributes.get("event.name") == name:
        attributes = {k: v for k, v in attributes.items() if k != "event.name"}
    return SpanEvent(read_time(source.get("@timestamp")), name, attributes)


def _link(source: Any) -> SpanLink | None:
    trace_id = _bytes(_object(source).get("trace_id"), 16)
    span_id = _bytes(_object(source).get("span_id"), 8)
    if trace_id is None or span_id is None:
        return None
    return SpanLink(trace_id, span_id, _attributes(source))


def read_time(value: Any) -> int:
    """Read a time as a document has it: milliseconds, with nanoseconds after a point, or ISO 8601.

    Returns:
        Nanoseconds since the epoch; 0 for what is no time.
    """
    text = str(value if value is not None else "")
    milliseconds, _, rest = text.partition(".")
    if milliseconds.isascii() and milliseconds.isdecimal():
        # The exporter writes the nanoseconds without leading zeros: ".5" are five of them.
        return int(milliseconds) * 10**6 + int(rest or 0)
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        return 0
    seconds = (moment.replace(tzinfo=moment.tzinfo or timezone.utc) - _EPOCH) // timedelta(
        seconds=1
    )
    return seconds * 10**9 + int(fraction[:9].ljust(9, "0") if fraction.isdecimal() else 0)


def _attributes(source: Mapping[str, Any]) -> Attributes:
    found = source.get("attributes")
    return dict(found) if isinstance(found, dict) else {}


def _sent_attributes(source: Mapping[str, Any]) -> Attributes:
    """A record's attributes without those that tell how it came."""
    return {key: value for key, value in _attributes(source).items() if key not in OF_THE_ROAD}


def _scope(source: Mapping[str, Any]) -> Scope:
    found = _object(source.get("scope"))
    return Scope(_text(found.get("name")), _text(found.get("version")), _attributes(found))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) else 0


def _place(names: tuple[str, ...], value: Any) -> int:
    return names.index(value) if value in names else 0


def _bytes(value: Any, size: int) -> bytes | None:
    if not isinstance(value, str):
        return None
    try:
        found = bytes.fromhex(value)
    except ValueError:
        return None
    return found if len(found) == size else None
