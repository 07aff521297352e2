"""A journal's file: a ring of records that were taken and are not yet sent or spooled.

After a header of one page::

    magic 8 | capacity 8 | signal 1 | ... | begin 8

come ``capacity`` bytes in which records stand one behind the other, each as::

    checksum 4 | length 4 | position 8 | body

Positions count all bytes that were ever written, so that a record's place is its position modulo
the capacity, and what an earlier lap left is told from what was written in this one. The header's
*begin* is the position of the oldest record that matters. A record that would not fit before the
end of the ring stands at its beginning.

The file is read after its owner was killed, by whoever takes over: memory that was mapped is in it
then. Of a machine that lost its power it may tell anything; what is read is what has its checksum.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final
from zlib import crc32

from otelbridge.delivery.payload import SIGNALS, DeliveredSignal

MAGIC: Final = b"otbjrn\x00\x01"
HEADER: Final = struct.Struct("<8sQB")
HEADER_BYTES: Final = 4096
# Where *begin* is, in eight bytes of the machine's own order.
BEGIN_OFFSET: Final = 64
RECORD: Final = struct.Struct("<IIQ")


def checksum(body: bytes, seed: int, position: int) -> int:
    """Compute a record's checksum, which is wrong at every other place."""
    return crc32(body, (seed ^ position) & 0xFFFFFFFF)


def lap_end(position: int, size: int, capacity: int) -> int:
    """Tell where a record of a size goes: at a position, or at the next beginning of the ring."""
    room = capacity - position % capacity
    return position if size <= room else position + room


def read_journal(path: Path, seed: int) -> tuple[DeliveredSignal, list[bytes]]:
    """Read the records that matter, in their order.

    Args:
        path: the journal's file.
        seed: what its checksums start from.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    if len(data) < HEADER_BYTES:
        return SIGNALS[0], []
    magic, capacity, signal = HEADER.unpack_from(data)
    if magic != MAGIC or capacity != len(data) - HEADER_BYTES or signal >= len(SIGNALS):
        return SIGNALS[0], []
    (begin,) = struct.unpack_from("=Q", data, BEGIN_OFFSET)
    records: list[bytes] = []
    position = begin
    while position < begin + capacity:
        body = _record(data, position, seed, capacity)
        if body is None:
            # Either the end, or the next one stood at the beginning of the ring.
            position = lap_end(position, capacity, capacity)
            body = _record(data, position, seed, capacity)
            if body is None:
                break
        records.append(body)
        position += RECORD.size + len(body)
    return SIGNALS[signal], records


def _record(data: bytes, position: int, seed: int, capacity: int) -> bytes | None:
    offset = position % capacity
    if offset + RECORD.size > capacity:
        return None
    found, length, written = RECORD.unpack_from(data, HEADER_BYTES + offset)
    if written != position or offset + RECORD.size + length > capacity:
        return None
    start = HEADER_BYTES + offset + RECORD.size
    body = data[start : start + length]
    return body if checksum(body, seed, position) == found else None
