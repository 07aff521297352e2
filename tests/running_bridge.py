"""A real bridge, with its own event loop on a thread, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otelbridge.serve import Bridge
from otelbridge.settings import read_settings


@contextmanager
def running_bridge(folder: Path) -> Iterator[Bridge]:
    """Run a bridge on free ports, with its database in ``folder``."""
    settings = read_settings(
        {},
        store=f"sqlite:///{folder}/bridge.db",
        grpc_port=0,
        http_port=0,
        web_port=0,
        udp_port=0,
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    bridge = Bridge(settings)
    asyncio.run_coroutine_threadsafe(bridge.start(), loop).result(20)
    try:
        yield bridge
    finally:
        asyncio.run_coroutine_threadsafe(bridge.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
