"""One line turns a Python web app into correlated JSON logs, spans and metrics.

    import otelbridge

    otelbridge.instrument(app)

The logging classes here also work alone, in ``logging.config.dictConfig`` or without it. Importing
this package loads none of them, and nothing of OpenTelemetry's SDK: each name is loaded when it is
first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelbridge.calls import log_calls
    from otelbridge.context_fields import bind_fields, fields
    from otelbridge.errors.exclusions import exclude
    from otelbridge.frameworks.loguru import loguru_sink
    from otelbridge.frameworks.structlog import structlog_processor
    from otelbridge.loggers import get_logger
    from otelbridge.notify import send, send_async
    from otelbridge.records.formatter import JsonFormatter
    from otelbridge.records.streams import capture_output, release_output
    from otelbridge.sinks.audit import AuditHandler
    from otelbridge.sinks.console import ConsoleHandler
    from otelbridge.sinks.elasticsearch import ElasticsearchHandler
    from otelbridge.sinks.file import DailyFileHandler, FileHandler
    from otelbridge.sinks.udp import UDPHandler
    from otelbridge.spans import span
    from otelbridge.telemetry import Instrumentation, instrument, shutdown

__version__ = "0.1.0"

__all__ = [
    "AuditHandler",
    "ConsoleHandler",
    "DailyFileHandler",
    "ElasticsearchHandler",
    "FileHandler",
    "Instrumentation",
    "JsonFormatter",
    "UDPHandler",
    "bind_fields",
    "capture_output",
    "exclude",
    "fields",
    "get_logger",
    "instrument",
    "log_calls",
    "loguru_sink",
    "release_output",
    "send",
    "send_async",
    "shutdown",
    "span",
    "structlog_processor",
]

_MODULES = {
    "AuditHandler": "otelbridge.sinks.audit",
    "ConsoleHandler": "otelbridge.sinks.console",
    "DailyFileHandler": "otelbridge.sinks.file",
    "ElasticsearchHandler": "otelbridge.sinks.elasticsearch",
    "FileHandler": "otelbridge.sinks.file",
    "Instrumentation": "otelbridge.telemetry",
    "JsonFormatter": "otelbridge.records.formatter",
    "UDPHandler": "otelbridge.sinks.udp",
    "bind_fields": "otelbridge.context_fields",
    "capture_output": "otelbridge.records.streams",
    "exclude": "otelbridge.errors.exclusions",
    "fields": "otelbridge.context_fields",
    "get_logger": "otelbridge.loggers",
    "instrument": "otelbridge.telemetry",
    "log_calls": "otelbridge.calls",
    "loguru_sink": "otelbridge.frameworks.loguru",
    "release_output": "otelbridge.records.streams",
    "send": "otelbridge.notify",
    "send_async": "otelbridge.notify",
    "shutdown": "otelbridge.telemetry",
    "span": "otelbridge.spans",
    "structlog_processor": "otelbridge.frameworks.structlog",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
