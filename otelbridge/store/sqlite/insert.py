"""Putting records into the tables: what happens between BEGIN and COMMIT."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from otelbridge import schema
from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.store.sqlite.attribute_sets import SetWriter
from otelbridge.store.sqlite.bulk import BulkInsert
from otelbridge.store.sqlite.points import PointWriter
from otelbridge.store.sqlite.rollups import Rollups
from otelbridge.store.sqlite.row_ids import RowIds
from otelbridge.store.sqlite.rows import (
    LOG_COLUMNS,
    SPAN_COLUMNS,
    body_columns,
    log_row,
    span_row,
    storable,
)
from otelbridge.store.sqlite.salvage.rows import Restored
from otelbridge.store.sqlite.words import log_head_words, span_words, value_words

_LOGS = BulkInsert("logs", LOG_COLUMNS)
_SPANS = BulkInsert("spans", SPAN_COLUMNS)

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


class _Shared(NamedTuple):
    """What logs of one resource, scope, level and event have in common.

    Attributes:
        level: the usual name of their severity number.
    """

    resource: int
    scope: int
    level: str
    words: str


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
        fresh = self._new_logs(logs, added)
        moments, order = self._in_order(fresh)
        ids = self._log_ids.allocate(moments)
        places = self._places
        sets = self.sets
        rows = []
        words = []
        shapes: set[tuple[str, ...]] = set()
        shared: dict[tuple[int, int, int, str], _Shared] = {}
        for row, index in zip(ids, order, strict=True):
            record, place = fresh[index]
            attributes = record.attributes
            if places:
                received = places[id(record)][1]
            # The lists hold the records, so that no identity passes to another object meanwhile.
            key = (
                id(record.resource),
                id(record.scope),
                record.severity_number,
                record.event_name,
            )
            common = shared.get(key)
            if common is None:
                common = shared[key] = self._shared(record)
            origin, own = sets.split(record)
            rows.append(
                log_row(
                    record,
                    row,
                    received,
                    common.level,
                    common.resource,
                    common.scope,
                    None if origin is None else origin.number,
                    own,
                )
            )
            text = value_words(
                own, common.words, record.body, "" if origin is None else origin.words
            )
            words.append((row, storable(text)))
            shapes.add(tuple(attributes))
            if schema.FINGERPRINT in attributes or "exception.type" in attributes:
                rollups.error(row, common.resource, attributes)
            added[place].logs.append(row)
        rollups.logs([(row[0], row[2], row[8], row[4]) for row in rows])
        _LOGS.run(self._connection, rows)
        self._connection.executemany("INSERT INTO logs_fts (rowid, words) VALUES (?, ?)", words)
        self._note_names("logs", {name for shape in shapes for name in shape})

    def _new_logs(
        self, logs: list[tuple[LogRecord, int]], added: list[Added]
    ) -> list[tuple[LogRecord, int]]:
        """Those that are not stored yet; the others are counted."""
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
        return fresh

    def _in_order(
        self, items: Sequence[tuple[LogRecord, int]] | Sequence[tuple[Span, int]]
    ) -> tuple[list[int], list[int]]:
        """The moments (µs) of records in ascending order, and which record each is of.

        The full-text index takes ids in ascending order within a transaction, or writes a segment
        for each step back.
        """
        places = self._places
        if places:
            moments = [places[id(item[0])][0] for item in items]
        else:
            moments = [item[0].time // 1000 for item in items]
        order = sorted(range(len(moments)), key=moments.__getitem__)
        return [moments[index] for index in order], order

    def _shared(self, record: LogRecord) -> _Shared:
        service = record.resource.get("service.name")
        return _Shared(
            self.sets.resource(record.resource),
            self.sets.scope(record.scope),
            schema.severity_name(record.severity_number),
            log_head_words(
                record.severity_number,
                service if service is None else str(service),
                record.scope.name,
                record.event_name,
            ),
        )

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
        moments, order = self._in_order(fresh)
        ids = self._span_ids.allocate(moments)
        places = self._places
        rows = []
        words = []
        shapes: set[tuple[str, ...]] = set()
        for row, index in zip(ids, order, strict=True):
            span, place = fresh[index]
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
                    origin=None if origin is None else origin.number,
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
            shapes.add(tuple(span.attributes))
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
        _SPANS.run(self._connection, rows)
        self._connection.executemany("INSERT INTO spans_fts (rowid, words) VALUES (?, ?)", words)
        self._note_names("spans", {name for shape in shapes for name in shape})

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
