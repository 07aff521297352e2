"""asyncio: errors of tasks and callbacks that nobody awaited.

An event loop logs them itself, through the logger ``asyncio``, which is heard like any other. What
is added here are the loops whose program has set a handler of its own (it is called as before),
and the tasks that are still kept when the process ends, too late for their loop to notice.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelbridge.errors.report import Errors

LOGGER = "asyncio"


class EventLoops:
    """Watches asyncio's event loops, once asyncio is imported."""

    def __init__(self, errors: Errors) -> None:
        """Prepare; nothing is watched before :meth:`install`."""
        self._errors = errors
        self._original: Any = None
        self._wrapper: Any = None

    def install(self) -> None:
        """Watch; for when ``asyncio.base_events`` has been imported."""
        from asyncio import base_events

        kind: Any = base_events.BaseEventLoop
        errors, original = self._errors, kind.call_exception_handler

        def call_exception_handler(loop: Any, context: dict[str, Any]) -> None:
            if loop.get_exception_handler() is not None:
                _report(errors, context)
            original(loop, context)

        self._original, self._wrapper = original, call_exception_handler
        kind.call_exception_handler = call_exception_handler

    def remove(self) -> None:
        """Stop watching."""
        if self._original is None:
            return
        from asyncio import base_events

        kind: Any = base_events.BaseEventLoop
        if kind.call_exception_handler is self._wrapper:
            kind.call_exception_handler = self._original
        self._original = None

    def report_kept_tasks(self) -> None:
        """Report the errors of tasks that nobody has awaited by the end of the process.

        Reading a task's error in the usual way would keep its loop from speaking of it.
        """
        tasks = sys.modules.get("asyncio.tasks")
        # All tasks by Python 3.12's name, and by the older one.
        kept: Any = getattr(tasks, "_scheduled_tasks", None) or getattr(tasks, "_all_tasks", ())
        try:
            found = list(kept)
        except RuntimeError:
            # Another thread's loop is at work on them right now.
            return
        for task in found:
            if getattr(task, "_log_traceback", False):
                exception = getattr(task, "_exception", None)
                if isinstance(exception, BaseException):
                    self._errors.report(exception, logger=LOGGER, where=f"in {_name_of(task)}")


def _report(errors: Errors, context: dict[str, Any]) -> None:
    exception = context.get("exception")
    said = str(context.get("message") or "Unhandled exception in event loop")
    if not isinstance(exception, BaseException):
        errors.report(None, logger=LOGGER, said=said, level=logging.ERROR)
        return
    task = context.get("task") or context.get("future")
    errors.report(exception, logger=LOGGER, where=f"in {_name_of(task)}" if task else "")


def _name_of(task: Any) -> str:
    name = getattr(task, "get_name", None)
    return f"task {name()}" if callable(name) else "a future"
