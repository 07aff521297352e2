"""Payloads kept in memory: for where there is no disk to keep them on."""

from __future__ import annotations

import threading
from typing import Final

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool.store import FULL, Dropped, Entry

# What a payload takes beside its body, about.
_OVERHEAD: Final = 256
_PLACE: Final = "memory"


class MemorySpool:
    """Keeps payloads in memory, bounded in bytes; see :class:`PayloadStore`."""

    def __init__(self, *, max_bytes: int, dropped: Dropped) -> None:
        """Start empty.

        Args:
            max_bytes: of payloads that are kept.
            dropped: told what had to make room.
        """
        self._max_bytes = max_bytes
        self._dropped = dropped
        self._lock = threading.Lock()
        self._waiting: dict[int, Entry] = {}
        self._records = self._size = 0
        self._number = self._shown = 0

    @property
    def records(self) -> int:
        """How many records wait."""
        return self._records

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return self._size

    @property
    def kept(self) -> int:
        """None: the next process finds nothing."""
        return 0

    @property
    def showing(self) -> bool:
        """Whether a payload was returned by :meth:`next` and is not done."""
        with self._lock:
            return self._shown in self._waiting

    def append(self, payload: Payload) -> Entry:
        """Take a payload; the oldest ones make room, but never one that is being sent."""
        lost = 0
        with self._lock:
            self._number += 1
            entry = Entry(payload, _PLACE, self._number)
            if _weight(entry) > self._max_bytes:
                lost = payload.count
            else:
                self._waiting[self._number] = entry
                self._account(entry, 1)
                lost = self._make_room()
        if lost:
            self._dropped(lost, FULL)
        return entry

    def next(self) -> Entry | None:
        """Return the oldest payload, the same one until it is done."""
        with self._lock:
            if self._shown not in self._waiting:
                self._shown = next(iter(self._waiting), 0)
            return self._waiting.get(self._shown)

    def more(self, count: int, size: int) -> list[Entry]:
        """Return payloads that follow the one :meth:`next` returned."""
        found: list[Entry] = []
        with self._lock:
            if self._shown not in self._waiting:
                return found
            for number, entry in self._waiting.items():
                if number == self._shown:
                    continue
                count -= entry.payload.count
                size -= len(entry.payload.body)
                if count < 0 or size < 0:
                    break
                found.append(entry)
        return found

    def done(self, entry: Entry) -> bool:
        """Forget a payload."""
        with self._lock:
            return entry.place == _PLACE and self._forget(entry.offset)

    def hidden(self) -> list[Entry]:
        """List what waits, oldest first, but what :meth:`next` returned."""
        with self._lock:
            return [entry for number, entry in self._waiting.items() if number != self._shown]

    def show_nothing(self) -> None:
        """Treat what :meth:`next` returned as what it has not."""
        with self._lock:
            self._shown = 0

    def adopt(self) -> int:
        """Nothing is left in memory by a process that has ended."""
        return 0

    def close(self) -> None:
        """Keep what there is: it is for the caller to count what it did not get to send."""

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._records = self._size = 0
        self._number = self._shown = 0

    def _make_room(self) -> int:
        lost = 0
        if self._size <= self._max_bytes:
            return lost
        for number in tuple(self._waiting):
            if self._size <= self._max_bytes:
                break
            if number == self._shown and len(self._waiting) > 1:
                continue
            lost += self._waiting[number].payload.count
            self._forget(number)
        return lost

    def _forget(self, number: int) -> bool:
        entry = self._waiting.pop(number, None)
        if entry is not None:
            self._account(entry, -1)
        return entry is not None

    def _account(self, entry: Entry, sign: int) -> None:
        self._records += sign * entry.payload.count
        self._size += sign * _weight(entry)


def _weight(entry: Entry) -> int:
    return len(entry.payload.body) + _OVERHEAD
