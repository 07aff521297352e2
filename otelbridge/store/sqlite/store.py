"""The store in one SQLite file: :class:`SQLiteStore`."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from otelbridge.model import Attributes, Batch
from otelbridge.search.query import Query
from otelbridge.store.protocol import (
    Arrivals,
    ErrorGroup,
    Facet,
    Following,
    Histogram,
    MetricSeries,
    NewestPoint,
    ServiceSummary,
    Signal,
    StoredLog,
    StoreError,
    StoreStats,
    TimeRange,
    Trace,
    TraceSummary,
)
from otelbridge.store.sqlite import (
    errors,
    facets,
    fields,
    histogram,
    logs,
    metrics,
    services,
    traces,
)
from otelbridge.store.sqlite.arrival_clock import ArrivalClock, steady_seconds
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.connections import ReaderPool
from otelbridge.store.sqlite.expiry import Expiry
from otelbridge.store.sqlite.file_lock import FileLock
from otelbridge.store.sqlite.files import begin_anew, open_file, prepare_folder, refuse_foreign
from otelbridge.store.sqlite.followers import Followers
from otelbridge.store.sqlite.salvage.salvager import Salvager, noted, read_set
from otelbridge.store.sqlite.stats import Counts, read_counts
from otelbridge.store.sqlite.writer import Writer

_QUEUE_BYTES = 48 * 2**20


class SQLiteStore:
    """Keeps records in one SQLite file; implements :class:`otelbridge.store.protocol.Store`.

    An acknowledged batch is on disk (``synchronous=FULL``): it survives a killed process and a
    power failure. A time range is exact to the microsecond.

    Args:
        path: the file; its folder is made where missing.
        retention: seconds that a record is kept, counted from its arrival.
        retention_bytes: size of the file beyond which the oldest records go.
        queue_bytes: memory that batches waiting to be written may take.
        now: the clock by which records arrive and expire, in seconds since the epoch.
        steady: seconds by a clock that nobody sets, by which a step of ``now`` is seen.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        retention: float,
        retention_bytes: int,
        queue_bytes: int = _QUEUE_BYTES,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        self.path = Path(path)
        self.retention = retention
        self.retention_bytes = retention_bytes
        self._queue_bytes = queue_bytes
        self._clock = ArrivalClock(now, steady)
        self._lock = FileLock(self.path)
        self._followers = Followers()
        self._expiry = Expiry(retention, retention_bytes, self._clock)
        self._writer: Writer | None = None
        self._readers: ReaderPool | None = None
        self._salvager: Salvager | None = None

    async def open(self) -> None:
        """Open or create the file and bring it to this version.

        Raises:
            StoreError: unwritable folder, a file of something else or of a newer version, or one
                that another process has open.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        prepare_folder(self.path)
        # Where a store was before, what is no database now is one that was damaged.
        if not self._lock.exists():
            refuse_foreign(self.path)
        self._lock.acquire()
        try:
            connection = open_file(self.path, self._expiry.log_bytes)
            self._clock.open(connection)
            damaged = noted(connection, self.path.parent)
            writer = self._writer = Writer(
                self.path,
                connection,
                self._expiry,
                self._followers.tell,
                self._begin_anew,
                queue_bytes=self._queue_bytes,
                clock=self._clock,
            )
        except BaseException:
            self._lock.release()
            raise
        self._readers = ReaderPool(self.path, writer.suspect)
        self._salvager = Salvager(writer.restore, self._look_up)
        writer.start()
        for aside in damaged:
            self._salvager.begin(aside)

    def _begin_anew(self, connection: sqlite3.Connection, reason: str) -> sqlite3.Connection:
        """Put a new file in a damaged one's place, in the writer's thread."""
        with suppress(sqlite3.Error):
            connection.close()
        fresh = begin_anew(self.path, self._expiry.log_bytes, reason)
        if self._readers is not None:
            self._readers.renew()
        if self._salvager is not None:
            for aside in noted(fresh, self.path.parent):
                self._salvager.begin(aside)
        return fresh

    def _look_up(self, number: int) -> Attributes | None:
        with self._reading() as (connection, _):
            return read_set(connection, number)

    async def close(self) -> None:
        """Commit what was accepted and close; harmless where it is not open."""
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        salvager, self._salvager = self._salvager, None
        if salvager is not None:
            await asyncio.to_thread(salvager.stop)
        if readers is not None:
            readers.close()
        if writer is not None:
            await asyncio.to_thread(writer.stop)
            self._followers.tell(None)
        self._lock.release()

    async def write(self, batch: Batch) -> Arrivals:
        """Store a batch; returns once it is committed.

        Raises:
            StoreUnavailableError: nothing of it was stored (full disk, lock, queue full).
            StoreError: it can never be stored, or the store is closed.
        """
        if self._writer is None:
            raise StoreError("the store is not open")
        if not len(batch):
            return Arrivals([], [], 0)
        answer: asyncio.Future[Arrivals] = asyncio.get_running_loop().create_future()
        self._writer.submit(batch, answer)
        return await answer

    async def expire(self) -> None:
        """Remove what is too old or too much now, instead of within the next minute."""
        if self._writer is None:
            raise StoreError("the store is not open")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.expire(answer)
        await answer

    def arrivals(self) -> Following:
        """Follow commits from now on, in the running loop; ends when the store closes.

        A slow follower gets several merged into one, with at most the newest 20,000 ids.
        """
        return self._followers.follow()

    @contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, SetReader]]:
        readers = self._readers
        if readers is None:
            raise StoreError("the store is not open")
        with readers.reading() as lent:
            yield lent

    def logs(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
        after: int | None = None,
        ids: Sequence[int] | None = None,
    ) -> list[StoredLog]:
        """The newest matching logs, newest first."""
        with self._reading() as (connection, sets):
            return logs.read_logs(
                connection,
                sets,
                query,
                within,
                limit=limit,
                before=before,
                after=after,
                ids=ids,
            )

    def log(self, id: int) -> StoredLog | None:
        """One record."""
        with self._reading() as (connection, sets):
            return logs.read_log(connection, sets, id)

    def log_histogram(self, query: Query | None, within: TimeRange, bars: int = 60) -> Histogram:
        """Counts over time by severity, without gaps."""
        with self._reading() as (connection, _):
            return histogram.read_histogram(connection, query, within, bars)

    def log_facets(
        self, query: Query | None, within: TimeRange, fields: Sequence[str], *, size: int = 10
    ) -> list[Facet]:
        """Top values of each field among matching records."""
        with self._reading() as (connection, sets):
            return facets.read_facets(connection, sets, query, within, fields, size)

    def count_logs(self, query: Query | None, within: TimeRange) -> int:
        """How many logs match."""
        with self._reading() as (connection, _):
            return logs.count(connection, query, within)

    def error_groups(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        fingerprint: str | None = None,
        limit: int = 500,
        steps: int = 30,
    ) -> list[ErrorGroup]:
        """The groups of the errors that match, the one seen last in the range first."""
        with self._reading() as (connection, sets):
            return errors.read_error_groups(
                connection,
                sets,
                query,
                within,
                fingerprint=fingerprint,
                limit=limit,
                steps=steps,
            )

    def field_names(self, signal: Signal) -> list[str]:
        """Every field name a query may use."""
        with self._reading() as (connection, _):
            return fields.read_names(connection, signal)

    def field_values(
        self, signal: Signal, field: str, prefix: str = "", limit: int = 20
    ) -> list[str]:
        """Recent values of a field that begin with ``prefix``, most frequent first."""
        with self._reading() as (connection, sets):
            return fields.read_values(connection, sets, signal, field, prefix, limit)

    def traces(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> list[TraceSummary]:
        """The newest traces with a span that matches, newest first."""
        with self._reading() as (connection, sets):
            return traces.read_traces(connection, sets, query, within, limit=limit, before=before)

    def trace(self, trace_id: bytes) -> Trace | None:
        """A whole trace, with its logs; of a very large one the first 20,000 of each."""
        with self._reading() as (connection, sets):
            return traces.read_trace(connection, sets, trace_id)

    def services(self, within: TimeRange, steps: int = 30) -> list[ServiceSummary]:
        """Every service seen in the range, by name."""
        with self._reading() as (connection, sets):
            return services.read_services(connection, sets, within, steps)

    def metric_names(self, within: TimeRange) -> list[tuple[str, str]]:
        """Names and units of the metrics seen in the range."""
        with self._reading() as (connection, _):
            return metrics.read_names(connection, within)

    def metrics(
        self,
        name: str,
        within: TimeRange,
        *,
        service: str | None = None,
        points: int = 300,
    ) -> list[MetricSeries]:
        """The series of one metric, thinned to about ``points`` steps."""
        with self._reading() as (connection, sets):
            return metrics.read_metrics(connection, sets, name, within, service, points)

    def newest_points(self, names: Sequence[str], within: TimeRange) -> list[NewestPoint]:
        """The newest point in the range of every series of these metrics."""
        with self._reading() as (connection, sets):
            return metrics.read_newest(connection, sets, names, within)

    def stats(self) -> StoreStats:
        """Counts, sizes and limits."""
        writer = self._writer
        with self._reading() as (connection, _):
            counts: Counts = read_counts(connection, self.path)
        return StoreStats(
            logs=counts.logs,
            spans=counts.spans,
            points=counts.points,
            bytes=counts.bytes,
            oldest=counts.oldest,
            newest=counts.newest,
            duplicates=writer.duplicates if writer else 0,
            expired=self._expiry.expired,
            pending=writer.pending if writer else 0,
            retention_seconds=self.retention,
            retention_bytes=self.retention_bytes,
            location=str(self.path),
            refusing=writer.refusing if writer else "",
        )
