"""A bridge on real sockets with a real store, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.serve import Bridge
from otelbridge.settings import read_settings


@dataclass
class RunningBridge:
    """A bridge on real sockets."""

    bridge: Bridge
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.bridge.addresses["web"])

    @property
    def otlp(self) -> str:
        return "http://{}:{}".format(*self.bridge.addresses["http"])

    def stop(self) -> None:
        """Stop it; stopping twice does nothing."""
        asyncio.run_coroutine_threadsafe(self.bridge.stop(), self.loop).result(30)

    def store(self, *records: LogRecord | Span | MetricPoint) -> None:
        """Store records, each kind in its place, and wait for the commit."""
        batch = Batch(
            [record for record in records if isinstance(record, LogRecord)],
            [record for record in records if isinstance(record, Span)],
            [record for record in records if isinstance(record, MetricPoint)],
        )
        asyncio.run_coroutine_threadsafe(self.bridge.store.write(batch), self.loop).result(20)


@contextmanager
def run_bridge(folder: Path, **overrides: Any) -> Iterator[RunningBridge]:
    ports = {"grpc_port": 0, "http_port": 0, "web_port": 0, "udp_port": 0}
    given = {"store": f"sqlite:///{folder}/page.db", **ports, **overrides}
    settings = read_settings({}, **given)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        running = RunningBridge(Bridge(settings), loop)
        asyncio.run_coroutine_threadsafe(running.bridge.start(), loop).result(20)
        try:
            yield running
        finally:
            running.stop()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
