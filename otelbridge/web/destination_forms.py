"""The form of a destination: which fields its channel declares, and what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal, get_args

from otelbridge.alarms.kept import KeptDestination
from otelbridge.channels.channel import Channel, FormField
from otelbridge.channels.message import SEVERITIES, TracebackForm
from otelbridge.web.forms import Field, Form, line, name_problems, typed

# Whoever changes where a built-in channel connects to must know its secrets: they would go there.
_PLACES: Final = frozenset({"base_url", "host", "port", "security"})


def destination_form(
    kind: str,
    channel: type[Channel],
    values: Mapping[str, Any],
    *,
    name: str = "",
    edited: bool = False,
    files: str = "",
) -> Form:
    """Build the form of a destination: the fields that its channel declares, and those of all.

    Args:
        kind: the channel's name or import path.
        channel: its class.
        values: what is in it; secrets are never shown.
        name: what it is called.
        edited: it is there already, so that secrets may be left as they are.
        files: the folder of files that messages are written to.
    """
    fields = [
        Field(
            name="name",
            label="Name",
            value=name,
            required=True,
            help="what it is called in rules and in the log",
        )
    ]
    declared = channel.form()
    fields += [_channel_field(one, values, edited) for one in declared]
    if kind == "file":
        fields = [
            replace(one, label="File", help=f"its name; it is kept in {files}")
            if one.name == "path"
            else one
            for one in fields
        ]
    own = {one.name for one in declared}
    fields += [one for one in _options(values) if one.name not in own]
    return Form(tuple(fields))


def read_destination(
    kind: str,
    channel: type[Channel],
    posted: Mapping[str, Any],
    taken: Iterable[str],
    before: KeptDestination | None = None,
) -> tuple[KeptDestination, dict[str, str]]:
    """Read a destination's form.

    Args:
        kind: the channel's name or import path.
        channel: its class.
        posted: what was typed.
        taken: names that others have.
        before: what it was; a secret that is left empty stays.

    Returns:
        The destination, and what is wrong by field; whether its channel can be made of it is not
        looked at.
    """
    name = line(posted.get("name"))
    problems = name_problems(name, taken)
    declared = {one.name: one for one in channel.form()}
    values: dict[str, Any] = {}
    for key in (*declared, *(one.name for one in _options({}) if one.name not in declared)):
        value = posted.get(key, "")
        if key in declared and declared[key].kind == "switch":
            value = value not in (False, "", "false")
        elif isinstance(value, str):
            value = value.strip()
        if value != "" and value is not None:
            values[key] = value
    if before is not None and before.kind == kind:
        problems |= _keep_secrets(kind, declared, values, before.values, posted)
    return KeptDestination(name=name, kind=kind, values=values), problems


def _keep_secrets(
    kind: str,
    declared: Mapping[str, FormField],
    values: dict[str, Any],
    before: Mapping[str, Any],
    posted: Mapping[str, Any],
) -> dict[str, str]:
    """Take over the secrets that were left empty, unless they would go somewhere else."""
    plain = [one.name for one in declared.values() if not one.secret]
    moved = [
        name
        for name in plain
        if (name in _PLACES or "." in kind)
        and _as_text(values.get(name, declared[name].default))
        != _as_text(before.get(name, declared[name].default))
    ]
    problems = {}
    for one in declared.values():
        if not one.secret or one.name in values or one.name not in before:
            continue
        if f"forget.{one.name}" in posted:
            continue
        if moved:
            problems[one.name] = f"needed again, since {moved[0]} was changed"
        else:
            values[one.name] = before[one.name]
    return problems


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


def _channel_field(one: FormField, values: Mapping[str, Any], edited: bool) -> Field:
    kind: Literal["text", "number", "switch", "choice", "secret"] = one.kind
    value: str | bool = _as_text(values.get(one.name, one.default if one.choices else ""))
    kept = one.secret and edited and bool(values.get(one.name))
    if one.secret:
        kind, value = "secret", ""
    elif one.kind == "switch":
        value = bool(values.get(one.name, one.default))
    return Field(
        name=one.name,
        label="URL" if one.name == "url" else one.name.replace("_", " ").capitalize(),
        kind=kind,
        value=value,
        help=one.help,
        placeholder="" if one.default in (None, "", 0) or one.secret else str(one.default),
        choices=one.choices,
        required=one.required and not kept,
        kept=kept,
        forgettable=kept and not one.required,
        more=not one.required and one.name == "base_url",
    )


def _options(values: Mapping[str, Any]) -> list[Field]:
    text = partial(typed, values)
    return [
        Field(
            name="traceback",
            label="Tracebacks",
            kind="choice",
            value=text("traceback", "clean"),
            choices=get_args(TracebackForm),
            help="clean: the program's own frames; minimal: one line",
        ),
        Field(
            name="authors",
            label="Mentions",
            value=text("authors"),
            placeholder="@ada, @bob",
            help="whom every message mentions, a comma list",
            more=True,
        ),
        Field(
            name="severity",
            label="Only from this severity on",
            kind="choice",
            value=text("severity", "info"),
            choices=SEVERITIES,
            more=True,
        ),
        Field(
            name="quiet",
            label="Quiet hours",
            value=text("quiet"),
            placeholder="22:00-07:00@Europe/Berlin",
            help="only what is critical is sent; the rest is held",
            more=True,
        ),
        Field(
            name="cool_down",
            label="The same again is counted for",
            value=text("cool_down"),
            placeholder="5m",
            more=True,
        ),
        Field(
            name="per_minute",
            label="Messages a minute",
            kind="number",
            value=text("per_minute"),
            placeholder="10",
            help="what is more is gathered into one",
            more=True,
        ),
    ]
