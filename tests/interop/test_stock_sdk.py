"""The stock OpenTelemetry SDK for Python sends to the bridge; every record is found by search."""

from __future__ import annotations

import importlib
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from interop.running_bridge import Bridge
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

pytestmark = pytest.mark.servers

MODULES = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
    "http/json": "opentelemetry.exporter.otlp.json.http",
}
LOGS = 60
TRACES = 20
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


@dataclass
class Sender:
    """A stock SDK that sends one way, and what only its records carry."""

    service: str
    tracers: TracerProvider
    loggers: LoggerProvider
    meters: MeterProvider
    logger: logging.Logger

    def flush(self) -> None:
        assert self.tracers.force_flush()
        assert self.loggers.force_flush()
        assert self.meters.force_flush()


def _exporters(protocol: str, endpoint: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for signal, module, name in (
        ("traces", "trace_exporter", "OTLPSpanExporter"),
        ("logs", "_log_exporter", "OTLPLogExporter"),
        ("metrics", "metric_exporter", "OTLPMetricExporter"),
    ):
        exporter = getattr(importlib.import_module(f"{MODULES[protocol]}.{module}"), name)
        if protocol == "grpc":
            made[signal] = exporter(endpoint=endpoint, insecure=True)
        else:
            made[signal] = exporter(endpoint=f"http://{endpoint}/v1/{signal}")
    return made


@pytest.fixture(
    params=[(protocol, gzip) for protocol in MODULES for gzip in (False, True)],
    ids=lambda way: f"{way[0]}-{'gzip' if way[1] else 'plain'}",
)
def sender(
    request: pytest.FixtureRequest, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sender]:
    protocol, compressed = request.param
    if compressed:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    made = _exporters(protocol, bridge.endpoint(protocol))
    service = f"stock-{uuid.uuid4().hex[:12]}"
    resource = Resource.create({"service.name": service, "service.version": "3.1"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(made["traces"]))
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(made["logs"]))
    reader = PeriodicExportingMetricReader(made["metrics"], export_interval_millis=3_600_000)
    meters = MeterProvider(resource=resource, metric_readers=[reader])
    logger = logging.getLogger(f"interop.{service}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=loggers))
    yield Sender(service, tracers, loggers, meters, logger)
    logger.handlers.clear()
    tracers.shutdown()
    loggers.shutdown()
    meters.shutdown()


def test_every_log_is_found_by_its_own_field_and_whole(bridge: Bridge, sender: Sender) -> None:
    for number in range(LOGS):
        sender.logger.log(
            LEVELS[number % len(LEVELS)],
            "Заказ %d принят ✓",
            number,
            extra={"order": number, "user": f"user-{number}", "ratio": number / 4, "late": True},
        )
    sender.flush()

    found = bridge.logs(f"service.name: {sender.service}", LOGS)
    assert {record["body"]["text"] for record in found} == {
        f"Заказ {number} принят ✓" for number in range(LOGS)
    }
    for number in range(LOGS):
        (record,) = bridge.logs(f"user: user-{number} and service.name: {sender.service}", 1)
        assert record["attributes"]["order"] == number
        assert record["attributes"]["ratio"] == number / 4
        assert record["attributes"]["late"] is True
        assert record["severity_number"] == (5, 9, 13, 17, 21)[number % len(LEVELS)]
        assert record["scope"]["name"] == sender.logger.name
        assert record["resource"]["attributes"]["service.version"] == "3.1"


def test_a_log_with_an_exception_is_found_by_it_and_leads_to_its_trace(
    bridge: Bridge, sender: Sender
) -> None:
    tracer = sender.tracers.get_tracer("interop")
    with tracer.start_as_current_span("charge", kind=SpanKind.SERVER) as span:
        try:
            raise KeyError("no such card")
        except KeyError:
            sender.logger.exception("Charge failed")
        context = span.get_span_context()
    sender.flush()

    (record,) = bridge.logs(f"error.type: KeyError and service.name: {sender.service}", 1)
    assert record["trace_id"] == f"{context.trace_id:032x}"
    assert record["span_id"] == f"{context.span_id:016x}"
    assert "no such card" in record["attributes"]["exception.stacktrace"]
    trace = bridge.ask(f"/traces/{record['trace_id']}.json")
    assert [found["name"] for found in trace["spans"]] == ["charge"]
    assert [found["body"]["text"] for found in trace["logs"]] == ["Charge failed"]


def test_every_span_is_found_with_its_parent_its_exception_and_its_link(
    bridge: Bridge, sender: Sender
) -> None:
    tracer = sender.tracers.get_tracer("interop", "1.0")
    sent: dict[str, str] = {}
    for number in range(TRACES):
        with tracer.start_as_current_span(
            "GET /orders/<id>",
            kind=SpanKind.SERVER,
            attributes={"order": number, "http.route": "/orders/<id>"},
        ) as parent:
            with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as child:
                child.set_attribute("db.rows", number)
                child.record_exception(ValueError(f"row {number}"))
                child.set_status(Status(StatusCode.ERROR, f"row {number} is bad"))
            parent_id = parent.get_span_context()
            sent[f"{parent_id.trace_id:032x}"] = f"{parent_id.span_id:016x}"
    sender.flush()

    found = bridge.traces(f"service.name: {sender.service}", TRACES)
    assert {trace["trace_id"] for trace in found} == set(sent)
    assert {trace["spans"] for trace in found} == {2}
    for trace_id, root in sent.items():
        trace = bridge.ask(f"/traces/{trace_id}.json")
        spans = {span["kind"].lower(): span for span in trace["spans"]}
        assert len(trace["spans"]) == 2
        number = spans["server"]["attributes"]["order"]
        assert spans["server"]["span_id"] == root
        assert not spans["server"]["parent_span_id"]
        assert spans["client"]["parent_span_id"] == root
        assert spans["client"]["attributes"]["db.rows"] == number
        assert spans["client"]["status"]["code"].lower() == "error"
        assert spans["client"]["status"]["message"] == f"row {number} is bad"
        (event,) = spans["client"]["events"]
        assert event["name"] == "exception"
        assert event["attributes"]["exception.message"] == f"row {number}"
        assert 0 < spans["client"]["duration"] <= spans["server"]["duration"]
    (one,) = bridge.traces(f"db.rows: 7 and service.name: {sender.service}", 1)
    assert one["trace_id"] in sent


def test_every_kind_of_metric_is_found_with_its_numbers(bridge: Bridge, sender: Sender) -> None:
    meter = sender.meters.get_meter("interop")
    orders = meter.create_counter("interop.orders", unit="{order}")
    waiting = meter.create_up_down_counter("interop.waiting")
    heat = meter.create_gauge("interop.heat", unit="Cel")
    seconds = meter.create_histogram("interop.seconds", unit="s")
    waiting.add(-10)
    heat.set(29.5)
    # What only grows is shown as its change between two readings; the first reading is one since
    # the beginning, which lies in the range too.
    moments = []
    for amount in (1, 3):
        for number in range(10):
            orders.add(amount, {"shop": "east"})
            seconds.record(amount * number)
        moments.append(time.monotonic())
        sender.flush()
        moments.append(time.monotonic())
    shortest, longest = moments[2] - moments[1], moments[3] - moments[0]

    def last(name: str) -> float:
        answer = bridge.ask("/metrics.json", name=name, service=sender.service, range="1h")
        (series,) = answer["series"]
        return [value for value in series["means"] if value is not None][-1]

    assert last("interop.waiting") == -10
    assert last("interop.heat") == 29.5
    # Both readings in one step of the chart, or the second in a step of its own.
    assert last("interop.seconds") in (pytest.approx(9.0), pytest.approx(13.5))
    assert 30 / longest <= last("interop.orders") <= 30 / max(shortest, 1e-6)
