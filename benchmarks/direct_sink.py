"""The roads from an application's records into Elasticsearch without a Collector, to be timed.

Each stores the same documents: those that the sink makes of a shop's log calls. For the client's
helper they are made beforehand; the sink starts from records of OpenTelemetry's SDK, and the logger
from the log calls themselves.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from elasticsearch import Elasticsearch, helpers
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord

from benchmarks import shop_records
from otelbridge.delivery.assembly import make_delivery
from otelbridge.delivery.processors import LogProcessor
from otelbridge.elasticsearch.documents import log_document
from otelbridge.resource import build_resource
from otelbridge.settings import read_settings
from otelbridge.sinks.elasticsearch import (
    CONNECTIONS,
    ElasticsearchDestination,
    ElasticsearchHandler,
)
from otelbridge.sinks.elasticsearch_records import log_record
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.sinks.otlp_trouble import TroubleReport

# Records that may wait in the sink: two batches, so that it always has one to encode. What waits
# for longer than its flush interval goes to the spool.
MOST_WAITING = 2 * ElasticsearchDestination.batch_size


@dataclass(frozen=True)
class Cost:
    """What it cost.

    Attributes:
        seconds: until all had been acknowledged.
        own: seconds of processor of this process.
        spooled: how many records went by the spool.
    """

    seconds: float
    own: float
    spooled: int = 0


# Takes the server's address, a namespace and how many documents to store.
Way: TypeAlias = Callable[[str, str, int], Cost]


class _Kept:
    """A queue that only keeps."""

    def __init__(self) -> None:
        self.records: list[ReadableLogRecord] = []
        self.put = self.records.append


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[None]:
    """Give the shop's loggers a handler, and no other."""
    shop = logging.getLogger("shop")
    shop.setLevel(logging.DEBUG)
    shop.propagate = False
    shop.addHandler(handler)
    try:
        yield
    finally:
        shop.removeHandler(handler)


def sdk_records(count: int) -> list[ReadableLogRecord]:
    """Make log calls, and keep what the sink's queue would be given."""
    kept: Any = _Kept()
    provider = LoggerProvider(
        resource=build_resource(read_settings({}, service_name=shop_records.SERVICE)),
        shutdown_on_exit=False,
    )
    provider.add_log_record_processor(LogProcessor(kept))
    with logging_to(OTLPHandler(provider)):
        for number in range(count):
            shop_records.log(number)
    return list(kept.records)


def store_by_sink(url: str, namespace: str, count: int) -> Cost:
    """The sink: its queue, its two threads, its spool."""
    records = sdk_records(count)
    with TemporaryDirectory(prefix="otelbridge-bench-") as folder:
        settings = read_settings(
            {}, elasticsearch_url=url, elasticsearch_namespace=namespace, spool_dir=Path(folder)
        )
        destination = ElasticsearchDestination("logs", settings, TroubleReport())
        delivery = make_delivery(
            "logs", destination, settings, destination.sink, lambda: "bench", lambda: 1
        )
        own, start = time.process_time(), time.perf_counter()
        for number, record in enumerate(records):
            delivery.put(record)
            if number % 256 == 0:
                while delivery.counters.waiting > MOST_WAITING:
                    time.sleep(0.002)
        delivery.flush(60.0)
        took, own = time.perf_counter() - start, time.process_time() - own
        told = delivery.snapshot()
        delivery.close()
        delivery.wait_closed(5.0)
        destination.close()
    assert told.sent == count, told
    return Cost(took, own, told.spooled)


def store_by_logger(url: str, namespace: str, count: int) -> Cost:
    """The whole road in an application, from the log calls on."""
    with TemporaryDirectory(prefix="otelbridge-bench-") as folder:
        os.environ["OTELBRIDGE_SPOOL_DIR"] = folder
        try:
            handler = ElasticsearchHandler(
                url, namespace=namespace, service_name=shop_records.SERVICE
            )
        finally:
            del os.environ["OTELBRIDGE_SPOOL_DIR"]
        own, start = time.process_time(), time.perf_counter()
        with logging_to(handler):
            for number in range(count):
                shop_records.log(number)
                if number % 256 == 0:
                    while number - handler.delivered > MOST_WAITING:
                        time.sleep(0.002)
            handler.flush(60.0)
        took, own = time.perf_counter() - start, time.process_time() - own
        assert handler.delivered == count, (handler.delivered, handler.dropped)
        handler.close()
    return Cost(took, own)


def store_by_helper(url: str, namespace: str, count: int) -> Cost:
    """The client's helper with ready-made documents."""
    return _by_helper(url, namespace, count, compress=False)


def store_by_helper_compressed(url: str, namespace: str, count: int) -> Cost:
    """The same, its requests compressed."""
    return _by_helper(url, namespace, count, compress=True)


def _by_helper(url: str, namespace: str, count: int, *, compress: bool) -> Cost:
    actions = []
    for record in sdk_records(count):
        document = log_document(log_record(record), namespace)
        actions.append(
            {
                "_op_type": "create",
                "_index": document.stream,
                "_id": document.id,
                "_source": document.source,
            }
        )
    with Elasticsearch(url, http_compress=compress, request_timeout=60) as client:
        own, start = time.process_time(), time.perf_counter()
        stored = sum(
            ok
            for ok, _ in helpers.parallel_bulk(
                client, actions, thread_count=CONNECTIONS, chunk_size=512
            )
        )
        took, own = time.perf_counter() - start, time.process_time() - own
    assert stored == count
    return Cost(took, own)
