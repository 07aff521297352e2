"""The app of every drill: one request logs, and makes a span for, each of the numbers it names.

It is imported by the servers' workers, also in environments that hold nothing of ours but Flask.
``DRILL_SETUP`` says how it is instrumented: ``ours`` by one line, ``stock`` with OpenTelemetry's
SDK as its manual has it, and anything else from outside, or not at all.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from importlib import import_module
from typing import Any

from flask import Flask
from opentelemetry import trace

app = Flask("drilled")
_order = itertools.count()


def _instrument_stock() -> None:
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").partition("/")[0]
    exporters = f"opentelemetry.exporter.otlp.proto.{protocol}"
    span_exporter = import_module(f"{exporters}.trace_exporter").OTLPSpanExporter
    log_exporter = import_module(f"{exporters}._log_exporter").OTLPLogExporter
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(span_exporter()))
    trace.set_tracer_provider(tracers)
    loggers = LoggerProvider()
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter()))
    set_logger_provider(loggers)
    FlaskInstrumentor().instrument_app(app)
    logging.getLogger().addHandler(LoggingHandler(logger_provider=loggers))
    logging.getLogger().setLevel(logging.INFO)


_handle: Any = None
if os.environ.get("DRILL_SETUP") == "ours":
    import otelbridge

    _handle = otelbridge.instrument(app)
elif os.environ.get("DRILL_SETUP") == "stock":
    _instrument_stock()
else:
    logging.getLogger().setLevel(logging.INFO)
_tracer = trace.get_tracer("drilled")


def _timed(wsgi: Any) -> Any:
    """Tell how long a request took, everything that instruments it included."""

    def answer(environ: Any, start_response: Any) -> Any:
        begun = time.perf_counter()
        said: list[tuple[Any, ...]] = []
        body = wsgi(environ, lambda *arguments: said.append(arguments))
        status, headers, *_ = said[0]
        start_response(status, [*headers, ("X-Seconds", str(time.perf_counter() - begun))])
        return body

    return answer


app.wsgi_app = _timed(app.wsgi_app)  # type: ignore[method-assign]


@app.get("/numbers/<int:first>/<int:count>")
def numbers(first: int, count: int) -> dict[str, int]:
    """Log and trace ``count`` numbers; the first one is the request's own span."""
    trace.get_current_span().set_attribute("number", first)
    _log(first)
    for number in range(first + 1, first + count):
        with _tracer.start_as_current_span("step") as span:
            # Given at the start they would be lost where EDOT's sampler decides.
            span.set_attribute("number", number)
            _log(number)
    return {"pid": os.getpid()}


@app.get("/pid")
def pid() -> dict[str, int]:
    """Tell who answers."""
    return {"pid": os.getpid()}


@app.get("/delivery")
def delivery() -> dict[str, Any]:
    """Tell who answers, and what it counts of its own deliveries."""
    tell = getattr(_handle, "delivery", None)
    return {"pid": os.getpid(), "delivery": None if tell is None else tell()}


def _log(number: int) -> None:
    # One thread a worker, so that this order is the order of the records.
    order = next(_order)
    app.logger.info(
        "number %d", number, extra={"number": number, "order": order, "pid": os.getpid()}
    )
