"""A line longer than a datagram, as numbered parts that are each a JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from otelbridge.records.uid import new_uid
from otelbridge.schema import EVENT_SEQUENCE, PART_COUNT, PART_DATA, PART_ID, PART_NUMBER

# Stands for a number not known yet where room is kept for it.
_LONGEST_NUMBER = 2**53


def split_line(line: str, max_bytes: int, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split a line into parts, each to be sent with an ``event.sequence`` of its own.

    Args:
        line: the text; the parts' ``otelbridge.part.data``, joined in order, are it again.
        max_bytes: the largest datagram, at least 512.
        fields: what each part says of its sender; left out where that would leave less than a
            quarter of a datagram for the line.

    Returns:
        JSON objects of at most ``max_bytes`` bytes, the sequence number to be added included.
    """
    part: dict[str, Any] = {
        PART_ID: new_uid(),
        PART_NUMBER: _LONGEST_NUMBER,
        PART_COUNT: _LONGEST_NUMBER,
        EVENT_SEQUENCE: _LONGEST_NUMBER,
        PART_DATA: "",
    }
    if len(orjson.dumps({**fields, **part})) <= max_bytes * 3 // 4:
        part = {**fields, **part}
    room = max_bytes - len(orjson.dumps(part))
    slices = list(_slices(line, room))
    return [
        {**part, PART_NUMBER: number, PART_COUNT: len(slices), PART_DATA: data}
        for number, data in enumerate(slices, start=1)
    ]


def _slices(text: str, room: int) -> Iterator[str]:
    """Cut a text so that each slice, written as JSON, takes at most ``room`` bytes."""
    start = 0
    length = room
    while start < len(text):
        data = text[start : start + length]
        size = len(orjson.dumps(data)) - 2
        if size > room and len(data) > 1:
            # As many characters as fit if they are alike, and a little less, since they are not.
            length = max(1, min(len(data) - 1, len(data) * room * 15 // (size * 16)))
            continue
        yield data
        start += len(data)
        # The next slice is probably like this one.
        length = max(1, len(data) * room // max(size, 1))
