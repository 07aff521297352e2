"""One payload as bytes in a segment: a frame.

A frame is a header and the payload's body::

    magic 4 | header's checksum 4 | body's length 4 | body's checksum 4 | records 4 | signal 1 | 3
    | sequence 8 | time 8 | state 4 | body

Numbers are little-endian. The header's checksum covers what follows it up to the state, so a length
is believed only if it was written; with a length to believe, a damaged body costs nothing but
itself. After a damaged header the next one is searched for. Both checksums start from the segment's
seed, which is not in the file: bytes in a body that look like a frame, or that were one in another
segment, are never taken for one of this.

The state is the only part that changes: it says ``DONE`` when the payload need not be sent any
more. Whatever else it says, the payload waits: to send twice is harmless.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from otelbridge.delivery.payload import SIGNALS, Payload

MAGIC: Final = b"\xf5OB\x01"
WAITING: Final = b"WAIT"
DONE: Final = b"DONE"

_START: Final = struct.Struct("<4sI")
_FIELDS: Final = struct.Struct("<IIIB3xQQ")
STATE_OFFSET: Final = _START.size + _FIELDS.size
HEADER_BYTES: Final = STATE_OFFSET + len(WAITING)
LARGEST_BODY: Final = 2**32 - 1

# How much is read at once where the next header is searched for.
_WINDOW: Final = 65_536

# Reads from a segment: an offset and how many bytes; fewer come back at its end.
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before a body.

    Attributes:
        offset: where the frame begins.
        length: of the body, in bytes.
        checksum: of the body.
        count: how many records the body holds.
        signal: what they are, by its place in :data:`otelbridge.delivery.payload.SIGNALS`.
        sequence: as the payload has it.
        time: when it was written, in nanoseconds since 1970.
        done: whether it need not be sent any more.
    """

    offset: int
    length: int
    checksum: int
    count: int
    signal: int
    sequence: int
    time: int
    done: bool

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + HEADER_BYTES + self.length


def frame_bytes(payload: Payload) -> int:
    """Tell how long a payload's frame is."""
    return HEADER_BYTES + len(payload.body)


def encode_frame(payload: Payload, seed: int, time: int) -> bytes:
    """Write a payload as a frame that waits.

    Args:
        payload: what to write.
        seed: the segment's.
        time: nanoseconds since 1970.
    """
    fields = _FIELDS.pack(
        len(payload.body),
        crc32(payload.body, seed),
        payload.count,
        SIGNALS.index(payload.signal),
        payload.sequence,
        time,
    )
    return b"".join((_START.pack(MAGIC, crc32(fields, seed)), fields, WAITING, payload.body))


def read_header(read: Read, offset: int, seed: int) -> Header | None:
    """Read the header at an offset; ``None`` if there is none that is whole."""
    return _header(read(offset, HEADER_BYTES), offset, seed)


def read_payload(read: Read, header: Header, seed: int) -> Payload | None:
    """Read the payload behind a header; ``None`` if it is not what was written."""
    body = read(header.offset + HEADER_BYTES, header.length)
    if len(body) != header.length or crc32(body, seed) != header.checksum:
        return None
    return Payload(SIGNALS[header.signal], header.count, body, header.sequence)


def find_header(read: Read, offset: int, seed: int) -> Header | None:
    """Search for the next header, at an offset or behind it; ``None`` if there is none."""
    while True:
        window = read(offset, _WINDOW)
        place = window.find(MAGIC)
        while place >= 0:
            header = _header(window[place : place + HEADER_BYTES], offset + place, seed)
            if header is None and place + HEADER_BYTES > len(window):
                header = read_header(read, offset + place, seed)
            if header is not None:
                return header
            place = window.find(MAGIC, place + 1)
        if len(window) < HEADER_BYTES:
            return None
        # The last bytes may be the beginning of what the next window shows whole.
        offset += len(window) - len(MAGIC) + 1


def _header(data: bytes, offset: int, seed: int) -> Header | None:
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    (checksum,) = struct.unpack_from("<I", data, len(MAGIC))
    if crc32(data[_START.size : STATE_OFFSET], seed) != checksum:
        return None
    length, body_checksum, count, signal, sequence, time = _FIELDS.unpack_from(data, _START.size)
    if signal >= len(SIGNALS):
        return None  # written by a later version, which knows more signals
    done = data[STATE_OFFSET:HEADER_BYTES] == DONE
    return Header(offset, length, body_checksum, count, signal, sequence, time, done)
