"""What became of the records of one process, counted for each sink and signal.

At every moment ``accepted + adopted = sent + dropped + waiting``: whatever is neither sent nor
dropped waits, in memory or in the spool.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The counts of one sink and signal at one moment, in records.

    Attributes:
        sink: ``otlp`` or ``elasticsearch``.
        signal: ``logs`` or ``traces``.
        endpoint: where they go.
        accepted: taken from the program.
        adopted: taken over from the spool of processes that ended before.
        sent: taken by the destination.
        spooled: written to the spool; one that is adopted is not written again.
        resent: of those sent, how many were sent from the spool.
        dropped: given up, by the reason.
        waiting: neither sent nor dropped yet.
        spool_records: of those waiting, how many are in the spool.
        spool_bytes: what these take.
        queue_bytes: about what those take in memory that are not encoded yet.
    """

    sink: str
    signal: str
    endpoint: str
    accepted: int = 0
    adopted: int = 0
    sent: int = 0
    spooled: int = 0
    resent: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    spool_records: int = 0
    spool_bytes: int = 0
    queue_bytes: int = 0

    @property
    def lost(self) -> int:
        """How many records were dropped, whatever the reason."""
        return sum(self.dropped.values())


class Counters:
    """Counts of one sink and signal; safe for several threads.

    Attributes:
        accepted: taken from the program; counted by who takes them, under a lock of its own.
    """

    def __init__(self, sink: str, signal: str, endpoint: str) -> None:
        """Start at nothing."""
        self._names = sink, signal, endpoint
        self.start_afresh()

    def start_afresh(self) -> None:
        """Start at nothing again, in the child after a fork."""
        self.change_threading()
        self.accepted = self.adopted = self.sent = self.spooled = self.resent = 0
        self._dropped: dict[str, int] = {}

    def change_threading(self) -> None:
        """Make the lock anew; the counts stay."""
        # One that may be taken again by its holder: a signal handler or a destructor that logs
        # comes by in the middle of anything.
        self._lock = threading.RLock()

    def adopt(self, count: int) -> None:
        """Count records taken over from other processes."""
        with self._lock:
            self.adopted += count

    def spool(self, count: int) -> None:
        """Count records written to the spool."""
        with self._lock:
            self.spooled += count

    def settle(self, sent: int, dropped: int, cause: str, *, again: bool) -> None:
        """Count what became of records.

        Args:
            sent: how many the destination took.
            dropped: how many it will never take.
            cause: why.
            again: whether they came from the spool.
        """
        with self._lock:
            self.sent += sent
            if again:
                self.resent += sent
            if dropped:
                self._dropped[cause] = self._dropped.get(cause, 0) + dropped

    def drop(self, count: int, cause: str) -> None:
        """Count records that were given up."""
        self.settle(0, count, cause, again=False)

    @property
    def dropped(self) -> int:
        """How many records were given up."""
        with self._lock:
            return sum(self._dropped.values())

    @property
    def settled(self) -> int:
        """How many of this process's own records wait no more, at least."""
        with self._lock:
            # What was adopted may have been settled first.
            return self.sent + sum(self._dropped.values()) - self.adopted

    @property
    def waiting(self) -> int:
        """How many records are neither sent nor dropped."""
        with self._lock:
            return self.accepted - self.settled

    def snapshot(self, spool_records: int, spool_bytes: int, queue_bytes: int) -> Snapshot:
        """Return all counts at one moment, with what is known of the spool and the queue."""
        with self._lock:
            return Snapshot(
                *self._names,
                accepted=self.accepted,
                adopted=self.adopted,
                sent=self.sent,
                spooled=self.spooled,
                resent=self.resent,
                dropped=dict(self._dropped),
                waiting=self.waiting,
                spool_records=spool_records,
                spool_bytes=spool_bytes,
                queue_bytes=queue_bytes,
            )
