"""The spool on disk: this process's segments in a folder that it shares with others."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool.folder import (
    SegmentName,
    become_owner,
    journal_path,
    list_folder,
    lock_path,
    sync_folder,
)
from otelbridge.delivery.spool.frame import LARGEST_BODY, frame_bytes
from otelbridge.delivery.spool.journaled import read_journal
from otelbridge.delivery.spool.locks import Lock, take_lock
from otelbridge.delivery.spool.segment import Segment
from otelbridge.delivery.spool.store import DAMAGED, FULL, REMOVED, Dropped, Entry, SpoolError

# A full spool gives up a segment at a time: not too much at once.
LARGEST_SEGMENT: Final = 2**20
_SEGMENTS: Final = 16
# What is sent at once of a journal.
_BATCH_RECORDS: Final = 512
_BATCH_BYTES: Final = 2**20


class Spool:
    """Keeps payloads in a folder, over the end of the process; see :class:`PayloadStore`.

    Every process has segments of its own in the folder and reads no other's, until that has ended
    and somebody takes them over. Nothing is opened or made before there is a payload to keep or
    something to take over.

    Attributes:
        left: why something could not be taken over when that was last tried; empty if all was.
    """

    def __init__(self, folder: Path, *, max_bytes: int, sync: str, dropped: Dropped) -> None:
        """Remember where payloads are to wait.

        Args:
            folder: of the spool; made when it is needed, for this user only.
            max_bytes: of what all processes keep in it. Each holds itself to it whenever it writes
                or looks for what others left, so that it can be exceeded for seconds.
            sync: ``always`` flushes each payload to the disk, ``never`` leaves it to the system.
            dropped: told how many records were dropped, and why.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, min(LARGEST_SEGMENT, max_bytes // _SEGMENTS))
        self._sync = sync == "always"
        self._report = dropped
        self._lock = threading.Lock()
        self._segments: dict[str, Segment] = {}
        self._writing: Segment | None = None
        self._shown: Entry | None = None
        self._owner = ""
        self._own_lock: Lock | None = None
        self._last_time = 0
        self._others_bytes = 0
        self._owners = 1
        self._unreported = 0
        self.left = ""
        self._losses: dict[str, int] = {}

    @property
    def records(self) -> int:
        """How many records wait for this process to send them."""
        with self._lock:
            return self._records()

    @property
    def size(self) -> int:
        """How many bytes this process's segments take."""
        with self._lock:
            return self._size()

    @property
    def kept(self) -> int:
        """How many of the records the next process would find."""
        with self._lock:
            return sum(segment.waiting for segment in self._segments.values())

    def append(self, payload: Payload) -> Entry:
        """Take a payload; the oldest segments make room for it.

        Raises:
            SpoolError: it cannot be written.
        """
        with self._locked():
            needed = frame_bytes(payload)
            if needed > self._max_bytes or len(payload.body) > LARGEST_BODY:
                self._lost(payload.count, FULL)
                return Entry(payload, "")
            try:
                self._make_room(needed)
                return self._write(payload)
            except OSError as error:
                raise self._error(error) from error

    def next(self) -> Entry | None:
        """Return the oldest payload, the same one until it is done.

        Raises:
            SpoolError: it cannot be read for now.
        """
        with self._locked():
            while self._shown is None and self._segments:
                segment = next(iter(self._segments.values()))
                try:
                    found = segment.next()
                except FileNotFoundError:
                    self._drop(segment, REMOVED)
                    continue
                except OSError as error:
                    if error.errno != errno.EIO:
                        raise self._error(error) from error
                    found = None
                if found is None:
                    # What was counted and is not found has been damaged.
                    self._drop(segment, DAMAGED)
                else:
                    self._shown = Entry(
                        found.payload, _key(segment), found.header.offset, kept=True
                    )
            return self._shown

    def more(self, count: int, size: int) -> list[Entry]:
        """Return payloads that follow the one :meth:`next` returned, and may be sent with it."""
        with self._locked():
            segment = None if self._shown is None else self._segments.get(self._shown.place)
            if segment is None:
                return []
            try:
                found = segment.following(count, size)
            except OSError:
                return []  # met again by next()
            return [
                Entry(each.payload, _key(segment), each.header.offset, kept=True) for each in found
            ]

    def done(self, entry: Entry) -> bool:
        """Forget a payload; a segment goes with its last one."""
        with self._locked():
            shown = self._shown is not None and _same(entry, self._shown)
            if shown:
                self._shown = None
            segment = self._segments.get(entry.place)
            if segment is None:
                # Its segment made room for others while it was being sent.
                return shown
            there = segment.mark_done(entry.offset, entry.payload)
            if segment.waiting <= 0:
                self._drop(segment, DAMAGED)
            return there

    def adopt(self) -> int:
        """Take over the segments of processes that have ended, and hold the bound.

        Raises:
            SpoolError: the folder cannot be used for now.
        """
        with self._locked():
            try:
                self._adopt_all()
                if self._own_lock is not None:
                    self._hold()
                self._make_room(0)
            except OSError as error:
                raise self._error(error) from error
            adopted, self._unreported = self._unreported, 0
            return adopted

    def close(self) -> None:
        """Let go of the segments; they wait for the next process."""
        with self._locked():
            if self._shown is not None and self._shown.place not in self._segments:
                self._lost(self._shown.payload.count, FULL)
            self._shown = None
            for segment in self._segments.values():
                if segment.waiting > 0:
                    segment.close()
                else:
                    segment.delete()
            if self._own_lock is not None:
                self._own_lock.remove()
                self._own_lock = None

    def start_afresh(self) -> None:
        """Forget the parent's segments, in the child after a fork."""
        self._lock = threading.Lock()
        for segment in self._segments.values():
            segment.close()
        if self._own_lock is not None:
            self._own_lock.let_go()
        self._segments.clear()
        self._writing = self._shown = self._own_lock = None
        self._owner = ""
        self._unreported = 0
        self._losses = {}

    # --- what waits -----------------------------------------------------------------------------

    def _records(self) -> int:
        records = sum(segment.waiting for segment in self._segments.values())
        if self._shown is not None and self._shown.place not in self._segments:
            records += self._shown.payload.count
        return records

    def _size(self) -> int:
        return sum(segment.size for segment in self._segments.values())

    def _drop(self, segment: Segment, reason: str) -> None:
        """Remove a segment; what waits in it is lost, but not what is being sent."""
        del self._segments[_key(segment)]
        if self._writing is segment:
            self._writing = None
        segment.delete()
        waiting = segment.waiting
        if self._shown is not None and self._shown.place == _key(segment):
            waiting -= self._shown.payload.count
        self._lost(waiting, reason)

    def _lost(self, count: int, reason: str) -> None:
        if count > 0:
            self._losses[reason] = self._losses.get(reason, 0) + count

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; what was lost meanwhile is reported without it."""
        losses: dict[str, int] = {}
        try:
            with self._lock:
                try:
                    yield
                finally:
                    losses, self._losses = self._losses, {}
        finally:
            for reason, count in losses.items():
                self._report(count, reason)

    def _error(self, error: OSError) -> SpoolError:
        return SpoolError(f"cannot keep telemetry in {self._folder}: {error.strerror or error}")

    # --- what is written ------------------------------------------------------------------------

    def _write(self, payload: Payload) -> Entry:
        segment = self._writable(frame_bytes(payload))
        offset = segment.append(payload, time.time_ns())
        if self._sync:
            segment.sync()
        return Entry(payload, _key(segment), offset, kept=True)

    def _writable(self, needed: int) -> Segment:
        """Return the segment that the next payload belongs into."""
        writing = self._writing
        if writing is not None and writing.removed():
            self._drop(writing, REMOVED)
            writing = None
        if writing is not None and writing.size and writing.size + needed > self._segment_bytes:
            writing = None
        return writing or self._begin_segment()

    def _begin_segment(self) -> Segment:
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        self._hold()
        self._measure_others()
        name, self._last_time = SegmentName.now(self._owner, self._last_time)
        segment = Segment(self._folder, name)
        segment.create()
        if self._sync:
            sync_folder(self._folder)
        self._segments[_key(segment)] = self._writing = segment
        return segment

    def _hold(self) -> None:
        """Have a name in the folder, and a lock by which others know that it is a living one's."""
        if self._own_lock is not None and self._own_lock.held():
            return
        if self._own_lock is not None:
            # Somebody has cleared the folder, or the folder is another one now.
            self._own_lock.let_go()
            self._own_lock = None
        self._owner, self._own_lock = become_owner(self._folder)
        for segment in tuple(self._segments.values()):
            self._claim(segment)

    def _claim(self, segment: Segment) -> None:
        try:
            segment.rename(replace(segment.name, owner=self._owner))
        except FileNotFoundError:
            self._drop(segment, REMOVED)

    def _make_room(self, needed: int) -> None:
        if self._size() + self._others_bytes + needed <= self._max_bytes:
            return
        # First what nobody owns any more: it is older.
        self._adopt_all()
        # Who is within its share leaves it to the others to make room.
        limit = max(self._max_bytes - self._others_bytes, self._max_bytes // self._owners, needed)
        while self._segments and self._size() + needed > limit:
            self._drop(next(iter(self._segments.values())), FULL)

    # --- what others left -----------------------------------------------------------------------

    def _adopt_all(self) -> None:
        """Take over what nobody owns any more, and measure what others own."""
        if self._own_lock is not None:
            self._own_lock.beat()
        self.left = ""
        for owner in sorted(list_folder(self._folder).owners - {self._owner}):
            try:
                self._adopt_owner(owner)
            except OSError as error:  # noqa: PERF203 - one that fails must not keep the others
                # Another user's is not for this process to send.
                if not isinstance(error, PermissionError):
                    self.left = f"cannot take over what waits in {self._folder}: {error.strerror}"
        self._measure_others()

    def _measure_others(self) -> None:
        sizes = list_folder(self._folder).sizes
        others = [size for owner, size in sizes.items() if owner != self._owner]
        self._others_bytes = sum(others)
        self._owners = 1 + len(others)

    def _adopt_owner(self, owner: str) -> None:
        lock = take_lock(lock_path(self._folder, owner))
        if lock is None:
            return
        try:
            # Listed now that nobody adds to it.
            listing = list_folder(self._folder)
            for name in listing.segments.get(owner, []):
                self._hold()
                segment = Segment(self._folder, name)
                segment.measure()
                segment.rename(replace(name, owner=self._owner))
                self._segments[_key(segment)] = segment
                self._unreported += segment.waiting
            self._segments = dict(sorted(self._segments.items()))
            if owner in listing.journals:
                self._adopt_journal(owner)
        except BaseException:
            lock.let_go()
            raise
        lock.remove()

    def _adopt_journal(self, owner: str) -> None:
        """Write behind everything else what a killed process had not come to write."""
        path = journal_path(self._folder, owner)
        signal, records = read_journal(path, int(owner.rpartition("-")[2], 16))
        if records:
            self._begin_segment()
        for sequence, bodies in enumerate(_batches(records)):
            self._write(Payload(signal, len(bodies), b"".join(bodies), sequence))
            self._unreported += len(bodies)
        path.unlink()


def _batches(records: list[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and (size + len(record) > _BATCH_BYTES or len(batch) == _BATCH_RECORDS):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield batch


def _key(segment: Segment) -> str:
    """Name a segment as it is called whoever owns it; sorts by time."""
    return f"{segment.name.time}-{segment.name.seed}"


def _same(one: Entry, other: Entry) -> bool:
    return one.place == other.place and one.offset == other.offset
