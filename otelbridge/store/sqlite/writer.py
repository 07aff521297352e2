"""The one thread that writes: takes what waits, commits it together, answers each batch."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from otelbridge.model import Attributes, Batch
from otelbridge.store.protocol import Arrivals, StoreError, StoreUnavailableError
from otelbridge.store.sqlite.arrival_clock import ArrivalClock
from otelbridge.store.sqlite.connections import is_damage
from otelbridge.store.sqlite.expiry import Expiry
from otelbridge.store.sqlite.files import reopen_file
from otelbridge.store.sqlite.insert import Added, Inserter
from otelbridge.store.sqlite.salvage.rows import Restored
from otelbridge.store.sqlite.salvage.salvager import note

_log = logging.getLogger(__name__)

# One transaction takes what waits, up to this much.
_GROUP_RECORDS = 4_000
_GROUP_BYTES = 8 * 2**20
# Damage that is found again so soon after a new file was begun lies elsewhere: in the disk, say.
_LEAST_BETWEEN_FILES = 600.0

_COMPLAINT_SECONDS = 60.0
# About what a small commit adds to the log ahead of the file.
_COMMIT_BYTES = 64 * 2**10

T = TypeVar("T")


@dataclass(slots=True)
class _Waiting:
    batch: Batch
    size: int
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Arrivals]


@dataclass(slots=True)
class _Restoring:
    restored: Restored
    key: str
    page: int | None
    answer: Future[int] = field(default_factory=Future)


class Writer:
    """Owns the writing connection from :meth:`start` to :meth:`stop`.

    Args:
        connection: the file, open for writing.
        expiry: what removes old rows between commits.
        committed: called in the writer's thread after each commit that added rows.
        begin_anew: puts a new file in the place of one that is damaged, whose connection and
            fault it is given, and returns a connection to it.
        queue_bytes: how much may wait; beyond it batches are refused.
        clock: when records arrive.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        expiry: Expiry,
        committed: Callable[[Arrivals], None],
        begin_anew: Callable[[sqlite3.Connection, str], sqlite3.Connection],
        *,
        queue_bytes: int,
        clock: ArrivalClock,
    ) -> None:
        self._path = path
        self._connection = connection
        self._inserter = Inserter(connection)
        self._expiry = expiry
        self._committed = committed
        self._begin_anew = begin_anew
        self._queue_bytes = queue_bytes
        self._clock = clock
        self._expiring: list[asyncio.Future[None]] = []
        self._queue: collections.deque[_Waiting] = collections.deque()
        self._restoring: collections.deque[_Restoring] = collections.deque()
        self._suspicion = ""
        self._began_anew = -_LEAST_BETWEEN_FILES
        self._refused = 0
        self._refusing_since = 0.0
        self._complained = False
        self._complained_at = -_COMPLAINT_SECONDS
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="otelbridge-store", daemon=True)
        self.pending = 0
        self.duplicates = 0
        # Why batches are refused now, in one line; empty while they are stored.
        self.refusing = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, end the thread and close the connection."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join()
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def submit(self, batch: Batch, answer: asyncio.Future[Arrivals]) -> None:
        """Queue a batch; ``answer``, of the running loop, is set once it is committed.

        Raises:
            StoreUnavailableError: too much is waiting already.
            StoreError: the store is closed.
        """
        size = batch_size(batch)
        with self._wake:
            if self._stopping:
                raise StoreError("the store is closed")
            if self._queue and self._waiting_bytes + size > self._queue_bytes:
                raise StoreUnavailableError(
                    f"the store is busy: {self.pending} records are waiting to be written"
                )
            self._queue.append(_Waiting(batch, size, answer.get_loop(), answer))
            self._waiting_bytes += size
            self.pending += len(batch)
            self._wake.notify()

    def restore(self, restored: Restored, key: str, page: int | None) -> Future[int]:
        """Queue records that were stored before, behind what is new.

        Args:
            key: noted with ``page`` in the same transaction: how far a damaged file was read.

        Returns:
            How many were not there, once that is committed.
        """
        item = _Restoring(restored, key, page)
        with self._wake:
            if self._stopping:
                item.answer.set_exception(StoreError("the store is closed"))
            else:
                self._restoring.append(item)
                self._wake.notify()
        return item.answer

    def suspect(self, reason: str) -> None:
        """Tell of damage that a reader came upon; a new file is begun. Safe from any thread."""
        with self._wake:
            self._suspicion = reason
            self._wake.notify()

    def expire(self, answer: asyncio.Future[None]) -> None:
        """Remove what is due now; ``answer``, of the running loop, is set once it is done.

        Raises:
            StoreError: the store is closed.
        """
        with self._wake:
            if self._stopping:
                raise StoreError("the store is closed")
            self._expiry.hurry()
            self._expiring.append(answer)
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if not (self._queue or self._restoring or self._suspicion or self._stopping):
                    self._wake.wait(self._expiry.seconds_until_due())
                group = self._take()
                restoring = self._restoring.popleft() if self._restoring else None
                suspicion, self._suspicion = self._suspicion, ""
                if not group and restoring is None and self._stopping:
                    self._end_expiring()
                    return
            if suspicion:
                self._replace(suspicion)
            if group:
                self._write(group)
            if restoring is not None:
                self._restore(restoring)
            if not self._stopping:
                self._expire()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        records = size = 0
        while self._queue:
            item = self._queue[0]
            records += len(item.batch)
            size += item.size
            if group and (records > _GROUP_RECORDS or size > _GROUP_BYTES):
                break
            group.append(self._queue.popleft())
        return group

    def _write(self, group: Sequence[_Waiting]) -> None:
        answers: Sequence[Arrivals | StoreError]
        try:
            answers = self._store(group)
        except Exception as error:
            # Without this thread every later write would wait for ever.
            _log.exception("a write failed in a way that is not known")
            answers = [StoreUnavailableError(f"the write failed: {error}")] * len(group)
        # Before they are told, so that who was told is no longer counted.
        with self._wake:
            self._waiting_bytes -= sum(item.size for item in group)
            self.pending -= sum(len(item.batch) for item in group)
        _answer(group, answers)

    def _store(self, group: Sequence[_Waiting]) -> Sequence[Arrivals | StoreError]:
        batches = [item.batch for item in group]
        try:
            added = self._commit(lambda: self._inserter.insert(batches, self._arrival()))
        except Exception as error:
            if is_damage(error) and self._replace(str(error)):
                return self._store(group)
            if _is_systems(error):
                return [self._refusal(error)] * len(group)
            if len(group) > 1:
                # One of them cannot be stored, whenever: each for itself, so that only it fails.
                return [answer for item in group for answer in self._store([item])]
            _log.exception("a batch of %d records cannot be stored", len(group[0].batch))
            return [StoreError(f"the batch cannot be stored: {error}")]
        self.duplicates += sum(one.duplicates for one in added)
        together = Arrivals(
            [id for one in added for id in one.logs],
            [id for one in added for id in one.spans],
            sum(one.points for one in added),
        )
        if together.logs or together.spans or together.points:
            self._committed(together)
        return [Arrivals(one.logs, one.spans, one.points, one.duplicates) for one in added]

    def _commit(self, insert: Callable[[], T]) -> T:
        if not self._path.exists():
            # What is written into a file without a name is gone with the process.
            self._began_anew = -_LEAST_BETWEEN_FILES
            if not self._replace("it was removed"):
                raise sqlite3.OperationalError("the file was removed")
        if self._broken:
            self._reconnect()
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            added = insert()
            connection.execute("COMMIT")
        except BaseException:
            self._inserter.rolled_back()
            self._clock.save_again()
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self._inserter.committed()
        if self.refusing:
            self._accepts_again()
        return added

    def _arrival(self) -> float:
        now = self._clock.seconds()
        self._clock.save(self._connection)
        return now

    def _restore(self, item: _Restoring) -> None:
        def insert() -> Added:
            note(self._connection, item.key, item.page)
            return self._inserter.restore(item.restored, self._arrival())

        try:
            added = self._commit(insert)
        except Exception as error:
            if _is_systems(error):
                item.answer.set_exception(self._refusal(error))
            else:
                item.answer.set_exception(StoreError(f"cannot be stored: {error}"))
            return
        self.duplicates += added.duplicates
        item.answer.set_result(len(added.logs) + len(added.spans) + added.points)

    def _replace(self, reason: str) -> bool:
        """Begin a new file in the place of the damaged one; whether that was done."""
        if time.monotonic() - self._began_anew < _LEAST_BETWEEN_FILES:
            return False
        try:
            self._connection = self._begin_anew(self._connection, reason)
        except (OSError, StoreError, sqlite3.Error) as error:
            self._broken = True
            if not self.refusing:
                _log.error("a new file cannot be begun in the damaged one's place: %s", error)
            return False
        self._began_anew = time.monotonic()
        self._clock.save_again()
        self._inserter = Inserter(self._connection)
        self._broken = False
        return True

    def _refusal(self, error: Exception) -> StoreUnavailableError:
        text = str(error)
        if "locked" in text or "busy" in text:
            refusal = StoreUnavailableError(f"the store is locked by another program: {text}", 1.0)
        else:
            # After an I/O error SQLite's own picture of the file may be wrong: begin anew.
            self._broken = True
            if "full" in text or _is_full(self._path):
                refusal = StoreUnavailableError(
                    f"no room to store records in {self._path.parent}: {text}", 5.0
                )
            else:
                refusal = StoreUnavailableError(f"the store cannot be written: {text}", 5.0)
        now = time.monotonic()
        if not self.refusing:
            self._refusing_since = now
        self.refusing = str(refusal)
        self._refused += 1
        # Once until it can be written again, and once a minute where that comes and goes.
        if not self._complained and now - self._complained_at >= _COMPLAINT_SECONDS:
            self._complained = True
            self._complained_at = now
            _log.error("%s; senders are told to try again, and reading goes on", refusal)
        return refusal

    def _accepts_again(self) -> None:
        if self._complained:
            _log.warning(
                "the store %s is written again, after %.0f s in which %d writes were refused",
                self._path,
                time.monotonic() - self._refusing_since,
                self._refused,
            )
        self.refusing = ""
        self._refused = 0
        self._complained = False

    def _reconnect(self) -> None:
        fresh = reopen_file(self._path, self._expiry.log_bytes)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._connection = fresh
        self._inserter = Inserter(fresh)
        self._broken = False

    def _expire(self) -> None:
        try:
            if self._broken:
                self._reconnect()
            if self._expiry.work(self._connection):
                self._inserter.sets.forget()
                self._inserter.points.forget()
        except Exception as error:
            if is_damage(error) and self._replace(str(error)):
                return
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self._expiry.postpone()
            if not (self.refusing and _is_systems(error)):
                # What SQLite says is enough for its own errors; any other is a fault of ours.
                ours = not isinstance(error, sqlite3.Error)
                _log.warning("old records could not be removed: %s", error, exc_info=ours)
        if self._expiring:
            with self._wake:
                if self._expiry.seconds_until_due() > 0:
                    self._end_expiring()

    def _end_expiring(self) -> None:
        for answer in self._expiring:
            with contextlib.suppress(RuntimeError):
                answer.get_loop().call_soon_threadsafe(_end, answer)
        self._expiring.clear()


