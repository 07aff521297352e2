"""What each receiver took in and turned away, for the Pipeline page."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


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

    def accept(self, *, logs: int = 0, spans: int = 0, points: int = 0, size: int = 0) -> None:
        """Count one request's committed records and its size in bytes."""
        with self._lock:
            self.requests += 1
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
    """What is known of one UDP sender, by its ``event.sequence`` numbers."""

    sender: str
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    highest: int = 0
    last_seen: float = 0.0
