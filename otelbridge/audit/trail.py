"""Appending to an audit trail that several processes share."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from otelbridge.audit.chain import BEGINNING, Link, digest, read_link, seal
from otelbridge.sinks.rotation import dated_files
from otelbridge.sinks.shared_file import SharedFile

_BLOCK: Final = 65_536


class Trail:
    """Binds each line that is appended to the last one, whichever process wrote that.

    Args:
        path: the file; a new one is begun each day, and continues the chain.
        key: for hashes that need a key.
        sync: whether to wait, with each line, until the disk has it.
    """

    def __init__(self, path: Path, key: bytes | None = None, *, sync: bool = False) -> None:
        self._path, self._key, self._sync = path, key, sync
        # The line that this process wrote last, and what the file was like then.
        self._written: tuple[Link | None, tuple[int, int]] | None = None

    def append(self, file: SharedFile, body: bytes) -> None:
        """Append one line.

        Args:
            file: the trail's file, as this process has it open.
            body: a JSON object on one line.

        Raises:
            OSError: where it cannot be written, or another process does not let go of the file.
            ValueError: the body is not a JSON object on one line.
        """
        line = b""

        def compose() -> bytes:
            nonlocal line
            end = self._end()
            line = seal(body, end.link, self._key, end.torn)
            if not end.fed:
                # An unfinished line stays for everybody to see.
                _feed_line(self._path)
            return line + b"\n"

        status = file.extend(compose, sync=self._sync)
        self._written = read_link(line), _place(status)

    def _end(self) -> _End:
        if self._written is not None:
            link, place = self._written
            with suppress(FileNotFoundError):
                if link is not None and place == _place(self._path.stat()):
                    return _End(link)
        for path in [self._path, *reversed(dated_files(self._path))]:
            found = _read_end(path)
            if found is not None:
                return found
        return _End(BEGINNING)


class _End(NamedTuple):
    """Where a trail is continued.

    Attributes:
        link: the last whole line.
        torn: the hash of what was left unfinished behind it, if anything was.
        fed: whether the file's last line has its line feed.
    """

    link: Link
    torn: str | None = None
    fed: bool = True


def _feed_line(path: Path) -> None:
    """End the last line of a file, which stays of the day that it was."""
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _place(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_size


def _read_end(path: Path) -> _End | None:
    """Read a file from its end to the last whole line; ``None`` if it is empty or not there."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        start = file.seek(0, os.SEEK_END)
        tail, torn, fed = b"", None, True
        while start or tail:
            # One line more than is in hand, unless this is the file's beginning.
            while start and b"\n" not in tail[:-1]:
                step = min(_BLOCK, start)
                start -= step
                file.seek(start)
                tail = file.read(step) + tail
            ended = tail.endswith(b"\n")
            fed = fed and ended
            head, _, line = tail.removesuffix(b"\n").rpartition(b"\n")
            link = read_link(line)
            if link is not None:
                return _End(link, torn, fed)
            if not ended:
                torn = digest(line)
            tail = head + b"\n" if head or start else b""
    return _End(BEGINNING, torn, fed) if torn is not None else None
