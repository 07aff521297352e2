"""SQLite's log ahead of the file: which of its frames hold, and whether any was damaged.

SQLite itself reads a log up to the first frame that does not hold, and drops the rest without a
word. Here the frames behind it are looked at too: what was committed there was acknowledged.

Follows "The Write-Ahead Log" in SQLite's file format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from otelbridge.store.sqlite.connections import PAGE_BYTES

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
FRAME_BYTES: Final = _FRAME_HEADER + PAGE_BYTES
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
# Damage behind which nothing follows for this many frames is the log's end.
_LARGEST_GAP: Final = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """One page's new content.

    Attributes:
        page: its number, from 1 on; 0 where not even that can be read.
        place: where the content is in the log, in bytes.
        commits: a transaction ends here.
        holds: its checksum is right.
    """

    page: int
    place: int
    commits: bool
    holds: bool


def is_damaged(log: Path) -> bool:
    """Whether the log holds a commit that SQLite would not read.

    A log that was cut short in the middle of its last transaction is whole: that one was never
    acknowledged. Damage to the very last one looks the same.
    """
    broken = False
    for frame in frames(log):
        broken = broken or not frame.holds
        if broken and frame.holds and frame.commits:
            return True
    return False


def frames(log: Path) -> Iterator[Frame]:
    """The frames of the log's newest generation, those that do not hold too."""
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from _frames(file)


def _frames(file: BinaryIO) -> Iterator[Frame]:
    header = file.read(_HEADER)
    first = file.read(_FRAME_HEADER)
    if len(first) < _FRAME_HEADER:
        return
    order = _MAGIC.get(int.from_bytes(header[:4], "big"), "")
    head_holds = bool(order) and _checksum(order, header[:24], (0, 0)) == _words(header[24:32])
    # Both must name the generation: either may be what is damaged.
    salts = header[16:24] if head_holds else first[8:16]
    order = order if head_holds else "<"
    # A frame is checked against what its predecessor claims, so that one that is damaged does not
    # take those behind it along.
    before = _words(header[24:32])
    place = _HEADER
    gap = 0
    checked = head_holds
    file.seek(place)
    while len(frame := file.read(FRAME_BYTES)) == FRAME_BYTES and gap < _LARGEST_GAP:
        page, size = struct.unpack(">II", frame[:8])
        claimed = _words(frame[16:24])
        same = frame[8:16] == salts and page > 0
        holds = (
            same
            and checked
            and _checksum(order, frame[:8] + frame[_FRAME_HEADER:], before) == claimed
        )
        yield Frame(page if same else 0, place + _FRAME_HEADER, same and size > 0, holds)
        # Behind a damaged head the first frame cannot be checked, and the others can.
        checked = True
        gap = 0 if holds else gap + 1
        before = claimed
        place += FRAME_BYTES


def _words(data: bytes) -> tuple[int, int]:
    first, second = struct.unpack(">II", data)
    return first, second


def _checksum(order: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    first, second = start
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for word in words:
        first = (first + word + second) & 0xFFFFFFFF
        second = (second + next(words) + first) & 0xFFFFFFFF
    return first, second
