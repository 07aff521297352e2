"""A file that several processes append to and that any of them rotates."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from otelbridge.sinks.rotation import Rotation

# On Windows there is no such lock: there one process may write to a file that is rotated.
if sys.platform != "win32":
    import fcntl

# How long a write waits for other processes' before it goes ahead without the lock: they hold it
# for microseconds, unless one was stopped at that very moment.
LOCK_SECONDS = 1.0

# How long the lock is left alone after that, so that not every write waits.
_NO_LOCK_SECONDS = 10.0

_POLL_SECONDS = 0.0002


class SharedFile:
    """Appends to a file, and rotates it, together with other processes.

    Every write holds a lock on a file beside it (``.<name>.lock``), so that no line is written
    while the file is being renamed. Each write makes sure that the open file is still the one at
    the path, so other programs may rotate it too. Every process must open it for itself: a lock
    that a forked child inherits is its parent's.

    Args:
        path: the file; its folder is made.
        rotation: when it is put aside, and a new one begun.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self._path, self._rotation = path, rotation
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _Descriptor(path)
        self._lock = _Descriptor(path.with_name(f".{path.name}.lock"))
        self._lock_again_at = 0.0
        self._locked = False

    def write(self, data: bytes) -> None:
        """Append ``data``, wholly or not at all.

        Raises:
            OSError: where it cannot be written, such as on a full disk.
        """
        status = self._begin()
        try:
            size = status.st_size if status else 0
            if self._locked and status and size and self._rotation.is_due(status, len(data)):
                size = self._rotate()
            self._append(data, size if self._locked else None)
        finally:
            self._end()

    def extend(self, compose: Callable[[], bytes], *, sync: bool = False) -> os.stat_result:
        """Append what is made while no other process can write, wholly or not at all.

        Args:
            compose: called once the file is locked; it may read the file.
            sync: whether to wait until the disk has it.

        Returns:
            The file's status when it has been written, before any other process's turn.

        Raises:
            OSError: where it cannot be written, or where the lock cannot be had.
        """
        status = self._begin()
        try:
            if not self._locked:
                raise TimeoutError(f"{self._lock.path} is held by another process")
            data = compose()
            size = status.st_size if status else 0
            if status and size and self._rotation.is_due(status, len(data)):
                size = self._rotate()
            self._append(data, size)
            if sync:
                os.fsync(self._file.number)
            return os.fstat(self._file.number)
        finally:
            self._end()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._lock.close()

    def _begin(self) -> os.stat_result | None:
        """Lock the file if that is possible, and make sure that it is the one at the path."""
        self._locked = (not self._lock_again_at and self._try_lock()) or self._acquire()
        try:
            status = self._file.status_at_path()
            if status is None:
                self._reopen()
                status = self._file.status_at_path()
        except BaseException:
            self._end()
            raise
        return status

    def _end(self) -> None:
        if self._locked:
            self._locked = False
            if sys.platform != "win32":
                fcntl.flock(self._lock.number, fcntl.LOCK_UN)

    def _append(self, data: bytes, size: int | None) -> None:
        written = os.write(self._file.number, data)
        try:
            while written < len(data):
                written += os.write(self._file.number, data[written:])
        except OSError:
            # The disk filled up in the middle of a line; half a line would spoil the next one.
            if size is not None:
                os.ftruncate(self._file.number, size)
            raise

    def _rotate(self) -> int:
        """Put the file aside and begin a new one; return its size."""
        # Where renaming fails, by a missing permission say, the file grows on: better than
        # losing what is to be written.
        with suppress(OSError):
            self._rotation.rotate(self._path)
        self._file.close()
        self._file = _Descriptor(self._path)
        status = self._file.status_at_path()
        return status.st_size if status else 0

    def _reopen(self) -> None:
        """Open the file anew after somebody moved it, and its lock, which may be gone as well."""
        self._locked = False
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _Descriptor(self._lock.path)
        self._locked = self._acquire()
        self._file = _Descriptor(self._path)

    def _acquire(self) -> bool:
        if self._lock_again_at:
            if time.monotonic() < self._lock_again_at:
                return False
            self._lock_again_at = 0.0
        deadline = time.monotonic() + LOCK_SECONDS
        while not self._try_lock():
            if time.monotonic() >= deadline:
                self._lock_again_at = time.monotonic() + _NO_LOCK_SECONDS
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _try_lock(self) -> bool:
        if sys.platform != "win32":
            try:
                fcntl.flock(self._lock.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


class _Descriptor:
    """A file opened for appending, that knows its inode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self.number = os.open(path, flags, 0o666)
        self._status = os.fstat(self.number)
        self._name = os.fspath(path)
        self._inode, self._device = self._status.st_ino, self._status.st_dev

    def status_at_path(self) -> os.stat_result | None:
        """Return the status of the file at the path; ``None`` if it is not the one that is open."""
        try:
            status = os.stat(self._name)  # noqa: PTH116 - in a third of the time
        except FileNotFoundError:
            return None
        same = status.st_ino == self._inode and status.st_dev == self._device
        return status if same else None

    def close(self) -> None:
        # A daemon may have closed every descriptor it inherited, and the number may be another
        # file's by now.
        with suppress(OSError):
            if os.path.samestat(os.fstat(self.number), self._status):
                os.close(self.number)
        self.number = -1
