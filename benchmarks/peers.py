"""Other ways to instrument the same Flask app, each as its manual says and in its own environment.

Where a peer can send, it sends to the sink that counts; the others write to a file. LoggerFlow is
not among them: it takes no log records and no requests, only errors that nobody caught.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.setups import SERVICE, Running, Setup

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class Peer:
    """One of them.

    Attributes:
        setup: instruments an app.
        packages: what its environment holds besides Flask.
        delivered: how many items the sink is to count for each request.
        environ: variables its process needs.
        program: what runs Python there, where that is not Python itself.
    """

    setup: Setup
    packages: tuple[str, ...]
    delivered: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)
    program: str = ""

    def environment(self, folder: Path) -> Path:
        """Make its environment where it is not there yet; returns the folder of its programs."""
        if not (folder / ".made").exists():
            print(f"installing {', '.join(self.packages)} into {folder}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check")
            subprocess.run([*pip, "flask>=3.0,<3.2", *self.packages], check=True)
            (folder / ".made").touch()
        return folder / "bin"

    def command(self, programs: Path) -> list[str]:
        """The beginning of a command line that runs Python there."""
        python = str(programs / "python")
        return [str(programs / self.program), python] if self.program else [python]


def _to_file(folder: str, formatter: logging.Formatter | None = None) -> Running:
    handler = logging.FileHandler(f"{folder}/app.log")
    if formatter is not None:
        handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return Running(finish=handler.close)


def plain(app: Flask, endpoint: str, folder: str) -> Running:
    """The standard library's logging, plain lines to a file."""
    return _to_file(folder, logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))


def ecs(app: Flask, endpoint: str, folder: str) -> Running:
    """Elastic's ecs-logging, to a file."""
    import ecs_logging

    return _to_file(folder, ecs_logging.StdlibFormatter())


def structlog(app: Flask, endpoint: str, folder: str) -> Running:
    """structlog behind the standard library's loggers, JSON by orjson to a file."""
    import orjson
    import structlog

    return _to_file(
        folder,
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(lambda *a, **k: orjson.dumps(*a, **k).decode()),
            ],
        ),
    )


def loguru(app: Flask, endpoint: str, folder: str) -> Running:
    """loguru behind the standard library's loggers, serialized to a file."""
    from loguru import logger

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(depth=6, exception=record.exc_info).log(
                record.levelname, record.getMessage()
            )

    logger.remove()
    logger.add(f"{folder}/app.log", serialize=True)
    logging.getLogger().addHandler(Intercept())
    logging.getLogger().setLevel(logging.INFO)
    return Running()


def edot(app: Flask, endpoint: str, folder: str) -> Running:
    """Elastic's distribution of OpenTelemetry; the command that runs it has done most."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import get_logger_provider
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    # The app was made before, and by a class that its loader has put in the place of Flask's.
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
        FlaskInstrumentor.instrument_app(app)
    logging.getLogger().setLevel(logging.INFO)
    providers = trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider()

    def flush() -> None:
        for provider in providers:
            provider.force_flush()

    def finish() -> None:
        for provider in providers:
            provider.shutdown()

    return Running(flush, finish)


def elastic_apm(app: Flask, endpoint: str, folder: str) -> Running:
    """Elastic's APM agent, and ecs-logging to a file."""
    import ecs_logging
    from elasticapm.contrib.flask import ElasticAPM

    written = _to_file(folder, ecs_logging.StdlibFormatter())
    agent = ElasticAPM(
        app, service_name=SERVICE, server_url=endpoint, central_config=False, cloud_provider="none"
    )

    def finish() -> None:
        agent.client.close()
        written.finish()

    return Running(finish=finish)


def logfire(app: Flask, endpoint: str, folder: str) -> Running:
    """Logfire, to a local OTLP endpoint; a log is a span to it."""
    import logfire

    logfire.configure(
        send_to_logfire=False, service_name=SERVICE, console=False, inspect_arguments=False
    )
    logfire.instrument_flask(app)
    logging.getLogger().addHandler(logfire.LogfireLoggingHandler())
    logging.getLogger().setLevel(logging.INFO)
    return Running(logfire.force_flush, logfire.shutdown)


def sentry(app: Flask, endpoint: str, folder: str) -> Running:
    """Sentry's SDK, tracing and logs on."""
    import sentry_sdk

    scheme, _, place = endpoint.partition("://")
    sentry_sdk.init(dsn=f"{scheme}://key@{place}/1", traces_sample_rate=1.0, enable_logs=True)
    logging.getLogger().setLevel(logging.INFO)

    def flush() -> None:
        sentry_sdk.flush(30.0)

    return Running(flush, flush)


PEERS: dict[str, Peer] = {
    "plain lines": Peer(plain, ()),
    "ecs-logging": Peer(ecs, ("ecs-logging",)),
    "structlog": Peer(structlog, ("structlog", "orjson")),
    "loguru": Peer(loguru, ("loguru",)),
    "EDOT": Peer(
        edot,
        (
            "elastic-opentelemetry",
            # What edot-bootstrap would choose for this app.
            "opentelemetry-instrumentation-flask",
            "opentelemetry-instrumentation-logging",
            "opentelemetry-instrumentation-system-metrics",
        ),
        delivered=3,
        environ={
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "otlp",
            # It records no logs unless it is told to.
            "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        },
        program="opentelemetry-instrument",
    ),
    "Elastic APM": Peer(elastic_apm, ("elastic-apm[flask]", "ecs-logging"), delivered=1),
    "Logfire": Peer(logfire, ("logfire[flask]",), delivered=3),
    "Sentry": Peer(sentry, ("sentry-sdk[flask]",), delivered=3),
}
