"""multiprocessing: the end of a child, which no hook of the interpreter sees.

A child prints what nobody caught itself. Until Python 3.12 it ends without running ``atexit``
functions; what multiprocessing does run, finalizers, it runs while the error is still on its way.
From Python 3.13 on they run when the error is gone: there we look on while it is printed.
"""

from __future__ import annotations

import functools
import logging
import sys
import traceback
from collections.abc import Callable
from types import CodeType
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
        from multiprocessing import process, util

        bootstrap: Any = process.BaseProcess
        child = bootstrap._bootstrap.__code__
        if "_exit_function" not in child.co_names:
            self._watch_printing(child)
            return
        # In children to be forked, once multiprocessing has thrown the parent's finalizers away.
        util.register_after_fork(self, Children._watch_end)
        # In a child that was started afresh, this one.
        self._watch_end()

    def _watch_end(self) -> None:
        from multiprocessing import util

        util.Finalize(None, self._end, exitpriority=_PRIORITY)

    def _watch_printing(self, child: CodeType) -> None:
        """Look on while a child prints the error that ends it.

        Args:
            child: the code that prints it; what others print is their own.
        """
        printing = traceback.print_exc

        @functools.wraps(printing)
        def print_exc(*args: Any, **kwargs: Any) -> None:
            if sys._getframe(1).f_code is child:
                self._end()
            printing(*args, **kwargs)

        traceback.print_exc = print_exc

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
