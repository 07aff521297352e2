"""When old records go: by age and by size, a little at a time, between the commits.

Age counts from a record's arrival, not from the time it claims: a device whose clock says 1970, or
last year's file sent again, is kept as long as anything else. Size counts the file and its log;
where it is too large, what arrived first goes first.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

from otelbridge.store.sqlite import removal
from otelbridge.store.sqlite.arrival_clock import ArrivalClock
from otelbridge.store.sqlite.connections import give_back_log

# One slice of work lasts about this long; then waiting batches have their turn.
_SLICE_SECONDS = 0.025
_LONGEST_PAUSE = 60.0
_SHORTEST_PAUSE = 1.0
_SIZE_PAUSE = 5.0
_AFTER_FAILURE = 30.0

# The log ahead of the file counts towards the size: it takes a sixteenth, within these bounds.
_LEAST_LOG_BYTES = 256 * 2**10
_MOST_LOG_BYTES = 16 * 2**20

# Free pages that are kept for the next records instead of being given back.
_FREE_SHARE = 0.02
_VACUUM_PAGES = 64


class Expiry:
    """Removes old rows through the writer's connection, in its thread.

    Args:
        retention: seconds a record is kept, from its arrival.
        retention_bytes: the largest size of the file.
        clock: when records arrived, and how old that makes them.

    Attributes:
        expired: records removed since the store was opened.
        log_bytes: how large the log ahead of the file may grow.
    """

    def __init__(
        self,
        retention: float,
        retention_bytes: int,
        clock: ArrivalClock,
    ) -> None:
        self._retention = retention
        self._retention_bytes = retention_bytes
        self.log_bytes = min(max(retention_bytes // 16, _LEAST_LOG_BYTES), _MOST_LOG_BYTES)
        self._clock = clock
        self._age_pause = min(max(retention / 20, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        self._age_due = self._size_due = time.monotonic()
        self._pass: Iterator[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._sets_removed = False
        self.expired = 0

    def seconds_until_due(self) -> float:
        """How long the writer may sleep."""
        if self._pass is not None:
            return 0.0
        return max(0.0, min(self._age_due, self._size_due) - time.monotonic())

    def hurry(self) -> None:
        """Make everything due now; safe from any thread."""
        self._age_due = self._size_due = time.monotonic()

    def postpone(self) -> None:
        """Give up the pass under way, after a failure, and try again later."""
        self._pass = None
        self._age_due = self._size_due = time.monotonic() + _AFTER_FAILURE

    def work(self, connection: sqlite3.Connection) -> bool:
        """Do one slice of what is due.

        Returns:
            Whether attribute sets or series were removed, which the writer may remember.
        """
        started = time.monotonic()
        if connection is not self._connection:
            self._connection, self._pass = connection, None
        self._sets_removed = False
        while True:
            if self._pass is None:
                self._pass = self._next_pass(connection)
                if self._pass is None:
                    break
            if next(self._pass, _END) is _END:
                self._pass = None
            if time.monotonic() - started >= _SLICE_SECONDS:
                break
        return self._sets_removed

    def _next_pass(self, connection: sqlite3.Connection) -> Iterator[None] | None:
        now = time.monotonic()
        if now >= self._age_due:
            self._age_due = now + self._age_pause
            return self._by_age(connection)
        if now >= self._size_due:
            self._size_due = now + _SIZE_PAUSE
            return self._by_size(connection)
        return None

    # A pass is a generator that yields wherever others may have their turn.

    def _by_age(self, connection: sqlite3.Connection) -> Iterator[None]:
        clock = self._clock
        now = int(clock.seconds() * 1000)
        clock.save(connection)
        cutoff = now - int(self._retention * 1000)
        for signal in removal.SIGNALS:
            for received, minute in removal.arrivals(connection, signal, cutoff, clock):
                start = received * 60_000
                before = min(cutoff - clock.step(start), start + 60_000)
                first = minute * 60_000_000
                while True:
                    chunk = removal.arrived(
                        connection, signal, (start, before), (first, (minute + 1) * 60_000_000)
                    )
                    self.expired += removal.remove(connection, signal, chunk)
                    if not chunk:
                        break
                    first = chunk[-1] + 1
                    yield
        # What has no counts by arrival is kept a while longer rather than removed too early.
        earliest = cutoff - clock.largest_step()
        for series in removal.series(connection):
            self.expired += removal.remove_points_by_age(connection, series, earliest, now)
            yield
        if removal.remove_unused_sets(connection, earliest // 1000):
            self._sets_removed = True
        clock.forget_before(cutoff)
        yield from self._give_back(connection)

    def _by_size(self, connection: sqlite3.Connection) -> Iterator[None]:
        largest = self._retention_bytes - self.log_bytes
        if removal.used_bytes(connection) <= largest:
            return
        while removal.used_bytes(connection) > largest * (1 - _FREE_SHARE):
            found = removal.first_arrived(connection, self._clock)
            if found is None:
                removed = removal.remove_oldest_points(connection)
                self.expired += removed
                if not removed:
                    break
            else:
                self.expired += removal.remove(connection, found.signal, found.ids)
                yield
                self.expired += removal.remove_points_before(connection, found.received)
            yield
        yield from self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Give free pages back to the file system."""
        while True:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            if free <= int(pages * _FREE_SHARE):
                break
            connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
            yield
        give_back_log(connection)


_END = object()
