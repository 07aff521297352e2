"""``otelbridge user``: who may sign in to the bridge's page by name and password."""

from __future__ import annotations

import sys
from typing import Any

import click

from otelbridge.bridge_state import state_folder
from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings
from otelbridge.users import UserError, Users


@click.group(
    short_help="Add, remove and list who may sign in to the page.",
    epilog="""\b
Examples:
  otelbridge user add ada                             asks for the password
  otelbridge user add ada --store sqlite:///telemetry.db < password.txt
  otelbridge user list
""",
)
def command() -> None:
    """Say who may sign in to the bridge's page by name and password.

    Users stand in a file beside the store, their passwords as hashes. A bridge that runs knows of
    a change at once.
    """


@command.command()
@click.argument("name")
@settings_options("store")
def add(name: str, **given: Any) -> None:
    """Add NAME, or give it another password: typed twice, or one line of standard input."""
    users = _users(given)
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        new = users.add(name, password)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{name} may sign in" if new else f"{name} has another password")


@command.command()
@click.argument("name")
@settings_options("store")
def remove(name: str, **given: Any) -> None:
    """Remove NAME, who is signed out by that."""
    try:
        _users(given).remove(name)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"{name} may not sign in any more")


@command.command("list")
@settings_options("store")
def list_(**given: Any) -> None:
    """List the names, one a line."""
    for name in _users(given).names():
        click.echo(name)


def _users(given: dict[str, Any]) -> Users:
    return Users(state_folder(read_settings(**given)) / "users.json")
