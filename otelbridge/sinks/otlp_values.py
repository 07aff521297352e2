"""Attributes and their values written as protocol buffers (opentelemetry-proto, ``common/v1``).

What is not of the kinds that telemetry nearly always has is not written here: it raises, and
OpenTelemetry's own encoder is there for it. A tag is a field's number shifted by three, and the
kind of value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from otelbridge.schema import ORIGIN_ATTRIBUTES

_DOUBLE: Final = struct.Struct("<Bd").pack
_LENGTHS: Final = tuple(bytes((number,)) for number in range(128))
# Of a short text: the length of its value, the value's tag, its own length.
TEXT_LENGTHS: Final = tuple(bytes((size + 2, 0x0A, size)) for size in range(126))
# Keys of attributes are few, and seen again and again.
_MOST_KEYS: Final = 2_000
_heads: dict[str, bytes] = {}
# What repeats with its value, one and the same for thousands of records, is kept as written.
_REPEATED: Final = ORIGIN_ATTRIBUTES | {
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "server.address",
    "server.port",
    "url.scheme",
}
_REPEATED_CHARS: Final = 200


def varint(number: int) -> bytes:
    """Write a number of at most 64 bits as protocol buffers write lengths and integers."""
    if number < 0x80:
        return _LENGTHS[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return _long_varint(number)


# Of the large numbers some come with every record: a thread's.
@lru_cache(maxsize=512)
def _long_varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def field(tag: bytes, content: bytes) -> bytes:
    """Write a field of text, bytes or a message."""
    size = len(content)
    return tag + (_LENGTHS[size] if size < 0x80 else varint(size)) + content


def tags(tag: bytes) -> tuple[bytes, ...]:
    """Return a field's tag with each length of less than 128 bytes behind it."""
    return tuple(tag + length for length in _LENGTHS)


def write_attributes(
    parts: list[bytes], tagged: tuple[bytes, ...], attributes: Mapping[str, Any] | None
) -> None:
    """Append attributes to what is written so far.

    Args:
        parts: the record so far.
        tagged: of the field they are in, as :func:`tags` returns it.
        attributes: what is written.

    Raises:
        TypeError, ValueError: one is of a kind that is not written here.
    """
    if not attributes:
        return
    # The SDK's mapping takes a lock for each key; and others may hold it.
    plain: Any = attributes._dict if type(attributes) is BoundedAttributes else attributes
    copied: dict[str, Any] = plain.copy() if type(plain) is dict else dict(plain)
    append, known, tag = parts.append, _heads.get, tagged[0][:-1]
    for key, value in copied.items():
        kind = type(value)
        if key in _REPEATED and (kind is int or (kind is str and len(value) <= _REPEATED_CHARS)):
            append(_repeated(tag, key, value))
            continue
        head = known(key) or head_of(key)
        if kind is str:
            content = value.encode()
            size = len(content)
            whole = len(head) + size + 3
            if whole < 0x80:
                append(tagged[whole] + head + TEXT_LENGTHS[size] + content)
                continue
            content = field(b"\x0a", content)
        else:
            content = any_value(value)
        pair = field(head, content)
        size = len(pair)
        append((tagged[size] if size < 0x80 else tag + varint(size)) + pair)


def any_value(value: Any) -> bytes:
    """Write a value, without the field it stands in.

    Raises:
        TypeError, ValueError: it is of a kind that is not written here.
    """
    kind = type(value)
    if kind is str:
        return field(b"\x0a", value.encode())
    if kind is int:
        if 0 <= value < 2**63:
            return b"\x18" + varint(value)
        if -(2**63) <= value < 0:
            return b"\x18" + varint(value + 2**64)
    elif kind is bool:
        return b"\x10\x01" if value else b"\x10\x00"
    elif kind is float:
        return _DOUBLE(0x21, value)
    elif kind is tuple or kind is list:
        return field(b"\x2a", _array(value))
    elif kind is dict:
        pairs = (field(head_of(str(key)), any_value(member)) for key, member in value.items())
        return field(b"\x32", b"".join([field(b"\x0a", pair) for pair in pairs]))
    elif kind is bytes:
        return field(b"\x3a", value)
    elif value is None:
        return b""
    raise TypeError(f"a value of {kind}")


def _array(values: Iterable[Any]) -> bytes:
    return b"".join([field(b"\x0a", any_value(value)) for value in values])


@lru_cache(maxsize=2048)
def _repeated(tag: bytes, key: str, value: str | int) -> bytes:
    return field(tag, field(head_of(key), any_value(value)))


def head_of(key: str) -> bytes:
    """Write what a pair begins with: the key, and the tag of the value."""
    head = _heads.get(key)
    if head is None:
        head = (field(b"\x0a", key.encode()) if key else b"") + b"\x12"
        if len(_heads) < _MOST_KEYS:
            _heads[key] = head
    return head
