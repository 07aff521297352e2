"""What became of every message: the protocol of a place that remembers it, and two such places."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from otelbridge.channels.message import Message, from_dict

State = Literal["queued", "sent", "counted", "failed"]


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One message on its way to one destination.

    Attributes:
        state: ``queued`` until it is ``sent``, ``counted`` (told as a part of another message) or
            ``failed`` for good.
        reason: why it is not sent yet, or failed, or what it was counted in.
        reply: what the service answered.
        arrived: what of it arrived in an earlier try, for the channel.
        created: when it was handed over; with ``changed``, in seconds since the epoch.
    """

    destination: str
    message: Message
    state: State = "queued"
    reason: str = ""
    reply: str = ""
    arrived: str = ""
    attempts: int = 0
    created: float = 0.0
    changed: float = 0.0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state != "queued"

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain data; :func:`delivery_from_dict` reads it back."""
        data = {name: getattr(self, name) for name in _PLAIN}
        return {**data, "message": self.message.as_dict()}


_PLAIN = (
    "id",
    "destination",
    "state",
    "reason",
    "reply",
    "arrived",
    "attempts",
    "created",
    "changed",
)


def delivery_from_dict(data: Mapping[str, Any]) -> Delivery:
    """Read a delivery that :meth:`Delivery.as_dict` gave.

    Raises:
        ValueError: the data is not a delivery's.
    """
    try:
        return Delivery(message=from_dict(data["message"]), **{name: data[name] for name in _PLAIN})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a delivery: {error}") from None


class Outbox(Protocol):
    """A place that remembers deliveries: for the log of what was sent, and over a restart.

    It is called by the courier's threads, one for each destination, and must not raise: what it
    cannot keep, it says in the program's log.
    """

    def record(self, delivery: Delivery) -> None:
        """Keep a delivery as it is now; called again whenever it changes."""
        ...

    def waiting(self, destination: str) -> list[Delivery]:
        """Give what an earlier process left queued for a destination, oldest first."""
        ...

    def close(self) -> None:
        """Let go of files and the like; nothing is recorded afterwards."""
        ...

    def start_afresh(self) -> None:
        """Be the outbox of a forked child: what the parent keeps is the parent's to send."""
        ...


class MemoryOutbox:
    """Remembers the newest deliveries for as long as the process lives."""

    def __init__(self, limit: int = 500) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Delivery] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, delivery: Delivery) -> None:
        with self._lock:
            self._kept[delivery.id] = delivery
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def waiting(self, destination: str) -> list[Delivery]:
        return []

    def close(self) -> None:
        """Nothing is open."""

    def start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._kept = OrderedDict()

    def __iter__(self) -> Iterator[Delivery]:
        with self._lock:
            return iter(list(self._kept.values()))
