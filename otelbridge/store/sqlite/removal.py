"""Taking records out: the row, its words, and its share of the counts, in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from otelbridge.store.protocol import Signal
from otelbridge.store.sqlite.arrival_clock import ArrivalClock
from otelbridge.store.sqlite.json_text import loads
from otelbridge.store.sqlite.rollups import Rollups
from otelbridge.store.sqlite.rows import span_events
from otelbridge.store.sqlite.tables import ROLLUP_WIDTHS
from otelbridge.store.sqlite.words import log_words, span_words

SIGNALS: Final[tuple[Signal, ...]] = ("logs", "spans")

# Rows in one transaction: about 10 ms of work.
_CHUNK = 250


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def arrived(
    connection: sqlite3.Connection,
    signal: Signal,
    received: tuple[int, int],
    ids: tuple[int, int],
    limit: int = _CHUNK,
) -> list[int]:
    """A chunk of the ids in a range whose rows arrived within another.

    Args:
        received: milliseconds since the epoch; the last is excluded, here and in ``ids``.
    """
    return [
        row[0]
        for row in connection.execute(
            f"SELECT id FROM {signal} WHERE id >= ? AND id < ? AND received >= ? AND received < ?"
            " ORDER BY id LIMIT ?",
            (*ids, *received, limit),
        )
    ]


def arrivals(
    connection: sqlite3.Connection, signal: Signal, cutoff: int, clock: ArrivalClock
) -> list[tuple[int, int]]:
    """Minutes of arrival and of ids in which rows that came before ``cutoff`` (ms) may be."""
    latest = cutoff if clock.is_plain else 2**62
    rows: list[tuple[int, int]] = connection.execute(
        "SELECT received, minute FROM arrival_counts WHERE signal = ? AND received <= ?"
        " ORDER BY received, minute",
        (signal, latest // 60_000),
    ).fetchall()
    if clock.is_plain:
        return rows
    return [row for row in rows if row[0] * 60_000 + clock.step(row[0] * 60_000) <= cutoff]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Rows that came before all others.

    Attributes:
        received: when, in milliseconds since the epoch; the beginning of that minute.
    """

    signal: Signal
    ids: list[int]
    received: int


def first_arrived(connection: sqlite3.Connection, clock: ArrivalClock) -> Arrived | None:
    """A chunk of the rows that arrived first, of logs or of spans; ``None`` without any."""
    heads: list[tuple[int, int, int, Signal, int]] = []
    for signal in SIGNALS:
        found = _first_minute(connection, signal, clock)
        if found is None:
            continue
        received, minute = found
        start = minute * 60_000_000
        chunk = arrived(connection, signal, _minute(received), (start, start + 60_000_000), limit=1)
        age = received * 60_000 + clock.step(received * 60_000)
        heads.append((age, minute, chunk[0] if chunk else start, signal, received))
    if not heads:
        return None
    heads.sort()
    age, minute, first, signal, received = heads[0]
    end = (minute + 1) * 60_000_000
    if len(heads) > 1 and heads[1][:2] == (age, minute) and heads[1][2] > first:
        # Not past the other signal's first, so that both grow old together.
        end = heads[1][2]
    ids = arrived(connection, signal, _minute(received), (first, end))
    return Arrived(signal, ids, received * 60_000)


def _minute(received: int) -> tuple[int, int]:
    return received * 60_000, (received + 1) * 60_000


def _first_minute(
    connection: sqlite3.Connection, signal: Signal, clock: ArrivalClock
) -> tuple[int, int] | None:
    if clock.is_plain:
        row = connection.execute(
            "SELECT received, minute FROM arrival_counts WHERE signal = ?"
            " ORDER BY received, minute LIMIT 1",
            (signal,),
        ).fetchone()
        return None if row is None else (row[0], row[1])
    rows: list[tuple[int, int]] = connection.execute(
        "SELECT received, min(minute) FROM arrival_counts WHERE signal = ? GROUP BY received",
        (signal,),
    ).fetchall()
    return min(rows, key=lambda row: row[0] * 60_000 + clock.step(row[0] * 60_000), default=None)


def remove(connection: sqlite3.Connection, signal: Signal, ids: Sequence[int]) -> int:
    """Remove rows by ascending id, with their words and counts; how many there were."""
    if not ids:
        return 0
    rollups = Rollups()
    read: Callable[[sqlite3.Connection, Sequence[int], Rollups], list[tuple[int, str]]]
    read = _read_logs if signal == "logs" else _read_spans
    with _transaction(connection):
        words = read(connection, ids, rollups)
        connection.executemany(
            f"INSERT INTO {signal}_fts ({signal}_fts, rowid, words) VALUES ('delete', ?, ?)", words
        )
        connection.executemany(f"DELETE FROM {signal} WHERE id = ?", [(id,) for id, _ in words])
        rollups.apply(connection, -1)
    return len(words)


