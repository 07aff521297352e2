"""Writing records to a file that is rotated, from one process or several."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from otelbridge.records.formatter import JsonFormatter
from otelbridge.sinks.line import record_line
from otelbridge.sinks.rotation import BySize, Daily, Rotation
from otelbridge.sinks.shared_file import SharedFile


class RotatedFileHandler(logging.Handler):
    """Appends each record to a file that is put aside by some rule.

    Args:
        path: the file; its folder is made.
        rotation: the rule.

    Attributes:
        dropped: records this process could not write, such as on a full disk.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(self, path: str | os.PathLike[str], rotation: Rotation) -> None:
        super().__init__()
        # Absolute, since the program may change its working directory.
        self.path = Path(path).absolute()
        self.formatter = JsonFormatter()
        self.dropped = 0
        self._rotation = rotation
        self._failing = False
        self._file: SharedFile | None = None
        self._open()

    def _open(self) -> SharedFile:
        self._close()
        self._file = SharedFile(self.path, self._rotation)
        self._pid = os.getpid()
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record; counts it as dropped where that is not possible."""
        data = f"{record_line(self.format, record)}\n".encode(errors="backslashreplace")
        if self._pid != os.getpid():
            self.dropped = 0
            self._close()
        try:
            self._write(self._file or self._open(), data)
        except OSError:
            self.dropped += 1
            self._close()
            # Said once, until it works again: a full disk must not fill the terminal too.
            if not self._failing:
                self._failing = True
                self.handleError(record)
        else:
            self._failing = False

    def _write(self, file: SharedFile, line: bytes) -> None:
        file.write(line)

    def close(self) -> None:
        """Close the file."""
        self.acquire()
        try:
            self._close()
        finally:
            self.release()
        super().close()


class FileHandler(RotatedFileHandler):
    """Appends each record to a file, as a JSON line unless a formatter says otherwise.

    Processes that are given the same path, such as a web server's workers, share the file and its
    rotation: no line is lost, mixed with another or written twice.

    Args:
        path: the file; its folder is made.
        max_bytes: the size beyond which a new file is begun and this one is renamed to
            ``<name>.1``; 0 for never.
        backups: how many renamed files are kept.

    Attributes:
        dropped: records this process could not write, such as on a full disk.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "logs/otelbridge.jsonl",
        max_bytes: int = 10 * 2**20,
        backups: int = 5,
    ) -> None:
        super().__init__(path, BySize(max_bytes, backups))
        self.max_bytes = max_bytes
        self.backups = backups


class DailyFileHandler(RotatedFileHandler):
    """Appends each record to a file that is renamed to ``<name>.<day>`` at midnight.

    The JSON lines, the sharing between processes and the counting of what could not be written are
    those of :class:`FileHandler`.

    Args:
        path: the file; its folder is made.
        days: how many old files are kept; all by default.
        utc: whether midnight is UTC's, rather than local.

    Raises:
        OSError: where folder or file cannot be made or opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = "logs/otelbridge.jsonl",
        days: int | None = None,
        utc: bool = True,
    ) -> None:
        super().__init__(path, Daily(days, utc=utc))
