"""A bounded queue of records, and the thread that sends them in batches."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

if TYPE_CHECKING:
    from otelbridge.sinks.destination import Destination

DEFAULT_CAPACITY: Final = 16_384
DEFAULT_BATCH_SIZE: Final = 512


class BatchQueue:
    """Takes records from any thread and sends them to a destination on a thread of its own.

    The SDK's batch processors do this too. But they start their thread at once, and again in the
    moment of a fork: too early where gevent patches the process afterwards, and not at all where a
    server forks without telling Python. They wait for a destination without limit when flushed,
    and do not count what they drop. This one starts its thread with the first record of a process.
    """

    def __init__(
        self,
        destination: Destination,
        success: Any,
        *,
        delay: float,
        batch_size: int = DEFAULT_BATCH_SIZE,
        capacity: int = DEFAULT_CAPACITY,
        weigh: Callable[[Any], int] | None = None,
        max_bytes: int = 0,
    ) -> None:
        """Make an empty queue.

        Args:
            destination: where batches go.
            success: the result by which the destination's exporter says that it took a batch.
            delay: seconds a record may wait for others to be sent with.
            batch_size: how many records are sent at once; so many are sent without delay.
            capacity: how many records are kept; the oldest makes room for the newest.
            weigh: tells the bytes of a record; without it only the number of records is bounded.
            max_bytes: how many bytes of records are kept, where they are weighed.
        """
        self.destination = destination
        self._success = success
        self._delay = delay
        self._capacity = max(1, capacity)
        self._batch_size = max(1, min(batch_size, self._capacity))
        self._weigh = weigh
        self._max_bytes = max_bytes
        self._records: deque[Any] = deque()
        self._weights: deque[int] = deque()
        self._bytes = 0
        self._taken = self._done = 0
        self._hurry = self._closed = False
        self._generation = 0
        self._prepare_process()

    def put(self, record: Any) -> None:
        """Take a record; never waits for the destination."""
        if self._pid != os.getpid():
            self.start_afresh()
        weight = 0 if self._weigh is None else self._weigh(record)
        lost, reason = 0, "the queue is full"
        with self._changed:
            if self._closed:
                lost, reason = 1, "the program had ended its telemetry"
            else:
                self._taken += 1
                self._records.append(record)
                self._weights.append(weight)
                self._bytes += weight
                waiting = len(self._records)
                while len(self._records) > self._capacity or (
                    self._bytes > self._max_bytes and len(self._records) > 1
                ):
                    self._pop()
                    self._done += 1
                    lost += 1
                if self._thread is None:
                    self._start_thread()
                if waiting == 1 or waiting == self._batch_size:
                    self._changed.notify_all()
        if lost:
            self.destination.give_up(lost, reason)

    def flush(self, timeout: float) -> bool:
        """Send without delay what has been taken so far.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether it has all been accepted or given up in time.
        """
        if self._pid != os.getpid():
            self.start_afresh()
        with self._changed:
            taken = self._taken
            self._hurry = True
            self._ensure_sending()
            return self._changed.wait_for(lambda: self._done >= taken, timeout)

    def close(self) -> None:
        """Take nothing more; have what is left sent without delay, and the thread end."""
        if self._pid != os.getpid():
            self.start_afresh()
        with self._changed:
            self._closed = True
            self._ensure_sending()

    def wait_closed(self, timeout: float) -> None:
        """Wait for the end that :meth:`close` asked for; what is left after it is given up.

        Args:
            timeout: seconds this may take.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        with self._changed:
            left = self._taken - self._done
            self._clear()
            self._generation += 1
        if left:
            self.destination.give_up(left, "the program ended first")

    def change_threading(self) -> None:
        """Make a new thread and locks, of whatever kind ``threading`` has then; keep the records.

        For when gevent is about to patch the process.
        """
        with self._changed:
            self._generation += 1
            self._changed.notify_all()
        thread = self._thread
        if thread is not None:
            thread.join(1.0)
        self._prepare_process()

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self._clear()
        self._taken = self._done = 0
        self._prepare_process()

    def _pop(self) -> Any:
        self._bytes -= self._weights.popleft()
        return self._records.popleft()

    def _clear(self) -> None:
        self._records.clear()
        self._weights.clear()
        self._bytes = 0

    def _prepare_process(self) -> None:
        self._pid = os.getpid()
        self._generation += 1
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None

    def _ensure_sending(self) -> None:
        """Have a thread at work if there is work; the lock is held."""
        if self._thread is None and self._records:
            self._start_thread()
        self._changed.notify_all()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(
            target=self._run,
            args=(self._changed, self._generation),
            name=f"otelbridge-{self.destination.signal}",
            daemon=True,
        )
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter is shutting down and lets no thread start.
            self._thread = None

    def _run(self, changed: threading.Condition, generation: int) -> None:
        with suppress_instrumentation():
            while True:
                with changed:
                    batch = self._next_batch(changed, generation)
                if batch is None:
                    return
                self._send(batch)
                with changed:
                    if self._generation == generation:
                        self._done += len(batch)
                        changed.notify_all()

    def _next_batch(self, changed: threading.Condition, generation: int) -> list[Any] | None:
        """Wait for a batch to be due; ``None`` if the thread is to end. The lock is held."""

        def due() -> bool:
            return (
                len(self._records) >= self._batch_size
                or self._hurry
                or self._closed
                or self._generation != generation
            )

        while not self._records and self._generation == generation and not self._closed:
            self._hurry = False
            changed.wait()
        changed.wait_for(due, self._delay)
        if self._generation != generation or not self._records:
            return None
        size = min(self._batch_size, len(self._records))
        return [self._pop() for _ in range(size)]

    def _send(self, batch: list[Any]) -> None:
        try:
            self.destination.send(batch, len(batch), self._success, retry=True)
        except Exception as error:
            # The thread must go on: what follows may be sent.
            self.destination.give_up(len(batch), f"{type(error).__name__}: {error}")


class Deadline:
    """A moment on the monotonic clock, and how far away it is."""

    def __init__(self, seconds: float) -> None:
        """Set a deadline ``seconds`` from now."""
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, never less than 0."""
        return max(0.0, self._end - time.monotonic())
