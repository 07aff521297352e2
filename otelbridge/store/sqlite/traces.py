"""Reading traces."""

from __future__ import annotations

import heapq
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

    A trace's place in the list, its summary's ``id``, is where it began: its root, or without it
    its first span. Spans are walked through from the newest on, and a trace waits until the walk
    has come as far back as its beginning.
    """
    first, end = id_range(within)
    found = matching(connection, query, "spans", first, end)
    # From the end of the range for each page: a trace that began on this one may match later.
    rows = connection.execute(
        f"SELECT r.id, r.trace_id FROM {found.source} WHERE {found.where}"
        f" ORDER BY {found.rowid} DESC",
        found.params,
    )
    seen: set[bytes] = set()
    waiting: list[tuple[int, bytes]] = []
    listed: dict[bytes, int] = {}

    def list_from(id: int) -> bool:
        while waiting and -waiting[0][0] >= id and len(listed) < limit:
            place, trace_id = heapq.heappop(waiting)
            listed[trace_id] = -place
        return len(listed) >= limit

    for id, trace_id in rows:
        if list_from(id):
            break
        if trace_id in seen:
            continue
        seen.add(trace_id)
        place = _beginning(connection, trace_id)
        if before is None or place < before:
            heapq.heappush(waiting, (-place, trace_id))
    rows.close()
    list_from(-1)
    return _summaries(connection, sets, listed)


def _beginning(connection: sqlite3.Connection, trace_id: bytes) -> int:
    (id,) = connection.execute(
        "SELECT id FROM spans WHERE trace_id = ? ORDER BY parent_span_id IS NOT NULL, id LIMIT 1",
        (trace_id,),
    ).fetchone()
    return int(id)


def _summaries(
    connection: sqlite3.Connection, sets: SetReader, listed: dict[bytes, int]
) -> list[TraceSummary]:
    summaries: list[TraceSummary] = []
    for trace_id, id in listed.items():
        counted = connection.execute(
            "SELECT resource, count(*), sum(status = ?), min(time), max(time + duration)"
            " FROM spans WHERE trace_id = ? GROUP BY resource",
            (STATUS_ERROR, trace_id),
        ).fetchall()
        # Where it began: the root, or without it the span that did so first.
        top: tuple[Any, ...] = connection.execute(
            "SELECT time, duration, name, resource, status, attributes, parent_span_id, origin"
            " FROM spans WHERE id = ?",
            (id,),
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
