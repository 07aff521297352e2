"""Errors in a thread pool's futures that nobody ever asked for.

``ThreadPoolExecutor`` keeps a call's error in its future. Where the program never asks for the
result, nothing says that anything went wrong. As asyncio does for its tasks, such an error is
reported once its future is thrown away, or when the process ends; nothing is printed.

A future's methods are left as they are, since a wrapper would stand in the tracebacks of every
error they raise. Who asks for the result has to read the attribute that holds the error: that is
what is watched.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelbridge.errors.report import Errors

LOGGER = "concurrent.futures"

_ERROR = "_exception"
_UNSEEN = "_otelbridge_unseen"


class Futures:
    """Watches the futures of ``concurrent.futures``, once that is imported."""

    def __init__(self, errors: Errors) -> None:
        """Prepare; nothing is watched before :meth:`install`."""
        self._errors: Errors | None = errors
        self._failed: weakref.WeakSet[Any] = weakref.WeakSet()

    def install(self) -> None:
        """Watch; for when ``concurrent.futures`` has been imported."""
        from concurrent.futures import Future

        kind: Any = Future
        if _ERROR not in vars(Future()):
            # A Python whose futures keep their errors elsewhere.
            return

        def read(future: Any) -> Any:
            inside = future.__dict__
            inside.pop(_UNSEEN, None)
            return inside.get(_ERROR)

        def write(future: Any, error: Any) -> None:
            inside = future.__dict__
            inside[_ERROR] = error
            if isinstance(error, Exception) and self._errors is not None:
                inside[_UNSEEN] = True
                self._failed.add(future)

        def forget(future: Any) -> None:
            if _UNSEEN in future.__dict__:
                self._report(future)

        setattr(kind, _ERROR, property(read, write))
        kind.__del__ = forget

    def report_kept(self) -> None:
        """Report the errors that nobody has asked for by the end of the process, and no more."""
        for future in tuple(self._failed):
            if _UNSEEN in future.__dict__:
                self._report(future)
        self._errors = None

    def start_afresh(self) -> None:
        """Forget the parent's futures, in the child after a fork."""
        for future in tuple(self._failed):
            future.__dict__.pop(_UNSEEN, None)
        self._failed.clear()

    def _report(self, future: Any) -> None:
        future.__dict__.pop(_UNSEEN, None)
        exception = future.__dict__.get(_ERROR)
        if self._errors is not None and isinstance(exception, BaseException):
            self._errors.report(
                exception, logger=LOGGER, where="in a future whose result nobody asked for"
            )
