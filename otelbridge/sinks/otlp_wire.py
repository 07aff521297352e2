"""Log records and spans written as protocol buffers, field by field.

The stock encoder makes a Python object of every attribute and value first. This writes the same
bytes in a fifth of the time, for the values that telemetry nearly always has; for any other it
raises, and the stock encoder is there. Field numbers are those of opentelemetry-proto 1.x
(``common/v1``, ``logs/v1``, ``trace/v1``); a tag is the number shifted by three, and the kind of
value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags

_FIXED64: Final = struct.Struct("<Q").pack
_FIXED32: Final = struct.Struct("<I").pack
_DOUBLE: Final = struct.Struct("<d").pack
_LENGTHS: Final = tuple(bytes((number,)) for number in range(128))
_REMOTE_KNOWN: Final = int(SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
_REMOTE: Final = int(SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
# Keys of attributes are few, and seen again and again.
_MOST_KEYS: Final = 2_000
_keys: dict[str, bytes] = {}


def varint(number: int) -> bytes:
    """Write a number of at most 64 bits as protocol buffers write lengths and integers."""
    if number < 128:
        return _LENGTHS[number]
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, content: bytes) -> bytes:
    """Write a field of text, bytes or a message."""
    size = len(content)
    return tag + (_LENGTHS[size] if size < 128 else varint(size)) + content


def log_record(readable: Any) -> bytes:
    """Write a log record.

    Raises:
        TypeError: it holds a value of a kind that is not written here.
    """
    record = readable.log_record
    severity = record.severity_number
    parts = [
        b"\x09" + _FIXED64(record.timestamp or 0),
        b"" if severity is None else b"\x10" + varint(severity.value),
        b"" if not record.severity_text else field(b"\x1a", record.severity_text.encode()),
        field(b"\x2a", _value(record.body)),
        _attributes(b"\x32", record.attributes),
        _count(b"\x38", readable.dropped_attributes),
        b"\x45" + _FIXED32(record.trace_flags),
        b"" if not record.trace_id else b"\x4a\x10" + record.trace_id.to_bytes(16, "big"),
        b"" if not record.span_id else b"\x52\x08" + record.span_id.to_bytes(8, "big"),
        b"\x59" + _FIXED64(record.observed_timestamp or 0),
        b"" if not record.event_name else field(b"\x62", record.event_name.encode()),
    ]
    return b"".join(parts)


def span(readable: Any) -> bytes:
    """Write a span.

    Raises:
        TypeError: it holds a value of a kind that is not written here.
    """
    context, parent, status = readable.get_span_context(), readable.parent, readable.status
    state = context.trace_state
    parts = [
        b"\x0a\x10" + context.trace_id.to_bytes(16, "big"),
        b"\x12\x08" + context.span_id.to_bytes(8, "big"),
        field(b"\x1a", ",".join(f"{key}={value}" for key, value in state.items()).encode())
        if state
        else b"",
        b"\x22\x08" + parent.span_id.to_bytes(8, "big") if parent else b"",
        field(b"\x2a", readable.name.encode()),
        b"\x30" + varint(readable.kind.value + 1),
        b"\x39" + _FIXED64(readable.start_time or 0),
        b"\x41" + _FIXED64(readable.end_time or 0),
        _attributes(b"\x4a", readable.attributes),
        _count(b"\x50", readable.dropped_attributes),
        b"".join(field(b"\x5a", _event(event)) for event in readable.events),
        _count(b"\x60", readable.dropped_events),
        b"".join(field(b"\x6a", _link(link)) for link in readable.links),
        _count(b"\x70", readable.dropped_links),
        field(b"\x7a", _status(status)) if status is not None else b"",
        b"\x85\x01" + _FIXED32(_flags(parent)),
    ]
    return b"".join(parts)


def scope(instrumentation_scope: Any) -> bytes:
    """Write an instrumentation scope; ``None`` is one without a name.

    Raises:
        TypeError: an attribute is of a kind that is not written here.
    """
    if instrumentation_scope is None:
        return b""
    return b"".join(
        (
            field(b"\x0a", instrumentation_scope.name.encode()),
            field(b"\x12", (instrumentation_scope.version or "").encode()),
            _attributes(b"\x1a", instrumentation_scope.attributes),
        )
    )


def resource(sdk_resource: Any) -> bytes:
    """Write a resource.

    Raises:
        TypeError: an attribute is of a kind that is not written here.
    """
    return _attributes(b"\x0a", sdk_resource.attributes)


def _event(event: Any) -> bytes:
    return b"".join(
        (
            b"\x09" + _FIXED64(event.timestamp or 0),
            field(b"\x12", event.name.encode()),
            _attributes(b"\x1a", event.attributes),
            _count(b"\x20", event.dropped_attributes),
        )
    )


def _link(link: Any) -> bytes:
    return b"".join(
        (
            b"\x0a\x10" + link.context.trace_id.to_bytes(16, "big"),
            b"\x12\x08" + link.context.span_id.to_bytes(8, "big"),
            _attributes(b"\x22", link.attributes),
            _count(b"\x28", link.dropped_attributes),
            b"\x35" + _FIXED32(_flags(link.context)),
        )
    )


def _status(status: Any) -> bytes:
    message = status.description
    said = field(b"\x12", message.encode()) if message else b""
    return said + _count(b"\x18", status.status_code.value)


def _flags(context: Any) -> int:
    return _REMOTE_KNOWN | _REMOTE if context and context.is_remote else _REMOTE_KNOWN


def _count(tag: bytes, count: int) -> bytes:
    return tag + varint(count) if count else b""


def _attributes(tag: bytes, attributes: Mapping[str, Any] | None) -> bytes:
    if not attributes:
        return b""
    # The SDK's mapping is guarded by a lock, which a copy takes but once.
    copied: Any = attributes.copy() if hasattr(attributes, "copy") else attributes
    return b"".join(field(tag, _key_value(key, value)) for key, value in copied.items())


def _key_value(key: str, value: Any) -> bytes:
    head = _keys.get(key)
    if head is None:
        head = field(b"\x0a", key.encode()) + b"\x12"
        if len(_keys) < _MOST_KEYS:
            _keys[key] = head
    return field(head, _value(value))


def _value(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        return field(b"\x0a", value.encode())
    if kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    if kind is int and -(2**63) <= value < 2**63:
        return b"\x18" + varint(value if value >= 0 else value + 2**64)
    if kind is float:
        return b"\x21" + _DOUBLE(value)
    if kind is tuple or kind is list:
        return field(b"\x2a", _values(value))
    if kind is dict:
        pairs = b"".join(field(b"\x0a", _key_value(str(key), one)) for key, one in value.items())
        return field(b"\x32", pairs)
    if kind is bytes:
        return field(b"\x3a", value)
    if value is None:
        return b""
    raise TypeError(f"a value of {kind}")


def _values(values: Iterable[Any]) -> bytes:
    return b"".join(field(b"\x0a", _value(value)) for value in values)
