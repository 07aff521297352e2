"""Everything that watches a process for errors and for its end, put together."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from otelbridge.errors.children import Children
from otelbridge.errors.event_loops import EventLoops
from otelbridge.errors.exclusions import exclusions
from otelbridge.errors.futures import Futures
from otelbridge.errors.hooks import Hooks
from otelbridge.errors.raised_in import RaisedIn
from otelbridge.errors.report import ASYNCIO, Errors, mark_uncaught
from otelbridge.errors.terminal import Backlight
from otelbridge.imports import when_imported
from otelbridge.lifecycle import Life
from otelbridge.records.exceptions import record_exception, tell_variables
from otelbridge.records.message import message_text
from otelbridge.records.own_code import OwnCode, decide_by
from otelbridge.records.values import plain_text

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from otelbridge.capture import Capture
    from otelbridge.settings import Settings

_MAX_TITLE_CHARS: Final = 200


class Watch:
    """Watches one process, and the children it forks.

    Attributes:
        errors: what went wrong so far.
    """

    def __init__(
        self,
        settings: Settings,
        capture: Capture,
        handlers: Iterable[logging.Handler],
    ) -> None:
        """Prepare; nothing is watched before :meth:`start`.

        Args:
            settings: where errors are caught, what is excluded, how often a process is announced.
            capture: what hands records to the sinks.
            handlers: what the events of a process's life are given to.
        """
        self._settings = settings
        self._capture = capture
        self._handlers = tuple(handlers)
        self.errors = Errors(capture, exclusions, _tell if settings.notify else None)
        self._life: Life | None = None
        if settings.heartbeat > 0 and self._handlers:
            self._life = Life(
                self._emit,
                self.errors,
                interval=settings.heartbeat,
                sinks=settings.sinks,
                tells=_tells if settings.notify else None,
            )
        backlight = None
        if settings.backlight != "none":
            backlight = Backlight(settings.backlight, settings.backlight_color)
        self._hooks = Hooks(self.errors, self._ended_by, backlight)
        self._loops = EventLoops(self.errors)
        self._futures = Futures(self.errors)
        reports = "processes" in settings.catch
        self._children = Children(self.errors, self._child_ended, report=reports)
        self._exit: Any = None
        self._interrupted = False

    def start(self, provider: TracerProvider | None) -> None:
        """Watch from now on.

        Args:
            provider: our own, whose spans are noted on the errors that end them.
        """
        settings = self._settings
        if settings.own_code is not None:
            decide_by(OwnCode(settings.own_code.split(",")))
        tell_variables(settings.error_variables)
        try:
            exclusions.read(settings.exclude)
        except (TypeError, ValueError) as error:
            print(f"otelbridge: OTELBRIDGE_EXCLUDE: {error}", file=sys.stderr)
        if provider is not None:
            provider.add_span_processor(RaisedIn())
        places = frozenset(settings.catch)
        self._capture.passes = self.errors.passes
        if "asyncio" in places:
            self._capture.rewrite([ASYNCIO], mark_uncaught)
            when_imported("asyncio.base_events", self._loops.install)
        self._hooks.install(places)
        if sys.version_info < (3, 11):
            when_imported("exceptiongroup._formatting", self._hooks.adopt_group_printing)
        if "futures" in places:
            when_imported("concurrent.futures._base", self._futures.install)
        when_imported("multiprocessing.util", self._children.install)
        if self._life is not None:
            self._note_exit_codes()
            self._life.start()

    def become_child(self) -> None:
        """Watch this process and forget its parent, after a fork."""
        self.errors.start_afresh()
        self._futures.start_afresh()
        if self._life is not None:
            self._life.become_child()

    def before_patching(self) -> None:
        """Get out of the way: gevent is about to change what a thread is."""
        if self._life is not None:
            self._life.pause()

    def after_patching(self) -> None:
        """Go on, with what gevent has made of threads."""
        if self._life is not None:
            self._life.resume()

    def signalled(self, number: int) -> None:
        """Note that a signal ends the process."""
        if self._life is not None:
            self._life.will_end("terminated", signal_number=number)

    def pool_process_ended(self, code: int, signal_number: int | None) -> None:
        """Note how a process of Celery's pool ends, of which nothing else tells."""
        if self._life is not None and signal_number is not None:
            self._life.will_end("terminated", signal_number=signal_number)
        elif self._life is not None:
            self._life.will_end("failed" if code else "completed", code)

    def end(self) -> None:
        """Report what only the end brings to light, announce the end, and stop watching."""
        self._hooks.report_unseen_end()
        if "asyncio" in self._settings.catch:
            self._loops.report_kept_tasks()
        self._futures.report_kept()
        self._hooks.remove()
        self._loops.remove()
        self._capture.passes = None
        if self._exit is not None and sys.exit == self._exit_noted:
            sys.exit = self._exit
        if self._life is not None:
            self._life.end()

    def leave(self) -> None:
        """Have the process end as it would have; for when everything else is done.

        Python ends a program by the signal that interrupted it, unless anything has been made of
        source text in the meantime, as modules do that are imported. Source text that is itself
        interrupted reminds Python.
        """
        if self._interrupted:
            with suppress(KeyboardInterrupt):
                exec("raise KeyboardInterrupt")  # noqa: S102

    def _emit(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            handler.handle(record)

    def _ended_by(self, exception: BaseException) -> None:
        self._interrupted = isinstance(exception, KeyboardInterrupt)
        if self._life is None:
            return
        if isinstance(exception, KeyboardInterrupt):
            self._life.will_end("interrupted", signal_number=2)
        else:
            self._life.will_end("crashed", 1)

    def _child_ended(self, code: int, exception: BaseException | None) -> None:
        if self._life is not None:
            if isinstance(exception, KeyboardInterrupt):
                self._life.will_end("interrupted", code)
            elif exception is not None:
                self._life.will_end("crashed", code)
            else:
                self._life.will_end("failed" if code else "completed", code)

    def _note_exit_codes(self) -> None:
        self._exit, sys.exit = sys.exit, self._exit_noted

    def _exit_noted(self, status: Any = None, /) -> Any:
        """Exit, noting the code: by the time ``atexit`` functions run, Python has forgotten it."""
        if self._life is not None and threading.current_thread() is threading.main_thread():
            code = 0 if status is None else status if isinstance(status, int) else 1
            code &= 0xFF
            self._life.will_end("failed" if code else "completed", code)
        return self._exit(status)


def _tell(record: logging.LogRecord) -> None:
    """Send a message about an error to whom ``OTELBRIDGE_NOTIFY`` names."""
    from otelbridge import notify
    from otelbridge.channels import Message

    described = record_exception(record)
    if described is None:
        return
    notify.post(
        Message(
            title=plain_text(f"{described.type}: {described.message}", _MAX_TITLE_CHARS),
            text=message_text(record),
            tracebacks={
                "full": described.stack_trace,
                "clean": described.clean or described.stack_trace,
                "minimal": described.minimal,
            },
            severity="critical" if record.levelno >= logging.CRITICAL else "error",
            key=described.fingerprint,
        )
    )


def _tells() -> tuple[list[str], list[str]]:
    from otelbridge import notify

    return notify.told()
