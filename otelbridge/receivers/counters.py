"""What each receiver took in and turned away, for the Pipeline page."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

# How far behind the highest a number may be and still count as late. It is also what is remembered
# of a sender: one bit a number.
WINDOW = 16_384
# A jump by more than this is no loss: the sender counts anew from somewhere else.
GAP_MAX = 1_000_000
# A first number seen again after this many seconds, likewise.
RESTART_SECONDS = 5.0
_WINDOW_BITS = (1 << WINDOW) - 1


@dataclass
class ReceiverCounters:
    """Counts of one receiver since the bridge started; safe from any thread.

    Attributes:
        accepted: records committed, by signal (``logs``, ``spans``, ``points``), those that were
            there already among them.
        duplicates: of those, how many were there already; the others were stored.
        rejected: records or requests turned away, or stored without something they said, by
            reason.
        last_rejection: the newest reason in full, with its moment (seconds since the epoch).
    """

    name: str
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    requests: int = 0
    bytes: int = 0
    last_rejection: tuple[float, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def stored(self) -> int:
        """Records that were committed and not there before."""
        with self._lock:
            return sum(self.accepted.values()) - self.duplicates

    def accept(
        self,
        *,
        logs: int = 0,
        spans: int = 0,
        points: int = 0,
        duplicates: int = 0,
        size: int = 0,
        requests: int = 1,
    ) -> None:
        """Count committed records, the requests or datagrams they came in, and their bytes."""
        with self._lock:
            self.duplicates += duplicates
            self.requests += requests
            self.bytes += size
            for signal, count in (("logs", logs), ("spans", spans), ("points", points)):
                if count:
                    self.accepted[signal] += count

    def reject(self, reason: str, message: str, now: float, count: int = 1) -> None:
        """Count what was turned away.

        Args:
            reason: a short name from a fixed set, such as ``invalid_protobuf``.
            message: the whole sentence the sender was told.
            now: seconds since the epoch.
            count: records, or 1 for a request that could not be read.
        """
        with self._lock:
            self.rejected[reason] += count
            self.last_rejection = (now, message)


@dataclass
class SenderCounters:
    """What is known of one UDP sender, by its ``event.sequence`` numbers.

    Datagrams overtake one another, so a gap counts as lost until its numbers arrive after all.

    Attributes:
        received: datagrams, duplicates not among them.
        lost: numbers that were passed over and have not arrived.
        duplicated: datagrams whose number had arrived before.
        highest: the highest number since the sender started.
        restarts: how often the sender began anew under the same name.
        last_seen: seconds since the epoch.
        address: where its last datagram came from.
    """

    sender: str
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    highest: int = 0
    restarts: int = 0
    last_seen: float = 0.0
    address: tuple[str, int] | None = None
    _first: int = field(default=0, repr=False)
    # Bit n is set where number ``highest - n`` has arrived.
    _arrived: int = field(default=0, repr=False)

    @property
    def sent(self) -> int:
        """Datagrams sent since the first that came, as far as their numbers tell."""
        return self.received + self.lost

    def note(self, sequence: int, address: tuple[str, int], now: float) -> None:
        """Count one datagram.

        Args:
            sequence: its number, from 1 on.
            now: seconds since the epoch.
        """
        idle = now - self.last_seen
        moved = self.address is not None and self.address != address
        self.last_seen = now
        self.address = address
        behind = self.highest - sequence
        if self.highest == 0:
            self._start(sequence)
        elif behind < 0:
            self._advance(sequence)
        elif behind >= WINDOW:
            self.restarts += 1
            self._start(sequence)
        elif not self._arrived >> behind & 1:
            self._arrived |= 1 << behind
            self.received += 1
            # What was sent before the first datagram seen was never counted as lost.
            if sequence >= self._first:
                self.lost -= 1
        elif sequence < self._first + 64 and (moved or (sequence == 1 and idle > RESTART_SECONDS)):
            self.restarts += 1
            self._start(sequence)
        else:
            self.duplicated += 1

    def _start(self, sequence: int) -> None:
        self.received += 1
        self.highest = self._first = sequence
        self._arrived = 1

    def _advance(self, sequence: int) -> None:
        step = sequence - self.highest
        if step > GAP_MAX:
            self.restarts += 1
            self._start(sequence)
            return
        self.lost += step - 1
        self._arrived = (self._arrived << step | 1) & _WINDOW_BITS if step < WINDOW else 1
        self.received += 1
        self.highest = sequence