def _read_logs(
    connection: sqlite3.Connection, ids: Sequence[int], rollups: Rollups
) -> list[tuple[int, str]]:
    words = []
    counted = []
    for row in connection.execute(
        "SELECT r.id, r.received, r.resource, r.severity, r.body, r.body_json, r.attributes,"
        " o.attributes, s.service, c.attributes, r.event_name"
        " FROM logs AS r JOIN attribute_sets AS s ON s.id = r.resource"
        " JOIN attribute_sets AS c ON c.id = r.scope"
        " LEFT JOIN attribute_sets AS o ON o.id = r.origin"
        f" WHERE r.id IN ({', '.join('?' * len(ids))}) ORDER BY r.id",
        ids,
    ):
        id, received, resource, severity, body, body_json, attributes, origin, service = row[:9]
        counted.append((id, received, resource, severity))
        own = {} if attributes is None else loads(attributes)
        if origin is not None:
            own.update(loads(origin))
        rollups.error(id, resource, own)
        text = log_words(
            body=body if body_json is None else loads(body),
            attributes=own,
            severity_number=severity,
            service=service,
            logger=loads(row[9])["name"],
            event_name=row[10] or "",
        )
        words.append((id, text))
    rollups.logs(counted)
    return words


def _read_spans(
    connection: sqlite3.Connection, ids: Sequence[int], rollups: Rollups
) -> list[tuple[int, str]]:
    words = []
    for row in connection.execute(
        "SELECT r.id, r.received, r.resource, r.kind, r.parent_span_id, r.status, r.duration,"
        " r.name, r.attributes, s.service, r.status_message, r.events, o.attributes"
        " FROM spans AS r JOIN attribute_sets AS s ON s.id = r.resource"
        " LEFT JOIN attribute_sets AS o ON o.id = r.origin"
        f" WHERE r.id IN ({', '.join('?' * len(ids))}) ORDER BY r.id",
        ids,
    ):
        id, received, resource, kind, parent, status, duration, name, attributes = row[:9]
        rollups.span(
            id,
            received,
            resource,
            kind=kind,
            parent_span_id=parent,
            status=status,
            duration=duration,
        )
        own = {} if attributes is None else loads(attributes)
        if row[12] is not None:
            own.update(loads(row[12]))
        text = span_words(
            name=name,
            attributes=own,
            service=row[9],
            status_message=row[10] or "",
            events=span_events(row[11]),
        )
        words.append((id, text))
    return words


def series(connection: sqlite3.Connection) -> list[int]:
    """The numbers of all series."""
    return [row[0] for row in connection.execute("SELECT id FROM series")]


def remove_points_by_age(connection: sqlite3.Connection, series: int, cutoff: int, now: int) -> int:
    """Remove a series' points that came before ``cutoff``; how many.

    Points with a time between ``cutoff`` and ``now`` are not looked at, so that a pass reads no
    more than it removes: one whose sender's clock was ahead goes when its own time is old.

    Args:
        cutoff: milliseconds since the epoch.
        now: the same.
    """
    return _remove_points(
        connection,
        "series = ? AND received < ? AND (time <= ? OR time > ?)",
        (series, cutoff, cutoff * 1_000_000, now * 1_000_000),
    )


def remove_points_before(connection: sqlite3.Connection, received: int) -> int:
    """Remove the points of all series that came, and are, before ``received`` (ms); how many."""
    return _remove_points(
        connection,
        "series IN (SELECT id FROM series) AND time < ? AND received < ?",
        (received * 1_000_000, received),
    )


def remove_oldest_points(connection: sqlite3.Connection) -> int:
    """Remove the oldest twentieth of the time that points cover; how many points."""
    oldest, newest = connection.execute("SELECT min(time), max(time) FROM points").fetchone()
    if oldest is None:
        return 0
    return _remove_points(connection, "time <= ?", (oldest + (newest - oldest) // 20,))


def _remove_points(connection: sqlite3.Connection, where: str, values: tuple[int, ...]) -> int:
    with _transaction(connection):
        removed = connection.execute(f"DELETE FROM points WHERE {where}", values).rowcount
        if removed:
            rollups = Rollups()
            rollups.points(removed)
            rollups.apply(connection, -1)
    return removed


def remove_unused_sets(connection: sqlite3.Connection, cutoff: int) -> bool:
    """Remove series without points, and sets that no row can name any more; whether there were.

    Args:
        cutoff: seconds since the epoch; all rows that came before it have been removed.
    """
    with _transaction(connection):
        gone = connection.execute(
            "DELETE FROM series WHERE NOT EXISTS"
            " (SELECT 1 FROM points WHERE points.series = series.id)"
        ).rowcount
        # "used" is the hour in which a set was last written.
        gone += connection.execute(
            "DELETE FROM attribute_sets WHERE used + 3600 < ?"
            " AND id NOT IN (SELECT resource FROM series)"
            " AND id NOT IN (SELECT scope FROM series)"
            " AND id NOT IN (SELECT resource FROM log_counts WHERE width = ?)"
            " AND id NOT IN (SELECT resource FROM span_counts WHERE width = ?)",
            (cutoff, ROLLUP_WIDTHS[-1], ROLLUP_WIDTHS[-1]),
        ).rowcount
    return gone > 0


def used_bytes(connection: sqlite3.Connection) -> int:
    """The size of the file without its free pages."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * page_size)
