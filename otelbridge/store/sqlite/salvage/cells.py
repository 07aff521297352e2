"""The records of a page: what its cells hold, those that cannot be read left out.

Follows "B-tree Pages" and "Record Format" in SQLite's file format. Trees are not walked, so that
a damaged page costs the records it holds and never those below it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from otelbridge.store.sqlite.connections import PAGE_BYTES
from otelbridge.store.sqlite.salvage.pages import Pages

Values: TypeAlias = "list[Any]"

_TABLE_LEAF: Final = 13
_INDEX_LEAF: Final = 10
_INDEX_INTERIOR: Final = 2
_HEADER: Final = {_TABLE_LEAF: 8, _INDEX_LEAF: 8, _INDEX_INTERIOR: 12}
# How much of a record may be on the page itself, and how much is where it does not fit.
_TABLE_MOST: Final = PAGE_BYTES - 35
_INDEX_MOST: Final = (PAGE_BYTES - 12) * 64 // 255 - 23
_LEAST: Final = (PAGE_BYTES - 12) * 32 // 255 - 23
# A record that claims to be larger is none.
_LARGEST: Final = 64 * 2**20
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class UnreadableError(ValueError):
    """A cell that is none."""


def is_table(page: bytes) -> bool:
    """Whether a page holds rows by number."""
    return page[:1] == bytes((_TABLE_LEAF,))


def records(pages: Pages, page: bytes, columns: frozenset[int]) -> Iterator[tuple[int, Values]]:
    """The records on a page: each its row's number (0 in an index) and its values.

    Args:
        columns: how many values a record may have; others are passed over.
    """
    kind = page[0] if len(page) == PAGE_BYTES else 0
    if kind not in _HEADER:
        return
    (cells,) = struct.unpack_from(">H", page, 3)
    start = _HEADER[kind]
    if start + 2 * cells > PAGE_BYTES:
        return
    for place in struct.unpack_from(f">{cells}H", page, start):
        try:
            found = _cell(pages, page, kind, place, columns)
        except (UnreadableError, IndexError, struct.error, UnicodeDecodeError):
            continue
        if found is not None:
            yield found


def _cell(
    pages: Pages, page: bytes, kind: int, place: int, columns: frozenset[int]
) -> tuple[int, Values] | None:
    row = 0
    if kind == _INDEX_INTERIOR:
        place += 4
    size, place = _varint(page, place)
    if kind == _TABLE_LEAF:
        row, place = _varint(page, place)
    if size > _LARGEST:
        raise UnreadableError
    here = _on_page(size, _TABLE_MOST if kind == _TABLE_LEAF else _INDEX_MOST)
    if place + here > PAGE_BYTES:
        raise UnreadableError
    head = page[place : place + here]
    types = _types(head)
    if len(types) not in columns:
        return None
    payload = head
    if here < size:
        payload += _overflow(pages, page[place + here : place + here + 4], size - here)
    if len(payload) != size:
        raise UnreadableError
    return (row - 2**64 if row >= 2**63 else row), _values(payload, types)


def _on_page(size: int, most: int) -> int:
    if size <= most:
        return size
    fitting = _LEAST + (size - _LEAST) % (PAGE_BYTES - 4)
    return fitting if fitting <= most else _LEAST


def _overflow(pages: Pages, pointer: bytes, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        page = pages.page(int.from_bytes(pointer, "big"))
        if len(page) != PAGE_BYTES:
            raise UnreadableError
        parts.append(page[4 : 4 + size])
        size -= len(parts[-1])
        pointer = page[:4]
    return b"".join(parts)


def _types(head: bytes) -> list[int]:
    """The types in a record's head; none where they do not fit on the page."""
    size, place = _varint(head, 0)
    types: list[int] = []
    if size > len(head):
        return types
    while place < size:
        kind, place = _varint(head, place)
        types.append(kind)
    return types


def _values(payload: bytes, types: list[int]) -> Values:
    place, _ = _varint(payload, 0)
    values: Values = []
    for kind in types:
        if kind >= 12:
            end = place + (kind - 12) // 2
            raw = payload[place:end]
            values.append(raw.decode() if kind % 2 else raw)
        elif kind == 7:
            end = place + 8
            values.append(struct.unpack(">d", payload[place:end])[0])
        elif kind in _INTEGER_BYTES:
            end = place + _INTEGER_BYTES[kind]
            values.append(int.from_bytes(payload[place:end], "big", signed=True))
        elif kind in (0, 8, 9):
            end = place
            values.append(None if kind == 0 else kind - 8)
        else:
            raise UnreadableError
        place = end
    if place != len(payload):
        raise UnreadableError
    return values


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = data[place]
        place += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place
    return value << 8 | data[place], place + 1
