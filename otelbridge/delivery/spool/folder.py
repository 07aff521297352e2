"""The folder of a spool: its place, its files' names, and how much is in it.

Segments are called ``TIME-PID-OWNER-SEED.spool``, so that their names sort by time. Beside them lie
``PID-OWNER.lock``, locked as long as that process lives, and with the journal switched on
``PID-OWNER.journal``. A process that takes over another's segments gives them its own name; time
and seed stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otelbridge.delivery.spool.locks import Lock, take_lock
from otelbridge.delivery.spool.store import SpoolError

_SEGMENT: Final = re.compile(
    r"([0-9]{8}T[0-9]{6}\.[0-9]{6})-([0-9]+-[0-9a-f]{8})-([0-9a-f]{8})\.spool"
)
_OWNED: Final = re.compile(r"([0-9]+-[0-9a-f]{8})\.(?:lock|journal)")
_LONGEST_NAME: Final = 100
_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class SegmentName:
    """A segment's name, in its parts.

    Attributes:
        time: when it was begun, in UTC.
        seed: where its checksums start, eight hexadecimal digits.
        owner: the process that may read and write it.
    """

    time: str
    seed: str
    owner: str

    def __str__(self) -> str:
        return f"{self.time}-{self.owner}-{self.seed}.spool"

    @classmethod
    def parse(cls, name: str) -> SegmentName | None:
        """Read a file's name; ``None`` if it is no segment's."""
        match = _SEGMENT.fullmatch(name)
        return None if match is None else cls(match[1], match[3], match[2])

    @classmethod
    def now(cls, owner: str, last: int) -> tuple[SegmentName, int]:
        """Name a new segment, later than the last one also where the clock was set back.

        Args:
            owner: the process that writes it.
            last: the time of its last one, as returned here; 0 before the first.

        Returns:
            The name, and its time in microseconds since 1970.
        """
        microseconds = max(time.time_ns() // 1000, last + 1)
        seconds, fraction = divmod(microseconds, 1_000_000)
        text = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
        return cls(f"{text}.{fraction:06d}", secrets.token_hex(4), owner), microseconds


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in a folder.

    Attributes:
        segments: each owner's, oldest first.
        journals: the owners that have one.
        owners: all of them.
        sizes: bytes of each owner's segments.
    """

    segments: dict[str, list[SegmentName]]
    journals: frozenset[str]
    owners: frozenset[str]
    sizes: dict[str, int]


def spool_folder(base: Path | None, *names: str) -> Path | None:
    """Tell where payloads wait: a folder in a folder, one for each of the names.

    Args:
        base: as the setting has it; ``None`` for no folder at all.
        names: of the service, the sink, the signal; whatever is in them.
    """
    return None if base is None else base.joinpath(*map(_folder_name, names))


def make_folder(folder: Path) -> None:
    """Make a folder that nobody else may look into, and those it is in.

    Raises:
        OSError: it cannot be made.
        SpoolError: it is another user's.
    """
    missing = []
    place = folder
    while not place.exists() and place != place.parent:
        missing.append(place)
        place = place.parent
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    if user and folder.stat().st_uid not in (user, 0):
        raise SpoolError(f"cannot keep telemetry in {folder}: it belongs to another user")


def list_folder(folder: Path) -> Listing:
    """List a folder; one that does not exist is empty.

    Raises:
        OSError: it cannot be read.
    """
    segments: dict[str, list[SegmentName]] = {}
    journals: set[str] = set()
    owners: set[str] = set()
    sizes: dict[str, int] = {}
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        entries = None
    if entries is not None:
        with entries:
            for entry in entries:
                name = SegmentName.parse(entry.name)
                match = _OWNED.fullmatch(entry.name)
                if name is not None:
                    owner = name.owner
                    segments.setdefault(owner, []).append(name)
                elif match is not None:
                    owner = match[1]
                    if entry.name.endswith(".journal"):
                        journals.add(owner)
                else:
                    continue
                owners.add(owner)
                if name is not None:
                    sizes[owner] = sizes.get(owner, 0) + _size(entry)
    for names in segments.values():
        names.sort()
    return Listing(segments, frozenset(journals), frozenset(owners), sizes)


def become_owner(folder: Path) -> tuple[str, Lock]:
    """Make the folder if need be, and a name in it that is this process's.

    Returns:
        The name, and the lock that shows others that it lives.

    Raises:
        OSError: the folder cannot be written to.
        SpoolError: it is another user's.
    """
    make_folder(folder)
    for _ in range(_ATTEMPTS):
        owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        # Another process may take a lock that is not locked yet for a dead one's.
        lock = take_lock(lock_path(folder, owner), new=True)
        if lock is not None:
            return owner, lock
    raise SpoolError(f"cannot keep telemetry in {folder}: no lock can be held there")


def lock_path(folder: Path, owner: str) -> Path:
    """Return the path of an owner's lock."""
    return folder / f"{owner}.lock"


def journal_path(folder: Path, owner: str) -> Path:
    """Return the path of an owner's journal."""
    return folder / f"{owner}.journal"


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of files to the disk, where the system knows how to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        return 0  # removed meanwhile


def _folder_name(name: str) -> str:
    """Write any name as one that every file system takes, different for different names."""
    plain = re.sub(r"[^A-Za-z0-9._-]", lambda found: f"%{ord(found[0]):x}.", name)
    if len(plain) > _LONGEST_NAME:
        digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()
        plain = f"{plain[:_LONGEST_NAME]}%{digest[:16]}"
    return f"%{plain}" if not plain.strip(".") else plain
