"""``otelbridge tail``: records as they arrive at a running bridge."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import click

from otelbridge.commands.ask import BridgeClient, Document, UnreachableError
from otelbridge.commands.kql import query_argument
from otelbridge.commands.lines import record_lines
from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings

RECONNECT_SECONDS = 1.0


@click.command(
    short_help="Follow the log records that match as they arrive.",
    epilog="""\b
Examples:
  otelbridge tail
  otelbridge tail 'service.name: orders and log.level: (WARNING or ERROR)'
  otelbridge tail --json | jq -r .body.text
""",
)
@query_argument
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1000),
    default=10,
    show_default=True,
    help="First show the last N of the last hour.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each record as one line of JSON.")
@settings_options("url", "token")
def command(query: tuple[str, ...], lines: int, as_json: bool, **given: Any) -> None:
    """Follow the log records that match KQL as they arrive; Ctrl-C ends it.

    When the bridge goes away and comes back, what was stored meanwhile is shown as well.
    """
    settings = read_settings(**given)
    client = BridgeClient.of(settings)
    try:
        _follow(client, " ".join(query), lines, as_json)
    except KeyboardInterrupt:
        return  # the way to end it, not a failure


def _follow(client: BridgeClient, query: str, lines: int, as_json: bool) -> None:
    def show(document: Document) -> None:
        click.echo(json.dumps(document, ensure_ascii=False) if as_json else record_lines(document))

    # Also tells whether a bridge is there and reads the query, before anything is followed.
    found = client.get("/logs.json", query=query, range="1h", limit=max(lines, 1), total=0)
    last: int | None = found["records"][0]["id"] if found["records"] else None
    for document in reversed(found["records"][:lines]):
        show(document)
    lost = False
    while True:
        with suppress(UnreachableError):
            for id_, document in client.follow(query, last):
                show(document)
                last, lost = id_, False
        if not lost:
            click.echo(f"lost the bridge at {client.url}; trying again", err=True)
            lost = True
        time.sleep(RECONNECT_SECONDS)
