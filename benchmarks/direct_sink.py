"""The roads from an application's records into Elasticsearch without a Collector, to be timed.

Each stores the same documents: those that the sink makes of a shop's log calls. For the client's
helper they are made beforehand; the sink starts from records of OpenTelemetry's SDK, and the logger
from the log calls themselves.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from elasticsearch import Elasticsearch, helpers
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord

from benchmarks import shop_records
from otelbridge.elasticsearch.documents import log_document
from otelbridge.pipeline import LogProcessor
from otelbridge.resource import build_resource
from otelbridge.settings import read_settings
from otelbridge.sinks.elasticsearch import BATCH_SIZE, CONNECTIONS, ElasticsearchHandler
from otelbridge.sinks.elasticsearch_records import log_record
from otelbridge.sinks.otlp_logging import OTLPHandler

# Takes the server's address, a namespace and how many documents to store; returns the seconds it
# took, and the processor seconds of this process.
Way: TypeAlias = Callable[[str, str, int], tuple[float, float]]

# Records of the logger that may wait in the sink: more would be dropped, as from any full queue.
MOST_WAITING = 8192


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


def store_by_sink(url: str, namespace: str, count: int) -> tuple[float, float]:
    """The sink, as its queue hands it batches."""
    records = sdk_records(count)
    handler = ElasticsearchHandler(url, namespace=namespace)
    own, start = time.process_time(), time.perf_counter()
    for first in range(0, count, BATCH_SIZE):
        batch = records[first : first + BATCH_SIZE]
        handler.destination.send(batch, len(batch), None, retry=True)
    took = time.perf_counter() - start, time.process_time() - own
    assert handler.delivered == count
    handler.close()
    return took


def store_by_logger(url: str, namespace: str, count: int) -> tuple[float, float]:
    """The whole road in an application, from the log calls on."""
    handler = ElasticsearchHandler(url, namespace=namespace, service_name=shop_records.SERVICE)
    own, start = time.process_time(), time.perf_counter()
    with logging_to(handler):
        for number in range(count):
            shop_records.log(number)
            if number % 256 == 0:
                while number - handler.delivered > MOST_WAITING:
                    time.sleep(0.005)
        handler.flush(60.0)
    took = time.perf_counter() - start, time.process_time() - own
    assert handler.delivered == count, (handler.delivered, handler.dropped)
    handler.close()
    return took


def store_by_helper(url: str, namespace: str, count: int) -> tuple[float, float]:
    """The client's helper with ready-made documents."""
    return _by_helper(url, namespace, count, compress=False)


def store_by_helper_compressed(url: str, namespace: str, count: int) -> tuple[float, float]:
    """The same, its requests compressed."""
    return _by_helper(url, namespace, count, compress=True)


def _by_helper(url: str, namespace: str, count: int, *, compress: bool) -> tuple[float, float]:
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
        took = time.perf_counter() - start, time.process_time() - own
    assert stored == count
    return took
