"""multiprocessing: the end of a child, which no hook of the interpreter sees.

A child prints what nobody caught itself, and ends without running ``atexit`` functions. What
multiprocessing does run, finalizers, it runs while the error is still on its way.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelbridge.errors.report import Errors

LOGGER = "multiprocessing"

# After the finalizers of the program's own, which may fail too, and before the end of telemetry.
_PRIORITY = -999


class Children:
    """Watches how multiprocessing's children end, once it is imported."""

    def __init__(
        self, errors: Errors, ended: Callable[[int, BaseException | None], None], *, report: bool
    ) -> None:
        """Prepare; nothing is watched before :meth:`install`.

        Args:
            errors: reports what was not caught.
            ended: is given a child's exit code and what it ended by.
            report: whether errors are reported, or only the end is.
        """
        self._errors = errors
        self._ended = ended
        self._reports = report

    def install(self) -> None:
        """Watch; for when ``multiprocessing.util`` has been imported."""
        from multiprocessing import util

        # In children to be forked, once multiprocessing has thrown the parent's finalizers away.
        util.register_after_fork(self, Children._watch_end)
        # In a child that was started afresh, this one.
        self._watch_end()

    def _watch_end(self) -> None:
        from multiprocessing import util

        util.Finalize(None, self._end, exitpriority=_PRIORITY)

    def _end(self) -> None:
        from multiprocessing import process

        if process.parent_process() is None:
            return
        exception = sys.exc_info()[1]
        code = _exit_code(exception)
        if isinstance(exception, SystemExit):
            exception = None
        if exception is not None and self._reports and not isinstance(exception, KeyboardInterrupt):
            name = process.current_process().name
            self._errors.report(
                exception,
                logger=LOGGER,
                where=f"in process {name}",
                level=logging.CRITICAL,
            )
        self._ended(code, exception)


def _exit_code(exception: Any) -> int:
    """Return what multiprocessing makes of the end as an exit code."""
    if exception is None:
        return 0
    if not isinstance(exception, SystemExit):
        return 1
    if exception.code is None:
        return 0
    return exception.code if isinstance(exception.code, int) else 1
