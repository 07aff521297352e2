"""What OpenTelemetry's automatic instrumentation asks of a distribution."""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.util._importlib_metadata import EntryPoint

import otelbridge


class Distro(BaseDistro):  # type: ignore[misc]
    """otelbridge as an OpenTelemetry distribution: all is started by :class:`Configurator`."""

    def _configure(self, **kwargs: Any) -> None:
        pass  # the settings are read when telemetry starts

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        pass  # instrument() has seen to each, and loads none before the program does


class Configurator:
    """Starts logs, spans and metrics; the place OpenTelemetry gives to a distribution for it."""

    def configure(self, **kwargs: Any) -> None:
        otelbridge.instrument()
