"""Records that outlive a process which is killed at once after it made them.

A record is in the journal, a file mapped into memory, before the call that made it returns. It
leaves the journal when it was sent or spooled. Writing to mapped memory is no system call and does
not wait; whatever happens to the process, the system has it. Only a process that was killed leaves
a journal, and whoever takes over its spool sends what is in it.

A power cut is not what this is for: nothing is flushed to the disk.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otelbridge.delivery.payload import SIGNALS, DeliveredSignal
from otelbridge.delivery.spool.folder import become_owner, journal_path
from otelbridge.delivery.spool.journaled import (
    BEGIN_OFFSET,
    HEADER,
    HEADER_BYTES,
    MAGIC,
    RECORD,
    checksum,
    lap_end,
)
from otelbridge.delivery.spool.locks import Lock
from otelbridge.delivery.spool.store import SpoolError

# Of records that are neither sent nor spooled there are those of one flush interval or two.
CAPACITY: Final = 8 * 2**20
# What is used of it as long as records leave it in time: few pages for the system to write back.
_SHORT_LAP: Final = 2**18
_RETRY_SECONDS: Final = 10.0
_CHECK_SECONDS: Final = 5.0


class Journal:
    """The records of one queue that are neither sent nor spooled.

    :meth:`append` must be called by one thread at a time, in the queue's order: under its lock.
    The file is made with the first record.
    """

    def __init__(
        self,
        folder: Callable[[], Path | None],
        signal: DeliveredSignal,
        trouble: Callable[[str], None],
        *,
        capacity: int = CAPACITY,
    ) -> None:
        """Remember where the file is to be.

        Args:
            folder: tells that of the spool which is to send what a killed process leaves, when
                the first record comes.
            signal: what the records are.
            trouble: told in one line why there can be no journal.
            capacity: bytes of records. When it is full the oldest records are without its
                protection; they are not lost unless the process is killed.
        """
        self._find_folder = folder
        self._signal = signal
        self._trouble = trouble
        self._capacity = capacity
        self._seed = 0
        self._lock = threading.RLock()
        self._owner_lock: Lock | None = None
        self._mapping: mmap.mmap | None = None
        self._words: memoryview | None = None
        self._path: Path | None = None
        self._begin = self._end = 0
        self._inside = self._closed = False
        self._retry_at = self._check_at = 0.0
        self._failed = self._unsaid = ""

    @property
    def waiting(self) -> bool:
        """Whether there are records that are neither sent nor spooled."""
        return self._begin != self._end

    def append(self, body: bytes) -> int:
        """Write a record; never raises, never waits.

        Args:
            body: the record, encoded by itself.

        Returns:
            What :meth:`advance` is to be told when it was sent or spooled; 0 if it could not be
            written: it is too large, or there is no journal.
        """
        with self._lock:
            if self._inside:
                # Amid the writing of another record this thread has come to make one: by a
                # signal's handler, or a destructor.
                return 0
            self._inside = True
            try:
                return self._append(body)
            finally:
                self._inside = False

    def advance(self, position: int) -> None:
        """Note that every record up to one was sent or spooled.

        Args:
            position: what :meth:`append` returned for that one.
        """
        with self._lock:
            if self._inside:
                return
            self._inside = True
            try:
                self._advance(position)
            finally:
                self._inside = False

    def say_trouble(self) -> None:
        """Say why there is no journal, if that was not said; on a thread that may log."""
        line, self._unsaid = self._unsaid, ""
        if line:
            self._trouble(line)

    def close(self) -> None:
        """End the journal; what was not sent or spooled is left to the next process."""
        with self._lock:
            self._closed = True
            if self._path is not None and not self.waiting:
                with contextlib.suppress(OSError):
                    self._path.unlink()
            self._let_go()

    def start_afresh(self) -> None:
        """Forget the parent's journal, in the child after a fork."""
        self._lock = threading.RLock()
        self._inside = self._closed = False
        self._unmap()
        if self._owner_lock is not None:
            self._owner_lock.let_go()
            self._owner_lock = None
        self._retry_at = 0.0

    def _advance(self, position: int) -> None:
        if self._words is not None and self._begin < position <= self._end:
            self._set_begin(position)
        if self._owner_lock is not None and time.monotonic() > self._check_at:
            self._check_at = time.monotonic() + _CHECK_SECONDS
            self._owner_lock.beat()
            if not self._owner_lock.held():
                # Somebody has cleared the folder. What is in the file goes with it.
                self._let_go()

    def _append(self, body: bytes) -> int:
        size = RECORD.size + len(body)
        if size > self._capacity // 2 or (self._mapping is None and not self._open()):
            return 0
        assert self._mapping is not None
        position = self._place(size)
        offset = HEADER_BYTES + position % self._capacity
        self._mapping[offset : offset + size] = (
            RECORD.pack(checksum(body, self._seed, position), len(body), position) + body
        )
        self._end = position + size
        return self._end

    def _place(self, size: int) -> int:
        """Find the place of a record, and have room there."""
        end = self._end
        if end == self._begin:
            # Empty: begin again with the pages that are in use, if many are.
            used = end % self._capacity
            position = lap_end(end, self._capacity if used > _SHORT_LAP else size, self._capacity)
            if position != end:
                self._end = position
                self._set_begin(position)
            return position
        position = lap_end(end, size, self._capacity)
        while position + size - self._begin > self._capacity:
            self._give_up_oldest(position)
        return position

    def _give_up_oldest(self, position: int) -> None:
        assert self._mapping is not None
        begin, capacity = self._begin, self._capacity
        if begin % capacity + RECORD.size <= capacity:
            _, length, written = RECORD.unpack_from(self._mapping, HEADER_BYTES + begin % capacity)
            if written == begin:
                self._set_begin(begin + RECORD.size + length)
                return
        # The next one stands at the beginning of the ring.
        following = lap_end(begin, capacity, capacity)
        self._set_begin(following if following > begin else position)

    def _set_begin(self, position: int) -> None:
        self._begin = position
        assert self._words is not None
        # Eight bytes at once: whoever is killed here leaves the old position or the new one.
        self._words[BEGIN_OFFSET // 8] = position

    def _open(self) -> bool:
        if self._closed or time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        folder = self._find_folder()
        if folder is None:
            return False
        try:
            self._make(folder)
        except (OSError, SpoolError) as error:
            self._let_go()
            reason = getattr(error, "strerror", None) or error
            if self._failed != str(reason):
                self._failed = str(reason)
                self._unsaid = f"there can be no journal in {folder}: {reason}"
            return False
        self._failed = ""
        return True

    def _make(self, folder: Path) -> None:
        owner, self._owner_lock = become_owner(folder)
        path = journal_path(folder, owner)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._path = path
        try:
            _allocate(descriptor, HEADER_BYTES + self._capacity)
            self._mapping = mmap.mmap(descriptor, HEADER_BYTES + self._capacity)
        except BaseException:
            path.unlink()
            self._path = None
            raise
        finally:
            os.close(descriptor)
        self._seed = int(owner.rpartition("-")[2], 16)
        # Not 0, which is the position that an empty file has everywhere.
        self._begin = self._end = self._end - self._end % self._capacity + self._capacity
        self._words = memoryview(self._mapping)[:HEADER_BYTES].cast("Q")
        self._set_begin(self._begin)
        HEADER.pack_into(self._mapping, 0, MAGIC, self._capacity, SIGNALS.index(self._signal))

    def _let_go(self) -> None:
        self._unmap()
        if self._owner_lock is not None:
            self._owner_lock.remove()
            self._owner_lock = None

    def _unmap(self) -> None:
        if self._words is not None:
            self._words.release()
            self._words = None
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None
        self._path = None
        # Positions go on in another file: those that were given out mean nothing there.
        self._begin = self._end


def _allocate(descriptor: int, size: int) -> None:
    """Make a file take its whole size on the disk.

    Mapped memory that finds no room on the disk later would end the program.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(bytes(size))
