"""When a file is full, and what becomes of it then."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol


class Rotation(Protocol):
    """A rule by which a file that is appended to is put aside and a new one begun."""

    def is_due(self, status: os.stat_result, adding: int) -> bool:
        """Tell whether the file is to be put aside first.

        Args:
            status: the file's.
            adding: how many bytes are about to be appended.
        """

    def rotate(self, path: Path) -> None:
        """Put the file aside.

        Raises:
            OSError: where it cannot be renamed or removed.
        """


class BySize:
    """Begins a new file at a size; the old ones are ``<name>.1``, ``<name>.2``, and so on.

    Args:
        max_bytes: the size that a file does not exceed, unless by a single line; 0 for any.
        backups: how many old files are kept.
    """

    def __init__(self, max_bytes: int, backups: int) -> None:
        self.max_bytes, self.backups = max_bytes, backups

    def is_due(self, status: os.stat_result, adding: int) -> bool:
        """Tell whether the file would grow beyond its size."""
        return 0 < self.max_bytes < status.st_size + adding

    def rotate(self, path: Path) -> None:
        """Rename the file and the older ones, each to the next number."""
        if not self.backups:
            path.unlink()
            return
        # Up to the first number that is free: what lies behind a gap need not move.
        last = 0
        while last < self.backups and _numbered(path, last).exists():
            last += 1
        for number in range(last, 0, -1):
            _numbered(path, number - 1).replace(_numbered(path, number))


class Daily:
    """Begins a new file at midnight; the old ones carry their day: ``<name>.2026-11-21``.

    The day of a file is that of its last line, by its time of modification: so it does not matter
    which process comes first after midnight, nor when it was started.

    Args:
        days: how many old files are kept; ``None`` for all.
        utc: whether midnight is UTC's, rather than local.
        clock: the time, in seconds since the epoch.
    """

    def __init__(
        self,
        days: int | None = None,
        *,
        utc: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.days, self.utc = days, utc
        self._clock = clock

    def is_due(self, status: os.stat_result, adding: int) -> bool:
        """Tell whether the file's last line is of an earlier day."""
        return self._day(status.st_mtime) < self._day(self._clock())

    def rotate(self, path: Path) -> None:
        """Rename the file to its day, never over another, and remove those that are too old."""
        name = f"{path.name}.{self._day(path.stat().st_mtime)}"
        target, number = path.with_name(name), 1
        while target.exists():
            # The clock was set back, so this day has had its file.
            number += 1
            target = path.with_name(f"{name}.{number}")
        path.rename(target)
        if self.days is not None:
            kept = dated_files(path)
            for old in kept[: max(0, len(kept) - self.days)]:
                old.unlink(missing_ok=True)

    def _day(self, seconds: float) -> str:
        broken_down = time.gmtime(seconds) if self.utc else time.localtime(seconds)
        return time.strftime("%Y-%m-%d", broken_down)


def dated_files(path: Path) -> list[Path]:
    """List what :class:`Daily` has put aside of a file, the oldest first."""
    pattern = re.compile(re.escape(path.name) + r"\.(\d{4}-\d\d-\d\d)(?:\.(\d+))?")
    found = [
        (match[1], int(match[2] or 1), file)
        for file in path.parent.iterdir()
        if (match := pattern.fullmatch(file.name))
    ]
    return [file for _, _, file in sorted(found)]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path
