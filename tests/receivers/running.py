"""A bridge on real sockets in a thread of its own, with a store in memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette

from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.serve import Bridge
from otelbridge.settings import read_settings
from otelbridge.store.protocol import Arrivals, StoreError


class NothingArrives(AsyncIterator[Arrivals]):
    """What follows a store that tells nobody."""

    async def begun(self) -> None:
        await asyncio.Event().wait()

    async def __anext__(self) -> Arrivals:
        raise StopAsyncIteration


class MemoryStore:
    """Keeps batches in a list; waits while ``slow``.

    Batches are refused while ``unavailable`` is set; one with ``poison`` as a log's body, always.
    """

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.unavailable: Exception | None = None
        self.opened = False
        self.closed = False
        self.slow = False
        self.poison: str | None = None
        self.waiting = 0
        self._changed = threading.Condition()

    async def open(self) -> None:
        self.opened = True

    async def close(self) -> None:
        self.closed = True

    def arrivals(self) -> NothingArrives:
        return NothingArrives()

    async def write(self, batch: Batch) -> Arrivals:
        self.waiting += 1
        while self.slow:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)
        self.waiting -= 1
        with self._changed:
            if self.unavailable is not None:
                raise self.unavailable
            if self.poison is not None and self.poison in [log.body for log in batch.logs]:
                raise StoreError("the batch cannot be stored")
            self.batches.append(batch)
            self._changed.notify_all()
        return Arrivals((), (), 0)

    @property
    def logs(self) -> list[LogRecord]:
        return [record for batch in self.batches for record in batch.logs]

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.batches for span in batch.spans]

    @property
    def points(self) -> list[MetricPoint]:
        return [point for batch in self.batches for point in batch.points]

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until what was written fulfils a condition."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)


class RunningBridge:
    """What a test needs of a running bridge."""

    def __init__(self, bridge: Bridge, store: MemoryStore, loop: asyncio.AbstractEventLoop) -> None:
        self.bridge = bridge
        self.store = store
        self.loop = loop

    def url(self, name: str, path: str = "") -> str:
        host, port = self.bridge.addresses[name]
        return f"http://[{host}]:{port}{path}" if ":" in host else f"http://{host}:{port}{path}"

    def counters(self, name: str) -> ReceiverCounters:
        return next(one for one in self.bridge.receivers if one.name == name)

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        """Wait until a condition holds that no event announces."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True


@contextmanager
def running_bridge(store_object: Any = None, **overrides: Any) -> Iterator[RunningBridge]:
    """Run a bridge on ports the system chooses, with a store in memory unless one is given."""
    ports = {"grpc_port": 0, "http_port": 0, "web_port": 0, "udp_port": 0}
    settings = read_settings({}, **{**ports, **overrides})
    store = store_object or MemoryStore()
    bridge = Bridge(settings, store=store, create_web=lambda bridge: Starlette())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(bridge.start(), loop).result(20)
        try:
            yield RunningBridge(bridge, store, loop)
        finally:
            asyncio.run_coroutine_threadsafe(bridge.stop(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
