"""The ways to instrument one Flask app that are compared, each as its own manual says.

Every function imports what it needs itself, so that the time of the imports can be measured. The
first line of its docstring is what tables say of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

SERVICE = "bench"


@dataclass(frozen=True)
class Running:
    """An instrumented app: how to deliver what waits, and how to end."""

    flush: Callable[[], object] = lambda: None
    finish: Callable[[], object] = lambda: None


Setup = Callable[["Flask", str, str], Running]


@dataclass(frozen=True)
class Variant:
    """One of the ways.

    Attributes:
        setup: instruments an app; is given the app, the address of the sink, and a folder.
        packages: what is compared, as a package index names it.
        logs: how many log records it is to deliver for each request.
        spans: likewise.
        grpc: whether the address is to be that of the sink's gRPC.
        environ: variables its process needs.
    """

    setup: Setup
    packages: tuple[str, ...] = ()
    logs: int = 2
    spans: int = 0
    grpc: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What it does, in a line."""
        return (self.setup.__doc__ or "").partition("\n")[0].rstrip(".")


def bare(app: Flask, endpoint: str, folder: str) -> Running:
    """Nothing: log records are made, and dropped by a handler that does nothing."""
    _own_handler()
    return Running()


def to_file(folder: str, formatter: logging.Formatter) -> Running:
    """Write log records to a file as a formatter formats them."""
    handler = logging.FileHandler(f"{folder}/app.log")
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return Running(finish=handler.close)


def plain(app: Flask, endpoint: str, folder: str) -> Running:
    """The standard library's logging, plain lines to a file."""
    return to_file(folder, logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))


def json_logger(app: Flask, endpoint: str, folder: str) -> Running:
    """python-json-logger with its orjson encoder, to a file."""
    from pythonjsonlogger.orjson import OrjsonFormatter

    return to_file(folder, OrjsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))


def stock(app: Flask, endpoint: str, folder: str) -> Running:
    """OpenTelemetry's SDK, its Flask instrumentation and its log handler, OTLP/HTTP."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return _stock(
        app,
        OTLPLogExporter(f"{endpoint}/v1/logs"),
        OTLPSpanExporter(f"{endpoint}/v1/traces"),
        OTLPMetricExporter(f"{endpoint}/v1/metrics"),
    )


def stock_grpc(app: Flask, endpoint: str, folder: str) -> Running:
    """OpenTelemetry's SDK likewise, OTLP/gRPC."""
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return _stock(
        app,
        OTLPLogExporter(endpoint, insecure=True),
        OTLPSpanExporter(endpoint, insecure=True),
        OTLPMetricExporter(endpoint, insecure=True),
    )


def _stock(app: Flask, to_logs: Any, to_traces: Any, to_metrics: Any) -> Running:
    """Three providers by hand, as the manual has it, and system metrics."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import set_logger_provider
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
    tracers.add_span_processor(BatchSpanProcessor(to_traces))
    trace.set_tracer_provider(tracers)
    loggers = LoggerProvider(resource=resource)
    loggers.add_log_record_processor(BatchLogRecordProcessor(to_logs))
    set_logger_provider(loggers)
    reader = PeriodicExportingMetricReader(to_metrics)
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
    """otelbridge as it comes: a Request and a Response record besides."""
    return _ours(app, otlp_endpoint=endpoint)


def ours_http(app: Flask, endpoint: str, folder: str) -> Running:
    """otelbridge, the same records, OTLP/HTTP protobuf."""
    return _ours(app, otlp_endpoint=endpoint, request_log=False)


def ours_grpc(app: Flask, endpoint: str, folder: str) -> Running:
    """otelbridge, the same records, OTLP/gRPC."""
    return _ours(app, otlp_endpoint=endpoint, request_log=False, otlp_protocol="grpc")


def _ours(app: Flask, **settings: Any) -> Running:
    import otelbridge

    _own_handler()
    handle = otelbridge.instrument(app, service_name=SERVICE, **settings)

    def finish() -> None:
        handle.flush(30.0)
        handle.shutdown(30.0)

    return Running(lambda: handle.flush(30.0), finish)


def _own_handler() -> None:
    """The program's own handler, without which warnings would be written to stderr, and count."""
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.INFO)


_SDK = ("opentelemetry-sdk", "opentelemetry-instrumentation-flask")

SETUPS: dict[str, Variant] = {
    "bare": Variant(bare, ("flask",), logs=0),
    "plain lines": Variant(plain),
    "python-json-logger": Variant(json_logger, ("python-json-logger", "orjson")),
    "stock, HTTP": Variant(stock, (*_SDK, "opentelemetry-exporter-otlp-proto-http"), spans=1),
    "stock, gRPC": Variant(stock_grpc, (*_SDK, "grpcio"), spans=1, grpc=True),
    "ours, HTTP": Variant(ours_http, ("otelbridge",), spans=1),
    "ours, gRPC": Variant(ours_grpc, ("otelbridge", "grpcio"), spans=1, grpc=True),
    "ours as it comes": Variant(ours, ("otelbridge",), logs=4, spans=1),
}
