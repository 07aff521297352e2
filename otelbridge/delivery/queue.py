"""Records on their way from the program's threads to the one that puts them together."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

# What a record whose size cannot be told is taken to have, in bytes.
_UNKNOWN_BYTES: Final = 1000
# How much of what may wait is dropped at once, at most, where the oldest have to make room.
_DROPPED_SHARE: Final = 64


class EncodedRecords:
    """Records of one resource and scope, encoded by the threads that made them.

    They are written one behind the other, so that nothing is left of each: what one thread
    allocates and another frees costs both of them more than the encoding.

    Attributes:
        body: the records as they stand in a request, in their scope's group.
        count: how many they are.
        instrumentation_scope: theirs.
        resource: theirs.
    """

    __slots__ = ("body", "count", "instrumentation_scope", "resource")

    def __init__(self, scope: InstrumentationScope | None, resource: Resource) -> None:
        """Begin with none."""
        self.body = bytearray()
        self.count = 0
        self.instrumentation_scope = scope
        self.resource = resource


def count_of(entry: Any) -> int:
    """Tell how many records something in the queue is."""
    return entry.count if type(entry) is EncodedRecords else 1


class RecordQueue:
    """Records, encoded or as they are, bounded in number and bytes; the oldest make room.

    It has no lock: whoever uses it holds one. What comes by amid its work all the same, in the same
    thread, is a signal handler or a destructor that logs.

    Attributes:
        count: how many records are in it.
        position: in the journal, of the newest record that was taken out.
        size: about how many bytes the records take.
    """

    def __init__(
        self, *, capacity: int, max_bytes: int, at_once: int, weigh: Callable[[Any], int]
    ) -> None:
        """Make an empty queue.

        Args:
            capacity: how many records are kept.
            max_bytes: how many bytes of records are kept; a larger one is kept alone.
            at_once: how many records are taken out together.
            weigh: tells about how many bytes a record takes that is not encoded.
        """
        self._capacity = max(1, capacity)
        self._max_bytes = max_bytes
        self._most = max(1, min(at_once, capacity // _DROPPED_SHARE))
        self._most_bytes = max_bytes // _DROPPED_SHARE
        self._weigh = weigh
        # What is in it, its weight and its place in the journal.
        self._entries: deque[tuple[Any, int, int]] = deque()
        # Of each scope, by its id, what another record is added to.
        self._open: dict[int, EncodedRecords] = {}
        self._adding = False
        self.count = 0
        self.size = 0
        self.position = 0

    def put(self, record: Any, position: int = 0) -> int:
        """Take a record as it is.

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
        self._entries.append((record, weight, position))
        # What is encoded from now on comes behind it: a scope's records keep their order.
        self._open.clear()
        self.count += 1
        self.size += weight
        return self._make_room()

    def put_encoded(
        self, written: bytes, scope: InstrumentationScope | None, resource: Resource
    ) -> int:
        """Take a record that its own thread has encoded.

        Args:
            written: the record as it stands in a request.
            scope: its own, and what it belongs to.
            resource: the same.

        Returns:
            How many made room for it and are lost.
        """
        records = self._open.get(id(scope))
        amid, self._adding = self._adding, True
        if (
            records is None
            or amid
            or records.count >= self._most
            or len(records.body) > self._most_bytes
            or records.resource is not resource
        ):
            records = EncodedRecords(scope, resource)
            self._entries.append((records, 0, 0))
            if not amid:
                self._open[id(scope)] = records
        records.body += written
        records.count += 1
        self._adding = amid
        self.count += 1
        self.size += len(written)
        if self.count > self._capacity or self.size > self._max_bytes:
            return self._make_room()
        return 0

    def take(self, count: int, most_bytes: int = sys.maxsize) -> list[Any]:
        """Take out the oldest records.

        Args:
            count: at most so many.
            most_bytes: about so many bytes of them; one record at least.

        Returns:
            Records as they are, and :class:`EncodedRecords`.
        """
        self._open.clear()
        entries = self._entries
        taken: list[Any] = []
        while entries and count > 0 and most_bytes > 0:
            number = count_of(entries[0][0])
            if taken and number > count:
                break
            entry, weight = self._pop()
            taken.append(entry)
            count -= number
            most_bytes -= weight
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._open.clear()
        self._entries.clear()
        self.count = self.size = 0

    def _make_room(self) -> int:
        """Drop the oldest where there are too many; returns how many."""
        lost = 0
        while (self.count > self._capacity or self.size > self._max_bytes) and len(
            self._entries
        ) > 1:
            self._open.clear()
            lost += count_of(self._pop()[0])
        return lost

    def _pop(self) -> tuple[Any, int]:
        entry, weight, position = self._entries.popleft()
        if type(entry) is EncodedRecords:
            weight = len(entry.body)
        # What comes by amid this must not make the sums drift for ever.
        self.count = self.count - count_of(entry) if self._entries else 0
        self.size = self.size - weight if self._entries else 0
        self.position = position or self.position
        return entry, weight
