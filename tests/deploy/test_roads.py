"""One record is one document, by whichever road it came."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import otelbridge
from otelbridge.delivery.redacted import redact_records
from otelbridge.search import parse
from otelbridge.serve import Bridge
from otelbridge.settings import read_settings
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.store import open_store
from otelbridge.store.protocol import TimeRange
from tests.deploy.network import paced
from tests.deploy.records import COUNT, make_records
from tests.deploy.stored import Stored, as_stored, comparable, nanoseconds
from tests.testbed.collector_process import Collector

# What a JSON line tells of the resource.
RESOURCE = {
    "service.name": "roads",
    "service.version": "1.2.3",
    "deployment.environment.name": "test",
    "service.instance.id": "roads-1",
    "host.name": "web-1",
}
THROUGH_COLLECTOR = ("grpc", "http", "udp", "file")
ROADS = (*THROUGH_COLLECTOR, "direct", "bridge")

QUERIES = {
    "number: 17": 1,
    "log.level: WARNING": None,
    'user: "алиса"': None,
    "status: 402 and log.logger: shop.*": None,
    "whole_fraction: 2": None,
    "largest: 9223372036854775807": None,
    "exception.type: ValueError or error.type: RuntimeError": None,
    "почему": None,
    "мир": None,
    "service.name: roads": COUNT,
    "trace.id: *": COUNT,
    "service.name: roads and not user: *": None,
    "number >= 100 and number < 110": 10,
}


class _AsTheSinkSends:
    """Upstream's exporter, given records as the otlp sink gives them: without secrets."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def export(self, batch: Any) -> Any:
        return self._exporter.export(redact_records("logs", list(batch)))

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _provider(exporter: Any, resource: Resource) -> LoggerProvider:
    unlimited = LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET)
    provider = LoggerProvider(resource=resource, log_record_limits=unlimited)
    provider.add_log_record_processor(SimpleLogRecordProcessor(_AsTheSinkSends(exporter)))
    return provider


@contextmanager
def _handler(
    road: str, target: Any, elasticsearch_url: str, namespace: str, pid: int
) -> Iterator[logging.Handler]:
    attributes = RESOURCE | {"process.pid": pid}
    resource = Resource(attributes)
    if road in {"grpc", "http", "bridge"}:
        if road == "grpc":
            exporter: Any = GrpcExporter(endpoint=f"http://127.0.0.1:{target.grpc}", insecure=True)
        else:
            exporter = HttpExporter(endpoint=f"http://127.0.0.1:{target.http}/v1/logs")
        provider = _provider(exporter, resource)
        yield OTLPHandler(provider)
        provider.shutdown()
    elif road == "udp":
        with paced(target.udp) as port:
            handler = otelbridge.UDPHandler(("127.0.0.1", port))
            handler.formatter.set_resource(attributes)
            yield handler
            handler.close()
    elif road == "file":
        file = otelbridge.FileHandler(target.files / "app.jsonl", max_bytes=0)
        file.formatter.set_resource(attributes)
        yield file
        file.close()
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("otelbridge.resource.build_resource", lambda settings: resource)
            direct = otelbridge.ElasticsearchHandler(elasticsearch_url, namespace=namespace)
        yield direct
        direct.flush()
        direct.close()


class _RunningBridge:
    """A bridge whose store is Elasticsearch, with an event loop of its own."""

    def __init__(self, url: str, namespace: str) -> None:
        ports = dict.fromkeys(("grpc_port", "http_port", "web_port", "udp_port"), 0)
        settings = read_settings({}, store=url, elasticsearch_namespace=namespace, **ports)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._bridge = Bridge(settings)
        self._run(self._bridge.start())
        self.http = self._bridge.addresses["http"][1]

    def stop(self) -> None:
        self._run(self._bridge.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)


