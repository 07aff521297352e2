"""One process per store: a lock on a file beside it, which the system drops if the process dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO

from otelbridge.store.protocol import StoreError

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[str]) -> bool:
        # Beyond the text, which others must be able to read while it is locked.
        file.seek(1024)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """Held from :meth:`acquire` to :meth:`release`."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = store.with_name(store.name + ".lock")
        self._file: IO[str] | None = None

    def exists(self) -> bool:
        """Whether a store was open here before, be it by another process."""
        return self._path.exists()

    def acquire(self) -> None:
        """Take the lock; raises :class:`StoreError` naming the process that has it."""
        file = self._path.open("a+", encoding="utf-8")
        try:
            locked = _try_lock(file)
        except OSError:
            # Some network file systems know no locks: SQLite's own then have to do.
            locked = True
        if not locked:
            file.seek(0)
            holder = file.read(32).strip()
            file.close()
            raise StoreError(
                f"the store {self._store} is already open in process {holder or '(unknown)'}; "
                "stop that one, or set OTELBRIDGE_STORE to another file"
            )
        self._file = file
        # On a full disk the lock holds without the number, too.
        with contextlib.suppress(OSError):
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()

    def release(self) -> None:
        """Give the lock back. The file stays: to remove it would race with the next process."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
