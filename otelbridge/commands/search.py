"""``otelbridge search``: what a running bridge holds."""

from __future__ import annotations

import json
from typing import Any

import click
from click.shell_completion import CompletionItem

from otelbridge.commands.ask import BridgeClient
from otelbridge.commands.kql import query_argument
from otelbridge.commands.lines import record_lines
from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings

# The most the bridge gives in one answer.
PAGE = 1000
RANGES = ("5m", "15m", "1h", "6h", "1d", "7d")


def complete_range(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(value) for value in RANGES if value.startswith(incomplete)]


@click.command(
    short_help="Print the log records that match a query.",
    epilog="""\b
Examples:
  otelbridge search                                     the last 15 minutes
  otelbridge search 'log.level: ERROR and user: alice' --range 1h
  otelbridge search 'error_code: card_*' --range 7d --limit 1000
  otelbridge search 'trace.id: 0af7651916cd43dd8448eb211c80319c'
  otelbridge search timeout --json | jq .attributes.user

\b
The language is KQL: words, "phrases", field: value, field > 5, * in values,
and, or, not, parentheses. Quote the query for the shell.
""",
)
@query_argument
@click.option(
    "--range",
    "within",
    metavar="RANGE",
    default="15m",
    show_default=True,
    help="15m, 3h, 7d, or '2026-11-20 14:00 to 15:00'.",
    shell_complete=complete_range,
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Show the newest N only.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each record as one line of JSON.")
@settings_options("url", "token")
def command(query: tuple[str, ...], within: str, limit: int, as_json: bool, **given: Any) -> None:
    """Print the log records that match KQL, the newest last.

    Asks the bridge at OTELBRIDGE_URL. Finding nothing is not a failure.
    """
    settings = read_settings(**given)
    client = BridgeClient.of(settings)
    text = " ".join(query)
    found, total = fetch(client, text, within, limit)
    for document in reversed(found):
        click.echo(json.dumps(document, ensure_ascii=False) if as_json else record_lines(document))
    if total > len(found):
        click.echo(f"the newest {len(found)} of {total}; --limit shows more", err=True)
    elif not found:
        click.echo(f"nothing matches in {within}; --range looks further back", err=True)


def fetch(
    client: BridgeClient, query: str, within: str, limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Fetch the newest ``limit`` records, page by page, newest first, and how many match."""
    first = client.get("/logs.json", query=query, range=within, limit=min(limit, PAGE))
    found: list[dict[str, Any]] = first["records"]
    page = found
    while page and len(found) < min(limit, first["total"]):
        page = client.get(
            "/logs.json",
            query=query,
            range=within,
            limit=min(limit - len(found), PAGE),
            before=page[-1]["id"],
            total=0,
        )["records"]
        found += page
    return found, first["total"]
