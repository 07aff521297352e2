"""What processes of this machine keep on disk because it could not be sent yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otelbridge.delivery.spool.folder import SegmentName


@dataclass(frozen=True, slots=True)
class Kept:
    """What one service keeps for one sink.

    Attributes:
        folder: where; named by the service, the sink and the signal.
        sink: such as ``otlp``.
        signal: ``logs`` or ``traces``.
        size: of its files, in bytes.
        since: when the oldest of them was begun, in UTC, as ``2026-11-21 16:30:00``.
    """

    folder: Path
    sink: str
    signal: str
    size: int
    since: str


def find_kept(folder: Path) -> Iterator[Kept]:
    """Look through the folder that all services of a user share; it is only read."""
    for place in sorted(folder.glob("*/*/*")):
        oldest, size = "", 0
        for path in place.glob("*.spool"):
            name = SegmentName.parse(path.name)
            if name is None:
                continue
            try:
                size += path.stat().st_size
            except OSError:
                continue  # sent meanwhile
            oldest = min(oldest or name.time, name.time)
        if size:
            yield Kept(place, place.parent.name, place.name, size, _readable(oldest))


def _readable(time: str) -> str:
    return f"{time[:4]}-{time[4:6]}-{time[6:8]} {time[9:11]}:{time[11:13]}:{time[13:15]}"
