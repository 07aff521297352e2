"""The ways to instrument one Flask app that are compared, each as its own manual says.

Every function imports what it needs itself, so that the time of the imports can be measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from otelbridge import Instrumentation

SERVICE = "bench"


@dataclass(frozen=True)
class Running:
    """An instrumented app: how to deliver what waits, and how to end."""

    flush: Callable[[], object] = lambda: None
    finish: Callable[[], object] = lambda: None


Setup = Callable[["Flask", str, str], Running]


def bare(app: Flask, endpoint: str, folder: str) -> Running:
    """Nothing: log records are made and dropped by a handler that does nothing."""
    _own_handler()
    return Running()


def json_logger(app: Flask, endpoint: str, folder: str) -> Running:
    """python-json-logger with its orjson encoder, to a file."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    handler = logging.FileHandler(f"{folder}/app.jsonl")
    handler.setFormatter(OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return Running(finish=handler.close)


def stock(app: Flask, endpoint: str, folder: str) -> Running:
    """The OpenTelemetry SDK by hand: three providers, OTLP/HTTP, Flask and system metrics."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": SERVICE})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(tracers)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(
        BatchLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs"))
    )
    set_logger_provider(loggers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
    meters = MeterProvider(resource=resource, metric_readers=[reader])
    metrics.set_meter_provider(meters)
    FlaskInstrumentor().instrument_app(app)
    SystemMetricsInstrumentor().instrument()
    logging.getLogger().addHandler(LoggingHandler(logger_provider=loggers))
    logging.getLogger().setLevel(logging.INFO)

    def flush() -> None:
        for provider in (tracers, loggers, meters):
            provider.force_flush()

    def finish() -> None:
        for provider in (tracers, loggers, meters):
            provider.shutdown()

    return Running(flush, finish)


def ours(app: Flask, endpoint: str, folder: str) -> Running:
    """``otelbridge.instrument(app)`` as it comes."""
    import otelbridge

    _own_handler()
    handle = otelbridge.instrument(app, service_name=SERVICE, otlp_endpoint=endpoint)

    return _handled(handle)


def ours_no_request_log(app: Flask, endpoint: str, folder: str) -> Running:
    """Ours without its own Request and Response records: the same output as the stock set-up."""
    import otelbridge

    _own_handler()
    handle = otelbridge.instrument(
        app, service_name=SERVICE, otlp_endpoint=endpoint, request_log=False
    )

    return _handled(handle)


def _own_handler() -> None:
    """The program's own handler, without which warnings would be written to stderr, and count."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.INFO)


def _handled(handle: Instrumentation) -> Running:
    def finish() -> None:
        handle.flush(30.0)
        handle.shutdown(30.0)

    return Running(lambda: handle.flush(30.0), finish)


SETUPS: dict[str, Setup] = {
    "bare": bare,
    "json-logger": json_logger,
    "stock": stock,
    "ours": ours,
    "ours, no request log": ours_no_request_log,
}
