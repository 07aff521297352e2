"""What each receiver took in and turned away, for the Pipeline page."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

# Sequence numbers of one sender that may still arrive late.
MISSING_KEPT = 16_384
# A jump by more than this is no loss: the sender counts anew from somewhere else.
GAP_MAX = 1_000_000
# A number this far behind the highest is no late datagram: the sender was restarted.
LATE_MAX = 16_384
# A first number seen again after this many seconds, likewise.
RESTART_SECONDS = 5.0


@dataclass
class ReceiverCounters:
    """Counts of one receiver since the bridge started; safe from any thread.

    Attributes:
        accepted: records committed, by signal (``logs``, ``spans``, ``points``).
        rejected: records or requests turned away, by reason.
        last_rejection: the newest reason in full, with its moment (seconds since the epoch).
    """

    name: str
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    bytes: int = 0
    last_rejection: tuple[float, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def accept(
        self, *, logs: int = 0, spans: int = 0, points: int = 0, size: int = 0, requests: int = 1
    ) -> None:
        """Count committed records, the requests or datagrams they came in, and their bytes."""
        with self._lock:
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
    _missing: dict[int, None] = field(default_factory=dict, repr=False)

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
        if self.highest == 0:
            self._start(sequence)
        elif sequence > self.highest:
            self._advance(sequence)
        elif sequence in self._missing:
            del self._missing[sequence]
            self.lost -= 1
            self.received += 1
        elif self._restarted(sequence, moved, idle):
            self.restarts += 1
            self._start(sequence)
        elif sequence < self._first:
            # Overtaken by the first datagram that was seen of this sender; never counted as lost.
            self.received += 1
        else:
            self.duplicated += 1

    def _start(self, sequence: int) -> None:
        self.received += 1
        self.highest = self._first = sequence
        self._missing.clear()

    def _advance(self, sequence: int) -> None:
        gap = sequence - self.highest - 1
        if gap > GAP_MAX:
            self.restarts += 1
            self._start(sequence)
            return
        self.lost += gap
        for number in range(max(self.highest + 1, sequence - MISSING_KEPT), sequence):
            self._missing[number] = None
        while len(self._missing) > MISSING_KEPT:
            # Too old to be expected any more: it stays counted as lost.
            del self._missing[next(iter(self._missing))]
        self.received += 1
        self.highest = sequence

    def _restarted(self, sequence: int, moved: bool, idle: float) -> bool:
        if sequence < self.highest - LATE_MAX:
            return True
        return sequence < self._first + 64 and (moved or (sequence == 1 and idle > RESTART_SECONDS))
