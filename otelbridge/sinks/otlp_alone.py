"""One record as an OTLP request of its own, at little cost.

Of what a request with one record costs, its resource is most: the same for every record of a
process. It is encoded once, and each record's request is put together from both, by nothing but
protocol buffers' own rules: a field is a tag, a length and that many bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.resources import Resource

# Field 1, of bytes: a request's groups of records, and in one of these its resource.
_TAG: Final = b"\x0a"
# The resource without attributes that stands first in what the encoder writes here.
_EMPTY: Final = b"\x0a\x00"


class _WithoutResource:
    """A record or span of the SDK as its encoder sees it, but for the resource."""

    __slots__ = ("_record",)
    resource: Final = Resource.get_empty()

    def __init__(self, record: Any) -> None:
        self._record = record

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


class AloneEncoder:
    """Encodes records one by one; what it returns may be joined."""

    def __init__(self, encode: Callable[[Any], Any]) -> None:
        """Encode as OpenTelemetry's own encoder does.

        Args:
            encode: makes a request of records or of spans.
        """
        self._encode = encode
        self._known: tuple[Any, bytes] = (None, b"")

    def encode(self, record: Any) -> bytes:
        """Encode one record as a request, from any thread."""
        request: bytes = self._encode((_WithoutResource(record),)).SerializeToString()
        length_end = 1
        while request[length_end] & 0x80:
            length_end += 1
        group = request[length_end + 1 :]
        if not request.startswith(_TAG) or not group.startswith(_EMPTY):
            return bytes(self._encode((record,)).SerializeToString())
        known, head = self._known
        if known is not record.resource:
            head = self._head(record)
            self._known = record.resource, head
        return b"".join(
            (_TAG, _varint(len(head) + len(group) - len(_EMPTY)), head, group[len(_EMPTY) :])
        )

    def _head(self, record: Any) -> bytes:
        """Encode what the groups of records of one resource begin with."""
        request = self._encode((record,))
        (field,) = (value for descriptor, value in request.ListFields() if len(value) == 1)
        group = field[0]
        resource = group.resource.SerializeToString()
        head = _TAG + _varint(len(resource)) + resource
        if group.schema_url:
            url = group.schema_url.encode()
            head += b"\x1a" + _varint(len(url)) + url
        return bytes(head)


def _varint(number: int) -> bytes:
    """Write a number as protocol buffers write lengths."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
