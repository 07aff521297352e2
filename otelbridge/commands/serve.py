"""``otelbridge serve``: the bridge, in the foreground."""

from __future__ import annotations

from typing import Any

import click

from otelbridge.commands.extra import needs_bridge
from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings


@click.command(
    short_help="Receive telemetry and show it on a page.",
    epilog="""\b
Examples:
  otelbridge serve                                    http://127.0.0.1:4319
  otelbridge serve --store sqlite:///telemetry.db --retention 3d
  otelbridge serve --host 0.0.0.0                     asks for a token, printed once
""",
)
@settings_options(
    "host",
    "grpc_port",
    "http_port",
    "web_port",
    "udp_port",
    "store",
    "retention",
    "retention_bytes",
    "alarms",
    "max_body_bytes",
    "token",
    "ingest_token",
)
def command(**given: Any) -> int:
    """Receive logs, spans and metrics, keep them, and show them on a page.

    Takes OTLP over gRPC and HTTP, and JSON lines over UDP; port 0 means any free port. Stops on
    Ctrl-C or SIGTERM, after what was received is stored.
    """
    settings = read_settings(**given)
    with needs_bridge():
        from otelbridge.serve import serve
        from otelbridge.store.protocol import StoreError
    try:
        return serve(settings)
    except StoreError as error:
        click.echo(f"otelbridge: {error}", err=True)
        return 2
