"""How much the store holds."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by table, bytes of the file and its log, and the outermost times (ns)."""

    logs: int
    spans: int
    points: int
    bytes: int
    oldest: int | None
    newest: int | None


def read_counts(connection: sqlite3.Connection, path: Path) -> Counts:
    """Count everything."""
    rows = dict(connection.execute("SELECT signal, sum(count) FROM arrival_counts GROUP BY signal"))
    oldest, newest = connection.execute(
        "SELECT min(id), max(id) FROM (SELECT min(id) AS id FROM logs UNION ALL"
        " SELECT max(id) FROM logs UNION ALL SELECT min(id) FROM spans"
        " UNION ALL SELECT max(id) FROM spans)"
    ).fetchone()
    return Counts(
        logs=rows.get("logs", 0),
        spans=rows.get("spans", 0),
        points=rows.get("points", 0),
        bytes=file_bytes(connection, path),
        oldest=None if oldest is None else oldest * 1000,
        newest=None if newest is None else newest * 1000,
    )


def file_bytes(connection: sqlite3.Connection, path: Path) -> int:
    """The size of the database and of the log ahead of it."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    try:
        wal = path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        wal = 0
    return int(pages * page_size + wal)
