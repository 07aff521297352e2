"""The ways to instrument one Flask app that are compared, each as its own manual says.

Every function imports what it needs itself, so that the time of the imports can be measured. Each
returns a function that delivers what is still waiting and closes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

Finish = Callable[[], None]
Setup = Callable[["Flask", str, str], Finish]

SERVICE = "bench"


def bare(app: Flask, endpoint: str, folder: str) -> Finish:
    """Nothing: log records are made and dropped by a handler that does nothing."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.INFO)
    return lambda: None


def json_logger(app: Flask, endpoint: str, folder: str) -> Finish:
    """python-json-logger with its orjson encoder, to a file."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    handler = logging.FileHandler(f"{folder}/app.jsonl")
    handler.setFormatter(OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return handler.close


def stock(app: Flask, endpoint: str, folder: str) -> Finish:
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

    def finish() -> None:
        tracers.shutdown()
        loggers.shutdown()
        meters.shutdown()

    return finish


def ours(app: Flask, endpoint: str, folder: str) -> Finish:
    """``otelbridge.instrument(app)`` as it comes."""
    import otelbridge

    handle = otelbridge.instrument(app, service_name=SERVICE, otlp_endpoint=endpoint)

    def finish() -> None:
        handle.flush(30.0)
        handle.shutdown(30.0)

    return finish


def ours_no_request_log(app: Flask, endpoint: str, folder: str) -> Finish:
    """Ours without its own Request and Response records: the same output as the stock set-up."""
    import otelbridge

    handle = otelbridge.instrument(
        app, service_name=SERVICE, otlp_endpoint=endpoint, request_log=False
    )

    def finish() -> None:
        handle.flush(30.0)
        handle.shutdown(30.0)

    return finish


SETUPS: dict[str, Setup] = {
    "bare": bare,
    "json-logger": json_logger,
    "stock": stock,
    "ours": ours,
    "ours, no request log": ours_no_request_log,
}
