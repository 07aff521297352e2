"""Taking every log record on its way to the program's own handlers, without the program noticing.

Handlers put on the root logger would be noticed: ``logging.basicConfig`` does nothing once the
root has a handler, ``dictConfig`` throws handlers away, Flask and Werkzeug leave out their own
output where they find one, ``logging.lastResort`` falls silent, and loggers that do not propagate
are missed. So records are taken one step earlier, where a logger has asked its filters and is about
to call its handlers (:meth:`logging.Logger.filter`). No logger's list of handlers is touched, and
when a handler is called nothing of ours stands on the stack, where the program could print it, or
count it as a caller.

The root logger's default level, WARNING, would keep INFO records from being made at all. Where the
program left it at that, :func:`install` lowers it for our handlers and keeps from the program's
handlers what they would not have seen.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from otelbridge.records.extras import TAKEN_ATTRIBUTE
from otelbridge.records.own_attributes import remove_own_attributes
from otelbridge.records.scope_fields import scope_fields

# Records of these loggers are about sending telemetry; sending them as telemetry might never end.
# They still reach the program's own handlers.
NOT_SENT = ("opentelemetry.", "otelbridge.")


class LoweredLevel(int):
    """A root level that is ours, not the program's; one the program sets is a plain ``int``."""

    host_level: int

    def __new__(cls, level: int, host_level: int) -> LoweredLevel:
        """Make a level that equals ``level`` and remembers the program's own."""
        made = super().__new__(cls, level)
        made.host_level = host_level
        return made


class Capture:
    """The one place through which every log record of the process passes.

    Attributes:
        handlers: what every record is given to, each by its own level.
        replaced: tells of a handler that it need not be called, because one of ours writes the
            same to the same place; asked with ``logging.lastResort`` too. ``None`` if none is.
        passes: tells whether our handlers are to get a record.
        translate: puts another in the place of a record, before anything else is asked of it.
        rewrites: by the names of loggers, what changes their records before our handlers get them.
        failed: is told of a record that could not be handed over, while the exception is handled.
    """

    def __init__(
        self,
        intercept: Callable[[logging.LogRecord], bool],
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is captured before :meth:`install`.

        Args:
            intercept: is given every record first; where it returns true, nobody else is.
            arrived: is called before our handlers get a record.
        """
        self.handlers: tuple[logging.Handler, ...] = ()
        self.replaced: Callable[[logging.Handler | None], bool] | None = None
        self.passes: Callable[[logging.LogRecord], bool] | None = None
        self.translate: Callable[[logging.LogRecord], logging.LogRecord] | None = None
        self.rewrites: dict[str, Callable[[logging.LogRecord], logging.LogRecord]] = {}
        self.failed: Callable[[logging.LogRecord], None] = lambda record: None
        self._intercept = intercept
        self._arrived = arrived
        self._wrapper: Any = None
        self._original: Any = None

    def install(self, handlers: Iterable[logging.Handler], level: int) -> None:
        """Start handing every record to ``handlers``.

        Args:
            handlers: handlers that no logger has.
            level: the root logger's level from now on, where the program has neither set one nor
                added handlers.
        """
        self.handlers = tuple(handlers)
        original: Callable[[logging.Logger, logging.LogRecord], Any] = logging.Logger.filter

        def filter_and_take(logger: logging.Logger, record: logging.LogRecord) -> Any:
            passed = original(logger, record)
            if not passed:
                return passed
            # From Python 3.12 on a filter may put another record in the place of this one.
            if isinstance(passed, logging.LogRecord):
                record = passed
            if self._intercept(record):
                return False
            try:
                self._take(record, None)
            except Exception:
                self.failed(record)
            if not self._host_wants(logger, record):
                return False
            remove_own_attributes(record, logger)
            return passed

        self._wrapper = filter_and_take
        self._original = vars(logging.Logger).get("filter")
        _Installed.capture = self
        logging.Logger.filter = filter_and_take  # type: ignore[method-assign, assignment]
        root = logging.root
        if root.level == logging.WARNING and not root.handlers and level < logging.WARNING:
            root.setLevel(LoweredLevel(level, root.level))

    def remove(self) -> None:
        """Stop; the logging module is as it was, unless somebody else has wrapped it since."""
        self.handlers = ()
        self.passes = None
        self.replaced = None
        if _Installed.capture is self:
            _Installed.capture = None
        if self._wrapper is not None and logging.Logger.filter is self._wrapper:
            if self._original is None:
                del logging.Logger.filter
            else:
                logging.Logger.filter = self._original  # type: ignore[method-assign]
        if isinstance(logging.root.level, LoweredLevel):
            logging.root.setLevel(logging.root.level.host_level)

    def rewrite(
        self, loggers: Iterable[str], change: Callable[[logging.LogRecord], logging.LogRecord]
    ) -> None:
        """Have the records of some loggers, each by its full name, changed by a function."""
        self.rewrites.update(dict.fromkeys(loggers, change))

    def record_in_hand(self) -> logging.LogRecord | None:
        """Return the record that a logger's handlers are being given in this thread."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code.co_name == "callHandlers" and frame.f_globals is vars(logging):
                record = frame.f_locals.get("record")
                return record if isinstance(record, logging.LogRecord) else None
            frame = frame.f_back
        return None

    def take(
        self,
        record: logging.LogRecord,
        unless: Callable[[logging.Handler], bool] | None = None,
    ) -> None:
        """Hand a record to our handlers, and to nobody else; never raises.

        Args:
            record: any log record.
            unless: tells of one of our handlers that it is not to have this record.
        """
        try:
            self._take(record, unless)
        except Exception:
            # A record that somebody made by hand; the program that logs it is not to blame.
            self.failed(record)

    def _take(
        self, record: logging.LogRecord, unless: Callable[[logging.Handler], bool] | None
    ) -> None:
        if record.name.startswith(NOT_SENT) or not (self.handlers or self.passes):
            return
        known = record.__dict__
        if TAKEN_ATTRIBUTE in known:
            # It comes by again, from a queue between threads or processes.
            return
        known[TAKEN_ATTRIBUTE] = True
        self._arrived()
        if self.translate is not None:
            record = self.translate(record)
        # Now, in the thread that logs; a handler of the program's may write it in another.
        scope_fields(record)
        rewrite = self.rewrites.get(record.name)
        if rewrite is not None:
            record = rewrite(record)
        if self.passes is not None and not self.passes(record):
            return
        for handler in self.handlers:
            if record.levelno >= handler.level and (unless is None or not unless(handler)):
                # Handlers report their own failures (handleError), so none reaches the program.
                handler.handle(record)

    def _host_wants(self, logger: logging.Logger, record: logging.LogRecord) -> bool:
        lowered = logging.root.level
        if isinstance(lowered, LoweredLevel) and record.levelno < lowered.host_level:
            node: logging.Logger | None = logger
            while node is not None and not node.level:
                node = node.parent
            if node is logging.root:
                return False
        return self.replaced is None or self._reaches_another(logger, self.replaced)

    def _reaches_another(
        self, logger: logging.Logger, replaced: Callable[[logging.Handler | None], bool]
    ) -> bool:
        node: logging.Logger | None = logger
        found = False
        while node is not None:
            for handler in node.handlers:
                found = True
                if not replaced(handler):
                    return True
            node = node.parent if node.propagate else None
        return not found and not replaced(logging.lastResort)


class _Installed:
    """The capture of this process, for what does not come by :mod:`logging`."""

    capture: Capture | None = None


def installed() -> Capture | None:
    """Return what this process's records pass through, if anything."""
    return _Installed.capture
