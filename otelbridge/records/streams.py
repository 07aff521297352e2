"""What a program prints, as log records too.

The streams stay the objects they are: only the ``write`` of this one instance is wrapped, so that
``fileno``, ``encoding``, ``isatty``, ``buffer`` and all else are the stream's own, and a
subprocess can be given it. What is written around ``write`` (to ``sys.stdout.buffer``, to the file
descriptor, by a subprocess) is not seen.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
from types import FrameType
from typing import Any, TextIO

# A line that never ends, such as a progress bar's, is recorded in pieces of this length.
_MAX_LINE_CHARS = 64 * 1024

# Whether this thread is recording what it printed, to either stream.
_thread = threading.local()

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def capture_output(stdout: int | None = logging.INFO, stderr: int | None = logging.WARNING) -> None:
    """Record every line printed to stdout and stderr, which are written as before.

    The records come from the loggers ``stdout`` and ``stderr`` and name the line of code that
    printed. What logging handlers themselves write to these streams is not recorded, and handlers
    that write to them do not repeat there what was printed.

    Args:
        stdout: the level of stdout's records; ``None`` leaves it alone.
        stderr: the level of stderr's records; ``None`` leaves it alone.
    """
    for name, level in (("stdout", stdout), ("stderr", stderr)):
        stream: TextIO | None = getattr(sys, name)
        # There is none under pythonw, and one that is captured already stays so.
        if level is not None and stream is not None and _capture_of(stream) is None:
            _Capture(stream, logging.getLogger(name), level).install()


def leave_to_logging(package: str) -> None:
    """Record nothing that a logging package writes to the streams: its records come by themselves.

    Args:
        package: its top-level name.
    """
    _packages.add(package)


def release_output() -> None:
    """Stop recording; what was printed of an unfinished line is recorded first."""
    # The second pair, in case the program has replaced the first since.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        capture = _capture_of(stream)
        if capture is not None:
            capture.uninstall()


def _capture_of(stream: TextIO | None) -> _Capture | None:
    owner = getattr(getattr(stream, "write", None), "__self__", None)
    return owner if isinstance(owner, _Capture) else None


class _Capture:
    """The wrapped ``write`` of one stream."""

    def __init__(self, stream: TextIO, logger: logging.Logger, level: int) -> None:
        self._stream, self._logger, self._level = stream, logger, level
        self._write = stream.write
        # The line begun by each thread, so that threads' lines do not mix; by process too, since
        # a forked child must not finish its parent's lines.
        self._begun: dict[tuple[int, int], str] = {}

    def install(self) -> None:
        try:
            self._stream.write = self.write  # type: ignore[method-assign]
        except AttributeError:
            logging.getLogger("otelbridge").warning(
                "%s cannot be captured: its write cannot be replaced", type(self._stream).__name__
            )
            return
        atexit.register(self.uninstall)

    def uninstall(self) -> None:
        atexit.unregister(self.uninstall)
        if _capture_of(self._stream) is self:
            del self._stream.write
        for (process, _), text in list(self._begun.items()):
            if process == os.getpid():
                self._record(text)
        self._begun.clear()

    def write(self, text: str) -> int:
        """Write to the stream, then record the lines this completes."""
        # None where the interpreter itself writes, as it does of an exception nobody caught.
        frame = sys._getframe().f_back
        if getattr(_thread, "recording", False):
            if frame is not None and frame.f_code is logging.StreamHandler.emit.__code__:
                # A console handler is given the record of a line that stands there already.
                return len(text)
            return self._write(text)
        written = self._write(text)
        if text and not _is_logging(frame):
            self._take(text)
        return written

    def _take(self, text: str) -> None:
        key = (os.getpid(), threading.get_ident())
        *lines, begun = (self._begun.pop(key, "") + text).split("\n")
        if len(begun) > _MAX_LINE_CHARS:
            lines.append(begun)
            begun = ""
        if begun:
            self._begun[key] = _overwritten(begun)
        for line in lines:
            self._record(line)

    def _record(self, line: str) -> None:
        message = _COLOURS.sub("", _overwritten(line).rstrip("\r"))
        if not message.strip():
            return
        _thread.recording = True
        try:
            # Past _record, _take and write, to the caller that printed.
            self._logger.log(self._level, message, stacklevel=4)
        finally:
            _thread.recording = False


def _overwritten(line: str) -> str:
    """Keep what a terminal shows of a line whose start was overwritten after carriage returns."""
    if "\r" not in line:
        return line
    text = line.rstrip("\r")
    return text.rpartition("\r")[2] + line[len(text) :][:1]


def _is_logging(frame: FrameType | None) -> bool:
    """Tell whether a log record is being handled further down the stack."""
    while frame is not None:
        if frame.f_globals is _LOGGING_GLOBALS:
            return True
        if _packages and str(frame.f_globals.get("__name__")).partition(".")[0] in _packages:
            return True
        frame = frame.f_back
    return False


_packages: set[str] = set()
_LOGGING_GLOBALS: dict[str, Any] = vars(logging)