def _is_systems(error: BaseException) -> bool:
    """Whether the file or the machine failed: then the same batch may succeed later.

    sqlite3's other errors (IntegrityError, DataError, ...) speak of the batch itself.
    """
    return (
        isinstance(error, (sqlite3.OperationalError, sqlite3.InternalError, MemoryError))
        or type(error) is sqlite3.DatabaseError
    )


def _is_full(path: Path) -> bool:
    """Whether less room is left than a commit takes; SQLite says "disk I/O error" then, too."""
    try:
        return shutil.disk_usage(path.parent).free < _COMMIT_BYTES
    except OSError:
        return False


def _answer(group: Sequence[_Waiting], answers: Sequence[Arrivals | StoreError]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting, Arrivals | StoreError]]] = {}
    for item, answer in zip(group, answers, strict=True):
        by_loop.setdefault(item.loop, []).append((item, answer))
    for loop, pairs in by_loop.items():
        # A loop that closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: list[tuple[_Waiting, Arrivals | StoreError]]) -> None:
    for item, answer in pairs:
        if item.answer.done():
            continue
        if isinstance(answer, StoreError):
            item.answer.set_exception(answer)
        else:
            item.answer.set_result(answer)


def _end(answer: asyncio.Future[None]) -> None:
    if not answer.done():
        answer.set_result(None)


def batch_size(batch: Batch) -> int:
    """About how many bytes of memory a batch takes."""
    size = 1000 * (len(batch.logs) + len(batch.points)) + 1200 * len(batch.spans)
    for record in batch.logs:
        body = record.body
        if type(body) is str:
            size += len(body)
        size += _attributes_size(record.attributes)
    for span in batch.spans:
        size += _attributes_size(span.attributes)
        for event in span.events:
            size += 500 + _attributes_size(event.attributes)
    return size


def _attributes_size(attributes: Attributes) -> int:
    texts = [len(value) for value in attributes.values() if type(value) is str]
    return 150 * len(attributes) + sum(texts)
