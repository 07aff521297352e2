"""Log records and spans written as protocol buffers, field by field.

The stock encoder makes a Python object of every attribute and value first. This writes the same
bytes without them, for what telemetry nearly always holds; for anything else it raises, and the
stock encoder is there. Field numbers are those of opentelemetry-proto 1.x (``common/v1``,
``logs/v1``, ``trace/v1``). As the stock encoder does, it leaves out a field that is zero or empty.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.util import BoundedList

from otelbridge.sinks.otlp_values import any_value, field, tags, varint, write_attributes

_TAGGED_FIXED64: Final = struct.Struct("<BQ").pack
_TAGGED_FIXED32: Final = struct.Struct("<BI").pack
_FLAGS: Final = struct.Struct("<BBI").pack
# ``SpanFlags``: it is known whether the context is remote, and it is.
_REMOTE_KNOWN: Final = 0x100
_REMOTE: Final = 0x200

# Of the fields that hold attributes.
_LOG_ATTRIBUTES: Final = tags(b"\x32")
_SPAN_ATTRIBUTES: Final = tags(b"\x4a")
_EVENT_ATTRIBUTES: Final = tags(b"\x1a")
_LINK_ATTRIBUTES: Final = tags(b"\x22")
_SCOPE_ATTRIBUTES: Final = tags(b"\x1a")
_RESOURCE_ATTRIBUTES: Final = tags(b"\x0a")


def log_record(readable: Any) -> bytes:
    """Write a log record.

    Raises:
        Exception: it holds something that is not written here.
    """
    record = readable.log_record
    attributes, flags = record.attributes, record.trace_flags
    parts = [
        _fixed64(0x09, record.timestamp),
        _severity(record.severity_number, record.severity_text),
        field(b"\x2a", any_value(record.body)),
    ]
    write_attributes(parts, _LOG_ATTRIBUTES, attributes)
    if type(attributes) is BoundedAttributes and attributes.dropped:
        parts.append(b"\x38" + varint(attributes.dropped))
    if flags:
        parts.append(_TAGGED_FIXED32(0x45, flags))
    if record.trace_id != 0:
        parts += (b"\x4a\x10", record.trace_id.to_bytes(16, "big"))
    if record.span_id != 0:
        parts += (b"\x52\x08", record.span_id.to_bytes(8, "big"))
    parts.append(_fixed64(0x59, record.observed_timestamp))
    if record.event_name is not None:
        parts.append(_text(b"\x62", record.event_name))
    return b"".join(parts)


def span(readable: Any) -> bytes:
    """Write a span.

    Raises:
        Exception: it holds something that is not written here.
    """
    context, parent, status = readable.get_span_context(), readable.parent, readable.status
    events, links = readable._events, readable._links
    parts = [
        b"\x0a\x10",
        context.trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        context.span_id.to_bytes(8, "big"),
    ]
    if context.trace_state:
        state = ",".join([f"{key}={value}" for key, value in context.trace_state.items()])
        parts.append(field(b"\x1a", state.encode()))
    if parent:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    parts += (
        _text(b"\x2a", readable.name),
        b"\x30" + varint(readable.kind.value + 1),
        _fixed64(0x39, readable.start_time),
        _fixed64(0x41, readable.end_time),
    )
    write_attributes(parts, _SPAN_ATTRIBUTES, readable.attributes)
    _append_count(parts, b"\x50", readable.dropped_attributes)
    if events:
        parts += [field(b"\x5a", _event(event)) for event in readable.events]
    if type(events) is BoundedList:
        _append_count(parts, b"\x60", events.dropped)
    if links:
        parts += [field(b"\x6a", _link(link)) for link in readable.links]
    if type(links) is BoundedList:
        _append_count(parts, b"\x70", links.dropped)
    if status is not None:
        parts.append(field(b"\x7a", _status(status)))
    parts.append(_FLAGS(0x85, 0x01, _flags(parent)))
    return b"".join(parts)


def scope(instrumentation_scope: Any) -> bytes:
    """Write an instrumentation scope; ``None`` is one without a name.

    Raises:
        Exception: it holds something that is not written here.
    """
    if instrumentation_scope is None:
        return b""
    parts = [_text(b"\x0a", instrumentation_scope.name)]
    if instrumentation_scope.version is not None:
        parts.append(_text(b"\x12", instrumentation_scope.version))
    write_attributes(parts, _SCOPE_ATTRIBUTES, instrumentation_scope.attributes)
    return b"".join(parts)


def resource(sdk_resource: Any) -> bytes:
    """Write a resource.

    Raises:
        Exception: it holds something that is not written here.
    """
    parts: list[bytes] = []
    write_attributes(parts, _RESOURCE_ATTRIBUTES, sdk_resource.attributes)
    return b"".join(parts)


def _event(event: Any) -> bytes:
    parts = [_fixed64(0x09, event.timestamp), _text(b"\x12", event.name)]
    write_attributes(parts, _EVENT_ATTRIBUTES, event.attributes)
    _append_count(parts, b"\x20", event.dropped_attributes)
    return b"".join(parts)


def _link(link: Any) -> bytes:
    context = link.context
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big"),
        b"\x12\x08" + context.span_id.to_bytes(8, "big"),
    ]
    write_attributes(parts, _LINK_ATTRIBUTES, link.attributes)
    _append_count(parts, b"\x28", link.dropped_attributes)
    parts.append(_TAGGED_FIXED32(0x35, _flags(context)))
    return b"".join(parts)


def _status(status: Any) -> bytes:
    parts: list[bytes] = []
    if status.description is not None:
        parts.append(_text(b"\x12", status.description))
    _append_count(parts, b"\x18", status.status_code.value)
    return b"".join(parts)


def _flags(context: Any) -> int:
    return _REMOTE_KNOWN | _REMOTE if context and context.is_remote else _REMOTE_KNOWN


@lru_cache(maxsize=64)
def _severity(number: Any, text: str | None) -> bytes:
    written = b"" if number is None or not number.value else b"\x10" + varint(number.value)
    return written if text is None else written + _text(b"\x1a", text)


def _fixed64(tag: int, number: int | None) -> bytes:
    return _TAGGED_FIXED64(tag, number) if number else b""


def _text(tag: bytes, text: str) -> bytes:
    return field(tag, text.encode()) if text != "" else b""


def _append_count(parts: list[bytes], tag: bytes, count: int) -> None:
    if count:
        parts.append(tag + varint(count))
