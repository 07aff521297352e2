"""What becomes of an error: a log record, a span event, a count, a message to somebody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import trace
from opentelemetry.context import attach, detach

from otelbridge.errors.exclusions import Exclusions
from otelbridge.errors.raised_in import RAISED_IN, raised_in
from otelbridge.errors.servers import Repetitions
from otelbridge.records.exception_notes import forget, note, noted
from otelbridge.records.exceptions import record_exception
from otelbridge.records.message import message_text
from otelbridge.records.own_code import own_code
from otelbridge.records.text import TextFormatter
from otelbridge.records.tracebacks import entries, telling_entry
from otelbridge.records.uid import record_uid
from otelbridge.records.values import plain_text, text_of, type_name
from otelbridge.schema import UNCAUGHT

if TYPE_CHECKING:
    from otelbridge.capture import Capture

_REPORTED: Final = "_otelbridge_reported"
_MAX_MESSAGE_CHARS: Final = 1_000

# asyncio logs what nobody awaited itself.
ASYNCIO: Final = "asyncio"


class LastError(NamedTuple):
    """The last error of a process, as its heartbeats and its end tell it."""

    type: str
    message: str
    fingerprint: str
    uid: str


class Errors:
    """Counts a process's errors, and reports those that nobody caught.

    Attributes:
        count: errors that were sent: records of level ERROR and above, and those that carry an
            exception.
        last: the last of them.
        repetitions: what servers say of errors that were reported.
    """

    def __init__(
        self,
        capture: Capture,
        exclusions: Exclusions,
        tell: Callable[[logging.LogRecord], None] | None = None,
    ) -> None:
        """Count what passes ``capture``.

        Args:
            capture: what hands records to the sinks.
            exclusions: what is not sent.
            tell: is given the record of each error, to send messages to people.
        """
        self.count = 0
        self.last: LastError | None = None
        self.exclusions = exclusions
        self.repetitions = Repetitions(self.was_reported)
        self._capture = capture
        self._tell = tell
        self._busy = threading.local()
        # Of the kind that its holder may take again: a signal's handler may log at any moment.
        self._counting = threading.RLock()

    def start_afresh(self) -> None:
        """Count anew, in the child after a fork."""
        self.count = 0
        self.last = None
        self.exclusions.counted.clear()
        self._busy = threading.local()
        self._counting = threading.RLock()

    def passes(self, record: logging.LogRecord) -> bool:
        """Count a record if it is an error's; tell whether it is to be sent."""
        if record.levelno < logging.ERROR and not record.exc_info:
            return True
        try:
            if self.repetitions.holds(record) or self.exclusions.excludes(record):
                return False
            self._count(record)
            if self._tell is not None:
                self._tell(record)
        except Exception:
            # A record that cannot be counted is still worth sending, and its sinks see for
            # themselves what is wrong with it.
            return True
        return True

    def report(
        self,
        exception: BaseException | None,
        frames: TracebackType | None = None,
        *,
        logger: str,
        where: str = "",
        level: int = logging.ERROR,
        said: str = "",
    ) -> None:
        """Report an error that nobody caught, once; never raises.

        Args:
            exception: what was raised, if it is known.
            frames: its traceback; its own by default.
            logger: where it ended.
            where: the same for people, such as ``in thread worker-1``.
            level: CRITICAL where the process ends by it.
            said: the message; by default made of the exception.
        """
        if getattr(self._busy, "reporting", False):
            return
        self._busy.reporting = True
        try:
            self._report(exception, frames, logger, where, level, said)
        except BaseException:
            # What goes wrong here must not come on top of the program's own error.
            return
        finally:
            self._busy.reporting = False

    def was_reported(self, exception: BaseException) -> bool:
        """Tell whether an exception was reported before."""
        return noted(exception, _REPORTED) is True

    def forget_if_reported(self, exception: BaseException) -> None:
        """Take an exception for a new one: one object may be raised in many requests."""
        if self.was_reported(exception):
            forget(exception, _REPORTED, RAISED_IN)

    def _report(
        self,
        exception: BaseException | None,
        frames: TracebackType | None,
        logger: str,
        where: str,
        level: int,
        said: str,
    ) -> None:
        if exception is not None:
            if self.was_reported(exception):
                return
            note(exception, _REPORTED, True)
            frames = exception.__traceback__ if frames is None else frames
            said = said or _message(exception, where)
        record = _record(exception, frames, logger, level, said)
        context = None if exception is None else raised_in(exception)
        current = trace.get_current_span()
        token = None
        if context is not None:
            token = attach(trace.set_span_in_context(trace.NonRecordingSpan(context)))
        elif exception is not None and current.is_recording():
            current.record_exception(exception)
        try:
            self._capture.take(record, unless=_repeats_the_program)
        finally:
            if token is not None:
                detach(token)

    def _count(self, record: logging.LogRecord) -> None:
        with self._counting:
            self.count += 1
        described = record_exception(record)
        if described is None:
            self.last = LastError("", message_text(record, 200), "", record_uid(record))
            return
        self.last = LastError(
            described.type,
            plain_text(described.message, 200),
            described.fingerprint,
            record_uid(record),
        )


def mark_uncaught(record: logging.LogRecord) -> logging.LogRecord:
    """Mark asyncio's own records of errors that nobody caught.

    Returns:
        A copy, so that the program's own handlers see no mark; the record itself if it is none.
    """
    if not record.exc_info:
        return record
    record_uid(record)
    changed = logging.makeLogRecord(record.__dict__)
    changed.__dict__[UNCAUGHT] = True
    return changed


def _record(
    exception: BaseException | None,
    frames: TracebackType | None,
    logger: str,
    level: int,
    said: str,
) -> logging.LogRecord:
    entry = telling_entry(entries(frames, own_code()))
    carried: Any = None if exception is None else (type(exception), exception, frames)
    record = logging.LogRecord(
        logger,
        level,
        "" if entry is None else entry.frame.f_code.co_filename,
        0 if entry is None else entry.line,
        said,
        (),
        carried,
        None if entry is None else entry.frame.f_code.co_name,
    )
    record.__dict__[UNCAUGHT] = True
    return record


def _message(exception: BaseException, where: str) -> str:
    what = " ".join(filter(None, ("Uncaught", type_name(type(exception)), where)))
    text = plain_text(text_of(exception), _MAX_MESSAGE_CHARS)
    return f"{what}: {text}" if text else what


def _repeats_the_program(handler: logging.Handler) -> bool:
    """Tell of a handler that it would write on the terminal what the program writes there."""
    return isinstance(handler.formatter, TextFormatter)
