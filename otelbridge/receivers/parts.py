"""Joining a line that was too long for one datagram.

The parts of a line arrive in any order, late, twice, or never. Memory is bounded; what stays
incomplete is given back as it is, with a mark in every gap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otelbridge.schema import EVENT_SEQUENCE, PART_COUNT, PART_DATA, PART_ID, PART_NUMBER

MAX_PARTS = 65_536
# Bookkeeping of one part, in bytes, beside its text.
_PART_COST = 128
_PART_FIELDS = frozenset({PART_ID, PART_NUMBER, PART_COUNT, PART_DATA, EVENT_SEQUENCE})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a line: ``number`` from 1 to ``count``; ``fields`` name its sender."""

    id: str
    number: int
    count: int
    data: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A line of which parts never came.

    Attributes:
        text: what came, with marks in the gaps.
        fields: what the first part to come said of the sender.
        missing: how many parts did not come.
    """

    sender: str
    id: str
    text: str
    fields: dict[str, Any]
    missing: int
    count: int


@dataclass(slots=True)
class _Pending:
    sender: str
    id: str
    count: int
    fields: dict[str, Any]
    since: float
    parts: dict[int, str] = field(default_factory=dict)
    cost: int = 0


def read_part(fields: dict[str, Any]) -> Part | None:
    """Read a datagram's fields as a part; ``None`` if they are not a well-formed one."""
    id = fields.get(PART_ID)
    number, count, data = fields.get(PART_NUMBER), fields.get(PART_COUNT), fields.get(PART_DATA)
    if (
        isinstance(id, str)
        and type(number) is int
        and type(count) is int
        and isinstance(data, str)
        and 1 <= number <= count <= MAX_PARTS
        and len(id) <= 256
    ):
        rest = {name: value for name, value in fields.items() if name not in _PART_FIELDS}
        return Part(id, number, count, data, rest)
    return None


class Reassembly:
    """Lines of which not every part has come.

    Args:
        max_bytes: memory that waiting parts may take together; the oldest lines give way.
        timeout: seconds a line waits for its parts.
    """

    def __init__(self, max_bytes: int = 16 * 2**20, timeout: float = 5.0) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._pending: dict[tuple[str, str, int], _Pending] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, sender: str, part: Part, now: float) -> str | None:
        """Take a part; returns the whole line once it was the last one missing."""
        key = (sender, part.id, part.count)
        line = self._pending.get(key)
        if line is None:
            line = self._pending[key] = _Pending(sender, part.id, part.count, part.fields, now)
        if part.number not in line.parts:
            cost = 4 * len(part.data) + _PART_COST
            line.parts[part.number] = part.data
            line.cost += cost
            self._bytes += cost
        if len(line.parts) < part.count:
            return None
        self._forget(key)
        return "".join(line.parts[number] for number in range(1, part.count + 1))

    def expire(self, now: float, *, everything: bool = False) -> list[Incomplete]:
        """Give up the lines that waited too long, or have no room.

        Args:
            everything: give up all, as at the end.
        """
        given_up = []
        # In the order of their first parts, so the first that may wait ends the search.
        for key, line in list(self._pending.items()):
            if not (
                everything or now - line.since >= self._timeout or self._bytes > self._max_bytes
            ):
                break
            self._forget(key)
            given_up.append(_incomplete(line))
        return given_up

    def _forget(self, key: tuple[str, str, int]) -> None:
        self._bytes -= self._pending.pop(key).cost


def _incomplete(line: _Pending) -> Incomplete:
    pieces = []
    expected = 1
    for number in sorted(line.parts):
        if number > expected:
            pieces.append(_mark(expected, number - 1, line.count))
        pieces.append(line.parts[number])
        expected = number + 1
    if expected <= line.count:
        pieces.append(_mark(expected, line.count, line.count))
    missing = line.count - len(line.parts)
    return Incomplete(line.sender, line.id, "".join(pieces), line.fields, missing, line.count)


def _mark(first: int, last: int, count: int) -> str:
    which = f"part {first}" if first == last else f"parts {first} to {last}"
    return f"…[lost: {which} of {count}]"
