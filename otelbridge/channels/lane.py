"""The road to one destination: a thread of its own, so that no other destination waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from otelbridge.channels.channel import ChannelError, Receipt, failed
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import Message
from otelbridge.channels.outbox import Delivery, Outbox
from otelbridge.channels.schedule import Schedule

_logger = logging.getLogger("otelbridge.channels")

# What may be handed over before the thread has looked at it.
_MOST_HANDED_OVER: Final = 1000
_MOST_HANDED_OVER_BYTES: Final = 16 * 2**20
# How long messages may come together before they are looked at.
_GATHER_SECONDS: Final = 0.05
# A wait of days is one of an hour several times: a clock may be set meanwhile.
_LONGEST_WAIT: Final = 3600.0


class Lane:
    """Carries messages to one destination.

    Args:
        destination: where to.
        outbox: what remembers them.
        changed: called after every change, for those who wait for one.
        rewrite: changes each message before it is kept or sent.
    """

    def __init__(
        self,
        destination: Destination,
        outbox: Outbox,
        changed: Callable[[], None],
        rewrite: Callable[[Message], Message] | None = None,
    ) -> None:
        self.destination = destination
        self._outbox = outbox
        self._notify = changed
        self._rewrite = rewrite
        self._start_afresh()

    def _start_afresh(self) -> None:
        # Guards what is handed over; the schedule is the thread's own.
        self._wake = threading.Condition()
        self._handed: OrderedDict[str, tuple[Delivery, int]] = OrderedDict()
        self._handed_bytes = 0
        self._schedule = Schedule(self.destination, self._changed)
        self._thread: threading.Thread | None = None
        self._restored = False
        self._closing = False
        self._in_trouble = False

    def start_afresh(self) -> None:
        """Be a forked child's: the parent sends what it has."""
        self._start_afresh()
        self._restored = True

    def post(self, message: Message) -> Delivery:
        """Hand a message over; never waits for the destination."""
        now = time.time()
        delivery = Delivery(
            destination=self.destination.name, message=message, created=now, changed=now
        )
        with self._wake:
            handed = self._handed.get(message.same_as)
            if handed is not None:
                self._handed[message.same_as] = (handed[0], handed[1] + 1)
                return handed[0]
            size = message.size
            if (
                len(self._handed) >= _MOST_HANDED_OVER
                or (self._handed and self._handed_bytes + size > _MOST_HANDED_OVER_BYTES)
                or self._closing
            ):
                delivery.state = "failed"
                delivery.reason = "the courier has ended" if self._closing else "too many messages"
                return delivery
            self._handed[message.same_as] = (delivery, 0)
            self._handed_bytes += size
            self._start()
            if len(self._handed) == 1:
                self._wake.notify()
        return delivery

    def resume(self) -> None:
        """Begin with what an earlier process left, without waiting for a first message."""
        with self._wake:
            self._start()

    def hurry(self) -> None:
        """Take nothing more, and send what can be sent now."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def close(self, deadline: float) -> int:
        """Send what can be sent until ``deadline`` (of ``time.monotonic``) and stop.

        Returns:
            How many messages are left; the outbox has them.
        """
        self.hurry()
        thread = self._thread
        if thread is None and self._handed:
            # No thread could be started, so late in the process's life: here, then.
            self._work(deadline)
        elif thread is not None and thread is not threading.current_thread():
            thread.join(max(deadline - time.monotonic(), 0.0))
        # A thread that is still loading what it sends with has not taken these in.
        handed = self._take_handed()
        for delivery, more in handed:
            message = self._rewritten(delivery.message)
            delivery.message = message.with_(count=message.count + more)
            self._outbox.record(delivery)
        return len(self._schedule.waiting) + len(handed)

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(
            target=self._work, name=f"otelbridge-notify-{self.destination.name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            return  # the interpreter is ending; close() sees to it
        self._thread = thread

    def _work(self, deadline: float | None = None) -> None:
        try:
            self.destination.channel.prepare()
        except Exception as error:
            # What is missing is said by the first message that needs it.
            _logger.debug("%s: %s", self.destination.name, type(error).__name__)
        if not self._restored:
            self._restored = True
            for delivery in self._outbox.waiting(self.destination.name):
                self._schedule.restore(delivery, time.time())
        while deadline is None or time.monotonic() < deadline:
            self._take_in()
            closing = self._closing
            chosen = self._schedule.next(time.time(), closing=closing)
            if chosen is not None:
                self._deliver(chosen)
                continue
            wait = self._schedule.wait(time.time())
            with self._wake:
                if closing and not self._handed:
                    return
                if not self._handed and not self._closing:
                    self._wake.wait(_LONGEST_WAIT if wait is None else min(wait, _LONGEST_WAIT))
                if self._handed:
                    # In a flood this thread is not woken for each message of it.
                    self._wake.wait_for(lambda: self._closing, _GATHER_SECONDS)

    def _take_handed(self) -> list[tuple[Delivery, int]]:
        # Taken under the lock, looked at without it: who hands over does not wait for the outbox.
        with self._wake:
            handed = list(self._handed.values())
            self._handed.clear()
            self._handed_bytes = 0
        return handed

    def _take_in(self) -> None:
        for delivery, more in self._take_handed():
            delivery.message = self._rewritten(delivery.message)
            self._schedule.add(delivery, time.time(), more=more)

    def _rewritten(self, message: Message) -> Message:
        if self._rewrite is None:
            return message
        try:
            return self._rewrite(message)
        except Exception as error:
            # What could not be rewritten may hold what must not get out; that it happened may.
            reason = f"(its text is left out: {type(error).__name__})"
            return message.with_(title="a message", text=reason, tracebacks={})

    def _deliver(self, delivery: Delivery) -> None:
        channel = self.destination.channel
        try:
            message = self.destination.render(delivery.message)
            if channel.resumes:
                receipt = channel.send(message, delivery.arrived)  # type: ignore[call-arg]
            else:
                receipt = channel.send(message)
        except Exception as error:
            self._failed(delivery, failed(channel, error))
        except BaseException as error:
            # A channel that calls sys.exit ends neither this thread nor the program.
            self._failed(delivery, ChannelError(f"{type(error).__name__} was raised"))
        else:
            self._schedule.sent(delivery, receipt or Receipt(), time.time())
            if self._in_trouble:
                self._in_trouble = False
                _logger.warning("%s takes messages again", self.destination.name)

    def _failed(self, delivery: Delivery, error: ChannelError) -> None:
        pause = self._schedule.failed(delivery, error, time.time())
        if not pause:
            _logger.warning("%s does not take a message: %s", self.destination.name, error)
        elif not self._in_trouble:
            self._in_trouble = True
            _logger.warning(
                "%s does not take messages: %s; trying again", self.destination.name, error
            )

    def _changed(self, delivery: Delivery) -> None:
        self._outbox.record(delivery)
        self._notify()
