"""The stock OpenTelemetry SDK sends over each of its protocols; every record arrives, once."""

from __future__ import annotations

import importlib

import grpc
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode

from tests.receivers.running import running_bridge

RESOURCE = Resource({"service.name": "shop", "service.instance.id": "i-1"})
PATHS = {"trace": "/v1/traces", "metric": "/v1/metrics", "_log": "/v1/logs"}
NAMES = {"trace": "OTLPSpanExporter", "metric": "OTLPMetricExporter", "_log": "OTLPLogExporter"}


def make_exporter(bridge, protocol, signal, *, gzip, headers=None):
    package = {"grpc": "proto.grpc", "http/protobuf": "proto.http", "http/json": "json.http"}
    module = importlib.import_module(
        f"opentelemetry.exporter.otlp.{package[protocol]}.{signal}_exporter"
    )
    create = getattr(module, NAMES[signal])
    options = {"headers": headers} if headers else {}
    if protocol == "grpc":
        compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        return create(
            endpoint=bridge.url("grpc"), insecure=True, compression=compression, **options
        )
    compression = Compression.Gzip if gzip else Compression.NoCompression
    if protocol == "http/json":
        compression = getattr(module, "Compression", Compression)(compression.value)
    return create(endpoint=bridge.url("http", PATHS[signal]), compression=compression, **options)


@pytest.fixture(
    params=[
        (protocol, gzip)
        for protocol in ("grpc", "http/protobuf", "http/json")
        for gzip in (False, True)
    ],
    ids=lambda param: f"{param[0]}{' gzip' if param[1] else ''}",
)
def exporter(request, bridge):
    protocol, gzip = request.param
    return lambda signal: make_exporter(bridge, protocol, signal, gzip=gzip)


def test_every_log_arrives_with_what_it_said(bridge, exporter):
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter("_log")))
    logger = provider.get_logger("shop.orders", "1.2")
    for number in range(1_000):
        logger.emit(
            LogRecord(
                timestamp=1_700_000_000_000_000_001 + number,
                observed_timestamp=1_700_000_000_000_000_002,
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                body=f"order {number} заказ",
                attributes={"user": "alice", "items": [1, 2], "ratio": 0.5, "raw": b"\x00"},
                event_name="order.placed",
            )
        )
    provider.shutdown()
    records = bridge.store.logs
    assert [record.body for record in records] == [f"order {n} заказ" for n in range(1_000)]
    first = records[0]
    assert first.time == 1_700_000_000_000_000_001
    assert first.observed_time == 1_700_000_000_000_000_002
    assert (first.severity_number, first.severity_text) == (13, "WARN")
    assert first.attributes == {"user": "alice", "items": [1, 2], "ratio": 0.5, "raw": "AA=="}
    assert first.resource == {"service.name": "shop", "service.instance.id": "i-1"}
    assert (first.scope.name, first.scope.version) == ("shop.orders", "1.2")
    assert first.event_name == "order.placed"


def test_every_span_arrives_with_what_it_said(bridge, exporter):
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter("trace")))
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("parent") as parent:
        for number in range(500):
            with tracer.start_as_current_span(f"child {number}", links=[]) as child:
                child.set_attribute("number", number)
        parent.add_event("looked", {"at": "page"})
        parent.set_status(StatusCode.ERROR, "broken")
    provider.shutdown()
    spans = {span.name: span for span in bridge.store.spans}
    assert len(bridge.store.spans) == len(spans) == 501
    root, child = spans["parent"], spans["child 7"]
    assert root.parent_span_id is None
    assert child.parent_span_id == root.span_id
    assert child.trace_id == root.trace_id == parent.context.trace_id.to_bytes(16, "big")
    assert child.attributes == {"number": 7}
    assert (root.status_code, root.status_message) == (2, "broken")
    assert [(event.name, event.attributes) for event in root.events] == [("looked", {"at": "page"})]
    assert root.time == parent.start_time
    assert root.duration == parent.end_time - parent.start_time


def test_every_type_of_metric_arrives(bridge, exporter):
    reader = PeriodicExportingMetricReader(exporter("metric"), export_interval_millis=3_600_000)
    view = View(
        instrument_name="fine",
        aggregation=ExponentialBucketHistogramAggregation(),
    )
    provider = MeterProvider([reader], resource=RESOURCE, views=[view])
    meter = provider.get_meter("shop")
    meter.create_counter("requests").add(3, {"route": "/"})
    meter.create_gauge("load").set(0.25)
    meter.create_histogram("size").record(7)
    meter.create_histogram("fine").record(7)
    provider.shutdown()
    points = {point.name: point for point in bridge.store.points}
    assert {name: point.type for name, point in points.items()} == {
        "requests": "sum",
        "load": "gauge",
        "size": "histogram",
        "fine": "exponential_histogram",
    }
    assert (points["requests"].value, points["requests"].monotonic) == (3, True)
    assert points["requests"].attributes == {"route": "/"}
    assert points["load"].value == 0.25
    assert (points["size"].value, points["size"].count) == (7, 1)
    assert sum(points["size"].detail["bucket_counts"]) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_the_header_variable_of_the_sdk_carries_the_token(protocol):
    with running_bridge(ingest_token="secret token") as bridge:
        headers = {"authorization": "Bearer secret token"}
        exporter = make_exporter(bridge, protocol, "_log", gzip=False, headers=headers)
        provider = LoggerProvider(resource=RESOURCE)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        provider.get_logger("x").emit(LogRecord(body="hello"))
        provider.shutdown()
        assert [record.body for record in bridge.store.logs] == ["hello"]
