"""Numbered payloads, and what the tests of every spool do with them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool import PayloadStore, Spool

MEGABYTE = 2**20


def numbered(number: int, *, count: int = 1, size: int = 0) -> Payload:
    """Make a payload that tells its number, of at least ``size`` bytes."""
    return Payload("logs", count, f"{number};".encode().ljust(size, b"."), number)


def number_of(payload: Payload) -> int:
    """Tell the number of a payload."""
    number = int(payload.body.split(b";", 1)[0])
    assert number == payload.sequence
    return number


class Losses(Counter[str]):
    """What a spool says that it dropped: records by reason."""

    def __call__(self, count: int, reason: str) -> None:
        assert count > 0
        self[reason] += count


def spool_in(folder: Path, losses: Losses | None = None, *, max_bytes: int = MEGABYTE) -> Spool:
    """Make a spool as a process does."""
    return Spool(
        folder, max_bytes=max_bytes, sync="never", dropped=Losses() if losses is None else losses
    )


def send_all(spool: PayloadStore) -> list[int]:
    """Take every payload that waits, oldest first, as a destination that takes them does."""
    sent = []
    while (entry := spool.next()) is not None:
        sent.append(number_of(entry.payload))
        assert spool.done(entry)
    return sent


def files(folder: Path, suffix: str = ".spool") -> list[Path]:
    """List a folder's files of a kind by name."""
    return sorted(path for path in folder.iterdir() if path.suffix == suffix)


def bytes_in(folder: Path) -> int:
    """Add up a folder's segments."""
    return sum(path.stat().st_size for path in files(folder))


def descriptors() -> int:
    """Count this process's open files."""
    return len(list(Path("/proc/self/fd").iterdir()))
