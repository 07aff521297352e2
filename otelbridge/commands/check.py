"""``otelbridge check``: does what a program sends arrive where it is looked for?"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any, Final

import click

from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings

_VERBS: Final = {"send": "sent", "find": "found"}  # the others are told by their names
_NOTES: Final = ("refused", "kept", "counted")


@click.command(
    short_help="Send a record through every sink and look for it where it ends.",
    epilog="""\b
Examples:
  otelbridge check
  otelbridge check --sinks otlp,udp,elasticsearch
  OTELBRIDGE_SINKS=elasticsearch otelbridge check --json
""",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, max=600),
    default=10.0,
    show_default=True,
    help="Seconds that a record may take to be found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each hop as one line of JSON.")
@settings_options("sinks", "url", "token", "otlp_endpoint", "udp_endpoint", "elasticsearch_url")
def command(patience: float, as_json: bool, **given: Any) -> int:
    """Send one marked record through every configured sink and look for it where it ends.

    What otlp and udp send is looked for in the bridge and, if its address is given, in
    Elasticsearch. Says how far each record came; what Elasticsearch refused lately of other
    records, what waits on this machine's disk, and what programs have told the bridge became of
    theirs. Exit code 1 if a record did not arrive.
    """
    from otelbridge.commands.hops import follow

    settings = read_settings(**given)
    if not settings.sinks:
        raise click.ClickException("no sink is configured: OTELBRIDGE_SINKS is none")
    through = bool(given["elasticsearch_url"] or os.environ.get("OTELBRIDGE_ELASTICSEARCH_URL"))
    arrived = True
    for hop in follow(settings, through_elasticsearch=through, patience=patience):
        arrived = arrived and hop.ok
        if as_json:
            click.echo(json.dumps(asdict(hop)))
            continue
        mark = click.style("ok  ", fg="green") if hop.ok else click.style("FAIL", fg="red")
        if hop.hop in _NOTES:
            mark = click.style("note", fg="yellow")
        verb = _VERBS.get(hop.hop, hop.hop)
        click.echo(f"{mark}  {hop.sink:<13}  {verb:<7}  {hop.detail}  ({hop.seconds:.1f} s)")
    return 0 if arrived else 1
