"""The pages of a file and of the log ahead of it, each in its newest form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from otelbridge.store.sqlite.connections import PAGE_BYTES
from otelbridge.store.sqlite.salvage.wal import frames


class Pages:
    """Reads pages by number.

    Args:
        file: the database, ``None`` where only its log is to be read.
        log: the log ahead of it; it need not exist.
    """

    def __init__(self, file: Path | None, log: Path) -> None:
        self._file = _open(file)
        self._log = _open(log)
        # Of each page where its newest committed form is, and where forms are that do not hold.
        self._places: dict[int, int] = {}
        self._doubtful: dict[int, list[int]] = {}
        self._note(log)
        size = 0 if self._file is None else self._file.seek(0, 2)
        self.count = max([-(-size // PAGE_BYTES), *self._places, *self._doubtful])

    def __enter__(self) -> Pages:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in (self._file, self._log):
            if file is not None:
                file.close()

    def page(self, number: int) -> bytes:
        """The newest committed content; empty where there is none."""
        if number < 1:
            return b""
        place = self._places.get(number)
        if place is not None:
            return _read(self._log, place)
        return _read(self._file, (number - 1) * PAGE_BYTES)

    def forms(self, number: int) -> Iterator[bytes]:
        """The content, and behind it what doubtful forms of it there are."""
        yield self.page(number)
        for place in self._doubtful.get(number, ()):
            yield _read(self._log, place)

    def numbers(self) -> Sequence[int]:
        """Every page that there is, the last one first: it most often holds the newest rows."""
        if self._file is not None:
            return range(self.count, 0, -1)
        return sorted({*self._places, *self._doubtful}, reverse=True)

    def _note(self, log: Path) -> None:
        places: dict[int, int] = {}
        doubtful: list[tuple[int, int]] = []
        for frame in frames(log):
            if frame.holds:
                places[frame.page] = frame.place
            elif frame.page:
                doubtful.append((frame.page, frame.place))
            if frame.commits:
                self._places.update(places)
                places.clear()
                for page, place in doubtful:
                    self._doubtful.setdefault(page, []).append(place)
                doubtful.clear()


def _open(path: Path | None) -> BinaryIO | None:
    try:
        return None if path is None else path.open("rb")
    except FileNotFoundError:
        return None


def _read(file: BinaryIO | None, place: int) -> bytes:
    if file is None:
        return b""
    try:
        file.seek(place)
        return file.read(PAGE_BYTES)
    except OSError:
        # A place that the disk itself cannot read.
        return b""
