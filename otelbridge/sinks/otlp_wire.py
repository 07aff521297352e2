"""Log records and spans written as protocol buffers, field by field.

The stock encoder makes a Python object of every attribute and value first. This writes the same
bytes without them, for what telemetry nearly always holds; for anything else it raises, and the
stock encoder is there. Field numbers are those of opentelemetry-proto 1.x (``common/v1``,
``logs/v1``, ``trace/v1``). As the stock encoder does, it leaves out a field that is zero or empty.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.util import BoundedList

from otelbridge.delivery.taken_record import TakenRecord
from otelbridge.schema import RECORD_UID
from otelbridge.sinks.otlp_values import any_value, field, tags, varint, write_attributes

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otelbridge.delivery.taken_record import Origin

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
# What stands before the characters of a record's id, which are always as many.
UID_HEAD: Final = (
    b"\x32"
    + bytes((len(RECORD_UID) + 38, 0x0A, len(RECORD_UID)))
    + (RECORD_UID.encode() + b"\x12\x22\x0a\x20")
)

# What was written last of a span's ids: its records come one after the other.
_last: list[tuple[Any, bytes]] = [(None, b"")]


def log_record(readable: Any) -> bytes:
    """Write a log record.

    Raises:
        Exception: it holds something that is not written here.
    """
    if type(readable) is TakenRecord and not readable.clashes():
        return _taken(readable)
    record = readable.log_record
    attributes, flags = record.attributes, record.trace_flags
    parts = [
        _fixed64(0x09, record.timestamp),
        severity(record.severity_number, record.severity_text),
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
        parts.append(text_field(b"\x62", record.event_name))
    return b"".join(parts)


def _taken(record: TakenRecord) -> bytes:
    """Write a record that our own handler has taken: its parts, in the order of the whole."""
    parts = [
        _fixed64(0x09, record.timestamp),
        severity(record.severity_number, record.severity_text),
        field(b"\x2a", any_value(record.body)),
    ]
    write_attributes(parts, _LOG_ATTRIBUTES, record.extras)
    parts.append(UID_HEAD + record.uid.encode())
    parts.append(record.origin.written or origin_attributes(record.origin))
    if record.told:
        write_attributes(parts, _LOG_ATTRIBUTES, record.told)
    parts.append(span_ids(record.span_context))
    parts.append(_fixed64(0x59, record.observed_timestamp))
    if record.event_name is not None:
        parts.append(text_field(b"\x62", record.event_name))
    return b"".join(parts)


def record_field(written: bytes) -> bytes:
    """Make of a record the field that it is in its scope's group."""
    size = len(written)
    if 0x80 <= size < 0x4000:
        return bytes((0x12, size & 0x7F | 0x80, size >> 7)) + written
    return field(b"\x12", written)


def origin_attributes(origin: Origin) -> bytes:
    """Write, once, which line and thread records come from."""
    parts: list[bytes] = []
    write_attributes(parts, _LOG_ATTRIBUTES, origin.attributes)
    origin.written = b"".join(parts)
    return origin.written


def span_ids(context: SpanContext) -> bytes:
    """Write whose span a log record belongs to."""
    known = _last[0]
    if known[0] is context:
        return known[1]
    trace_id, span_id, _, flags = context[:4]
    written = (
        (_TAGGED_FIXED32(0x45, flags) if flags else b"")
        + (b"\x4a\x10" + trace_id.to_bytes(16, "big") if trace_id else b"")
        + (b"\x52\x08" + span_id.to_bytes(8, "big") if span_id else b"")
    )
    _last[0] = context, written
    return written


def span(readable: Any) -> bytes:
    """Write a span.

    Raises:
        Exception: it holds something that is not written here.
    """
    # By what is behind the SDK's properties, which make a copy each.
    trace_id, span_id, _, _, states, _ = readable._context
    parent, status = readable._parent, readable._status
    events, links = readable._events, readable._links
    parts = [
        b"\x0a\x10",
        trace_id.to_bytes(16, "big"),
        b"\x12\x08",
        span_id.to_bytes(8, "big"),
    ]
    if states:
        state = ",".join([f"{key}={value}" for key, value in states.items()])
        parts.append(field(b"\x1a", state.encode()))
    if parent:
        parts += (b"\x22\x08", parent.span_id.to_bytes(8, "big"))
    parts += (
        text_field(b"\x2a", readable._name),
        span_kind(readable._kind),
        _fixed64(0x39, readable._start_time),
        _fixed64(0x41, readable._end_time),
    )
    attributes = readable._attributes
    if type(attributes) is BoundedAttributes:
        write_attributes(parts, _SPAN_ATTRIBUTES, attributes)
        _append_count(parts, b"\x50", attributes.dropped)
    else:
        write_attributes(parts, _SPAN_ATTRIBUTES, attributes)
    if events:
        parts += [field(b"\x5a", _event(event)) for event in readable.events]
    if type(events) is BoundedList:
        _append_count(parts, b"\x60", events.dropped)
    if links:
        parts += [field(b"\x6a", _link(link)) for link in readable.links]
    if type(links) is BoundedList:
        _append_count(parts, b"\x70", links.dropped)
    if status is not None:
        plain = status._description is None
        parts.append(span_status(status._status_code) if plain else field(b"\x7a", _status(status)))
    parts.append(_FLAGS(0x85, 0x01, _flags(parent)))
    return b"".join(parts)


def scope(instrumentation_scope: Any) -> bytes:
    """Write an instrumentation scope; ``None`` is one without a name.

    Raises:
        Exception: it holds something that is not written here.
    """
    if instrumentation_scope is None:
        return b""
    parts = [text_field(b"\x0a", instrumentation_scope.name)]
    if instrumentation_scope.version is not None:
        parts.append(text_field(b"\x12", instrumentation_scope.version))
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


@lru_cache(maxsize=16)
def span_kind(kind: Any) -> bytes:
    """Write what a span is in its trace."""
    return b"\x30" + varint(kind.value + 1)


def _event(event: Any) -> bytes:
    parts = [_fixed64(0x09, event.timestamp), text_field(b"\x12", event.name)]
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


@lru_cache(maxsize=8)
def span_status(code: Any) -> bytes:
    """Write a status that nothing is said of."""
    return field(b"\x7a", b"\x18" + varint(code.value) if code.value else b"")


def _status(status: Any) -> bytes:
    parts: list[bytes] = []
    if status.description is not None:
        parts.append(text_field(b"\x12", status.description))
    _append_count(parts, b"\x18", status.status_code.value)
    return b"".join(parts)


def _flags(context: Any) -> int:
    return _REMOTE_KNOWN | _REMOTE if context and context.is_remote else _REMOTE_KNOWN


@lru_cache(maxsize=64)
def severity(number: Any, text: str | None) -> bytes:
    """Write a record's severity: as a number, and as its source calls it."""
    written = b"" if number is None or not number.value else b"\x10" + varint(number.value)
    return written if text is None else written + text_field(b"\x1a", text)


def _fixed64(tag: int, number: int | None) -> bytes:
    return _TAGGED_FIXED64(tag, number) if number else b""


def text_field(tag: bytes, text: str) -> bytes:
    """Write a field of text; nothing for an empty one."""
    return field(tag, text.encode()) if text != "" else b""


def _append_count(parts: list[bytes], tag: bytes, count: int) -> None:
    if count:
        parts.append(tag + varint(count))
