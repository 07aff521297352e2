"""Choosing and making OpenTelemetry's own exporter for a signal, protocol and endpoint."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry.util.re import parse_env_headers

if TYPE_CHECKING:
    from otelbridge.settings import Settings

_logger = logging.getLogger(__name__)

Signal = Literal["logs", "traces", "metrics"]

_STOCK: Final[dict[tuple[str, str], tuple[str, str]]] = {
    (protocol, signal): (f"opentelemetry.exporter.otlp.{package}.{module}", name)
    for protocol, package in (
        ("grpc", "proto.grpc"),
        ("http/protobuf", "proto.http"),
        ("http/json", "json.http"),
    )
    for signal, module, name in (
        ("logs", "_log_exporter", "OTLPLogExporter"),
        ("traces", "trace_exporter", "OTLPSpanExporter"),
        ("metrics", "metric_exporter", "OTLPMetricExporter"),
    )
}
_PROTOCOLS: Final = frozenset(protocol for protocol, _ in _STOCK)
_PROBE_SECONDS: Final = 0.5

# Held while an exporter is imported and made. The three signals' threads would import the same
# packages in different orders and wait for one another; and a child that is forked amid an import
# can never finish it.
building = threading.Lock()
_PORTS: Final = {"http": 80, "https": 443}


def protocol_of(signal: Signal, settings: Settings) -> str:
    """Tell how a signal is sent: ``grpc``, ``http/protobuf`` or ``http/json``.

    The signal's own variable (``OTEL_EXPORTER_OTLP_LOGS_PROTOCOL`` and so on) wins.
    """
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip().lower()
    return own if own in _PROTOCOLS else settings.otlp_protocol


def endpoint_of(signal: Signal, settings: Settings, protocol: str) -> str:
    """Tell where a signal is sent, as a URL (or, for gRPC, as whatever gRPC takes for a target).

    OTLP exporter specification, "Endpoint URLs for OTLP/HTTP": the signal's own variable is taken
    as it is, the general one gets the signal's path appended.
    """
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if own:
        return own
    if protocol == "grpc":
        return settings.otlp_endpoint or "http://127.0.0.1:4317"
    base = settings.otlp_endpoint or "http://127.0.0.1:4318"
    if "://" not in base:
        base = f"http://{base}"
    return f"{base.rstrip('/')}/v1/{signal}"


def headers_of(signal: Signal, settings: Settings) -> dict[str, str]:
    """Return the headers a signal is sent with; the signal's own variable wins."""
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS")
    return dict(parse_env_headers(own or settings.otlp_headers or "", liberal=True))


def build_exporter(signal: Signal, protocol: str, endpoint: str, headers: Mapping[str, str]) -> Any:
    """Import and make the stock exporter of a signal; certificates and the rest by its variables.

    Args:
        signal: what is sent.
        protocol: as :func:`protocol_of` has it.
        endpoint: as :func:`endpoint_of` has it.
        headers: sent with every request.
    """
    module, name = _STOCK[protocol, signal]
    with building:
        if protocol == "grpc":
            _prepare_grpc()
        exporter = getattr(importlib.import_module(module), name)
        options: dict[str, Any] = {"endpoint": endpoint, "headers": dict(headers) or None}
        if protocol == "grpc":
            options["compression"] = _grpc_compression(signal)
        return exporter(**options)


def accepts_connections(endpoint: str, protocol: str, timeout: float) -> bool:
    """Tell whether something listens at an endpoint.

    Args:
        endpoint: as :func:`endpoint_of` has it.
        protocol: as :func:`protocol_of` has it.
        timeout: seconds this may take.

    Returns:
        ``True`` also where that cannot be told: behind a proxy, or for gRPC's own target names.
    """
    url = urllib.parse.urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    try:
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return True
    if not url.hostname or port is None or url.scheme not in {"", "http", "https"}:
        return True
    if protocol != "grpc" and urllib.request.getproxies():
        return True
    try:
        socket.create_connection(
            (url.hostname, port), timeout=max(0.01, min(timeout, _PROBE_SECONDS))
        ).close()
    except OSError:
        return False
    return True


def _grpc_compression(signal: Signal) -> Any:
    """Read ``OTEL_EXPORTER_OTLP_COMPRESSION`` and its like: ``gzip`` or ``none``.

    The stock exporter raises for ``none``, which the specification allows, and for an empty value,
    which it says counts as unset.
    """
    compression = importlib.import_module("grpc").Compression
    for variable in (
        f"OTEL_EXPORTER_OTLP_{signal.upper()}_COMPRESSION",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
    ):
        value = os.environ.get(variable, "").strip().lower()
        if not value:
            continue
        if value not in {"gzip", "none"}:
            _logger.warning("%s is %r; allowed: gzip or none; none is used", variable, value)
        return compression.Gzip if value == "gzip" else compression.NoCompression
    return compression.NoCompression


def _prepare_grpc() -> None:
    """Make gRPC usable in a process that forks, and in one that gevent has patched."""
    # Read by gRPC when it is first loaded.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "true")
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        importlib.import_module("grpc.experimental.gevent").init_gevent()
