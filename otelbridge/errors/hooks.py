"""The interpreter's three hooks for errors that nobody caught.

Ours report and then call the hook that was there before, so that the program prints what it always
printed. What is hooked after us and never calls us is noticed at the end of the process: Python
keeps the error that ended the main thread in ``sys.last_value``.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otelbridge.records.values import type_name

if TYPE_CHECKING:
    from otelbridge.errors.report import Errors
    from otelbridge.errors.terminal import Backlight

MAIN = "sys.excepthook"
THREADS = "threading.excepthook"
UNRAISABLE = "sys.unraisablehook"


class Hooks:
    """What is called for errors in the main thread, in other threads, and in no place at all."""

    def __init__(
        self,
        errors: Errors,
        ended_by: Callable[[BaseException], None],
        backlight: Backlight | None = None,
    ) -> None:
        """Prepare; nothing is hooked before :meth:`install`.

        Args:
            errors: reports what was not caught.
            ended_by: is given what ends the main thread, an interrupt too.
            backlight: prints tracebacks in place of the interpreter's own hooks.
        """
        self._errors = errors
        self._ended_by = ended_by
        self._backlight = backlight
        self._places: frozenset[str] = frozenset()
        self._active = False
        self._main: Any = sys.excepthook
        self._threads: Any = threading.excepthook
        self._unraisable: Any = sys.unraisablehook

    def install(self, places: frozenset[str]) -> None:
        """Hook what is named: ``main``, ``threads``, ``unraisable``."""
        self._places = places
        self._active = True
        if "main" in places or self._backlight is not None:
            self._main, sys.excepthook = sys.excepthook, self._on_main
        if "threads" in places or self._backlight is not None:
            self._threads, threading.excepthook = threading.excepthook, self._on_thread
        if "unraisable" in places:
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._on_unraisable

    def remove(self) -> None:
        """Stop reporting; hooks that nobody has hooked over are as they were."""
        self._active = False
        if self._backlight is not None:
            # What comes after the end of telemetry is to look like what came before it.
            return
        if sys.excepthook == self._on_main:
            sys.excepthook = self._main
        if threading.excepthook == self._on_thread:
            threading.excepthook = self._threads
        if sys.unraisablehook == self._on_unraisable:
            sys.unraisablehook = self._unraisable

    def report_unseen_end(self) -> None:
        """Report what ended the main thread, if another hook in our place kept it from us."""
        if "main" not in self._places or _is_interactive():
            return
        last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        if isinstance(last, BaseException) and not self._errors.was_reported(last):
            self._report_main(last, last.__traceback__)

    def adopt_group_printing(self) -> None:
        """Let the ``exceptiongroup`` package print groups, on Python 3.10.

        It does so only where the interpreter's own hook is in place when it is imported.
        """
        if self._main is not sys.__excepthook__ or sys.excepthook != self._on_main:
            return
        formatting = sys.modules.get("exceptiongroup._formatting")
        if formatting is None:
            return
        sys.excepthook = sys.__excepthook__
        try:
            importlib.reload(formatting)
        finally:
            self._main, sys.excepthook = sys.excepthook, self._on_main

    def _on_main(
        self,
        kind: type[BaseException],
        exception: BaseException,
        frames: TracebackType | None,
    ) -> None:
        try:
            if self._active and "main" in self._places:
                self._report_main(exception, frames)
        finally:
            backlight = self._backlight if _prints_for_python(self._main) else None
            if backlight is None or not backlight.print(exception, frames):
                self._main(kind, exception, frames)

    def _report_main(self, exception: BaseException, frames: TracebackType | None) -> None:
        if isinstance(exception, SystemExit):
            return
        if not isinstance(exception, KeyboardInterrupt):
            ends = not _is_interactive()
            self._errors.report(
                exception,
                frames,
                logger=MAIN,
                level=logging.CRITICAL if ends else logging.ERROR,
            )
            if not ends:
                return
        self._ended_by(exception)

    def _on_thread(self, given: Any) -> None:
        exception = given.exc_value
        try:
            if (
                self._active
                and "threads" in self._places
                and isinstance(exception, BaseException)
                and not isinstance(exception, SystemExit)
            ):
                thread = given.thread
                name = "" if thread is None else f"in thread {thread.name}"
                self._errors.report(exception, given.exc_traceback, logger=THREADS, where=name)
        finally:
            del exception
            is_pythons = self._threads is threading.__excepthook__
            backlight = self._backlight if is_pythons else None
            if backlight is None or not backlight.print_thread(given):
                self._threads(given)

    def _on_unraisable(self, given: Any) -> None:
        try:
            if self._active:
                self._report_unraisable(given)
        finally:
            self._unraisable(given)

    def _report_unraisable(self, given: Any) -> None:
        exception = given.exc_value
        if exception is None:
            # Python may be out of memory, or the exception was never made.
            kind = getattr(given.exc_type, "__name__", "an exception")
            said = f"Ignored {kind} {_origin(given)}"
            self._errors.report(None, given.exc_traceback, logger=UNRAISABLE, said=said)
        else:
            where = f"ignored {_origin(given)}"
            self._errors.report(exception, given.exc_traceback, logger=UNRAISABLE, where=where)


def _origin(given: Any) -> str:
    """Say where an error was ignored, without calling code of the object's."""
    place = getattr(given, "object", None)
    name = getattr(place, "__qualname__", None) if callable(place) else None
    named = name if isinstance(name, str) else f"{type_name(type(place))} object"
    message = given.err_msg
    return f"in {named}" if not message else f"({message}) in {named}"


def _prints_for_python(hook: Any) -> bool:
    """Tell whether a hook is the interpreter's, or the one that prints groups on Python 3.10."""
    return hook is sys.__excepthook__ or getattr(hook, "__module__", "") in {
        "exceptiongroup._formatting"
    }


def _is_interactive() -> bool:
    return hasattr(sys, "ps1") or bool(sys.flags.inspect)
