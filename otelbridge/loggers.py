"""A logger that keeps account: what is of note on the console, what went wrong in a daily file."""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Final, TextIO

from otelbridge.records.redaction import redact_text
from otelbridge.sinks.file import DailyFileHandler

FORMAT: Final = "%(asctime)s - %(name)s - %(levelname)s - %(funcName)s:%(lineno)d - %(message)s"

_lock = threading.Lock()


def get_logger(
    logger_name: str,
    *,
    log_dir: str | os.PathLike[str] = "logs",
    file_name: str = "api.log",
    level: int | str = logging.INFO,
    file_level: int | str = logging.WARNING,
    stream: TextIO | None = None,
) -> logging.Logger:
    """Return a logger that writes to the console and to a file that is rotated at midnight UTC.

    Secrets are written ``***``. It does not propagate, so that no line is printed twice;
    ``otelbridge.instrument`` takes its records all the same. A logger that has its handlers is
    returned as it is.

    Args:
        logger_name: such as ``__name__``.
        log_dir: the file's folder; made where it is missing.
        file_name: the file of today; those of earlier days are ``<file_name>.2026-11-21``.
        level: what the logger and its console take.
        file_level: what the file takes.
        stream: the console; standard output by default.

    Returns:
        The logger. Where the file cannot be had it has the console alone, and says so there.
    """
    logger = logging.getLogger(logger_name)
    with _lock:
        if any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
            return logger
        logger.setLevel(level)
        logger.propagate = False
        formatter = _Formatter(FORMAT)
        console = _ConsoleHandler(sys.stdout if stream is None else stream)
        console.setLevel(level)
        console.setFormatter(formatter)
        logger.addHandler(console)
        path = Path(log_dir) / file_name
        try:
            file = DailyFileHandler(path)
        except OSError as error:
            logger.warning("%s cannot be written, there is only this console: %s", path, error)
            return logger
        file.setLevel(file_level)
        file.setFormatter(formatter)
        logger.addHandler(file)
    return logger


class _Formatter(logging.Formatter):
    """Writes lines, with their tracebacks, without the secrets in them."""

    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


class _ConsoleHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Marks a logger that :func:`get_logger` has set up."""
