"""Other ways to instrument the same Flask app, each as its manual says and in its own environment.

Where a peer can send, it sends to the sink that counts; the others write to a file.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.setups import SERVICE, SETUPS, Running, Variant, plain, to_file

if TYPE_CHECKING:
    from flask import Flask


@dataclass(frozen=True)
class Peer(Variant):
    """One of them.

    Attributes:
        besides: what else its environment holds, with Flask.
        program: what runs Python there, where that is not Python itself.
    """

    besides: tuple[str, ...] = ()
    program: str = ""

    def environment(self, folder: Path) -> Path:
        """Make its environment where it is not there yet; returns the folder of its programs.

        Raises:
            subprocess.CalledProcessError: it cannot be made, as without a package index.
        """
        if not (folder / ".made").exists():
            print(f"installing {', '.join(self.packages)} into {folder}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = (folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check")
            wanted = ("flask>=3.0,<3.2", *self.packages, *self.besides)
            subprocess.run([*pip, *wanted], check=True)
            (folder / ".made").touch()
        return folder / "bin"

    def command(self, programs: Path) -> list[str]:
        """The beginning of a command line that runs Python there."""
        python = str(programs / "python")
        return [str(programs / self.program), python] if self.program else [python]


def ecs(app: Flask, endpoint: str, folder: str) -> Running:
    """Elastic's ecs-logging, to a file."""
    import ecs_logging

    return to_file(folder, ecs_logging.StdlibFormatter())


def structlog(app: Flask, endpoint: str, folder: str) -> Running:
    """structlog behind the standard library's loggers, JSON by orjson to a file."""
    import orjson
    import structlog

    return to_file(
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
    """Elastic's distribution of OpenTelemetry (EDOT), OTLP/HTTP; the command has done most."""
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

    written = to_file(folder, ecs_logging.StdlibFormatter())
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


def loggerflow(app: Flask, endpoint: str, folder: str) -> Running:
    """LoggerFlow by webhook, which takes errors that nobody caught; plain lines to a file."""
    from loggerflow import LoggerFlow
    from loggerflow.lifecycle import WebhookLifecycle

    written = plain(app, endpoint, folder)
    # It watches what is printed, and says so on stderr.
    flow = LoggerFlow(
        project_name=SERVICE, backend=WebhookLifecycle(webhook_url=f"{endpoint}/loggerflow/")
    )
    flow.run()
    return written


PEERS: dict[str, Peer] = {
    "structlog": Peer(structlog, ("structlog", "orjson")),
    "loguru": Peer(loguru, ("loguru",)),
    "ecs-logging": Peer(ecs, ("ecs-logging",)),
    "EDOT": Peer(
        edot,
        ("elastic-opentelemetry", "opentelemetry-sdk"),
        besides=(
            # What edot-bootstrap would choose for this app.
            "opentelemetry-instrumentation-flask",
            "opentelemetry-instrumentation-logging",
            "opentelemetry-instrumentation-system-metrics",
        ),
        spans=1,
        environ={
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "otlp",
            # It records no logs unless it is told to.
            "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        },
        program="opentelemetry-instrument",
    ),
    "Elastic APM": Peer(elastic_apm, ("elastic-apm[flask]", "ecs-logging"), spans=1),
    "Logfire": Peer(logfire, ("logfire[flask]", "opentelemetry-sdk"), spans=1),
    "Sentry": Peer(sentry, ("sentry-sdk[flask]",), spans=1),
    "LoggerFlow": Peer(loggerflow, ("loggerflow==0.0.6",)),
}


VARIANTS: dict[str, Variant] = {**SETUPS, **PEERS}
