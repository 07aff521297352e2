"""``otelbridge run``: any Python command, instrumented without code."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from otelbridge import autostart
from otelbridge.commands.options import settings_options
from otelbridge.settings import Settings, read_settings

# Modules that a server loads, named for what they are and not for what they serve.
_GATEWAYS = frozenset({"asgi", "wsgi"})
AUTOSTART_FOLDER = str(Path(autostart.__file__).parent)


def complete_command(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the commands people serve apps with, then the files here."""
    if ctx.params.get("command_line"):
        return [CompletionItem(incomplete, type="file")]
    servers = ("flask", "gunicorn", "uvicorn", "uwsgi", "python", "celery")
    found = [CompletionItem(name) for name in servers if name.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="file")]


def _list_libraries(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from otelbridge.commands.libraries import installed_libraries, written

        click.echo(written(installed_libraries()))
        ctx.exit()


@click.command(
    short_help="Run a Python command, instrumented without code.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  otelbridge run flask --app shop run
  otelbridge run gunicorn --workers 4 shop:app
  otelbridge run python manage.py runserver
  otelbridge run celery -A shop.tasks worker
  otelbridge run python script.py
  otelbridge run --sinks otlp,console --service-name shop flask run
""",
)
@settings_options(
    "service_name",
    "sinks",
    "otlp_endpoint",
    "otlp_protocol",
    "udp_endpoint",
    "log_level",
    "request_log",
    "capture_output",
)
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_libraries,
    help="Show which installed libraries are instrumented, and what would add the others.",
)
@click.argument(
    "command_line",
    metavar="COMMAND...",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    shell_complete=complete_command,
)
def command(command_line: tuple[str, ...], **given: Any) -> None:
    """Run a Python COMMAND with its web apps, logs and metrics instrumented.

    The command takes this process's place: signals and the exit code are its own. Options must
    come before it. Libraries whose OpenTelemetry instrumentation is installed are instrumented
    too.
    """
    read_settings(**given)  # a wrong value is better said here than in the middle of an app
    environ = {**os.environ, **variables_of(given)}
    environ.setdefault("OTEL_SERVICE_NAME", "")
    if not environ["OTEL_SERVICE_NAME"] and "service.name=" not in environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        environ["OTEL_SERVICE_NAME"] = guess_service_name(command_line, environ)
    environ["PYTHONPATH"] = os.pathsep.join(
        [AUTOSTART_FOLDER, *filter(None, [environ.get("PYTHONPATH")])]
    )
    arguments = list(command_line)
    if arguments[0].endswith(".py") and not os.access(arguments[0], os.X_OK):
        arguments.insert(0, sys.executable)
    executable = shutil.which(arguments[0])
    if executable is None:
        click.echo(f"otelbridge: no command {arguments[0]!r}", err=True)
        raise click.exceptions.Exit(127)
    os.execve(executable, arguments, environ)  # noqa: S606 (the user's own command)


def variables_of(given: Mapping[str, str | None]) -> dict[str, str]:
    """Write options as the variables they stand for."""
    specs = Settings.__dataclass_fields__
    return {
        specs[name].metadata["variable"]: value
        for name, value in given.items()
        if value is not None
    }


def guess_service_name(command_line: Sequence[str], environ: Mapping[str, str]) -> str:
    """Name a service after what its command line runs.

    ``gunicorn shop.web:app`` and ``flask --app shop/web.py run`` are ``web``, ``python -m worker``
    and ``python worker.py`` are ``worker``, ``gunicorn shop.wsgi`` and ``celery -A shop`` are
    ``shop``; anything else is named for the command itself. Nothing is told by ``manage.py``, whose
    project has the name.
    """
    program = Path(command_line[0]).name
    rest = list(command_line[1:])
    target = ""
    if program.startswith("flask"):
        target = _after(rest, "--app", "-A") or environ.get("FLASK_APP", "")
        if not target:
            target = "wsgi" if Path("wsgi.py").exists() and not Path("app.py").exists() else "app"
    elif program.startswith("celery"):
        target = _after(rest, "--app", "-A").removesuffix(".celery")
    elif program.startswith("python"):
        module = _after(rest, "-m")
        if module:
            target = next((part for part in rest if _names_an_app(part)), module)
        else:
            target = next((part for part in rest if part.endswith(".py")), "")
    elif program.endswith(".py"):
        target = program
    else:
        target = next((part for part in rest if _names_an_app(part)), "")
    module = target.partition(":")[0].removesuffix(".py").rstrip("/").replace("/", ".")
    package, dot, name = module.rpartition(".")
    if name == "manage":
        return ""
    if dot and name in _GATEWAYS:
        name = package.rpartition(".")[2]
    return name or program


def _after(arguments: Sequence[str], *options: str) -> str:
    for option, value in zip(arguments, [*arguments[1:], ""], strict=False):
        if option in options:
            return value
        name, equals, attached = option.partition("=")
        if equals and name in options:
            return attached
    return ""


def _names_an_app(argument: str) -> bool:
    module, colon, name = argument.partition(":")
    if not colon:
        package, _, last = module.rpartition(".")
        return last in _GATEWAYS and package.replace(".", "").isidentifier()
    return bool(colon) and module.replace(".", "").isidentifier() and name[:1].isalpha()
