"""``otelbridge notify``: one message through the configured destinations, with their answers."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

import click

from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings


@click.command(
    short_help="Send a message through the configured destinations.",
    epilog="""\b
Examples:
  OTELBRIDGE_NOTIFY='telegram://TOKEN@CHAT file:alarms.log' otelbridge notify 'is this thing on?'
  otelbridge notify --to telegram:-1001234 --severity critical 'the queue is full'
  journalctl -u shop -n 50 | otelbridge notify --title 'shop failed' -
""",
)
@click.argument("text")
@click.option("--title", default="", help="One line above the text; the text's first by default.")
@click.option("--to", multiple=True, metavar="NAME", help="Only this destination; several allowed.")
@click.option(
    "--severity",
    type=click.Choice(["info", "warning", "error", "critical"]),
    default="info",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a destination.")
@settings_options("notify")
def command(
    text: str, title: str, to: tuple[str, ...], severity: Any, as_json: bool, **given: Any
) -> None:
    """Send TEXT (- for standard input) and show what each service answers.

    Nothing is queued or counted: each destination is tried once, and the exit code is 1 if one of
    them did not take the message.
    """
    # What is run from a folder finds the classes of that folder, as `python -m` does.
    if str(given.get("notify") or os.environ.get("OTELBRIDGE_NOTIFY", "")).find("class:") >= 0:
        sys.path.insert(0, "")
    from otelbridge.channels import Destination, Message
    from otelbridge.notify import destinations

    settings = read_settings(**given)
    found = destinations(settings)
    if not found:
        raise click.ClickException("nowhere to send to: OTELBRIDGE_NOTIFY is empty")
    names = {one.name for one in found}
    for name in to:
        if name not in names:
            raise click.UsageError(
                f"no destination {name!r}; there are: {', '.join(sorted(names))}"
            )
    if text == "-":
        text = sys.stdin.read()
    if not title:
        title, _, text = text.strip().partition("\n")
    message = Message(
        title=title, text=text, severity=severity, project=settings.service_name or ""
    )
    chosen: list[Destination] = [one for one in found if not to or one.name in to]
    results = _send_all(chosen, message)
    for one in chosen:
        _show(one.name, results[one.name], as_json)
    if any(not result["sent"] for result in results.values()):
        raise SystemExit(1)


def _send_all(chosen: list[Any], message: Any) -> dict[str, dict[str, Any]]:
    """Send to all at once, so that one that hangs holds up no other."""
    from otelbridge.channels import ChannelError
    from otelbridge.channels.courier import deliver_now

    results: dict[str, dict[str, Any]] = {}

    def send(destination: Any) -> None:
        try:
            receipt = deliver_now(destination, message)
        except ChannelError as error:
            results[destination.name] = {"sent": False, "reply": str(error), "note": ""}
        else:
            results[destination.name] = {
                "sent": True,
                "reply": receipt.reply,
                "note": receipt.note,
            }

    threads = [threading.Thread(target=send, args=(one,), daemon=True) for one in chosen]
    for thread in threads:
        thread.start()
    for one, thread in zip(chosen, threads, strict=True):
        # A channel has its own time limits; one of somebody's own class may have none.
        thread.join(max(one.channel.timeout * 4, 60.0))
        results.setdefault(one.name, {"sent": False, "reply": "no answer", "note": ""})
    return results


def _show(name: str, result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"destination": name, **result}))
        return
    mark = click.style("sent", fg="green") if result["sent"] else click.style("failed", fg="red")
    note = f" ({result['note']})" if result["note"] else ""
    click.echo(f"{mark}  {name}: {result['reply']}{note}")
