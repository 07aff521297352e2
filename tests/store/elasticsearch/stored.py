"""A store over a real server in a loop of its own, and writing that can be found at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.templates import TemplateOptions
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
        make_findable(self.store)


# What the test bed lacks of a distribution.
WITHOUT = ("histogram", "aggregate_metric_double")


def prepare(url: str) -> str:
    """Install the templates on a server; returns its address."""
    client = make_client(read_settings({}), url=url)
    for _ in install_templates(client, url, TemplateOptions(retention=86400.0, without=WITHOUT)):
        pass
    client.close()
    return url


def make_findable(store: ElasticsearchStore) -> None:
    """Wait until everything written can be found, by its newest fields too."""
    server = store._open_server
    streams = f"*-otelbridge.otel-{server.namespace}"
    server.client.indices.refresh(index=streams, allow_no_indices=True)
    server.forget_fields()


def remove_streams(settings: Settings) -> None:
    """Remove what a store keeps."""
    client = make_client(settings, url=settings.store)
    for type in ("logs", "traces", "metrics"):
        name = f"{type}-otelbridge.otel-{settings.elasticsearch_namespace}"
        client.options(ignore_status=404).indices.delete_data_stream(name=name)
    client.close()


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
            remove_streams(settings)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
