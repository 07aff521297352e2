"""OpenTelemetry's own instrumentations of libraries: those that are installed are used.

Each is found by its entry point, as ``opentelemetry-instrument`` finds it, and put to work when the
program imports the library it is for.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts
from opentelemetry.util._importlib_metadata import EntryPoint, entry_points

from otelbridge.frameworks.urls import redact_span
from otelbridge.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_logger = logging.getLogger(__name__)

DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
GROUP: Final = "opentelemetry_instrumentor"

# What instrument() sees to itself: instrumented twice, every request would be two, and every log
# record and uncaught error would be sent twice.
OURS: Final = frozenset(
    {
        "asgi",
        "django",
        "exceptions",
        "fastapi",
        "flask",
        "logging",
        "starlette",
        "structlog",
        "system_metrics",
    }
)

# The module that is imported, where it is not the instrumentation's name.
_MODULES: Final = {
    "aiohttp-client": "aiohttp",
    "aiohttp-server": "aiohttp.web",
    # The package itself is a stand-in that loads its parts when they are asked for.
    "celery": "celery.app",
    "google-genai": "google.genai",
    "grpc_aio_client": "grpc",
    "grpc_aio_server": "grpc",
    "grpc_client": "grpc",
    "grpc_server": "grpc",
    "mysql": "mysql.connector",
    "mysqlclient": "MySQLdb",
    "openai_agents": "agents",
    "tortoiseorm": "tortoise",
    "urllib": "urllib.request",
}


async def _redact_span_later(span: Span, *_: object) -> None:
    redact_span(span)


# What keeps secrets in addresses out of spans, for those that take it.
_HOOKS: Final[dict[str, dict[str, Any]]] = {
    "aiohttp-client": {"request_hook": redact_span},
    "httpx": {"request_hook": redact_span, "async_request_hook": _redact_span_later},
    "httpx2": {"request_hook": redact_span, "async_request_hook": _redact_span_later},
    "requests": {"request_hook": redact_span},
    "urllib": {"request_hook": redact_span},
    "urllib3": {"request_hook": redact_span},
}


@dataclass(frozen=True)
class Instrumentation:
    """An installed instrumentation.

    Attributes:
        name: what ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` knows it by.
        module: the module it is for; ``None`` if only the instrumentation knows.
        entry_point: loads its class.
    """

    name: str
    module: str | None
    entry_point: EntryPoint

    def conflict(self) -> str | None:
        """Tell why it cannot work: the library is missing, or has a version it does not know."""
        if self.entry_point.dist is None:
            return None
        found = get_dist_dependency_conflicts(self.entry_point.dist)
        if found is None:
            return None
        there = found.found or ", ".join(found.found_any or ())
        wanted = [found.required] if found.required else found.required_any or ()
        # Requirements, with the marker of the extra that they are from.
        known = " or ".join(str(each).partition(";")[0].strip() for each in wanted)
        return f"it is for {known}, and {there or 'none'} is installed"

    def start(self, **providers: Any) -> None:
        """Instrument the library, unless somebody has done it or it cannot be done."""
        instrumentor = self.entry_point.load()()
        if instrumentor.is_instrumented_by_opentelemetry:
            return
        conflict = self.conflict()
        if conflict is None:
            hooks = _HOOKS.get(self.name, {})
            instrumentor.instrument(skip_dep_check=True, **providers, **hooks)
        else:
            _logger.warning("%s is not instrumented: %s", self.name, conflict)


def is_disabled(name: str) -> bool:
    """Tell whether ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` names an instrumentation, or ``*``."""
    listed = {part.strip() for part in os.environ.get(DISABLED, "").split(",")}
    return name in listed or "*" in listed


def installed() -> Iterator[Instrumentation]:
    """Find the instrumentations that are installed, but not those that are ours."""
    for entry_point in entry_points(group=GROUP):
        name = entry_point.name
        if name in OURS:
            continue
        module: str | None = None
        if entry_point.value.startswith("opentelemetry.instrumentation."):
            module = _MODULES.get(name, name.replace("-", "_"))
        yield Instrumentation(name, module, entry_point)


def instrument_libraries(
    tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
) -> None:
    """Have each library instrumented when the program imports it.

    Only those count whose OpenTelemetry instrumentation is installed, is for the version of the
    library that is, and is not disabled. Another vendor's, of which nobody can tell what it is for,
    begins at once.
    """
    providers = {"tracer_provider": tracer_provider, "meter_provider": meter_provider}
    for found in installed():
        if is_disabled(found.name):
            continue
        if found.module is not None:
            when_imported(found.module, partial(found.start, **providers))
            continue
        try:
            found.start(**providers)
        except Exception:
            _logger.exception("could not start the instrumentation %s", found.name)
