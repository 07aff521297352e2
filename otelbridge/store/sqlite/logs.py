"""Reading logs."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from otelbridge.search.query import Query
from otelbridge.store.protocol import StoredLog, TimeRange
from otelbridge.store.sqlite.attribute_sets import SetReader, scope_of_row
from otelbridge.store.sqlite.connections import DamagedRowError
from otelbridge.store.sqlite.histogram import count_all, count_match
from otelbridge.store.sqlite.matching import Matching, id_range, matching, newest_first
from otelbridge.store.sqlite.rows import LOG_SELECTION, Row, log_record

_VARIABLES = 500
# Ids that lie together: no further apart than this many microseconds, on the average.
_TOGETHER = 100_000


def read_logs(
    connection: sqlite3.Connection,
    sets: SetReader,
    query: Query | None,
    within: TimeRange,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    ids: Sequence[int] | None = None,
) -> list[StoredLog]:
    """The newest matching logs, newest first; see :meth:`Store.logs`."""
    first, end = id_range(within)
    if after is not None:
        first = max(first, after + 1)
    if before is not None:
        end = min(end, before)
    if ids is None:
        rows = _select(connection, query, first, end, limit)
    else:
        wanted = sorted((id for id in set(ids) if first <= id < end), reverse=True)
        rows = []
        for start in range(0, len(wanted), _VARIABLES):
            if len(rows) >= limit:
                break
            rows += _select(
                connection,
                query,
                first,
                end,
                limit - len(rows),
                wanted[start : start + _VARIABLES],
            )
    return stored_logs(connection, sets, rows)


def _select(
    connection: sqlite3.Connection,
    query: Query | None,
    first: int,
    end: int,
    limit: int,
    ids: Sequence[int] | None = None,
) -> list[Row]:
    if ids:
        first, end = max(first, ids[-1]), min(end, ids[0] + 1)
    rows: list[Row] = []
    for found in newest_first(connection, query, "logs", first, end):
        rows += _newest(connection, found, limit - len(rows), ids)
        if len(rows) >= limit:
            break
    return rows


def _newest(
    connection: sqlite3.Connection, found: Matching, limit: int, ids: Sequence[int] | None
) -> list[Row]:
    among = ""
    if ids:
        # The full-text index would be asked once for each id. Of those that lie together, as those
        # just stored do, it is quicker to ask it once and to pick out; the sign makes SQLite do so.
        together = found.match is not None and ids[0] - ids[-1] <= _TOGETHER * len(ids)
        among = f" AND {'+' * together}{found.rowid} IN ({', '.join('?' * len(ids))})"
    return connection.execute(
        f"SELECT {LOG_SELECTION} FROM {found.source} WHERE {found.where}{among}"
        f" ORDER BY {found.rowid} DESC LIMIT ?",
        (*found.params, *(ids or ()), limit),
    ).fetchall()


def read_log(connection: sqlite3.Connection, sets: SetReader, id: int) -> StoredLog | None:
    """One log."""
    rows = connection.execute(
        f"SELECT {LOG_SELECTION} FROM logs AS r WHERE r.id = ?", (id,)
    ).fetchall()
    found = stored_logs(connection, sets, rows)
    return found[0] if found else None


def read_trace_logs(
    connection: sqlite3.Connection, sets: SetReader, trace_id: bytes, limit: int
) -> list[StoredLog]:
    """The logs of a trace in time's order, the first ``limit`` of them."""
    rows = connection.execute(
        f"SELECT {LOG_SELECTION} FROM logs AS r WHERE r.trace_id = ? ORDER BY r.id LIMIT ?",
        (trace_id, limit),
    ).fetchall()
    return stored_logs(connection, sets, rows)


def stored_logs(
    connection: sqlite3.Connection, sets: SetReader, rows: Sequence[Row]
) -> list[StoredLog]:
    """Make records of rows."""
    numbers: set[int] = set()
    for row in rows:
        numbers.update(row[8:10])
        if row[10] is not None:
            numbers.add(row[10])
    known = sets.load(connection, numbers)
    logs = []
    for row in rows:
        try:
            origin = None if row[10] is None else known[row[10]].attributes
            scope = scope_of_row(known, row[9])
            record = log_record(row, known[row[8]].attributes, scope, origin)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedRowError(f"malformed log {row[0]}: {error!r}") from error
        logs.append(StoredLog(row[0], record))
    return logs


def count(connection: sqlite3.Connection, query: Query | None, within: TimeRange) -> int:
    """How many logs match."""
    first, end = id_range(within)
    if query is None:
        return count_all(connection, first, end)
    found = matching(connection, query, "logs", first, end)
    if found.exact and found.match is not None:
        return count_match(connection, found.match, first, end)
    row: tuple[Any, ...] = connection.execute(
        f"SELECT count(*) FROM {found.source} WHERE {found.where}", found.params
    ).fetchone()
    return int(row[0])
