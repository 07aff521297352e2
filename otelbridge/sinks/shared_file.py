"""A file that several processes append to and that any of them rotates."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

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
    """Appends to a file, and rotates it by size, together with other processes.

    Every write holds a lock on a file beside it (``.<name>.lock``), so that no line is written
    while the file is being renamed. Each write makes sure that the open file is still the one at
    the path, so other programs may rotate it too. Every process must open it for itself: a lock
    that a forked child inherits is its parent's.

    Args:
        path: the file; its folder is made.
        max_bytes: the size beyond which it is renamed to ``<name>.1``, and that to ``<name>.2``,
            and so on; 0 for never.
        backups: how many renamed files are kept.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path, self._max_bytes, self._backups = path, max_bytes, backups
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _Descriptor(path)
        self._lock = _Descriptor(path.with_name(f".{path.name}.lock"))
        self._lock_again_at = 0.0

    def write(self, data: bytes) -> None:
        """Append ``data``, wholly or not at all.

        Raises:
            OSError: where it cannot be written, such as on a full disk.
        """
        locked = self._acquire()
        try:
            size = self._file.size_at_path()
            if size is None:
                locked = False
                locked = self._reopen()
                size = self._file.size_at_path() or 0
            if locked and size and 0 < self._max_bytes < size + len(data):
                size = self._rotate()
            self._append(data, size if locked else None)
        finally:
            if locked:
                self._release()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._lock.close()

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
        """Rename the file and begin a new one; return its size."""
        # Where renaming fails, by a missing permission say, the file grows on: better than
        # losing what is to be written.
        with suppress(OSError):
            if self._backups:
                self._rename()
            else:
                self._path.unlink()
        self._file.close()
        self._file = _Descriptor(self._path)
        return self._file.size_at_path() or 0

    def _rename(self) -> None:
        # Up to the first number that is free: what lies behind a gap need not move.
        last = 0
        while last < self._backups and self._backup(last).exists():
            last += 1
        for number in range(last, 0, -1):
            self._backup(number - 1).replace(self._backup(number))

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _reopen(self) -> bool:
        """Open the file anew after somebody moved it, and its lock, which may be gone as well."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _Descriptor(self._lock.path)
        locked = self._acquire()
        self._file = _Descriptor(self._path)
        return locked

    def _acquire(self) -> bool:
        now = time.monotonic()
        if now < self._lock_again_at:
            return False
        deadline = now + LOCK_SECONDS
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

    def _release(self) -> None:
        if sys.platform != "win32":
            fcntl.flock(self._lock.number, fcntl.LOCK_UN)


class _Descriptor:
    """A file opened for appending, that knows its inode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self.number = os.open(path, flags, 0o666)
        self._status = os.fstat(self.number)

    def size_at_path(self) -> int | None:
        """Return the size of the file at the path; ``None`` if it is not the one that is open."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_size if os.path.samestat(status, self._status) else None

    def close(self) -> None:
        # A daemon may have closed every descriptor it inherited, and the number may be another
        # file's by now.
        with suppress(OSError):
            if os.path.samestat(os.fstat(self.number), self._status):
                os.close(self.number)
        self.number = -1
