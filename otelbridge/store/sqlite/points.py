"""Metric points on their way in: series are numbered once, points go under the number."""

from __future__ import annotations

import sqlite3
from typing import Any

from otelbridge.model import MetricPoint
from otelbridge.store.sqlite.attribute_sets import SetWriter
from otelbridge.store.sqlite.json_text import dumps, dumps_sorted
from otelbridge.store.sqlite.rows import storable

_MOST_REMEMBERED = 50_000


class PointWriter:
    """Inserts points inside the writer's transactions."""

    def __init__(self, connection: sqlite3.Connection, sets: SetWriter) -> None:
        self._connection = connection
        self._sets = sets
        self._known: dict[Any, int] = {}
        self._new: dict[Any, int] = {}

    def begin(self) -> None:
        self._new.clear()

    def commit(self) -> None:
        if len(self._known) + len(self._new) > _MOST_REMEMBERED:
            self._known.clear()
        self._known.update(self._new)
        self._new.clear()

    def rollback(self) -> None:
        self._new.clear()

    def forget(self) -> None:
        """Forget everything: rows of ``series`` may have gone."""
        self._known.clear()
        self._new.clear()

    def insert(self, point: MetricPoint, received: int) -> bool:
        """Insert a point; whether it was not there yet.

        Args:
            received: milliseconds since the epoch.
        """
        detail = dict(point.detail) if point.detail else {}
        if point.start_time:
            detail["start_time"] = point.start_time
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO points (series, time, received, value, count, detail)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                self._series(point),
                point.time,
                received,
                point.value,
                point.count,
                dumps(detail) if detail else None,
            ),
        )
        return cursor.rowcount == 1

    def _series(self, point: MetricPoint) -> int:
        resource = self._sets.resource(point.resource)
        scope = self._sets.scope(point.scope)
        key = (
            storable(point.name),
            resource,
            scope,
            dumps_sorted(point.attributes),
            point.type,
            point.temporality,
            int(point.monotonic),
            storable(point.unit),
        )
        found = self._known.get(key) or self._new.get(key)
        if found is not None:
            return found
        row = self._connection.execute(
            "SELECT id FROM series WHERE name = ? AND resource = ? AND scope = ?"
            " AND attributes = ? AND type = ? AND temporality = ? AND monotonic = ? AND unit = ?",
            key,
        ).fetchone()
        if row is not None:
            number = int(row[0])
        else:
            inserted = self._connection.execute(
                "INSERT INTO series (name, resource, scope, attributes, type, temporality,"
                " monotonic, unit, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, storable(point.description)),
            ).lastrowid
            assert inserted is not None
            number = inserted
        self._new[key] = number
        return number
