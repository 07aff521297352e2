"""``otelbridge audit``: what was kept for the record, and whether it is whole."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otelbridge.audit.chain import BEGINNING, Link
from otelbridge.audit.verify import Verification, trail_files, verify
from otelbridge.commands.options import settings_options
from otelbridge.settings import read_settings

if TYPE_CHECKING:
    _ParamType = click.ParamType[Link]
else:
    # It takes no type argument in click's earlier versions.
    _ParamType = click.ParamType


@click.group(
    short_help="Check what an audit trail holds.",
    epilog="""\b
Examples:
  otelbridge audit verify logs/audit.jsonl
""",
)
def command() -> None:
    """Work with audit trails, as `otelbridge.AuditHandler` writes them."""


class _LinkType(_ParamType):
    name = "NUMBER:HASH"

    def convert(
        self, value: str | Link, param: click.Parameter | None, ctx: click.Context | None
    ) -> Link:
        if isinstance(value, Link):
            return value
        found = re.fullmatch(r"(\d+):([0-9a-f]{64})", value.strip().lower())
        if found is None:
            self.fail(
                f"{value!r}; allowed: a number, a colon and 64 hexadecimal digits", param, ctx
            )
        return Link(int(found[1]), "", found[2])


@command.command(
    "verify",
    short_help="Name the first line that was changed, removed, put in or moved.",
    epilog="""\b
Examples:
  otelbridge audit verify logs/audit.jsonl
  otelbridge audit verify logs/audit.jsonl --expect 1234:9f86d081...
  otelbridge audit verify --after 1000:60303ae2... logs/audit.jsonl.2026-11-20 logs/audit.jsonl
""",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--after",
    type=_LinkType(),
    help="The line before the first one given, where earlier files are kept elsewhere.",
)
@click.option(
    "--expect",
    type=_LinkType(),
    help="A head noted down before: fails if the trail no longer holds it, as when its end was "
    "cut off.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@settings_options("audit_key")
def verify_command(
    files: tuple[Path, ...],
    after: Link | None,
    expect: Link | None,
    as_json: bool,
    audit_key: str | None,
) -> int:
    """Check an audit trail, line by line.

    One FILE brings the files of earlier days beside it along; several are taken as they are given,
    the oldest first. Exit code 1 if a line does not fit.
    """
    key = read_settings(audit_key=audit_key).audit_key
    try:
        paths = trail_files(files[0]) if len(files) == 1 else list(files)
        result = _run(paths, key, after or BEGINNING, expect)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    if as_json:
        document = {
            "files": [str(path) for path in paths],
            "lines": result.lines,
            "unfinished": result.torn,
            "head": f"{result.head.sequence}:{result.head.hash}",
            "broken": result.broken,
        }
        click.echo(json.dumps(document))
    else:
        _tell(paths, result)
    return 0 if result.broken is None else 1


def _run(paths: list[Path], key: str | None, after: Link, expect: Link | None) -> Verification:
    result = Verification()
    progress = sys.stderr.isatty()
    for result in verify(paths, key.encode() if key else None, after, expect):
        if progress:
            click.echo(f"\r{result.lines:,} lines", err=True, nl=False)
    if progress:
        click.echo("\r\x1b[K", err=True, nl=False)
    if result.broken is None and not result.met and expect is not None:
        result.broken = (
            f"{paths[-1]}: line number {expect.sequence} with the expected hash is not in the trail"
        )
    return result


def _tell(paths: list[Path], result: Verification) -> None:
    if result.torn:
        what = "line was" if result.torn == 1 else "lines were"
        click.echo(f"{result.torn} {what} left unfinished by a process that was killed")
    if result.broken is not None:
        click.secho(f"broken: {result.broken}", fg="red")
        return
    lines = "1 line" if result.lines == 1 else f"{result.lines:,} lines"
    many = "" if len(paths) == 1 else f" in {len(paths)} files"
    click.secho(f"whole: {lines}{many}", fg="green")
    click.echo(f"head {result.head.sequence}:{result.head.hash}")
