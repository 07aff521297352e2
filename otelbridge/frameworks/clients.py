"""HTTP client libraries: a span for every call to another service, and the trace passed on."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from wrapt import register_post_import_hook

from otelbridge.frameworks.urls import redact_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_logger = logging.getLogger(__name__)

# Instrumentation name: the module that is instrumented, and the instrumentor's class.
CLIENTS: Final = {
    "requests": ("requests", "RequestsInstrumentor"),
    "httpx": ("httpx", "HTTPXClientInstrumentor"),
    "urllib3": ("urllib3", "URLLib3Instrumentor"),
    "urllib": ("urllib.request", "URLLibInstrumentor"),
}


def disabled_instrumentations() -> frozenset[str]:
    """Read ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS``, as ``opentelemetry-instrument`` does."""
    listed = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    return frozenset(name.strip() for name in listed.split(",") if name.strip())


def when_imported(module: str, act: Callable[[], None]) -> None:
    """Act once a module is imported: now, if it is already; never, if it never is.

    A failure is logged: it must not make the program's import fail.
    """

    def hook(_: Any) -> None:
        try:
            act()
        except Exception:
            _logger.exception("could not instrument %s", module)

    register_post_import_hook(hook, module)


def instrument_clients(
    tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
) -> None:
    """Instrument the client libraries whose OpenTelemetry instrumentation is installed.

    Each is instrumented when the program imports it, so that none is loaded for nothing.
    """
    disabled = disabled_instrumentations()
    for name, (module, instrumentor) in CLIENTS.items():
        if name in disabled or not _is_installed(f"opentelemetry.instrumentation.{name}"):
            continue

        def instrument(name: str = name, instrumentor: str = instrumentor) -> None:
            package = importlib.import_module(f"opentelemetry.instrumentation.{name}")
            client = getattr(package, instrumentor)()
            if not client.is_instrumented_by_opentelemetry:
                client.instrument(
                    tracer_provider=tracer_provider,
                    meter_provider=meter_provider,
                    request_hook=redact_span,
                    **({"async_request_hook": _redact_span_later} if name == "httpx" else {}),
                )

        when_imported(module, instrument)


async def _redact_span_later(span: Span, *_: object) -> None:
    redact_span(span)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
