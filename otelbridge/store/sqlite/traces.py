"""Reading traces."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from otelbridge.model import STATUS_ERROR, Attributes
from otelbridge.search.query import Query
from otelbridge.store.protocol import StoredSpan, TimeRange, Trace, TraceSummary
from otelbridge.store.sqlite.attribute_sets import SetReader, scope_of_row
from otelbridge.store.sqlite.connections import DamagedRowError
from otelbridge.store.sqlite.json_text import loads
from otelbridge.store.sqlite.logs import read_trace_logs
from otelbridge.store.sqlite.matching import id_range, matching
from otelbridge.store.sqlite.rows import SPAN_SELECTION, Row, span_record

_VARIABLES = 500
# A trace larger than this is shown by its first spans and logs.
_MOST_SPANS = 20_000
_MOST_LOGS = 20_000

_STATUS_NAMES = ("http.response.status_code", "http.status_code")


def read_trace(connection: sqlite3.Connection, sets: SetReader, trace_id: bytes) -> Trace | None:
    """A whole trace with its logs, or ``None`` where nothing of it is known."""
    rows = connection.execute(
        f"SELECT {SPAN_SELECTION} FROM spans AS r WHERE r.trace_id = ? ORDER BY r.id LIMIT ?",
        (trace_id, _MOST_SPANS),
    ).fetchall()
    logs = read_trace_logs(connection, sets, trace_id, _MOST_LOGS)
    if not rows and not logs:
        return None
    return Trace(trace_id, stored_spans(connection, sets, rows), logs)


def stored_spans(
    connection: sqlite3.Connection, sets: SetReader, rows: Sequence[Row]
) -> list[StoredSpan]:
    """Make spans of rows."""
    numbers: set[int] = set()
    for row in rows:
        numbers.update(row[11:13])
        if row[18] is not None:
            numbers.add(row[18])
    known = sets.load(connection, numbers)
    spans = []
    for row in rows:
        try:
            scope = scope_of_row(known, row[12])
            origin = None if row[18] is None else known[row[18]].attributes
            record = span_record(row, known[row[11]].attributes, scope, origin)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedRowError(f"malformed span {row[0]}: {error!r}") from error
        spans.append(StoredSpan(row[0], record))
    return spans


def read_traces(
    connection: sqlite3.Connection,
    sets: SetReader,
    query: Query | None,
    within: TimeRange,
    *,
    limit: int,
    before: int | None,
) -> list[TraceSummary]:
    """The newest traces with a matching span; see :meth:`Store.traces`.

    A trace's place in the list, its summary's ``id``, is the newest of its spans that match.
    """
    first, end = id_range(within)
    newest: dict[bytes, int] = {}
    stop = end if before is None else min(end, before)
    earlier: set[bytes] = set()
    found = matching(connection, query, "spans", first, stop)
    rows = connection.execute(
        f"SELECT r.id, r.trace_id FROM {found.source} WHERE {found.where}"
        f" ORDER BY {found.rowid} DESC",
        found.params,
    )
    for id, trace_id in rows:
        if trace_id in newest or trace_id in earlier:
            continue
        if stop < end and _matches_from(connection, query, trace_id, stop, end):
            # It stood on an earlier page, by a newer span.
            earlier.add(trace_id)
            continue
        newest[trace_id] = id
        if len(newest) >= limit:
            break
    rows.close()
    return _summaries(connection, sets, newest)


def _matches_from(
    connection: sqlite3.Connection, query: Query | None, trace_id: bytes, first: int, end: int
) -> bool:
    ids = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM spans WHERE trace_id = ? AND id >= ? AND id < ?",
            (trace_id, first, end),
        )
    ]
    if query is None or not ids:
        return bool(ids)
    found = matching(connection, query, "spans", first, end)
    for start in range(0, len(ids), _VARIABLES):
        part = ids[start : start + _VARIABLES]
        row = connection.execute(
            f"SELECT 1 FROM {found.source} WHERE {found.where}"
            f" AND {found.rowid} IN ({', '.join('?' * len(part))}) LIMIT 1",
            (*found.params, *part),
        ).fetchone()
        if row is not None:
            return True
    return False


def _summaries(
    connection: sqlite3.Connection, sets: SetReader, newest: dict[bytes, int]
) -> list[TraceSummary]:
    summaries: list[TraceSummary] = []
    for trace_id, id in newest.items():
        counted = connection.execute(
            "SELECT resource, count(*), sum(status = ?), min(time), max(time + duration)"
            " FROM spans WHERE trace_id = ? GROUP BY resource",
            (STATUS_ERROR, trace_id),
        ).fetchall()
        # The root, or without it the span that began first.
        top: tuple[Any, ...] = connection.execute(
            "SELECT time, duration, name, resource, status, attributes, parent_span_id, origin"
            " FROM spans"
            " WHERE trace_id = ? ORDER BY parent_span_id IS NOT NULL, id LIMIT 1",
            (trace_id,),
        ).fetchone()
        known = sets.load(connection, {row[0] for row in counted} | {top[7] or top[3]})
        if top[6] is None:
            time, duration = top[0], top[1]
        else:
            time = min(row[3] for row in counted)
            duration = max(row[4] for row in counted) - time
        summaries.append(
            TraceSummary(
                id=id,
                trace_id=trace_id,
                time=time,
                duration=duration,
                name=top[2],
                service=known[top[3]].service or "",
                services=sorted({known[row[0]].service or "" for row in counted}),
                spans=sum(row[1] for row in counted),
                errors=sum(row[2] for row in counted),
                status_code=top[4],
                http_status=_http_status(
                    top[5], None if top[7] is None else known[top[7]].attributes
                ),
            )
        )
    return summaries


def _http_status(attributes: str | None, origin: Attributes | None) -> int | None:
    found = {**({} if attributes is None else loads(attributes)), **(origin or {})}
    for name in _STATUS_NAMES:
        value = found.get(name)
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.isdecimal():
            return int(value)
    return None
