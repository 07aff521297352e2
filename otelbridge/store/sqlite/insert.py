"""Putting records into the tables: what happens between BEGIN and COMMIT."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.store.sqlite.attribute_sets import SetWriter
from otelbridge.store.sqlite.points import PointWriter
from otelbridge.store.sqlite.rollups import Rollups
from otelbridge.store.sqlite.row_ids import RowIds
from otelbridge.store.sqlite.rows import (
    INSERT_LOG,
    INSERT_SPAN,
    body_columns,
    log_row,
    span_row,
    storable,
)
from otelbridge.store.sqlite.salvage.rows import Restored
from otelbridge.store.sqlite.words import log_words, span_words

_VARIABLES = 500
# Senders may invent attribute names without end; completion needs only so many.
_MOST_NAMES = 5_000


@dataclass(slots=True)
class Added:
    """What one batch of a group added."""

    logs: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)
    points: int = 0
    duplicates: int = 0


class Inserter:
    """Writes groups of batches through one connection and remembers what saves look-ups.

    Call :meth:`insert` within a transaction, then :meth:`committed` or :meth:`rolled_back`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.sets = SetWriter(connection)
        self.points = PointWriter(connection, self.sets)
        self._log_ids = RowIds(connection, "logs")
        self._span_ids = RowIds(connection, "spans")
        self._names = {
            (signal, name)
            for signal, name in connection.execute("SELECT signal, name FROM field_names")
        }
        self._new_names: set[tuple[str, str]] = set()
        # Of records that are restored: by identity their rows and when they arrived (ms).
        self._places: dict[int, tuple[int, int]] = {}

    def restore(self, restored: Restored, now: float) -> Added:
        """Insert records that were stored before, each at its place, unless it is there already.

        Args:
            now: seconds since the epoch.
        """
        self._places = restored.places
        try:
            return self.insert([self._not_here(restored)], now)[0]
        finally:
            self._places = {}

    def _not_here(self, restored: Restored) -> Batch:
        """What is left without the logs that have no id to be known by and stand where they did."""
        batch = restored.batch
        logs = []
        for record in batch.logs:
            if record.uid is None:
                found = self._connection.execute(
                    "SELECT time, body, body_json FROM logs WHERE id = ? AND uid IS NULL",
                    (restored.places[id(record)][0],),
                ).fetchone()
                if found is not None and found == (record.time, *body_columns(record)):
                    continue
            logs.append(record)
        return Batch(logs, batch.spans, batch.points)

    def insert(self, batches: Sequence[Batch], now: float) -> list[Added]:
        """Insert every record of ``batches`` that is not there yet.

        Args:
            now: seconds since the epoch, when they arrived.
        """
        self.sets.begin(int(now))
        self.points.begin()
        received = int(now * 1000)
        places = self._places
        added = [Added() for _ in batches]
        rollups = Rollups()
        logs = [(record, place) for place, b in enumerate(batches) for record in b.logs]
        if logs:
            self._insert_logs(logs, received, rollups, added)
        spans = [(span, place) for place, b in enumerate(batches) for span in b.spans]
        if spans:
            self._insert_spans(spans, received, rollups, added)
        points: list[tuple[MetricPoint, int]] = [
            (point, place) for place, b in enumerate(batches) for point in b.points
        ]
        for point, place in points:
            if self.points.insert(point, places[id(point)][1] if places else received):
                added[place].points += 1
            else:
                added[place].duplicates += 1
        if new_points := sum(one.points for one in added):
            rollups.points(new_points)
        rollups.apply(self._connection, 1)
        self._insert_names()
        return added

    def committed(self) -> None:
        """Remember what the transaction added."""
        self.sets.commit()
        self.points.commit()
        self._names |= self._new_names
        self._new_names.clear()

    def rolled_back(self) -> None:
        """Forget what the transaction added."""
        self.sets.rollback()
        self.points.rollback()
        self._new_names.clear()

    def _insert_logs(
        self,
        logs: list[tuple[LogRecord, int]],
        received: int,
        rollups: Rollups,
        added: list[Added],
    ) -> None:
        known = self._known_uids([record.uid for record, _ in logs if record.uid])
        fresh: list[tuple[LogRecord, int]] = []
        for item in logs:
            uid = item[0].uid
            if uid:
                if uid in known:
                    added[item[1]].duplicates += 1
                    continue
                known.add(uid)
            fresh.append(item)
        # The full-text index takes ids in ascending order within a transaction, or writes a
        # segment for each step back.
        places = self._places
        moment = self._place_of if places else _moment_of
        fresh.sort(key=moment)
        ids = self._log_ids.allocate([moment(item) for item in fresh])
        rows = []
        words = []
        names: set[str] = set()
        for row, (record, place) in zip(ids, fresh, strict=True):
            if places:
                received = places[id(record)][1]
            resource = self.sets.resource(record.resource)
            origin, attributes = self.sets.split(record)
            rows.append(
                log_row(
                    record,
                    id=row,
                    received=received,
                    resource=resource,
                    scope=self.sets.scope(record.scope),
                    origin=origin,
                    attributes=attributes,
                )
            )
            service = record.resource.get("service.name")
            words.append(
                (
                    row,
                    storable(
                        log_words(
                            body=record.body,
                            attributes=record.attributes,
                            severity_number=record.severity_number,
                            service=service if service is None else str(service),
                            logger=record.scope.name,
                            event_name=record.event_name,
                        )
                    ),
                )
            )
            names.update(record.attributes)
            rollups.log(row, received, resource, record.severity_number)
            rollups.error(row, resource, record.attributes)
            added[place].logs.append(row)
        self._connection.executemany(INSERT_LOG, rows)
        self._connection.executemany("INSERT INTO logs_fts (rowid, words) VALUES (?, ?)", words)
        self._note_names("logs", names)

    def _insert_spans(
        self,
        spans: list[tuple[Span, int]],
        received: int,
        rollups: Rollups,
        added: list[Added],
    ) -> None:
        known = self._known_spans([span for span, _ in spans])
        fresh: list[tuple[Span, int]] = []
        for item in spans:
            key = (item[0].trace_id, item[0].span_id)
            if key in known:
                added[item[1]].duplicates += 1
                continue
            known.add(key)
            fresh.append(item)
        places = self._places
        moment = self._place_of if places else _moment_of
        fresh.sort(key=moment)
        ids = self._span_ids.allocate([moment(item) for item in fresh])
        rows = []
        words = []
        names: set[str] = set()
        for row, (span, place) in zip(ids, fresh, strict=True):
            if places:
                received = places[id(span)][1]
            resource = self.sets.resource(span.resource)
            origin, attributes = self.sets.split_span(span)
            rows.append(
                span_row(
                    span,
                    id=row,
                    received=received,
                    resource=resource,
                    scope=self.sets.scope(span.scope),
                    origin=origin,
                    attributes=attributes,
                )
            )
            service = span.resource.get("service.name")
            words.append(
                (
                    row,
                    storable(
                        span_words(
                            name=span.name,
                            attributes=span.attributes,
                            service=service if service is None else str(service),
                            status_message=span.status_message,
                            events=span.events,
                        )
                    ),
                )
            )
            names.update(span.attributes)
            rollups.span(
                row,
                received,
                resource,
                kind=span.kind,
                parent_span_id=span.parent_span_id,
                status=span.status_code,
                duration=span.duration,
            )
            added[place].spans.append(row)
        self._connection.executemany(INSERT_SPAN, rows)
        self._connection.executemany("INSERT INTO spans_fts (rowid, words) VALUES (?, ?)", words)
        self._note_names("spans", names)

    def _place_of(self, item: tuple[LogRecord | Span, int]) -> int:
        return self._places[id(item[0])][0]

    def _known_uids(self, uids: list[bytes]) -> set[bytes]:
        found: set[bytes] = set()
        for start in range(0, len(uids), _VARIABLES):
            part = uids[start : start + _VARIABLES]
            found.update(
                row[0]
                for row in self._connection.execute(
                    f"SELECT uid FROM logs WHERE uid IN ({', '.join('?' * len(part))})", part
                )
            )
        return found

    def _known_spans(self, spans: list[Span]) -> set[tuple[bytes, bytes]]:
        found: set[tuple[bytes, bytes]] = set()
        for start in range(0, len(spans), _VARIABLES):
            part = spans[start : start + _VARIABLES]
            values: list[bytes] = []
            for span in part:
                values += (span.trace_id, span.span_id)
            found.update(
                self._connection.execute(
                    # A join, because (trace_id, span_id) IN (...) does not use the index.
                    f"WITH wanted (a, b) AS (VALUES {', '.join(['(?, ?)'] * len(part))})"
                    " SELECT a, b FROM wanted CROSS JOIN spans ON trace_id = a AND span_id = b",
                    values,
                ).fetchall()
            )
        return found

    def _note_names(self, signal: str, names: set[str]) -> None:
        for name in names:
            key = (signal, storable(name))
            if key not in self._names and len(self._names) < _MOST_NAMES:
                self._new_names.add(key)

    def _insert_names(self) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO field_names (signal, name) VALUES (?, ?)", self._new_names
        )


def _moment_of(item: tuple[LogRecord | Span, int]) -> int:
    return item[0].time // 1000
