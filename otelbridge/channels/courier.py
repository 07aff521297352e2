"""The courier: takes messages from anywhere in a program and carries each to its destinations."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from otelbridge.channels.channel import ChannelError, Receipt, failed
from otelbridge.channels.destination import Destination
from otelbridge.channels.lane import Lane
from otelbridge.channels.message import Message
from otelbridge.channels.outbox import Delivery, MemoryOutbox, Outbox

_logger = logging.getLogger("otelbridge.channels")


class Courier:
    """Carries messages off the caller's thread, each destination by itself.

    Args:
        destinations: where to; their names differ.
        outbox: what remembers messages; the process's memory by default.
        rewrite: changes each message before it is kept or sent, off the caller's thread.
    """

    def __init__(
        self,
        destinations: Iterable[Destination],
        outbox: Outbox | None = None,
        *,
        rewrite: Callable[[Message], Message] | None = None,
    ) -> None:
        self.outbox: Outbox = outbox if outbox is not None else MemoryOutbox()
        self._changed = threading.Condition()
        self._lanes = {
            one.name: Lane(one, self.outbox, self._notify, rewrite) for one in destinations
        }
        _couriers.add(self)

    @property
    def destinations(self) -> list[Destination]:
        return [lane.destination for lane in self._lanes.values()]

    def post(self, message: Message, to: Sequence[str] | None = None) -> list[Delivery]:
        """Hand a message over and return at once.

        Args:
            message: what to send.
            to: names of destinations; all that take messages so severe by default.

        Returns:
            A delivery for each destination, whose state changes as it goes.

        Raises:
            ValueError: no destination is called so.
        """
        return [self._lanes[one.name].post(message) for one in self.chosen(message, to)]

    def chosen(self, message: Message, to: Sequence[str] | None = None) -> list[Destination]:
        """List the destinations of a message.

        Raises:
            ValueError: no destination is called so.
        """
        if to is None:
            return [one for one in self.destinations if one.wants(message)]
        for name in to:
            if name not in self._lanes:
                known = ", ".join(self._lanes) or "none"
                raise ValueError(f"there is no destination {name!r}; known: {known}")
        return [self._lanes[name].destination for name in dict.fromkeys(to)]

    def wait(self, deliveries: Sequence[Delivery], timeout: float) -> bool:
        """Wait until nothing more will happen to some deliveries.

        Returns:
            Whether that is so; False after ``timeout`` seconds.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: all(delivery.over for delivery in deliveries), timeout
            )

    def resume(self) -> None:
        """Begin to send what an earlier process left in the outbox."""
        for lane in self._lanes.values():
            lane.resume()

    def hurry(self) -> None:
        """Begin to end, without waiting; :meth:`close` waits."""
        for lane in self._lanes.values():
            lane.hurry()

    def close(self, timeout: float = 5.0) -> bool:
        """Send what can be sent within ``timeout`` seconds, and stop.

        Returns:
            Whether everything was sent. What was not is in the outbox.
        """
        deadline = time.monotonic() + timeout
        left = 0
        # All are told first: the time is shared, not divided.
        self.hurry()
        for lane in self._lanes.values():
            left += lane.close(deadline)
        self.outbox.close()
        if left:
            kept = "lost" if isinstance(self.outbox, MemoryOutbox) else "kept and sent next time"
            what = "1 message" if left == 1 else f"{left:,} messages"
            _logger.warning("%s could not be sent before the end: %s", what, kept)
        return not left

    def start_afresh(self) -> None:
        """Be a forked child's courier, with nothing of the parent's."""
        self._changed = threading.Condition()
        self.outbox.start_afresh()
        for lane in self._lanes.values():
            lane.start_afresh()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


async def deliver(destination: Destination, message: Message, timeout: float) -> Receipt:
    """Send one message now, on the event loop, past the queue.

    Raises:
        ChannelError: it did not arrive.
    """
    import asyncio  # whoever waits for this has it loaded already; others need not

    channel = destination.channel
    try:
        sending = channel.send_async(destination.render(message))
        return await asyncio.wait_for(sending, timeout) or Receipt()
    except asyncio.TimeoutError:
        raise ChannelError(f"no answer within {timeout:g} s") from None
    except Exception as error:
        raise failed(channel, error) from None


def deliver_now(destination: Destination, message: Message) -> Receipt:
    """Send one message now and wait for the answer, past the queue; what a test button does.

    Raises:
        ChannelError: it did not arrive.
    """
    channel = destination.channel
    try:
        return channel.send(destination.render(message)) or Receipt()
    except Exception as error:
        raise failed(channel, error) from None


_couriers: weakref.WeakSet[Any] = weakref.WeakSet()


def _after_fork() -> None:
    for courier in list(_couriers):
        courier.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
