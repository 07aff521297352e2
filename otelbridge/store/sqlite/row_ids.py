"""Row ids: a record's time in microseconds, or the next number that is free."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_MOST_HINTS = 50_000
_VARIABLES = 500


class RowIds:
    """Gives out the ids of one table inside the writer's transactions.

    Senders whose clock stands still, or counts only seconds, pile many records on one
    microsecond. ``_hints`` remembers where the pile above such a microsecond ended, so that the
    next record need not walk over it. A hint that outlives a rollback only skips free ids.
    """

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        self._connection = connection
        self._table = table
        self._hints: dict[int, int] = {}

    def allocate(self, moments: Sequence[int]) -> list[int]:
        """Give an id to each of ``moments`` (µs, ascending); the ids ascend strictly."""
        hints = self._hints
        ids = []
        last = -1
        for moment in moments:
            wanted = hints.get(moment, moment)
            last = wanted if wanted > last else last + 1
            ids.append(last)
        taken = self._taken(ids)
        if taken:
            self._move(ids, taken)
        if len(hints) > _MOST_HINTS:
            hints.clear()
        for moment, id in zip(moments, ids, strict=True):
            if id != moment:
                hints[moment] = id + 1
        return ids

    def _taken(self, ids: list[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(ids), _VARIABLES):
            part = ids[start : start + _VARIABLES]
            found.update(
                row[0]
                for row in self._connection.execute(
                    f"SELECT id FROM {self._table} WHERE id IN ({', '.join('?' * len(part))})",
                    part,
                )
            )
        return found

    def _move(self, ids: list[int], taken: set[int]) -> None:
        last = -1
        for index, id in enumerate(ids):
            if id <= last:
                id = last + 1
                moved = True
            else:
                moved = id in taken
            if moved:
                id = self._first_free(id)
            ids[index] = last = id

    def _first_free(self, id: int) -> int:
        limit = 16
        while True:
            rows = self._connection.execute(
                f"SELECT id FROM {self._table} WHERE id >= ? ORDER BY id LIMIT ?", (id, limit)
            ).fetchall()
            for (used,) in rows:
                if used != id:
                    return id
                id += 1
            if len(rows) < limit:
                return id
            limit = min(limit * 4, 4096)
