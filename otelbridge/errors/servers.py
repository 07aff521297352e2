"""What servers log of errors that have left an app, whose framework has reported them already."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

# Loggers of servers that catch what an app did not.
_LOGGERS: Final = frozenset({"uvicorn.error", "gunicorn.error", "hypercorn.error", "waitress"})
# A server that has been told of an error as text logs it at once.
_KEPT_TEXTS: Final = 4


class Repetitions:
    """Knows the records in which a server says again what was reported."""

    def __init__(self, was_reported: Callable[[BaseException], bool]) -> None:
        """Prepare.

        Args:
            was_reported: tells of an exception whether it was reported.
        """
        self._was_reported = was_reported
        self._texts: deque[str] = deque(maxlen=_KEPT_TEXTS)

    def expect(self, text: str) -> None:
        """Note what a server is told of a reported error, and will log."""
        if text:
            self._texts.append(text)

    def holds(self, record: logging.LogRecord) -> bool:
        """Tell whether a record says again what was reported."""
        if record.name not in _LOGGERS:
            return False
        exception = record.exc_info[1] if record.exc_info else None
        if exception is not None and self._was_reported(exception):
            return True
        if not self._texts:
            return False
        said = f"{record.getMessage()} {exception}"
        return any(text in said for text in self._texts)
