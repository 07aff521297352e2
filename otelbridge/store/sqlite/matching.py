"""From a query to the tables and conditions of a SELECT over the rows that match."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from otelbridge.search.query import Query
from otelbridge.store.protocol import Signal, TimeRange
from otelbridge.store.sqlite.kql import compile_query, resource_names

# The largest time that can be asked for, and the largest id there can be.
_END_OF_TIME: Final = 2**63 - 1


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
        return Matching(
            f"{signal} AS r", "r.id >= ? AND r.id < ?", (first, end), "r.id", None, True
        )
    compiled = compile_query(
        query, signal, resource_names=resource_names(connection), ids=(first, end)
    )
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
