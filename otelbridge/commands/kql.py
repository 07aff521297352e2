"""The argument that takes a query, completed from what the running bridge holds."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from otelbridge.commands.ask import BridgeClient
from otelbridge.settings import SettingsError, read_settings

# Somebody waits with a finger on Tab.
PATIENCE = 1.0


def complete_query(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer field names, operators and values; nothing where no bridge answers."""
    before = "".join(f"{word} " for word in ctx.params.get("query") or ())
    text = before + incomplete
    try:
        settings = read_settings(url=ctx.params.get("url"), token=ctx.params.get("token"))
        client = BridgeClient.of(settings, PATIENCE)
        answer = client.get("/complete.json", text=text, cursor=len(text), signal="logs")
    except (SettingsError, click.ClickException):
        return []
    completed = [
        text[: offer["start"]] + offer["text"] + text[offer["end"] :]
        for offer in answer["completions"]
    ]
    return [
        CompletionItem(whole[len(before) :].rstrip())
        for whole in completed
        if whole.startswith(before) and whole.rstrip() != text
    ]


query_argument = click.argument("query", metavar="[KQL]", nargs=-1, shell_complete=complete_query)
