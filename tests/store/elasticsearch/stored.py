"""A store over a real server in a loop of its own, and writing that can be found at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from otelbridge.elasticsearch.client import make_client
from otelbridge.model import Batch, LogRecord, MetricPoint, Span
from otelbridge.settings import Settings, read_settings
from otelbridge.store.elasticsearch import ElasticsearchStore
from otelbridge.store.protocol import TimeRange

ALL_TIME = TimeRange(0, 2**63 - 1)


@dataclass
class OpenStore:
    """A store that is open, read from here and written to in its own loop."""

    store: ElasticsearchStore
    settings: Settings
    loop: asyncio.AbstractEventLoop

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def write(self, *records: LogRecord | Span | MetricPoint) -> None:
        """Write records, each kind in its place, and wait until they can be found."""
        batch = Batch(
            [record for record in records if isinstance(record, LogRecord)],
            [record for record in records if isinstance(record, Span)],
            [record for record in records if isinstance(record, MetricPoint)],
        )
        self.run(self.store.write(batch))
        self.refresh()

    def refresh(self) -> None:
        """Wait until everything written can be found, by its newest fields too."""
        client = make_client(self.settings, url=self.settings.store)
        namespace = self.settings.elasticsearch_namespace
        client.indices.refresh(index=f"*-otelbridge.otel-{namespace}", allow_no_indices=True)
        client.close()
        self.store._open_server.forget_fields()


@contextmanager
def opened(url: str, namespace: str) -> Iterator[OpenStore]:
    settings = read_settings({}, store=url, elasticsearch_namespace=namespace)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    store = ElasticsearchStore(settings)
    try:
        asyncio.run_coroutine_threadsafe(store.open(), loop).result(30)
        try:
            yield OpenStore(store, settings, loop)
        finally:
            asyncio.run_coroutine_threadsafe(store.close(), loop).result(30)
            client = make_client(settings, url=url)
            for type in ("logs", "traces", "metrics"):
                name = f"{type}-otelbridge.otel-{namespace}"
                client.options(ignore_status=404).indices.delete_data_stream(name=name)
            client.close()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
