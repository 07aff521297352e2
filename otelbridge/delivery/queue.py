"""Records on their way from the program's threads to the one that encodes them."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

# What a record whose size cannot be told is taken to have, in bytes.
_UNKNOWN_BYTES: Final = 1000


class RecordQueue:
    """Records as they are, bounded in number and bytes; the oldest make room.

    It has no lock: whoever uses it holds one.

    Attributes:
        position: in the journal, of the newest record that was taken out.
    """

    def __init__(self, *, capacity: int, max_bytes: int, weigh: Callable[[Any], int]) -> None:
        """Make an empty queue.

        Args:
            capacity: how many records are kept.
            max_bytes: how many bytes of records are kept; a larger one is kept alone.
            weigh: tells about how many bytes a record takes.
        """
        self._capacity = max(1, capacity)
        self._max_bytes = max_bytes
        self._weigh = weigh
        self._records: deque[tuple[Any, int, int]] = deque()
        self._bytes = 0
        self.position = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def size(self) -> int:
        """About how many bytes the records take."""
        return self._bytes

    def put(self, record: Any, position: int = 0) -> int:
        """Take a record.

        Args:
            record: as the SDK has it.
            position: its place in the journal; 0 if it is not there.

        Returns:
            How many made room for it and are lost.
        """
        try:
            weight = self._weigh(record)
        except Exception:
            # What a record holds must not keep it from being taken.
            weight = _UNKNOWN_BYTES
        records = self._records
        records.append((record, weight, position))
        self._bytes += weight
        lost = 0
        while len(records) > self._capacity or (self._bytes > self._max_bytes and len(records) > 1):
            _, weight, gone = records.popleft()
            self._bytes -= weight
            self.position = gone or self.position
            lost += 1
        return lost

    def take(self, count: int, most_bytes: int = sys.maxsize) -> list[Any]:
        """Take out the oldest records.

        Args:
            count: at most so many.
            most_bytes: about so many bytes of them; one record at least.
        """
        taken: list[Any] = []
        records, left = self._records, most_bytes
        while records and len(taken) < count and left > 0:
            record, weight, position = records.popleft()
            left -= weight
            self._bytes -= weight
            self.position = position or self.position
            taken.append(record)
        if not records:
            # What comes by amid this, a destructor that logs, must not make the sum drift for ever.
            self._bytes = 0
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._records.clear()
        self._bytes = 0
