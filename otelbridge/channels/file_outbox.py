"""An outbox in a folder: one file of JSON lines a process, taken over when its process has ended.

A file belongs to the process that holds the lock on it; the lock goes with the process, however it
ends. Where there are no such locks, a file that nobody wrote to for an hour is taken over.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from otelbridge.channels.delivery_log import DeliveryLog
from otelbridge.channels.outbox import Delivery, delivery_from_dict

if sys.platform != "win32":
    import fcntl

_logger = logging.getLogger("otelbridge.channels")

# A file is written anew, without what is over, when it has grown to this.
_COMPACT_AT: Final = 4 * 2**20
_ABANDONED_AFTER: Final = 3600.0

# A process's locks do not keep it out of its own files.
_open_here: set[Path] = set()


class FileOutbox:
    """Remembers what is queued in ``folder``, so that another process can send it.

    Args:
        folder: made when the first message is recorded, for the owner's eyes only.
        log: is told what became of each message, if it is to be read later.
    """

    def __init__(self, folder: Path, log: DeliveryLog | None = None) -> None:
        self.folder = folder
        self.log = log
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._queued: dict[str, Delivery] = {}
        self._written = 0
        self._compact_at = _COMPACT_AT
        self._adopted: dict[str, list[Delivery]] | None = None
        self._said = False

    def record(self, delivery: Delivery) -> None:
        with self._lock, self._saying_trouble():
            known = delivery.id in self._queued
            if delivery.over:
                if self.log is not None:
                    self.log.add(delivery)
                self._queued.pop(delivery.id, None)
                if not known:
                    return  # never written, and nothing to send again
            else:
                self._queued[delivery.id] = delivery
            self._write(delivery, whole=not known)

    def queued(self) -> list[Delivery]:
        """List what is not over yet, oldest first."""
        with self._lock:
            return list(self._queued.values())

    def waiting(self, destination: str) -> list[Delivery]:
        with self._lock:
            with self._saying_trouble():
                if self._adopted is None:
                    self._adopted = self._adopt()
            return (self._adopted or {}).pop(destination, [])

    def close(self) -> None:
        with self._lock:
            path, self._path = self._path, None
            if self._file is not None:
                # The lock goes with the file: what is still queued is the next process's.
                self._file.close()
                self._file = None
            if path is not None:
                _open_here.discard(path)
            if path is not None and not self._queued:
                with suppress(OSError):
                    path.unlink()

    def start_afresh(self) -> None:
        self._lock = threading.Lock()
        # The parent's file: its lock is not the child's, and closing it here takes none away.
        _open_here.clear()
        self._file = None
        self._path = None
        self._queued = {}
        self._written = 0
        self._compact_at = _COMPACT_AT
        self._adopted = {}

    def _write(self, delivery: Delivery, *, whole: bool) -> None:
        file = self._opened()
        data = delivery.as_dict()
        if not whole:
            del data["message"]
        line = json.dumps(data) + "\n"
        file.write(line)
        file.flush()
        self._written += len(line)
        if self._written > self._compact_at:
            self._compact()

    def _compact(self) -> None:
        """Begin a file without what is over; the old one goes when the new one is whole."""
        full, path = self._file, self._path
        self._file, self._written = None, 0
        file = self._opened()
        for delivery in self._queued.values():
            line = json.dumps(delivery.as_dict()) + "\n"
            file.write(line)
            self._written += len(line)
        file.flush()
        self._compact_at = max(_COMPACT_AT, self._written * 2)
        if full is not None and path is not None:
            full.close()
            path.unlink(missing_ok=True)
            _open_here.discard(path)

    def _opened(self) -> IO[str]:
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            self._path = self.folder / name
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._file = os.fdopen(descriptor, "a", encoding="utf-8")
            _lock(descriptor)
            _open_here.add(self._path)
        return self._file

    def _adopt(self) -> dict[str, list[Delivery]]:
        """Take over the files of processes that have ended."""
        found: dict[str, list[Delivery]] = {}
        if not self.folder.is_dir():
            return found
        for path in sorted(self.folder.glob("*.jsonl")):
            if path in _open_here:
                continue
            with _owned(path) as file:
                if file is None:
                    continue
                for delivery in _queued_in(file):
                    found.setdefault(delivery.destination, []).append(delivery)
                    # Written to our own file before the other goes: a kill between loses nothing.
                    self._queued[delivery.id] = delivery
                    self._write(delivery, whole=True)
                path.unlink()
        return found

    @contextmanager
    def _saying_trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._said:
                self._said = True
                _logger.warning(
                    "messages that wait are kept in memory only: %s: %s",
                    self.folder,
                    error.strerror or error,
                )


@contextmanager
def _owned(path: Path) -> Iterator[IO[str] | None]:
    """Open a file whose process has ended; None while it lives."""
    try:
        file = path.open("r+", encoding="utf-8", errors="replace")
    except OSError:
        yield None  # another process has just taken it over
        return
    with file:
        if sys.platform == "win32":
            yield file if time.time() - path.stat().st_mtime > _ABANDONED_AFTER else None
        else:
            yield file if _lock(file.fileno()) else None


def _lock(descriptor: int) -> bool:
    """Take a file's lock, which its process's end lets go of, unless another process has it."""
    if sys.platform != "win32":
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _queued_in(file: IO[str]) -> list[Delivery]:
    known: dict[str, dict[str, Any]] = {}
    for line in file:
        try:
            data = json.loads(line)
            known[data["id"]] = {**known.get(data["id"], {}), **data}
        except (ValueError, KeyError, TypeError):  # noqa: PERF203 (line by line)
            # The last line of a process that was killed may be half a line.
            continue
    queued = []
    for data in known.values():
        with suppress(ValueError):
            delivery = delivery_from_dict(data)
            if not delivery.over:
                queued.append(delivery)
    return queued
