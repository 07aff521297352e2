"""The threads of a delivery in one process, from their start to their end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

_logger = logging.getLogger(__name__)

# After a fault that nobody thought of, so that it does not fill the program's log.
_FAULT_SECONDS: Final = 10.0


class Life:
    """Threads that start together and end together, and what they tell one another.

    A process that is forked, and one whose threads gevent replaces, begins another life.

    Attributes:
        lock: guards the rest.
        changed: is notified, with the lock, of whatever a thread may be waiting for.
        queued: the same for the thread that waits for records: nobody else is woken for these.
        threads: those that run.
        started: whether they have been started.
        offered: whether something new is there to be sent.
        gathered: whether nothing more will be.
        over: whether they are to end at once, whatever is left.
    """

    def __init__(self) -> None:
        """Begin; no thread is started yet."""
        # A lock that may be taken again by its holder: a signal handler or a destructor that logs
        # comes by in the middle of anything.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.queued = threading.Condition(self.lock)
        self.threads: list[threading.Thread] = []
        self.started = self.offered = self.gathered = self.over = False

    def start(self, works: dict[str, Callable[[Life], None]]) -> None:
        """Start a thread for each work.

        Args:
            works: what they do until it is done, by their names.
        """
        # Said first: a signal handler or a destructor that logs may come by meanwhile.
        self.started = True
        for name, work in works.items():
            thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is shutting down and lets no thread start.
                self.started = False
                return
            self.threads.append(thread)

    def end(self) -> None:
        """Have the threads end at once."""
        with self.lock:
            self.over = True
            self.changed.notify_all()
            self.queued.notify_all()

    def _run(self, work: Callable[[Life], None]) -> None:
        """Work until the end, also where something fails that nobody thought of."""
        with suppress_instrumentation():
            while not self.over and not self._has_worked(work):
                with self.changed:
                    self.changed.wait_for(lambda: self.over, _FAULT_SECONDS)

    def _has_worked(self, work: Callable[[Life], None]) -> bool:
        try:
            work(self)
        except Exception:
            _logger.exception("delivery goes on after a fault")
            return False
        return True
