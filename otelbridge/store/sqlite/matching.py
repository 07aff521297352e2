"""From a query to the tables and conditions of a SELECT over the rows that match."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from otelbridge.search.query import Query
from otelbridge.store.protocol import Signal, TimeRange
from otelbridge.store.sqlite.kql import Compiled, compile_query, resource_names
from otelbridge.store.sqlite.kql_index import has_prefix

# The largest time that can be asked for, and the largest id there can be.
_END_OF_TIME: Final = 2**63 - 1
# A compiled query, the signal, and the range of ids that it is asked for.
_Part: TypeAlias = "tuple[Compiled, Signal, int, int]"

# So many rows are tested in a few milliseconds.
_FEW: Final = 1_000


@dataclass(frozen=True, slots=True)
class Matching:
    """Rows of one table in an id range that match a query.

    Attributes:
        source: what follows FROM; the row's alias is ``r``.
        where: what follows WHERE, with ``params`` for its marks.
        rowid: the id to order by, so that either table is read in its own order.
        match: the question to the full-text index, ``None`` where it is not asked.
        exact: the index alone decides: no condition on the row itself but its id.
    """

    source: str
    where: str
    params: tuple[Any, ...]
    rowid: str
    match: str | None
    exact: bool


def id_range(within: TimeRange) -> tuple[int, int]:
    """The ids of a time range, first included and last excluded; exact to the microsecond.

    A range to the end of time has no last id: one may have been moved past it to be free.
    """
    if within.end >= _END_OF_TIME:
        return max(within.start, 0) // 1000, _END_OF_TIME
    return max(within.start, 0) // 1000, -(-max(within.end, 0) // 1000)


def matching(
    connection: sqlite3.Connection, query: Query | None, signal: Signal, first: int, end: int
) -> Matching:
    """Say how to find the rows with ids from ``first`` to before ``end`` that match."""
    if query is None:
        return _every_row(signal, first, end)
    # The question for the last part is right for all of them.
    compiled, *_ = _parts(connection, query, signal, first, end)[-1]
    return _rows(compiled, signal, first, end)


def newest_first(
    connection: sqlite3.Connection, query: Query | None, signal: Signal, first: int, end: int
) -> list[Matching]:
    """The same in parts that follow one another, the newest first, for who may not need them all.

    The question for a later part may cost more to ask, however few rows are read of its answer.
    """
    if query is None:
        return [_every_row(signal, first, end)]
    return [_rows(*part) for part in _parts(connection, query, signal, first, end)]


def _parts(
    connection: sqlite3.Connection, query: Query, signal: Signal, first: int, end: int
) -> list[_Part]:
    """Divide a range, newest first, by what the index is best asked in each part.

    For the beginning of a word the index merges every word that has it, over all that is stored,
    whatever the range. So it is asked for whole words only as far as the rows that these propose,
    which are then tested, are few.
    """
    names = resource_names(connection)
    compiled = compile_query(query, signal, resource_names=names, ids=(first, end))
    if compiled.match is None or not has_prefix(compiled.match):
        return [(compiled, signal, first, end)]
    by_words = compile_query(query, signal, resource_names=names, ids=(first, end), prefixes=False)
    if by_words.match is None:
        return [(compiled, signal, first, end)]
    index = f"{signal}_fts"
    beyond = connection.execute(
        f"SELECT rowid FROM {index} WHERE {index} MATCH ? AND rowid >= ? AND rowid < ?"
        " ORDER BY rowid DESC LIMIT 1 OFFSET ?",
        (by_words.match, first, end, _FEW),
    ).fetchone()
    if beyond is None:
        return [(by_words, signal, first, end)]
    place = beyond[0] + 1
    return [(by_words, signal, place, end), (compiled, signal, first, place)]


def _every_row(signal: Signal, first: int, end: int) -> Matching:
    return Matching(f"{signal} AS r", "r.id >= ? AND r.id < ?", (first, end), "r.id", None, True)


def _rows(compiled: Compiled, signal: Signal, first: int, end: int) -> Matching:
    if compiled.match is None:
        return Matching(
            f"{signal} AS r",
            f"r.id >= ? AND r.id < ? AND ({compiled.where})",
            (first, end, *compiled.params),
            "r.id",
            None,
            False,
        )
    index = f"{signal}_fts"
    # CROSS JOIN fixes the order: the index proposes, the row confirms.
    return Matching(
        f"{index} CROSS JOIN {signal} AS r ON r.id = {index}.rowid",
        f"{index} MATCH ? AND {index}.rowid >= ? AND {index}.rowid < ? AND ({compiled.where})",
        (compiled.match, first, end, *compiled.params),
        f"{index}.rowid",
        compiled.match,
        compiled.where == "1",
    )
