"""``otelbridge config``: every setting, its value, and where the value came from."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from otelbridge.settings import describe_settings

HEADINGS = {"app": "Your app", "bridge": "The bridge (otelbridge serve)"}


@click.command(
    short_help="Show every setting and where its value came from.",
    epilog="""\b
Examples:
  otelbridge config
  OTELBRIDGE_SINKS=otlp,file otelbridge config
  otelbridge config --json | jq '.[] | select(.origin == "environment")'
""",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
def command(as_json: bool) -> None:
    """Show every setting with its value, where it came from, and what it means.

    Secrets are masked. A wrong value is named on standard error, with exit code 2.
    """
    listed = describe_settings()
    if as_json:
        click.echo(json.dumps([asdict(setting) for setting in listed], indent=2))
        return
    for half, heading in HEADINGS.items():
        click.secho(heading, bold=True)
        for setting in listed:
            if setting.half != half:
                continue
            changed = setting.origin != "default"
            click.echo(
                "  "
                + click.style(setting.variable, fg="cyan" if changed else None)
                + "="
                + click.style(setting.value, bold=changed)
                + click.style(f"  ({setting.origin})", dim=True)
            )
            click.secho(f"      {setting.help}", dim=True)
        click.echo()