@pytest.fixture(scope="module")
def sent(
    elasticsearch: Elasticsearch,
    elasticsearch_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[list[logging.LogRecord], dict[str, Stored]]]:
    """The same records, sent by every road, and what is stored of each."""
    records = make_records()
    run = f"roads{time.time_ns()}"
    stored = {road: Stored(elasticsearch, f"{run}{road}") for road in ROADS}
    tracer = TracerProvider().get_tracer("tests")
    with ExitStack() as stack, tracer.start_as_current_span("all of them"):
        for road, place in stored.items():
            target: Any = None
            if road in THROUGH_COLLECTOR:
                environ = {
                    "ELASTICSEARCH_URL": elasticsearch_url,
                    "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": place.namespace,
                }
                target = Collector(tmp_path_factory.mktemp(road), environ=environ).start()
                stack.callback(target.discard)
            elif road == "bridge":
                target = _RunningBridge(elasticsearch_url, place.namespace)
                stack.callback(target.stop)
            pid = records[0].process or 0
            with _handler(road, target, elasticsearch_url, place.namespace, pid) as handler:
                for record in records:
                    handler.handle(record)
            place.wait_for(COUNT, seconds=60)
        yield records, stored
    elasticsearch.options(ignore_status=404).indices.delete_data_stream(name=f"*-{run}*")


@pytest.mark.parametrize("road", ROADS)
def test_documents_are_equal_field_by_field(sent, road):
    _, stored = sent
    first, documents = stored["http"].documents(), stored[road].documents()
    assert documents.keys() == first.keys()
    differences = {}
    for id, document in documents.items():
        got, expected = comparable(document), comparable(first[id])
        # Times are the next test's; each road has its own namespace here.
        for shown in (got, expected):
            del shown["@timestamp"], shown["data_stream"]
        if got != expected:
            number = expected["attributes"]["number"]
            differences[number] = {
                key: (str(got.get(key))[:2000], str(expected.get(key))[:2000])
                for key in got.keys() | expected.keys()
                if got.get(key) != expected.get(key)
            }
    assert differences == {}


@pytest.mark.parametrize("road", ROADS)
def test_times_are_kept_as_well_as_the_road_carries_them(sent, road):
    records, stored = sent
    by_number = {doc["attributes"]["number"]: doc for doc in stored[road].documents().values()}
    written_by: Callable[[float], int] = _line_time if road in {"udp", "file"} else _otlp_time
    cut: Callable[[int], int] = as_stored if road in THROUGH_COLLECTOR else int
    wrong = {
        number: (nanoseconds(by_number[number]["@timestamp"]), record.created)
        for number, record in enumerate(records)
        if nanoseconds(by_number[number]["@timestamp"]) != cut(written_by(record.created))
    }
    assert wrong == {}


def _line_time(created: float) -> int:
    """A JSON line has microseconds."""
    second = math.floor(created)
    return second * 10**9 + round((created - second) * 10**6) * 1000


def _otlp_time(created: float) -> int:
    return round(created * 1e9)


@pytest.mark.parametrize("query", QUERIES)
def test_the_same_query_finds_the_same_records(sent, elasticsearch_url, query):
    _, stored = sent
    found = {}
    for road, place in stored.items():
        settings = read_settings(
            {}, store=elasticsearch_url, elasticsearch_namespace=place.namespace
        )
        found[road] = asyncio.run(_numbers(settings, query))
    assert found == dict.fromkeys(ROADS, found["http"])
    assert found["http"]
    if QUERIES[query] is not None:
        assert len(found["http"]) == QUERIES[query]


async def _numbers(settings: Any, query: str) -> list[int]:
    store = open_store(settings)
    await store.open()
    try:
        now = time.time_ns()
        within = TimeRange(now - 3600 * 10**9, now + 60 * 10**9)
        page = await asyncio.to_thread(store.logs, parse(query), within, limit=COUNT)
        return sorted(log.record.attributes["number"] for log in page)
    finally:
        await store.close()
