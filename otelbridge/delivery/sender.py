"""Delivery of one signal's records to one destination: two threads, and the promises they keep.

One thread takes what the program's threads have queued, every flush interval, and encodes it. The
other sends. So records get out of the program's memory and, if need be, into the spool, also while
a sending hangs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from otelbridge.delivery import answer as answers
from otelbridge.delivery.answer import Answer
from otelbridge.delivery.counters import Counters, Snapshot
from otelbridge.delivery.life import Life
from otelbridge.delivery.outbox import Item, Outbox
from otelbridge.delivery.payload import DeliveredSignal
from otelbridge.delivery.queue import RecordQueue, count_of
from otelbridge.delivery.timing import Backoff, Deadline
from otelbridge.delivery.turns import hurry

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otelbridge.delivery.journal import Journal
    from otelbridge.delivery.spool import Dropped, PayloadStore
    from otelbridge.sinks.destination import Destination

# How often the spool is searched for what processes left that have ended.
ADOPT_SECONDS: Final = 5.0
# What encoding and writing the last records may take beyond the time allowed for sending them.
_KEEP_SECONDS: Final = 1.0
# Where this part of what may wait does, requests wait for encoding, rather than records be lost.
_CROWDED_SHARE: Final = 8


class Delivery:
    """Takes records from any thread and sees to it that each arrives, or is counted as dropped.

    Its threads start with the first record, in the process that made it: too early they would be
    where gevent patches the process afterwards, and missing where a server forks without telling
    Python.
    """

    def __init__(
        self,
        signal: DeliveredSignal,
        destination: Destination,
        counters: Counters,
        open_store: Callable[[Dropped], PayloadStore],
        *,
        delay: float,
        capacity: int,
        max_bytes: int,
        weigh: Callable[[Any], int],
        batch_size: int,
        journal: Journal | None = None,
    ) -> None:
        """Prepare; nothing is started or opened before the first record.

        Args:
            signal: what the records are.
            destination: where they go.
            counters: what becomes of them.
            open_store: opens the spool, which tells what it drops to the function it is given.
            delay: seconds that a record may wait for others, and a sending for its answer before
                what is sent is written to the spool.
            capacity: how many records are kept before they are encoded.
            max_bytes: how many bytes of these are kept; for both, the oldest make room.
            weigh: tells about how many bytes a record takes.
            batch_size: how many records are sent at once; so many are sent without delay.
            journal: keeps each record from the moment in which it is taken.
        """
        self.signal = signal
        self.destination = destination
        self.counters = counters
        self._delay = delay
        self._batch_size = max(1, min(batch_size, capacity))
        self._at_once = self._batch_size, destination.batch_bytes
        self._crowd = capacity // _CROWDED_SHARE
        self._queue = RecordQueue(
            capacity=capacity, max_bytes=max_bytes, at_once=self._batch_size, weigh=weigh
        )
        self._journal = journal
        self._outbox = Outbox(
            lambda: open_store(self._drop), delay, counters.spool, self._note_safe
        )
        self._unsaid = 0
        self._together = 1
        self._hurry = self._asked = self._closed = False
        # An encoded record would have to be encoded again for the journal.
        self.takes_encoded = destination.takes_encoded and journal is None
        self._pid = os.getpid()
        self._life = Life()

    def put(self, record: Any) -> None:
        """Take a record; never waits for the destination or a disk, and never raises."""
        if self.takes_encoded:
            written = self.destination.write(record)
            if written is not None:
                self.put_encoded(written, record.instrumentation_scope, record.resource)
                return
        if self._pid != os.getpid():
            self.start_afresh()
        life = self._life
        body = b"" if self._journal is None else self._encode_alone(record)
        # By its lock: a condition's own methods take twice as long.
        with life.lock:
            self.counters.accepted += 1
            if self._closed:
                self.counters.drop(1, answers.ENDED)
                return
            position = 0
            if self._journal is not None and body:
                position = self._journal.append(body)
            self._has_queued(life, self._queue.put(record, position))

    def put_encoded(
        self, written: bytes, scope: InstrumentationScope | None, resource: Resource
    ) -> None:
        """Take a record that is encoded; like :meth:`put`.

        Args:
            written: the record as it stands in a request, without secrets.
            scope: its own.
            resource: its own.
        """
        if self._pid != os.getpid():
            self.start_afresh()
        life = self._life
        with life.lock:
            self.counters.accepted += 1
            if self._closed:
                self.counters.drop(1, answers.ENDED)
                return
            queue = self._queue
            lost = queue.put_encoded(written, scope, resource)
            waiting = queue.count
            if lost or waiting == 1 or waiting == self._batch_size or not life.started:
                self._has_queued(life, lost)

    def refuse(self) -> None:
        """Count a record that was to be delivered and is none."""
        with self._life.lock:
            self.counters.accepted += 1
        self.counters.drop(1, answers.UNENCODABLE)

    def flush(self, timeout: float) -> bool:
        """Send without delay what has been taken so far.

        Args:
            timeout: seconds this may take.

        Returns:
            Whether it was all sent or given up in time.
        """
        if self._pid != os.getpid():
            self.start_afresh()
        life = self._life
        with life.changed:
            accepted = self.counters.accepted
            self._hurry = self._asked = True
            self._ensure_started(life)
            return life.changed.wait_for(lambda: self.counters.settled >= accepted, timeout)

    def close(self) -> None:
        """Take nothing more; have what is left sent without delay, and the threads end."""
        if self._pid != os.getpid():
            self.start_afresh()
        life = self._life
        with life.changed:
            self._closed = True
            self._ensure_started(life)

    def wait_closed(self, timeout: float) -> int:
        """Wait for the end that :meth:`close` asked for; what is left then goes to the spool.

        Args:
            timeout: seconds that sending may take.

        Returns:
            How many records are on disk for the next process. What is in memory is given up.
        """
        deadline = Deadline(timeout)
        life = self._life
        if not life.started:
            # The interpreter lets no thread start any more.
            self._gather_rest()
            while deadline.remaining() and not self._outbox.is_empty:
                if self._send_next() is not None:
                    break
        for thread in life.threads[:1]:
            thread.join(deadline.remaining() + _KEEP_SECONDS)
        for thread in life.threads[1:]:
            thread.join(deadline.remaining())
        with life.changed:
            life.end()
            self._queue.clear()
        kept = self._outbox.close()
        if self._journal is not None:
            self._journal.close()
        lost = self.counters.waiting - kept
        if lost > 0:
            self._drop(lost, answers.ENDED)
        return kept

    def keep(self) -> None:
        """Write what is in memory to the spool, for a program that is about to be replaced."""
        if self._pid == os.getpid() and self._life.started:
            self._gather_rest()
            self._outbox.keep()

    def snapshot(self) -> Snapshot:
        """Return what became of the records of this process so far."""
        outbox = self._outbox
        return self.counters.snapshot(outbox.spool_records, outbox.spool_bytes, self._queue.size)

    def change_threading(self) -> None:
        """Make new threads and locks, of whatever kind ``threading`` has then; keep the records.

        For when gevent is about to patch the process.
        """
        life = self._life
        life.end()
        for thread in life.threads:
            thread.join(1.0)
        self._outbox.change_threading()
        self.counters.change_threading()
        self._life = Life()

    def start_afresh(self) -> None:
        """Forget what belongs to the parent process, in the child after a fork."""
        self._pid = os.getpid()
        self._queue.clear()
        self._outbox.start_afresh()
        self.counters.start_afresh()
        if self._journal is not None:
            self._journal.start_afresh()
        self._unsaid = 0
        self._hurry = self._asked = False
        self._life = Life()

    # --- threads --------------------------------------------------------------------------------

    def _has_queued(self, life: Life, lost: int) -> None:
        """See to a record that was queued, for which ``lost`` made room; the lock is held."""
        if lost:
            # Said by the thread that encodes: nothing is logged on the program's threads.
            self.counters.drop(lost, answers.QUEUE_FULL)
            self._unsaid += lost
        if not life.started:
            self._start(life)
        waiting = self._queue.count
        if waiting == 1 or waiting == self._batch_size:
            life.queued.notify()

    def _ensure_started(self, life: Life) -> None:
        """Have threads at work if there is work; the lock is held."""
        if not life.started and self._queue.count:
            self._start(life)
        life.changed.notify_all()
        life.queued.notify()

    def _start(self, life: Life) -> None:
        name = f"otelbridge-{self.signal}"
        life.start({name: self._gather, f"{name}-sender": self._send})

    def _gather(self, life: Life) -> None:
        """Encode what is queued, every flush interval."""
        while self._wait_for_records(life):
            with life.changed:
                batch = [] if life.over else self._queue.take(*self._at_once)
                position = self._queue.position
                unsaid, self._unsaid = self._unsaid, 0
                hurry(self._queue.count >= self._crowd)
            self._hand_over(batch, position)
            overdue = self._outbox.overdue()
            if overdue is not None and overdue <= 0:
                self._outbox.keep()
            if unsaid:
                self.destination.dropped(unsaid, answers.QUEUE_FULL)
            if self._journal is not None:
                self._journal.say_trouble()
            with life.changed:
                life.offered = True
                life.changed.notify_all()
        with life.changed:
            life.gathered = True
            life.changed.notify_all()

    def _wait_for_records(self, life: Life) -> bool:
        """Wait for a batch or an overdue payload; returns whether to go on."""
        since = None
        with life.changed:
            while not life.over:
                overdue = self._outbox.overdue()
                due = None
                if self._queue.count:
                    since = time.monotonic() if since is None else since
                    due = since + self._delay - time.monotonic()
                    if self._hurry or self._closed or self._queue.count >= self._batch_size:
                        return True
                else:
                    self._hurry, since = False, None
                    if self._closed and overdue is None:
                        return False
                waits = [wait for wait in (overdue, due) if wait is not None]
                if waits and min(waits) <= 0:
                    return True
                life.queued.wait(min(waits) if waits else None)
            return False

    def _send(self, life: Life) -> None:
        """Send what is encoded, and what is in the spool."""
        backoff = Backoff()
        adopt = 0.0
        while not life.over:
            if time.monotonic() >= adopt:
                self.counters.adopt(self._outbox.adopt())
                adopt = time.monotonic() + ADOPT_SECONDS
            gathered = life.gathered
            if self._outbox.is_empty:
                if gathered:
                    return
                with life.changed:
                    if not (life.offered or life.over or life.gathered):
                        life.changed.wait(max(0.0, adopt - time.monotonic()))
                    life.offered = False
                continue
            answer = self._send_next(life)
            if answer is None:
                backoff.reset()
            elif self._closed:
                # What is in the spool is for the next process.
                return
            else:
                self._pause(life, backoff.next(answer.pause), answer.pause is None)

    def _pause(self, life: Life, seconds: float, may_hurry: bool) -> None:
        """Wait before the next attempt; a flush cuts it short if the destination did not ask."""
        with life.changed:
            self._asked = False
            life.changed.wait_for(
                lambda: life.over or self._closed or (may_hurry and self._asked), seconds
            )

    # --- what they do ---------------------------------------------------------------------------

    def _gather_rest(self) -> None:
        while self._queue.count:
            with self._life.changed:
                batch = self._queue.take(*self._at_once)
                position = self._queue.position
            self._hand_over(batch, position)

    def _hand_over(self, batch: list[Any], position: int) -> None:
        """Encode records and put them where they are sent from."""
        if not batch:
            return
        body, count = self._encode(batch)
        if count:
            self._outbox.put(self.signal, count, body, position)

    def _encode_alone(self, record: Any) -> bytes:
        """Encode a record for the journal, on the program's thread."""
        try:
            return self.destination.encode_alone(record)
        except Exception:
            # It is met again, and reported, where records are encoded to be sent.
            return b""

    def _note_safe(self, position: int) -> None:
        if self._journal is not None:
            self._journal.advance(position)

    def _encode(self, batch: list[Any]) -> tuple[bytes, int]:
        try:
            return self.destination.encode(batch), sum(map(count_of, batch))
        except Exception as error:
            if len(batch) == 1:
                reason = f"{type(error).__name__}: {error}"
                self._drop(count_of(batch[0]), answers.UNENCODABLE, reason)
                return b"", 0
        # One record must not take the others with it.
        parts = [self._encode([record]) for record in batch]
        return b"".join(body for body, _ in parts), sum(count for _, count in parts)

    def _send_next(self, life: Life | None = None) -> Answer | None:
        """Send the oldest payload.

        Returns:
            The destination's answer if that is to be sent again, else ``None``.
        """
        item = self._outbox.next(self._together)
        if item is None:
            return None
        try:
            answer = self.destination.deliver(item.payload)
        except Exception as error:
            # A fault of ours or of a library must not end the thread: what follows may be sent.
            answer = Answer(later=True, reason=f"{type(error).__name__}: {error}")
        if life is not None and life.over:
            # The end, or a fork, came first; what was sent is in the spool and recognised there.
            return None
        if answer.later:
            self._together = 1
            self._outbox.keep()
            self.destination.waiting(answer)
            return answer
        self._settle(item, answer)
        return None

    def _settle(self, item: Item, answer: Answer) -> None:
        # As much again with the next, so that one who is slow is not asked for too much at once.
        self._together = min(self._batch_size, max(self._together, 2 * item.payload.count))
        count = self._outbox.done(item)
        if count:
            dropped = min(answer.dropped, count)
            self.counters.settle(count - dropped, dropped, answer.cause, again=item.again)
            if dropped:
                self.destination.dropped(dropped, answer.reason)
        self.destination.recovered()
        self._tell()

    def _tell(self) -> None:
        """Tell whoever waits what became of records."""
        life = self._life
        with life.lock:
            life.changed.notify_all()
            if self._closed:
                # The thread that waits for records ends when the last is settled.
                life.queued.notify()

    def _drop(self, count: int, cause: str, reason: str = "") -> None:
        self.counters.drop(count, cause)
        self.destination.dropped(count, reason or cause)
        self._tell()
