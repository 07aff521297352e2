"""Encoded payloads between the thread that encodes and the one that sends.

While the destination answers at once they are only in memory. One that has waited longer than a
flush interval goes to the spool, with all behind it, and until the spool is empty all others too:
so their order is kept, and killing the process costs no more than what is younger than that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from otelbridge.delivery.payload import DeliveredSignal, Payload
from otelbridge.delivery.spool import Entry, PayloadStore, SpoolError

# Of the spool's payloads that are sent together.
_TOGETHER_BYTES: Final = 2**20


@dataclass(slots=True)
class Item:
    """A payload that waits.

    Attributes:
        since: when it came, on the monotonic clock.
        entry: where it is in the spool, if it is there.
        again: whether it was taken from the spool to be sent.
        position: in the journal, of its newest record; 0 if it has none there.
        more: of the spool's payloads, those that were put behind it to be sent with it.
    """

    payload: Payload
    since: float
    entry: Entry | None = None
    again: bool = False
    position: int = 0
    more: Sequence[Entry] = ()


class Outbox:
    """Payloads of one destination and signal, in memory or in the spool."""

    def __init__(
        self,
        open_store: Callable[[], PayloadStore],
        patience: float,
        spooled: Callable[[int], None],
        safe: Callable[[int], None] = lambda position: None,
    ) -> None:
        """Start empty; the spool is opened when it is first needed.

        Args:
            open_store: opens the spool.
            patience: seconds that a payload may be in memory only.
            spooled: told how many records were written to the spool.
            safe: told up to which position the journal's records were sent or are on disk.
        """
        self._open_store = open_store
        self._patience = patience
        self._spooled = spooled
        self._safe = safe
        self._store: PayloadStore | None = None
        self._memory: deque[Item] = deque()
        self._sequence = 0
        self._closed = False
        self._lock = threading.RLock()

    @property
    def spool_records(self) -> int:
        """How many records are in the spool; after the end, on disk for the next process."""
        if self._store is None:
            return 0
        return self._store.kept if self._closed else self._store.records

    @property
    def spool_bytes(self) -> int:
        """How many bytes they take."""
        return 0 if self._store is None else self._store.size

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._memory and not self.spool_records

    @property
    def is_kept(self) -> bool:
        """Whether nothing is in memory only."""
        return not self._memory

    def put(self, signal: DeliveredSignal, count: int, body: bytes, position: int = 0) -> None:
        """Take ``count`` records, encoded as ``body``; the newest is in the journal there."""
        with self._lock:
            self._sequence += 1
            payload = Payload(signal, count, body, self._sequence)
            self._memory.append(Item(payload, time.monotonic(), position=position))
            if self.spool_records:
                self.keep()

    def next(self, together: int) -> Item | None:
        """Return the oldest payload, the same one until it is done.

        Args:
            together: how many records may be sent at once; of the spool's payloads, several are
                put together.
        """
        with self._lock:
            if self._memory:
                return self._memory[0]
            entry = None if self._store is None else self._store.next()
            if entry is None or self._store is None:
                return None
            first = entry.payload
            more = self._store.more(together - first.count, _TOGETHER_BYTES - len(first.body))
            if not more:
                return Item(first, 0.0, entry, again=True)
            payload = Payload(
                first.signal,
                first.count + sum(each.payload.count for each in more),
                b"".join((first.body, *(each.payload.body for each in more))),
                first.sequence,
            )
            return Item(payload, 0.0, entry, again=True, more=more)

    def done(self, item: Item) -> int:
        """Forget a payload.

        Returns:
            How many records of it were still here; the others have been counted as dropped.
        """
        with self._lock:
            if item.position:
                self._safe(item.position)
            if item.entry is not None:
                store, entries = self._store, [item.entry, *item.more]
                return sum(entry.payload.count for entry in entries if store and store.done(entry))
            if self._memory and self._memory[0] is item:
                self._memory.popleft()
                return item.payload.count
            return 0

    def overdue(self) -> float | None:
        """Return the seconds until something is too old to be in memory only.

        Waits for nobody, so that it may be asked for while the program's threads are held up.
        """
        try:
            return self._memory[0].since + self._patience - time.monotonic()
        except IndexError:
            return None

    def keep(self) -> None:
        """Write what is in memory to the spool."""
        with self._lock:
            first = not self.spool_records
            while self._memory:
                item = self._memory[0]
                try:
                    store = self._opened()
                    item.entry = store.append(item.payload)
                except SpoolError:
                    # It stays in memory for now; the spool says itself what is wrong.
                    item.since = time.monotonic()
                    return
                if first:
                    # It may be under way, and then is not what makes room for others.
                    store.next()
                    first = False
                self._memory.popleft()
                self._spooled(item.payload.count)
                if item.entry.kept and item.position:
                    self._safe(item.position)

    def adopt(self) -> int:
        """Take over what ended processes left; returns how many records that were."""
        with self._lock:
            return self._opened().adopt()

    def close(self) -> int:
        """Write everything to the spool and let go of it.

        Returns:
            How many records are on disk for the next process.
        """
        with self._lock:
            if self._memory:
                self.keep()
            self._memory.clear()
            self._closed = True
            if self._store is None:
                return 0
            self._store.close()
            return self._store.kept

    def change_threading(self) -> None:
        """Make the lock anew; what waits stays."""
        self._lock = threading.RLock()

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self._lock = threading.RLock()
        self._memory.clear()
        self._sequence = 0
        if self._store is not None:
            self._store.start_afresh()

    def _opened(self) -> PayloadStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store
