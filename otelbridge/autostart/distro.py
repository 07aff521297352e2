"""What OpenTelemetry's automatic instrumentation asks of a distribution."""

from __future__ import annotations

from typing import Any

import wrapt
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.util._importlib_metadata import EntryPoint

import otelbridge

# Libraries that instrument() sees to itself; instrumented twice, every request would be two.
OURS = frozenset({"flask", "logging", "system_metrics"})


class Distro(BaseDistro):  # type: ignore[misc]
    """otelbridge as an OpenTelemetry distribution: Flask apps are instrumented as they are made."""

    def _configure(self, **kwargs: Any) -> None:
        wrapt.register_post_import_hook(_instrument_apps, "flask")

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        if entry_point.name not in OURS:
            super().load_instrumentor(entry_point, **kwargs)


class Configurator:
    """Starts logs, spans and metrics; the place OpenTelemetry gives to a distribution for it."""

    def configure(self, **kwargs: Any) -> None:
        otelbridge.instrument()


def _instrument_apps(flask: Any) -> None:
    @wrapt.patch_function_wrapper(flask.Flask, "__init__")
    def _init(wrapped: Any, app: Any, args: Any, kwargs: Any) -> None:
        wrapped(*args, **kwargs)
        otelbridge.instrument(app)
