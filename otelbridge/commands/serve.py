"""``otelbridge serve``: the bridge, in the foreground."""

from __future__ import annotations

import sys
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
  otelbridge user add ada; otelbridge serve --host 0.0.0.0
  otelbridge serve --alarm-rules 'new-error; silent after=5m' --notify telegram://TOKEN@CHAT
  otelbridge serve --channels shop.pager.Pager        a class of your own for alarms
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
    "alarm_rules",
    "channels",
    "notify",
    "max_body_bytes",
    "login",
    "password",
    "token",
    "ingest_token",
    "quiet",
)
def command(**given: Any) -> int:
    """Receive logs, spans and metrics, keep them, and show them on a page.

    Takes OTLP over gRPC and HTTP, and JSON lines over UDP; port 0 means any free port. Stops on
    Ctrl-C or SIGTERM, after what was received is stored.
    """
    # Classes of one's own are found in the folder it is run from, as `python -m` finds them.
    sys.path.insert(0, "")
    settings = read_settings(**given)
    with needs_bridge():
        from otelbridge.serve import serve
        from otelbridge.store.protocol import StoreError
    try:
        return serve(settings)
    except StoreError as error:
        click.echo(f"otelbridge: {error}", err=True)
        return 2
