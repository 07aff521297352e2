"""What the module of a web framework is given of the process's telemetry."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from otelbridge.errors.report import Errors


@dataclass(frozen=True)
class Wiring:
    """Where a framework's requests, lines and errors go.

    Attributes:
        tracer_provider: makes the spans.
        meter_provider: makes the request metrics.
        request_log: whether each request writes its two lines.
        arrived: is called before every request, in the process that answers it.
        take: hands a record to our sinks, past the program's own handlers.
        name_service: is told a name for the service, for where the user gave none.
        errors: gives what reports errors that nobody caught.
    """

    tracer_provider: TracerProvider | None
    meter_provider: MeterProvider | None
    request_log: bool
    arrived: Callable[[], None]
    take: Callable[[logging.LogRecord], None]
    name_service: Callable[[str], None]
    errors: Callable[[], Errors | None]


def is_installed(name: str) -> bool:
    """Tell whether OpenTelemetry's instrumentation of that name is installed."""
    try:
        return find_spec(f"opentelemetry.instrumentation.{name}") is not None
    except ModuleNotFoundError:
        return False


def has_instrumentation(name: str, framework: str) -> bool:
    """Tell whether OpenTelemetry's instrumentation of a framework is installed; say if it is not.

    Args:
        name: of the instrumentation and of our extra that brings it, such as ``fastapi``.
        framework: the same for people.
    """
    found = is_installed(name)
    if not found:
        # Not by logging, which the program may be about to set up.
        print(
            f"otelbridge: {framework} requests are logged but have no spans and metrics:"
            f" pip install 'otelbridge[{name}]'",
            file=sys.stderr,
        )
    return found
