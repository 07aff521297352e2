"""One file of a spool: frames one behind the other, read from the front while they are sent."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool.folder import SegmentName
from otelbridge.delivery.spool.frame import (
    DONE,
    STATE_OFFSET,
    Header,
    encode_frame,
    find_header,
    frame_bytes,
    read_header,
    read_payload,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A payload that waits in a segment, and where."""

    header: Header
    payload: Payload


class Segment:
    """A segment that belongs to this process.

    Attributes:
        folder: where it is.
        name: its file's.
        size: bytes of whole frames.
        waiting: how many records in it are to be sent.
    """

    def __init__(self, folder: Path, name: SegmentName) -> None:
        """Describe a segment that exists or is about to; :meth:`create` or :meth:`measure` it."""
        self.folder = folder
        self.name = name
        self.size = 0
        self.waiting = 0
        self._seed = int(name.seed, 16)
        self._cursor = 0
        self._unmarked: set[int] = set()
        self._file: io.FileIO | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / str(self.name)

    def create(self) -> None:
        """Make the file.

        Raises:
            OSError: it cannot be made.
        """
        self._file = _open(self.path, "x+b")

    def measure(self) -> None:
        """Count what waits in a segment that another process wrote.

        What is damaged beyond knowing how many records it held counts as one record.

        Raises:
            OSError: it cannot be read.
        """
        self.size = os.fstat(self._opened().fileno()).st_size
        self.waiting = offset = 0
        while offset < self.size:
            header = read_header(self._read, offset, self._seed)
            if header is None:
                header = find_header(self._read, offset, self._seed)
                self.waiting += 1
            if header is None:
                break
            if not header.done:
                self.waiting += header.count
            offset = header.end
        self.close()

    def append(self, payload: Payload, time: int) -> int:
        """Write a payload behind the others.

        Returns:
            Where its frame begins.

        Raises:
            OSError: it is not written; the segment is as it was.
        """
        file = self._opened()
        frame = encode_frame(payload, self._seed, time)
        offset = self.size
        try:
            file.seek(offset)
            written = file.write(frame)
            while written is not None and written < len(frame):
                # The disk is nearly full: the rest fails, and says why.
                written += file.write(frame[written:]) or 0
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(offset)
            raise
        self.size = offset + len(frame)
        self.waiting += payload.count
        return offset

    def sync(self) -> None:
        """Flush what was written to the disk."""
        os.fsync(self._opened().fileno())

    def next(self) -> Found | None:
        """Return the oldest payload that waits, the same one until it is marked; skip the damaged.

        Raises:
            OSError: it cannot be read.
        """
        while self._cursor < self.size:
            header = read_header(self._read, self._cursor, self._seed)
            if header is None:
                header = find_header(self._read, self._cursor, self._seed)
            if header is None:
                self._cursor = self.size
                break
            if not header.done and header.offset not in self._unmarked:
                payload = read_payload(self._read, header, self._seed)
                if payload is not None:
                    self._cursor = header.offset
                    return Found(header, payload)
            self._cursor = header.end
        return None

    def following(self, count: int, size: int) -> list[Found]:
        """Return payloads that wait behind the one :meth:`next` returned, up to a damaged one.

        Args:
            count: how many records at most.
            size: how many bytes at most.

        Raises:
            OSError: it cannot be read.
        """
        found: list[Found] = []
        offset = self._cursor
        while offset < self.size and count > 0:
            header = read_header(self._read, offset, self._seed)
            if header is None:
                break
            if offset > self._cursor and not header.done and offset not in self._unmarked:
                payload = read_payload(self._read, header, self._seed)
                if payload is None:
                    break
                count -= payload.count
                size -= len(payload.body)
                if count < 0 or size < 0:
                    break
                found.append(Found(header, payload))
            offset = header.end
        return found

    def mark_done(self, offset: int, payload: Payload) -> bool:
        """Note that a payload need not be sent any more.

        Args:
            offset: where its frame begins.
            payload: what is there.

        Returns:
            Whether it was to be sent until now.
        """
        if offset < self._cursor or offset in self._unmarked:
            return False
        try:
            header = read_header(self._read, offset, self._seed)
            if header is not None and header.done:
                return False
            file = self._opened()
            file.seek(offset + STATE_OFFSET)
            file.write(DONE)
        except OSError:
            # The next process sends it again, which does no harm; this one must not.
            self._unmarked.add(offset)
        if offset == self._cursor:
            self._cursor += frame_bytes(payload)
            self._unmarked.discard(offset)
        self.waiting -= payload.count
        return True

    def removed(self) -> bool:
        """Tell whether the file is not in its folder any more."""
        try:
            return os.fstat(self._opened().fileno()).st_nlink == 0
        except OSError:
            return True

    def rename(self, name: SegmentName) -> None:
        """Give the file another name.

        Raises:
            OSError: it keeps the one it has.
        """
        self.path.rename(self.folder / str(name))
        self.name = name

    def delete(self) -> None:
        """Remove the file; one that cannot be removed is left, marked as far as it could be."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> io.FileIO:
        if self._file is None:
            try:
                self._file = _open(self.path, "r+b")
            except PermissionError:
                self._file = _open(self.path, "rb")
        return self._file

    def _read(self, offset: int, length: int) -> bytes:
        file = self._opened()
        file.seek(offset)
        data = file.read(length)
        while data and len(data) < length:
            more = file.read(length - len(data))
            if not more:
                break
            data += more
        return data


def _open(path: Path, mode: str) -> io.FileIO:
    return io.FileIO(path, mode, opener=lambda name, flags: os.open(name, flags, 0o600))
