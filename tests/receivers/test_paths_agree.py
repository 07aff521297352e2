"""One call to a logger is stored as the same record, whichever way it came."""

from __future__ import annotations

import logging
import threading

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as JsonExporter
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import otelbridge
from otelbridge.sinks.otlp_logging import OTLPHandler

RESOURCE = {
    "service.name": "shop",
    "service.version": "1.2",
    "service.instance.id": "node-1",
    "deployment.environment.name": "production",
    "host.name": "web-1",
}


@pytest.fixture
def records(bridge):
    """What is stored of one call that went out by gRPC, HTTP, HTTP with JSON, and UDP."""
    exporters = [
        GrpcExporter(endpoint=bridge.url("grpc"), insecure=True),
        HttpExporter(endpoint=bridge.url("http", "/v1/logs")),
        JsonExporter(endpoint=bridge.url("http", "/v1/logs")),
    ]
    logger = logging.Logger("shop.payments")
    providers = []
    for exporter in exporters:
        provider = LoggerProvider(resource=Resource(RESOURCE))
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        logger.addHandler(OTLPHandler(provider))
        providers.append(provider)
    datagrams = otelbridge.UDPHandler(bridge.bridge.addresses["udp"], max_bytes=1_000)
    datagrams.formatter.set_resource(RESOURCE)
    logger.addHandler(datagrams)
    extra = {
        "user": "alice",
        "code": 17,
        "ratio": 0.5,
        "nothing": None,
        "nested": {"list": [1, "two", {"three": True}]},
        "long": "x" * 3_000,
        "text": "Привет, 世界 😀",
    }
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        try:
            raise ValueError("no money")
        except ValueError:
            logger.exception("payment %d declined", 7, extra=extra)
        context = span.get_span_context()
    for provider in providers:
        provider.shutdown()
    datagrams.close()
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 4)
    return bridge.store.logs, context, extra


def test_every_way_brings_the_same_record(records):
    (first, *others), context, extra = records
    assert first.body == "payment 7 declined"
    assert (first.severity_number, first.severity_text) == (17, "ERROR")
    assert first.scope.name == "shop.payments"
    assert first.trace_id == context.trace_id.to_bytes(16, "big")
    assert first.span_id == context.span_id.to_bytes(8, "big")
    assert first.attributes.items() >= extra.items()
    assert first.attributes["exception.type"] == "ValueError"
    assert first.attributes["exception.message"] == "no money"
    assert first.attributes["thread.name"] == threading.current_thread().name
    assert len(first.uid) == 16
    for other in others:
        for field in (
            "body",
            "attributes",
            "severity_number",
            "severity_text",
            "scope",
            "trace_id",
            "span_id",
            "event_name",
            "uid",
        ):
            assert getattr(other, field) == getattr(first, field), field
        # A JSON line's time has microseconds.
        assert abs(other.time - first.time) < 1_000
        assert other.resource.items() >= RESOURCE.items()


def test_a_call_without_a_span_has_no_trace(bridge):
    assert not trace.get_current_span().get_span_context().is_valid
    handler = otelbridge.UDPHandler(bridge.bridge.addresses["udp"])
    logger = logging.Logger("shop")
    logger.addHandler(handler)
    logger.info("alone")
    handler.close()
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 1)
    assert (bridge.store.logs[0].trace_id, bridge.store.logs[0].span_id) == (None, None)
