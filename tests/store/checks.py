"""Whether what a store keeps beside its rows agrees with the rows."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

from otelbridge.store.sqlite.kql_tokens import tokens
from otelbridge.store.sqlite.removal import _read_logs, _read_spans
from otelbridge.store.sqlite.rollups import Rollups, duration_step


def assert_consistent(path: Path) -> None:
    """Compare roll-ups and full-text indexes with the rows, and let SQLite check the file."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        _assert_rollups(connection)
        _assert_errors(connection)
        for signal, read in (("logs", _read_logs), ("spans", _read_spans)):
            _assert_words(connection, signal, read)
    finally:
        connection.close()


def _assert_rollups(connection: sqlite3.Connection) -> None:
    logs: Counter[tuple[int, ...]] = Counter()
    spans: Counter[tuple[int, ...]] = Counter()
    arrivals: Counter[tuple[object, ...]] = Counter()
    for id, received, resource, severity in connection.execute(
        "SELECT id, received, resource, severity FROM logs"
    ):
        logs[id // 10**7 * 10, resource, severity] += 1
        arrivals["logs", received // 60_000, id // 60_000_000] += 1
    for id, received, resource, kind, parent, status, duration in connection.execute(
        "SELECT id, received, resource, kind, parent_span_id, status, duration FROM spans"
    ):
        if kind in (2, 5) or parent is None:
            spans[id // 10**7 * 10, resource, int(status == 2), duration_step(duration)] += 1
        arrivals["spans", received // 60_000, id // 60_000_000] += 1
    (points,) = connection.execute("SELECT count(*) FROM points").fetchone()
    if points:
        arrivals["points", 0, 0] = points
    for table, expected in (
        ("log_counts", by_width(logs)),
        ("span_counts", by_width(spans)),
        ("arrival_counts", arrivals),
    ):
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()
        assert {row[:-1]: row[-1] for row in rows} == dict(expected), table


def _assert_errors(connection: sqlite3.Connection) -> None:
    expected = set()
    for id, resource, attributes in connection.execute(
        "SELECT id, resource, attributes FROM logs WHERE attributes IS NOT NULL"
    ):
        own = json.loads(attributes)
        group = own.get("otelbridge.fingerprint") or own.get("exception.type")
        if isinstance(group, str) and group:
            expected.add((group, id, resource))
    found = {
        (group.removeprefix("type:"), id, resource)
        for group, id, resource in connection.execute(
            "SELECT fingerprint, id, resource FROM errors"
        )
    }
    assert found == expected


def by_width(counts: Counter[tuple[int, ...]]) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    for (step, *rest), count in counts.items():
        for width in (10, 600, 3600):
            key = (width, step - step % width, *rest)
            found[key] += count
    return found


def _assert_words(connection: sqlite3.Connection, signal: str, read) -> None:
    ids = [row[0] for row in connection.execute(f"SELECT id FROM {signal} ORDER BY id")]
    expected = {
        (word, id)
        for start in range(0, len(ids), 500)
        for id, text in read(connection, ids[start : start + 500], Rollups())
        for word in tokens(text)
    }
    connection.execute(
        f"CREATE VIRTUAL TABLE temp.{signal}_terms USING fts5vocab(main, {signal}_fts, instance)"
    )
    found = set(connection.execute(f"SELECT term, doc FROM temp.{signal}_terms"))
    assert found == expected
