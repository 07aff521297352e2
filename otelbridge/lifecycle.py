"""The life of a process, told as it goes: start, heartbeats, end.

Three events, sent as OpenTelemetry log records through the otlp and elasticsearch sinks; the names
of their fields are in :mod:`otelbridge.schema`, and docs/architecture.md says what a receiver makes
of them.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from otelbridge import schema
from otelbridge.records.extras import EVENT_ATTRIBUTE

if TYPE_CHECKING:
    from otelbridge.errors.report import Errors

Outcome: TypeAlias = Literal["completed", "failed", "crashed", "interrupted", "terminated"]

# A child that lives shorter, as one that only starts another program, is not worth announcing.
_CHILD_GRACE_SECONDS: Final = 1.0

# The thread has nothing to wait for; so long only on a machine that is very busy.
_THREAD_SECONDS: Final = 1.0

_LEVELS: Final[dict[str, int]] = {"crashed": logging.CRITICAL, "failed": logging.ERROR}


class Life:
    """Announces one process, and again each child it forks."""

    def __init__(
        self,
        emit: Callable[[logging.LogRecord], None],
        errors: Errors,
        *,
        interval: float,
        sinks: tuple[str, ...],
        tells: Callable[[], tuple[Sequence[str], Sequence[str]]] | None = None,
    ) -> None:
        """Prepare; nothing is announced before :meth:`start`.

        Args:
            emit: is given each event as a log record.
            errors: counts this process's errors.
            interval: seconds between heartbeats.
            sinks: where this process sends its records, by name.
            tells: gives the destinations whose people it tells of errors, by name, and the
                authors they mention.
        """
        self._outcome: Outcome = "completed"
        self._code: int | None = None
        self._signal: int | None = None
        self._ended = False
        self._announcing = threading.RLock()
        self._emit = emit
        self._errors = errors
        self._interval = interval
        self._sinks = sinks
        self._tells = tells
        self._prepare_process(0.0)

    def start(self) -> None:
        """Announce the process, from a thread of its own, and go on announcing it."""
        self._start_thread()

    def become_child(self) -> None:
        """Announce this process instead of its parent, after a fork."""
        self._prepare_process(_CHILD_GRACE_SECONDS)
        self._start_thread()

    def pause(self) -> None:
        """End the thread: gevent is about to change what a thread is."""
        self._generation += 1
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_THREAD_SECONDS)

    def resume(self) -> None:
        """Go on, with what gevent has made of threads."""
        self._wake = threading.Event()
        self._start_thread()

    def will_end(
        self,
        outcome: Outcome,
        code: int | None = None,
        signal_number: int | None = None,
    ) -> None:
        """Note how the process is about to end.

        The last word counts, except that a program which exits because it has crashed has crashed.

        Args:
            outcome: how.
            code: its exit code, where it is known.
            signal_number: what kills it, if something does.
        """
        if (self._outcome, outcome) == ("crashed", "failed"):
            self._code = code
            return
        self._outcome, self._code, self._signal = outcome, code, signal_number

    def end(self) -> None:
        """Announce the end, once."""
        self._generation += 1
        self._wake.set()
        with self._announcing:
            if self._ended:
                return
            self._ended = True
            self._announce_start()
            self._send(schema.PROCESS_END, _LEVELS.get(self._outcome, logging.INFO))
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_THREAD_SECONDS)

    def _prepare_process(self, grace: float) -> None:
        self._pid = os.getpid()
        self._grace = grace
        self._started = time.monotonic()
        self._started_at = time.time()
        self._generation = 0
        self._announced = self._ended = False
        self._outcome, self._code, self._signal = "completed", None, None
        self._wake = threading.Event()
        # Of the kind that its holder may take again: a signal may end the process while it starts.
        self._announcing = threading.RLock()
        self._thread: threading.Thread | None = None

    def _start_thread(self) -> None:
        self._thread = threading.Thread(
            target=self._run,
            args=(self._wake, self._generation),
            name="otelbridge-heartbeat",
            daemon=True,
        )
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or may have no more threads; the end is announced.
            self._thread = None

    def _run(self, wake: threading.Event, generation: int) -> None:
        if self._grace and wake.wait(self._grace):
            return
        with self._announcing:
            if self._generation != generation:
                return
            self._announce_start()
        while not wake.wait(self._interval) and self._generation == generation:
            with self._announcing:
                if self._ended:
                    return
                self._send(schema.PROCESS_HEARTBEAT, logging.DEBUG)

    def _announce_start(self) -> None:
        if not self._announced:
            self._announced = True
            self._send(schema.PROCESS_START, logging.INFO, self._started_at)

    def _send(self, event: str, level: int, at: float | None = None) -> None:
        record = logging.LogRecord(
            schema.LIFECYCLE_SCOPE, level, "", 0, self._said(event), (), None
        )
        if at is not None:
            record.created = at
        # Where in this file it was made says nothing.
        origin = ("pathname", "lineno", "funcName", "thread", "threadName")
        record.__dict__.update(dict.fromkeys(origin))
        record.__dict__[EVENT_ATTRIBUTE] = event
        record.__dict__.update(self._attributes(event))
        self._emit(record)

    def _said(self, event: str) -> str:
        if event == schema.PROCESS_START:
            return f"process {self._pid} has started"
        if event == schema.PROCESS_HEARTBEAT:
            return f"process {self._pid} is running"
        how: str = self._outcome
        if self._signal is not None:
            how += f" by {_signal_name(self._signal)}"
        elif self._code is not None:
            how += f", exit code {self._code}"
        return f"process {self._pid} has ended: {how}"

    def _attributes(self, event: str) -> dict[str, Any]:
        started = datetime.fromtimestamp(self._started_at, timezone.utc)
        found: dict[str, Any] = {
            schema.LIFECYCLE_VERSION_KEY: schema.LIFECYCLE_VERSION,
            schema.HEARTBEAT_INTERVAL: self._interval,
            schema.PROCESS_START_TIME: started.isoformat(timespec="milliseconds"),
            schema.PROCESS_UPTIME: round(time.monotonic() - self._started, 3),
            schema.PROCESS_ERRORS: self._errors.count,
        }
        destinations, authors = self._tells() if self._tells is not None else ((), ())
        found[schema.PROCESS_SINKS] = [*self._sinks, *destinations]
        if authors:
            found[schema.PROCESS_AUTHORS] = list(authors)
        excluded = sum(self._errors.exclusions.counted.values())
        if excluded:
            found[schema.PROCESS_EXCLUDED] = excluded
        last = self._errors.last
        if last is not None:
            told = {
                schema.LAST_ERROR_TYPE: last.type,
                schema.LAST_ERROR_MESSAGE: last.message,
                schema.LAST_ERROR_FINGERPRINT: last.fingerprint,
                schema.LAST_ERROR_UID: last.uid,
            }
            found.update({name: value for name, value in told.items() if value})
        if event == schema.PROCESS_END:
            found[schema.PROCESS_OUTCOME] = self._outcome
            if self._code is not None:
                found[schema.EXIT_CODE] = self._code
            if self._signal is not None:
                found[schema.PROCESS_SIGNAL] = _signal_name(self._signal)
        return found


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
