"""UDP: one line, or a part of one, in each datagram.

UDP promises nothing, so what is lost is counted: by the sender's sequence numbers what did not
arrive, and by the receiver's counters what arrived and had no room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import deque

from otelbridge.error_groups import identify
from otelbridge.model import Batch, LogRecord
from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
from otelbridge.receivers.datagrams import Address, DatagramReader
from otelbridge.store.protocol import Store, StoreError, StoreUnavailableError
from otelbridge.tasks import end

_log = logging.getLogger(__name__)

BATCH = 1_000
BATCH_BYTES = 2**20
BATCH_SECONDS = 0.05
# Datagrams waiting for the store; beyond this they are dropped and counted.
MAX_QUEUED_BYTES = 16 * 2**20
# Memory of a queued datagram beside its bytes.
_DATAGRAM_COST = 200
RECEIVE_BUFFER = 8 * 2**20
# Linux's SO_RCVBUFFORCE, for which Python has no name: past the system's limit, if allowed.
_SO_RCVBUFFORCE = 33
# Datagrams read before the event loop turns to its other tasks.
_READ_AT_ONCE = 256


class UdpReceiver:
    """Reads datagrams from a bound socket and stores their records in batches.

    Args:
        listener: bound; it is closed by :meth:`stop`.
    """

    def __init__(
        self,
        store: Store,
        counters: ReceiverCounters,
        senders: dict[str, SenderCounters],
        listener: socket.socket,
    ) -> None:
        self._store = store
        self._counters = counters
        self._reader = DatagramReader(counters, senders)
        self._socket = listener
        self._queue: deque[tuple[bytes, Address, int]] = deque()
        self._queued_bytes = 0
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read."""
        self._socket.setblocking(False)
        enlarge_buffer(self._socket)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        self._task = asyncio.create_task(self._run())

    async def stop(self, timeout: float = 5.0) -> None:
        """Read what the system still holds, store it, and close.

        Args:
            timeout: seconds for storing; what does not fit in is counted as dropped.
        """
        if self._task is not None:
            while self._read() == _READ_AT_ONCE and self._queued_bytes < MAX_QUEUED_BYTES // 2:
                pass
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._stopping.set()
            self._arrived.set()
            self._full.set()
            done, _ = await asyncio.wait({self._task}, timeout=timeout)
            if not done:
                await end(self._task)
                self._drop(len(self._queue), "the bridge stopped before they were stored")
            self._task = None
        self._socket.close()

    def _read(self) -> int:
        """Queue what has arrived; returns how many datagrams that were."""
        now = time.time_ns()
        count = 0
        while count < _READ_AT_ONCE:
            try:
                data, address = self._socket.recvfrom(65_535)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                # An earlier answer's ICMP error, say; the socket itself stays usable.
                self._counters.reject("socket_error", str(error), now / 1e9)
                break
            count += 1
            cost = len(data) + _DATAGRAM_COST
            if self._queued_bytes + cost > MAX_QUEUED_BYTES:
                self._drop(1, f"{MAX_QUEUED_BYTES} bytes of datagrams wait to be stored already")
                continue
            self._queued_bytes += cost
            self._queue.append((data, (address[0], address[1]), now))
        if self._queue:
            self._arrived.set()
            if len(self._queue) >= BATCH:
                self._full.set()
        return count

    async def _run(self) -> None:
        while self._queue or not self._stopping.is_set():
            if not self._queue:
                await self._wait(self._arrived, 1.0 if self._reader.waiting else None)
            # A moment for more to arrive: one commit serves them all.
            await self._wait(self._full, BATCH_SECONDS)
            records = self._take()
            if self._reader.waiting:
                records += self._reader.expire(time.time_ns())
            await self._store_all(records)
        await self._store_all(self._reader.expire(time.time_ns(), everything=True))

    async def _wait(self, event: asyncio.Event, timeout: float | None) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(event.wait(), timeout)
        if not self._stopping.is_set():
            event.clear()

    def _take(self) -> list[LogRecord]:
        records: list[LogRecord] = []
        size = taken = 0
        while self._queue and taken < BATCH and size < BATCH_BYTES:
            data, address, arrived = self._queue.popleft()
            self._queued_bytes -= len(data) + _DATAGRAM_COST
            size += len(data)
            taken += 1
            records += self._decode(data, address, arrived)
        identify(records)
        self._counters.accept(size=size, requests=taken)
        return records

    async def _store_all(self, records: list[LogRecord]) -> None:
        if not records:
            return
        try:
            await self._write(records)
        except asyncio.CancelledError:
            self._drop(len(records), "the bridge stopped before they were stored")
            raise

    async def _write(self, records: list[LogRecord]) -> None:
        while (wait := await self._try_write(records)) is not None:  # noqa: ASYNC110
            # Nobody sends a datagram again, so it waits here while the queue has room.
            await asyncio.sleep(wait)

    async def _try_write(self, records: list[LogRecord]) -> float | None:
        """Write; returns the seconds to wait before trying again, or ``None`` once it is done."""
        try:
            arrivals = await self._store.write(Batch(logs=records))
        except StoreUnavailableError as error:
            self._counters.reject("store_unavailable", str(error), time.time())
            return error.retry_after
        except StoreError as error:
            if len(records) == 1:
                self._counters.reject("store_error", str(error), time.time())
                return None
            # One of them can never be stored: each for itself, so that only that one is lost.
            for record in records:
                await self._write([record])
        else:
            self._counters.accept(logs=len(records), duplicates=arrivals.duplicates, requests=0)
        return None

    def _decode(self, data: bytes, address: Address, arrived: int) -> list[LogRecord]:
        try:
            return self._reader.read(data, address, arrived)
        except Exception as error:
            # A fault of ours must cost this datagram, not the receiver.
            _log.exception("a datagram from %s could not be read", address)
            self._counters.reject("internal_error", repr(error), time.time())
            return []

    def _drop(self, count: int, why: str) -> None:
        if count:
            self._counters.reject("queue_full", f"datagrams dropped: {why}", time.time(), count)


def enlarge_buffer(listener: socket.socket) -> int:
    """Ask for a large receive buffer; returns what the system gave, in bytes.

    Linux gives up to ``net.core.rmem_max``, and more only to privileged processes.
    """
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        try:
            listener.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
        except OSError:
            continue
        break
    return listener.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
