"""Which message goes next to one destination, and when: grouping, pace, quiet hours, back-off.

Nothing here waits or sends, and every method is told the time, so that a day can be played through
in a test within a millisecond.
"""

from __future__ import annotations

import random
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otelbridge.channels.channel import ChannelError, Receipt
from otelbridge.channels.cutting import cut_end, one_line
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import SEVERITIES, Message
from otelbridge.channels.outbox import Delivery

LONGEST_COOL_DOWN: Final = 3600.0
LONGEST_BACK_OFF: Final = 300.0
# What only a person can put right is tried again at this pace.
GONE_PAUSE: Final = 600.0
# After so many failures in a row, others have their turn first.
_STEP_ASIDE_AFTER: Final = 3
_MOST_GROUPS: Final = 2000
_MOST_LINES: Final = 200
_FEW: Final = 3
# How the key of a message begins that stands for others; their number follows.
_GATHERED: Final = "gathered "


@dataclass(slots=True)
class _Group:
    """Messages that are the same: one told, the others counted until ``until``."""

    until: float
    pause: float
    count: int = 0
    latest: Message | None = None


class Schedule:
    """The messages that wait for one destination.

    Args:
        destination: where they go.
        changed: told of every delivery that is new or has changed.
        most: how many may wait.
        most_bytes: how much they may hold.
        keep: seconds after which a message that could not be delivered is given up.
    """

    def __init__(
        self,
        destination: Destination,
        changed: Callable[[Delivery], None],
        *,
        most: int = 1000,
        most_bytes: int = 16 * 2**20,
        keep: float = 86400.0,
    ) -> None:
        self.destination = destination
        self.waiting: deque[Delivery] = deque()
        self._changed = changed
        self._most = most
        self._most_bytes = most_bytes
        self._keep = keep
        self._bytes = 0
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._not_before = 0.0
        self._asked_to_wait = False
        self._failures = 0
        self._tokens = float(destination.per_minute)
        self._refilled = 0.0
        self._closing = False
        self._failed_at_the_end = False

    def add(self, delivery: Delivery, now: float, *, more: int = 0) -> None:
        """Take a message in: to be told, or to be counted if the same was told just now.

        Args:
            delivery: the message.
            now: the time, in seconds since the epoch.
            more: how many of the same came with it.
        """
        message = delivery.message
        if any(one.message.id == message.id for one in self.waiting):
            # Left by a process that was killed before it noted that it had handed it over.
            self._end(delivery, "counted", now, "it waits already")
            return
        group = self._groups.get(message.same_as)
        if group is not None and now < group.until:
            group.count += 1 + more
            group.latest = message
            self._end(delivery, "counted", now, "the same was told a moment ago")
            return
        if group is not None:
            # It comes back before it was forgotten: told at once, but the next ones later.
            group.pause = min(group.pause * 2, LONGEST_COOL_DOWN)
        else:
            group = _Group(now, self.destination.cool_down)
            self._groups[message.same_as] = group
            while len(self._groups) > _MOST_GROUPS:
                self._groups.popitem(last=False)
        group.until = now + group.pause
        if more:
            group.count += more
            group.latest = message
        self._append(delivery, now)

    def restore(self, delivery: Delivery, now: float) -> None:
        """Take in a message that an earlier process left."""
        self._append(delivery, now)

    def next(self, now: float, *, closing: bool = False) -> Delivery | None:
        """Give the message to send now, if there is one.

        Args:
            now: the time.
            closing: the process ends: what was counted is told, and what failed is tried once
                more unless the service asked to be left alone.
        """
        self._closing = closing
        self._tell_counted(now)
        self._give_up_old(now)
        if not self.waiting or self._held_until(now) > now or self._failed_at_the_end:
            return None
        ready = [one for one in self.waiting if self._may_go(one, now)]
        if not ready:
            return None
        self._refill(now)
        # At the end of a process there is little time, and after an outage one buzz is enough.
        most = _FEW if closing or self._failures else max(self._tokens, 1.0)
        chosen = self._gather(ready, now) if len(ready) > most else ready[0]
        self._tokens = max(self._tokens - 1.0, 0.0)
        return chosen

    def wait(self, now: float) -> float | None:
        """Say in how many seconds to ask again; None: when something is added."""
        times = [group.until for group in self._groups.values() if group.count]
        if self.waiting:
            times.append(self._held_until(now))
            times.append(self.waiting[0].created + self._keep)
            if self.destination.quiet and not any(self._may_go(one, now) for one in self.waiting):
                times[-2] = max(times[-2], now + self.destination.quiet.left(now))
        return max(min(times) - now, 0.0) if times else None

    def sent(self, delivery: Delivery, receipt: Receipt, now: float) -> None:
        """Note that a message arrived."""
        self._failures = 0
        self._asked_to_wait = False
        self._not_before = now + max(receipt.pause, self.destination.channel.interval)
        delivery.attempts += 1
        delivery.reply = receipt.reply
        self._remove(delivery)
        self._end(delivery, "sent", now, receipt.note)

    def failed(self, delivery: Delivery, error: ChannelError, now: float) -> float:
        """Note that a message did not arrive.

        Returns:
            Seconds until the next try; 0 where there is none.
        """
        delivery.attempts += 1
        delivery.arrived = error.arrived or delivery.arrived
        if error.failure == "refused":
            self._not_before = now + self.destination.channel.interval
            self._remove(delivery)
            self._end(delivery, "failed", now, str(error))
            return 0.0
        self._failures += 1
        self._failed_at_the_end = self._closing
        self._asked_to_wait = error.retry_after is not None
        if error.failure == "gone":
            pause = max(GONE_PAUSE, error.retry_after or 0.0)
        elif error.retry_after is not None:
            pause = error.retry_after
        else:
            pause = min(2.0 ** (self._failures - 1), LONGEST_BACK_OFF)
            pause *= random.uniform(0.75, 1.0)  # noqa: S311 (spreads senders, hides nothing)
        self._not_before = now + max(pause, self.destination.channel.interval)
        delivery.reason = str(error)
        delivery.changed = now
        self._changed(delivery)
        if delivery.attempts >= _STEP_ASIDE_AFTER and self.waiting and self.waiting[0] is delivery:
            self.waiting.rotate(-1)
        return pause

    # --- what waits ---------------------------------------------------------------------------

    def _append(self, delivery: Delivery, now: float) -> None:
        size = delivery.message.size
        while self.waiting and (
            len(self.waiting) >= self._most or self._bytes + size > self._most_bytes
        ):
            oldest = self.waiting[0]
            self._remove(oldest)
            self._end(oldest, "failed", now, "too many messages wait")
        self.waiting.append(delivery)
        self._bytes += size
        self._changed(delivery)

    def _remove(self, delivery: Delivery) -> None:
        try:
            self.waiting.remove(delivery)
        except ValueError:
            return  # given up while it was being sent
        self._bytes -= delivery.message.size

    def _end(self, delivery: Delivery, state: str, now: float, reason: str) -> None:
        delivery.state = state  # type: ignore[assignment]
        delivery.reason = reason
        delivery.changed = now
        self._changed(delivery)

    def _give_up_old(self, now: float) -> None:
        for old in [one for one in self.waiting if now - one.created > self._keep]:
            hours = self._keep / 3600
            self._remove(old)
            last = f": {old.reason}" if old.reason else ""
            self._end(old, "failed", now, f"not delivered within {hours:g} h{last}")

    # --- when ---------------------------------------------------------------------------------

    def _held_until(self, now: float) -> float:
        """Say when the service may be spoken to again."""
        if self._closing and not self._asked_to_wait:
            return now
        self._refill(now)
        if self._tokens >= 1.0 or self._closing:
            return self._not_before
        rate = self.destination.per_minute / 60
        # A hair later than exact, so that a whole message may go then.
        return max(self._not_before, now + (1.0 - self._tokens) / rate + 0.001)

    def _may_go(self, delivery: Delivery, now: float) -> bool:
        quiet = self.destination.quiet
        return delivery.message.severity == "critical" or not (quiet and quiet.left(now))

    def _refill(self, now: float) -> None:
        most = float(self.destination.per_minute)
        # A clock that is put back must not stop the refill.
        passed = max(now - self._refilled, 0.0) if self._refilled else 0.0
        self._tokens = min(self._tokens + passed * most / 60, most)
        self._refilled = now

    # --- messages that stand for others ---------------------------------------------------------

    def _tell_counted(self, now: float) -> None:
        for key, group in list(self._groups.items()):
            if now < group.until and not (self._closing and group.count):
                continue
            if not group.count or group.latest is None:
                if now >= group.until + group.pause:
                    del self._groups[key]
                continue
            counted, latest = group.count, group.latest
            group.count, group.latest = 0, None
            group.pause = min(group.pause * 2, LONGEST_COOL_DOWN)
            group.until = now + group.pause
            same = next((one for one in self.waiting if one.message.same_as == key), None)
            if same is not None:
                same.message = same.message.with_(count=same.message.count + counted)
                self._changed(same)
                continue
            told = latest.with_(id=uuid.uuid4().hex, count=latest.count + counted - 1)
            self._append(
                Delivery(destination=self.destination.name, message=told, created=now, changed=now),
                now,
            )

    def _gather(self, ready: list[Delivery], now: float) -> Delivery:
        """Make one message of many."""
        worst = max(ready, key=lambda one: SEVERITIES.index(one.message.severity)).message.severity
        lines = [_line(one.message) for one in ready]
        total = sum(_told(one.message) for one in ready)
        if len(lines) > _MOST_LINES:
            lines = [*lines[:_MOST_LINES], f"… and {len(lines) - _MOST_LINES:,} other messages"]
        projects = {one.message.project for one in ready}
        gathered = Delivery(
            destination=self.destination.name,
            message=Message(
                title=f"{total:,} messages",
                text="\n".join(lines),
                project=projects.pop() if len(projects) == 1 else "",
                severity=worst,
                authors=tuple(
                    dict.fromkeys(author for one in ready for author in one.message.authors)
                ),
                key=f"{_GATHERED}{total} {ready[0].id}",
                time=now,
            ),
            # The oldest decides when it is given up.
            created=min(one.created for one in ready),
            changed=now,
        )
        for one in ready:
            self._remove(one)
        self.waiting.appendleft(gathered)
        self._bytes += gathered.message.size
        # Recorded before the others are over: a kill between tells them twice rather than never.
        self._changed(gathered)
        for one in ready:
            self._end(one, "counted", now, f"told in message {gathered.id}")
        return gathered


def _line(message: Message) -> str:
    more = f" ({message.more})" if message.count else ""
    # A gathered message that could not be sent yet keeps its own lines.
    if message.key.startswith(_GATHERED):
        return message.text
    return cut_end(one_line(message.heading), 300) + more


def _told(message: Message) -> int:
    """Count the messages that one stands for."""
    if message.key.startswith(_GATHERED):
        return int(message.key.split()[1])
    return 1 + message.count
