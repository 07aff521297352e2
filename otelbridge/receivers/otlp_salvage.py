"""Keeping the good records of a protobuf request that holds a bad one.

The protobuf parser refuses a whole message for one string that is not UTF-8, or one value nested
too deeply. This walks the outer levels of the wire format itself (request, resource group, scope
group; the three signals number them alike) and parses each record alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message

from otelbridge.receivers.decoded import Decoded, DecodeError

# Field numbers: of groups in a request; of resource or scope, and of what it groups, in a group.
_GROUP = 1
_HEAD = 1
_MEMBER = 2
_BYTES = 2


def salvage(body: bytes, request: Message, what: str, decoded: Decoded) -> None:
    """Fill ``request`` with the groups and records of ``body`` that can be parsed.

    Args:
        request: an empty export request of the signal.
        what: a record's name in a message to the sender.

    Raises:
        DecodeError: the body is broken at its outer levels, or holds nothing that can be kept.
    """
    groups: Any = getattr(request, _name_of(request, _GROUP))
    kept = 0
    try:
        for group_bytes in _fields(body, _GROUP):
            group = groups.add()
            _head(group, group_bytes, what, decoded)
            scopes: Any = getattr(group, _name_of(group, _MEMBER))
            for scope_bytes in _fields(group_bytes, _MEMBER):
                scoped = scopes.add()
                _head(scoped, scope_bytes, what, decoded)
                records: Any = getattr(scoped, _name_of(scoped, _MEMBER))
                for record_bytes in _fields(scope_bytes, _MEMBER):
                    try:
                        records.add().ParseFromString(record_bytes)
                        kept += 1
                    except ProtobufError:  # noqa: PERF203 - the next may be good
                        del records[-1]
                        decoded.reject("invalid_record", f"{what}: {_why(record_bytes)}")
    except _BrokenError as error:
        raise DecodeError("invalid_protobuf", f"the body is not a valid request: {error}") from None
    if not kept:
        raise DecodeError(
            "invalid_protobuf",
            decoded.summary() if decoded.rejections else "the body is not a valid request",
        )


def _why(record: bytes) -> str:
    """Say why the parser refuses a record, as far as its bytes tell."""
    try:
        for _ in _walk(record):
            pass
    except _BrokenError as error:
        return str(error)
    return (
        "a text is not valid UTF-8, values are nested too deeply, "
        "or a field is not what the protocol says"
    )


class _BrokenError(ValueError):
    """The bytes are not in protobuf's wire format."""


def _name_of(message: Message, number: int) -> str:
    return message.DESCRIPTOR.fields_by_number[number].name


def _head(group: Message, data: bytes, what: str, decoded: Decoded) -> None:
    """Parse a group's resource or scope; the group's records are kept without a broken one."""
    head: Message = getattr(group, _name_of(group, _HEAD))
    for part in _fields(data, _HEAD):
        try:
            head.MergeFromString(part)
        except ProtobufError:  # noqa: PERF203 - as above
            head.Clear()
            decoded.warn("invalid_record", f"{what}: the {_name_of(group, _HEAD)} is not readable")


def _fields(data: bytes, number: int) -> Iterator[bytes]:
    """Yield the length-delimited fields of one number."""
    for found, content in _walk(data):
        if found == number and content is not None:
            yield content


def _walk(data: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Yield each field's number, and its content where it is length-delimited."""
    position = 0
    size = len(data)
    while position < size:
        tag, position = _varint(data, position)
        kind = tag & 7
        content: bytes | None = None
        if kind == 0:
            _, position = _varint(data, position)
        elif kind == 1:
            position += 8
        elif kind == 5:
            position += 4
        elif kind == _BYTES:
            length, position = _varint(data, position)
            content = data[position : position + length]
            position += length
        else:
            raise _BrokenError(f"wire type {kind} at byte {position} does not occur in OTLP")
        if tag >> 3 == 0:
            raise _BrokenError(f"field number 0 before byte {position}")
        if position > size:
            raise _BrokenError(
                f"it ends in the middle of a field ({position - size} bytes missing)"
            )
        yield tag >> 3, content


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _BrokenError("it ends in the middle of a field")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise _BrokenError(f"a number before byte {position} is too long")
