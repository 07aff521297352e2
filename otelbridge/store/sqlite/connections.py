"""Connections: how the store's file is opened for writing and for reading."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from otelbridge.store.protocol import StoreError, StoreUnavailableError
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.kql import register

# Pages that a connection keeps in memory, KiB as a negative number.
_WRITER_CACHE = -24_000
_READER_CACHE = -4_000
_READERS = 8
PAGE_BYTES = 4096

BUSY_SECONDS = 2.0
# A read that takes longer is given up: it would keep the log from being written back, and others
# from their turn. It is looked at every so many steps of SQLite's machine, about a millisecond.
LONGEST_READ_SECONDS = 20.0
_STEPS_BETWEEN_LOOKS = 20_000


def connect_writer(path: Path, log_bytes: int) -> sqlite3.Connection:
    """Open the file for the one writer; creates it where it is missing.

    Args:
        log_bytes: how large the log ahead of the file grows before it is written back.
    """
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # Both take effect only in a file without tables yet.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # An acknowledged record survives a power failure, not only a killed process.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute(f"PRAGMA cache_size = {_WRITER_CACHE}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {log_bytes // PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_size_limit = {log_bytes}")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


def give_back_log(connection: sqlite3.Connection) -> None:
    """Write the log back into the file and empty it, unless someone is reading from it."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the file for reading only, with the functions that compiled queries call."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = {_READER_CACHE}")
    connection.execute("PRAGMA temp_store = MEMORY")
    register(connection)
    return connection


class DamagedRowError(sqlite3.DatabaseError):
    """A row that SQLite reads without complaint holds what was never written."""


def is_damage(error: BaseException) -> bool:
    """Whether SQLite, or who reads its rows, says that the file is not as it was written."""
    if isinstance(error, DamagedRowError):
        return True
    text = str(error)
    if type(error) is sqlite3.DatabaseError:
        return any(word in text for word in ("malformed", "not a database", "corrupt"))
    return isinstance(error, sqlite3.OperationalError) and "decode to UTF-8" in text


@dataclass(slots=True)
class _Lent:
    """A connection, and what was remembered of the file it reads."""

    connection: sqlite3.Connection
    sets: SetReader


class ReaderPool:
    """A few connections lent to whichever thread reads: memory does not grow with threads.

    Args:
        damaged: told in one line of damage that a read came upon.
    """

    def __init__(self, path: Path, damaged: Callable[[str], None]) -> None:
        self._path = path
        self._damaged = damaged
        self._free: queue.LifoQueue[_Lent | None] = queue.LifoQueue()
        self._sets = SetReader()
        self._closed = False
        for _ in range(_READERS):
            self._free.put(None)

    @contextlib.contextmanager
    def reading(self) -> Iterator[tuple[sqlite3.Connection, SetReader]]:
        """Lend a connection within one read transaction: one consistent picture.

        Beside it comes what turns the numbers of attribute sets into sets.
        """
        lent = self._free.get()
        sets = self._sets
        try:
            if self._closed:
                raise StoreError("the store is closed")
            if lent is not None and lent.sets is not sets:
                # Another file stands in this one's place by now.
                lent.connection.close()
                lent = None
            if lent is None:
                lent = _Lent(connect_reader(self._path), sets)
            connection = lent.connection
            limit = time.monotonic() + LONGEST_READ_SECONDS
            connection.set_progress_handler(
                lambda: self._closed or time.monotonic() > limit, _STEPS_BETWEEN_LOOKS
            )
            connection.execute("BEGIN")
            try:
                yield connection, sets
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._refusal(error, current=sets is self._sets) from error
        finally:
            if lent is not None and (self._closed or sets is not self._sets):
                lent.connection.close()
                lent = None
            self._free.put(lent)

    def _refusal(self, error: sqlite3.Error, *, current: bool) -> StoreError:
        if is_damage(error):
            if current:
                self._damaged(str(error))
            return StoreUnavailableError(
                f"the store is damaged ({error}); what can be read is brought over into a new one"
            )
        if not isinstance(error, sqlite3.OperationalError) or str(error) != "interrupted":
            return StoreUnavailableError(f"the store cannot be read: {error}")
        if self._closed:
            return StoreError("the store is closed")
        return StoreError(
            f"the search took longer than {LONGEST_READ_SECONDS:g} s and was given up; "
            "choose a shorter time range"
        )

    def renew(self) -> None:
        """Read from the file that is in the old one's place now; safe from any thread."""
        self._sets = SetReader()

    def close(self) -> None:
        """Close the connections that are not lent; the others close as they come back."""
        self._closed = True
        for _ in range(self._free.qsize()):
            with contextlib.suppress(queue.Empty):
                lent = self._free.get_nowait()
                if lent is not None:
                    lent.connection.close()
        # Whoever waits for a connection is let through, to be told that the store is closed.
        for _ in range(_READERS):
            self._free.put(None)
