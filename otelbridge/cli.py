"""The ``otelbridge`` command: finds a command's module, imports it, and reports what went wrong.

Each command is one module of :mod:`otelbridge.commands`, imported only when it is named, so that
``otelbridge run`` does not pay for the bridge and ``otelbridge serve`` not for the app half.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from otelbridge import __version__
from otelbridge.settings import SettingsError

COMMANDS = (
    "serve",
    "demo",
    "run",
    "check",
    "setup",
    "search",
    "tail",
    "notify",
    "user",
    "audit",
    "config",
)

EXAMPLES = """\b
Examples:
  otelbridge demo                              three small services, watched
  otelbridge serve                             receive and show telemetry
  otelbridge run gunicorn shop:app             instrument an app without code
  otelbridge search 'log.level: ERROR' --range 1h
  otelbridge tail 'service.name: orders'

\b
Complete commands, options and values with Tab:
  eval "$(_OTELBRIDGE_COMPLETE=bash_source otelbridge)"     (or zsh_source)
"""


class LazyGroup(click.Group):
    """Commands by name, each imported from its own module on first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"otelbridge.commands.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has gone, as in `otelbridge tail | head`: nothing is wrong.
            # The interpreter must not flush into the closed pipe on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="otelbridge")
def cli() -> None:
    """Correlated JSON logs, spans and metrics from a Python web app, and one page that shows them.

    Every option is also an environment variable; an option wins over its variable.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what follows the program's name; ``sys.argv``'s by default.

    Returns:
        The exit code: 0 for success, 1 for a failure, 2 for a wrong setting or option, 130 after
        Ctrl-C.
    """
    color = False if os.environ.get("NO_COLOR") else None
    try:
        answer = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="otelbridge",
            standalone_mode=False,
            color=color,
        )
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"otelbridge: {error.format_message()}", err=True)
        return error.exit_code
    except SettingsError as error:
        click.echo(f"otelbridge: {error}", err=True)
        return 2
    except click.Abort:
        return 130
    return answer if isinstance(answer, int) else 0
