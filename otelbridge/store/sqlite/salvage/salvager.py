"""The thread that brings what a damaged file still holds into the new one, beside the live traffic.

What was brought over is noted in the new file, in the same transaction as the records themselves,
so that a bridge that ends meanwhile goes on from there.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from otelbridge.model import Attributes, LogRecord, Span
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from otelbridge.store.sqlite.json_text import loads
from otelbridge.store.sqlite.salvage.pages import Pages
from otelbridge.store.sqlite.salvage.rows import Restored, read_rows, read_shared

_log = logging.getLogger(__name__)

# Records in one transaction: about as much work as a slice of expiry.
_CHUNK: Final = 500
# Between two chunks, for those that wait on this process.
_PAUSE_SECONDS: Final = 0.02
# New records need room more urgently than old ones: below this much the disk is left alone.
_LEAST_FREE: Final = 256 * 2**20
_LEAST_SHARE: Final = 0.1

_NOTE: Final = "salvage "


@dataclass(frozen=True, slots=True)
class Aside:
    """A damaged file, or only its log, kept under a name that says so.

    Attributes:
        path: where the file is, or would be where only its log was damaged.
        until: the page from which on everything was brought over already.
    """

    path: Path
    until: int | None = None

    @property
    def log(self) -> Path:
        """The log ahead of it."""
        return self.path.with_name(self.path.name + "-wal")

    @property
    def note(self) -> str:
        """The key under which the new file notes how far this one was read."""
        return _NOTE + self.path.name


def noted(connection: sqlite3.Connection, folder: Path) -> list[Aside]:
    """What is still to be brought over, as the file itself notes."""
    return [
        Aside(folder / key.removeprefix(_NOTE), int(value) if value else None)
        for key, value in connection.execute(
            "SELECT key, value FROM meta WHERE key >= ? AND key < ?", (_NOTE, _NOTE + "\U0010ffff")
        )
    ]


def note(connection: sqlite3.Connection, key: str, page: int | None) -> None:
    """Note how far a damaged file was read; ``None`` for to its end."""
    if page is None:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        connection.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, str(page)),
        )


class Salvager:
    """Brings damaged files over, one after another.

    Args:
        restore: stores records and notes the page under the key, and says how many were new.
        reading: a connection to the new file.
    """

    def __init__(
        self,
        restore: Callable[[Restored, str, int | None], Future[int]],
        look_up: Callable[[int], Attributes | None],
    ) -> None:
        self._restore = restore
        self._look_up = look_up
        self._waiting: list[Aside] = []
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def begin(self, aside: Aside) -> None:
        """Bring over what ``aside`` holds, after those that wait."""
        with self._changed:
            self._waiting.append(aside)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="otelbridge-salvage", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End; the rest is brought over by the next process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._ended() or not self._waiting:
                    self._thread = None
                    return
                aside = self._waiting[0]
            try:
                added = self._salvage(aside)
            except Exception as error:
                # The file is kept, and the next start tries again.
                _log.exception("%s could not be read: %s", aside.path, error)
            else:
                if added is not None:
                    _log.warning(
                        "%d records were brought over from %s, which is kept", added, aside.path
                    )
            with self._changed:
                self._waiting.pop(0)

    def _salvage(self, aside: Aside) -> int | None:
        """Bring one over; how many records were new, or ``None`` if it was not finished."""
        file = aside.path if aside.path.exists() else None
        added = 0
        with Pages(file, aside.log) as pages:
            shared = read_shared(pages, self._ended)
            if file is None:
                shared.look_up = self._look_up
            restored = Restored()
            for number in pages.numbers():
                if aside.until is not None and number >= aside.until:
                    continue
                for record, row, received in read_rows(pages, number, shared):
                    _add(restored, record, row, received)
                if len(restored.batch) >= _CHUNK:
                    stored = self._hand_over(restored, aside, number)
                    if stored is None:
                        return None
                    added += stored
                    restored = Restored()
            stored = self._hand_over(restored, aside, None)
        return None if stored is None else added + stored

    def _hand_over(self, restored: Restored, aside: Aside, page: int | None) -> int | None:
        while not self._ended():
            usage = shutil.disk_usage(aside.path.parent)
            if len(restored.batch) and usage.free < min(_LEAST_FREE, usage.total * _LEAST_SHARE):
                _log.error(
                    "no room to bring over the rest of %s; make room and start again", aside.path
                )
                return None
            try:
                stored = self._restore(restored, aside.note, page).result()
            except StoreUnavailableError as error:
                self._pause(error.retry_after)
            except StoreError:
                if self._ended():
                    return None
                return self._one_by_one(restored, aside, page)
            else:
                self._pause(_PAUSE_SECONDS)
                return stored
        return None

    def _one_by_one(self, restored: Restored, aside: Aside, page: int | None) -> int | None:
        """Leave out the one among them that cannot be stored."""
        every = _every(restored)
        if len(every) <= 1:
            return self._hand_over(Restored(), aside, page) if every else None
        added = 0
        middle = len(every) // 2
        # Only the second half ends the page.
        for half, until in ((every[:middle], aside.until), (every[middle:], page)):
            part = Restored()
            for record in half:
                _add(part, record, *restored.places[id(record)])
            stored = self._hand_over(part, aside, until)
            if stored is None:
                return None
            added += stored
        return added

    def _ended(self) -> bool:
        return self._stopping

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(self._ended, seconds)


def read_set(connection: sqlite3.Connection, number: int) -> Attributes | None:
    """One set of the new file, for a log that names those of the file it belongs to."""
    row = connection.execute(
        "SELECT attributes FROM attribute_sets WHERE id = ?", (number,)
    ).fetchone()
    found: Attributes | None = None if row is None else loads(row[0])
    return found


def _add(restored: Restored, record: Any, row: int, received: int) -> None:
    restored.places[id(record)] = (row, received)
    batch = restored.batch
    if isinstance(record, LogRecord):
        batch.logs.append(record)
    elif isinstance(record, Span):
        batch.spans.append(record)
    else:
        batch.points.append(record)


def _every(restored: Restored) -> Sequence[Any]:
    batch = restored.batch
    return [*batch.logs, *batch.spans, *batch.points]
