"""A spool that can always be used: on disk as long as that works, else in memory for a while."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool.disk import Spool
from otelbridge.delivery.spool.memory import MemorySpool
from otelbridge.delivery.spool.store import Dropped, Entry, SpoolError

# How long the disk is left alone after it failed.
RETRY_SECONDS: Final = 10.0


class FallbackSpool:
    """Keeps payloads on disk, and in memory what the disk does not take; see `PayloadStore`.

    None of its methods raise. What is in memory goes to the disk when that works again. What is
    being sent from memory stays there: whatever is on disk then is newer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        memory_bytes: int,
        sync: str,
        dropped: Dropped,
        trouble: Callable[[str], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Make both spools; nothing is opened yet.

        Args:
            folder: as :class:`Spool` has it.
            max_bytes: of the folder.
            memory_bytes: of what is kept in memory.
            sync: as :class:`Spool` has it.
            dropped: told how many records were dropped, and why.
            trouble: told in one line when the disk fails, and when it works again.
            retry_seconds: how long the disk is left alone after it failed.
        """
        self._folder = folder
        self._disk = Spool(folder, max_bytes=max_bytes, sync=sync, dropped=self._note_lost)
        self._memory = MemorySpool(max_bytes=memory_bytes, dropped=self._note_lost)
        self._dropped = dropped
        self._trouble = trouble
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._failed = self._left = ""
        self._retry_at = 0.0
        self._lines: list[str] = []
        self._losses: list[tuple[int, str]] = []

    @property
    def records(self) -> int:
        """How many records wait, on disk and in memory."""
        return self._disk.records + self._memory.records

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return self._disk.size + self._memory.size

    @property
    def kept(self) -> int:
        """How many records wait on disk, where the next process finds them."""
        return self._disk.records

    def append(self, payload: Payload) -> Entry:
        """Take a payload: on disk, but in memory while the disk fails."""
        with self._locked():
            if time.monotonic() >= self._retry_at:
                with self._watching():
                    self._move()
                    entry = self._disk.append(payload)
                    self._recover()
                    return entry
            return self._memory.append(payload)

    def next(self) -> Entry | None:
        """Return the oldest payload, the same one until it is done."""
        with self._locked():
            if not self._memory.showing:
                with self._watching():
                    entry = self._disk.next()
                    if entry is not None:
                        return entry
            return self._memory.next()

    def more(self, count: int, size: int) -> list[Entry]:
        """Return payloads that follow the one :meth:`next` returned, where that is on disk."""
        with self._locked():
            # What is in memory may be moved to the disk while it is being sent.
            return [] if self._memory.showing else self._disk.more(count, size)

    def done(self, entry: Entry) -> bool:
        """Forget a payload."""
        with self._locked():
            return self._disk.done(entry) or self._memory.done(entry)

    def adopt(self) -> int:
        """Take over what ended processes left on disk, and move there what is in memory."""
        with self._locked():
            adopted = 0
            if time.monotonic() >= self._retry_at:
                with self._watching():
                    adopted = self._disk.adopt()
                    if self._disk.left and self._disk.left != self._left:
                        self._lines.append(self._disk.left)
                    self._left = self._disk.left
                    self._move()
            return adopted

    def close(self) -> None:
        """Move to the disk what is in memory, if it takes it, and let go of it."""
        with self._locked():
            self._memory.show_nothing()
            with self._watching():
                self._move()
            self._disk.close()

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self._disk.start_afresh()
        self._memory.start_afresh()
        self._lock = threading.Lock()
        self._failed = self._left = ""
        self._retry_at = 0.0
        self._lines, self._losses = [], []

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; what there is to say is said without it."""
        lines: list[str] = []
        losses: list[tuple[int, str]] = []
        try:
            with self._lock:
                try:
                    yield
                finally:
                    lines, self._lines = self._lines, []
                    losses, self._losses = self._losses, []
        finally:
            for count, reason in losses:
                self._dropped(count, reason)
            for line in lines:
                self._trouble(line)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Use the disk; when it fails, leave it alone for a while."""
        try:
            yield
        except SpoolError as error:
            self._retry_at = time.monotonic() + self._retry_seconds
            if self._failed != str(error):
                self._failed = str(error)
                self._lines.append(f"{error}; it is kept in memory meanwhile")

    def _move(self) -> None:
        """Move to the disk what is in memory, but what is being sent from there."""
        for entry in self._memory.hidden():
            self._disk.append(entry.payload)
            self._memory.done(entry)
            self._recover()

    def _recover(self) -> None:
        if self._failed:
            self._failed = ""
            self._lines.append(f"telemetry is kept in {self._folder} again")

    def _note_lost(self, count: int, reason: str) -> None:
        self._losses.append((count, reason))
