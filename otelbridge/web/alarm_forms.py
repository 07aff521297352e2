"""The forms of the Alarms view: which fields a rule or a destination has, and what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

from otelbridge.alarms.kept import KeptAlarm, KeptDestination
from otelbridge.alarms.rules import KINDS, RuleError, make_rule
from otelbridge.channels.channel import Channel, FormField
from otelbridge.channels.message import SEVERITIES, TracebackForm

LONGEST_NAME: Final = 200

# Whoever changes where a built-in channel connects to must know its secrets: they would go there.
_PLACES: Final = frozenset({"base_url", "host", "port", "security"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form.

    Attributes:
        kind: what it is drawn as; ``checks`` is one box for each of ``choices``.
        value: text, whether a switch is on, or the boxes that are checked.
        kept: a secret is set and is not shown; left empty, it stays.
        forgettable: it is kept and need not be.
        more: it is folded away until asked for, or wrong.
        problem: what is wrong with it, on one line.
    """

    name: str
    label: str
    kind: Literal["text", "code", "number", "switch", "choice", "checks", "secret"] = "text"
    value: str | bool | Sequence[str] = ""
    help: str = ""
    placeholder: str = ""
    choices: Sequence[str] = ()
    suggestions: Sequence[str] = ()
    required: bool = False
    kept: bool = False
    forgettable: bool = False
    more: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, with what is wrong as a whole."""

    fields: tuple[Field, ...]
    problems: Mapping[str, str] = field(default_factory=dict)

    def marked(self, problems: Mapping[str, str]) -> Form:
        """Put each problem at its field; those of no field stay with the form."""
        names = {one.name for one in self.fields}
        return Form(
            tuple(replace(one, problem=problems.get(one.name, "")) for one in self.fields),
            {name: text for name, text in problems.items() if name not in names},
        )


# --- rules ---------------------------------------------------------------------------------------

_ABOVE: Final[Mapping[str, tuple[str, str]]] = {
    "error-rate": ("More than this share of requests fails", "5%"),
    "cpu": ("Above this share of a processor", "90%"),
    "memory": ("Above this much memory", "512MB"),
    "latency": ("Above this time", "500ms"),
}


def alarm_form(
    when: str,
    values: Mapping[str, Any],
    *,
    destinations: Iterable[str],
    services: Sequence[str] = (),
) -> Form:
    """Build the form of a rule.

    Args:
        when: its kind, a key of :data:`otelbridge.alarms.rules.KINDS`.
        values: what is in it, as a table of a file of rules.
        destinations: whom it can tell.
        services: names to offer.
    """
    kind = KINDS[when]

    def text(key: str, default: object = "") -> str:
        value = values.get(key)
        if isinstance(value, (list, tuple)):
            return ", ".join(map(str, value))
        return str(default if value is None else value)

    own: dict[str, Field] = {
        "query": Field(
            name="query",
            label="Query",
            kind="code",
            value=text("query"),
            placeholder='log.level: ERROR and message: "No space left"',
            help="which records, in the query language of the Logs view",
        ),
        "above": Field(
            name="above",
            label=_ABOVE.get(when, ("", ""))[0],
            value=text("above"),
            placeholder=_ABOVE.get(when, ("", ""))[1],
        ),
        "percentile": Field(
            name="percentile",
            label="Of which percentile",
            kind="choice",
            value=text("percentile", 95),
            choices=("50", "95", "99"),
        ),
        "count": Field(
            name="count",
            label="At least this many requests" if kind.defaults else "At least this many records",
            kind="number",
            value=text("count", kind.defaults.get("count", 1)),
            more=bool(kind.defaults),
        ),
        "over": Field(
            name="over", label="Looking back", value=text("over", "5m"), help="such as 30s, 5m, 1h"
        ),
        "after": Field(
            name="after", label="Silent for", value=text("after", "5m"), help="such as 90s, 5m, 1h"
        ),
    }
    fields = [
        Field(name="name", label="Name", value=text("name"), required=True),
        Field(
            name="services",
            label="Services",
            value=text("services"),
            placeholder="all",
            suggestions=services,
            help="a comma list, with * for any characters",
        ),
        *(replace(own[key], required=key in kind.needed) for key in own if key in kind.keys),
    ]
    if not kind.instant:
        fields.append(
            Field(
                name="for",
                label="Before it fires, it must last",
                value=text("for"),
                placeholder="0s",
                help="and as long until it is over",
            )
        )
    names = tuple(destinations)
    fields.append(
        Field(
            name="to",
            label="Tells",
            kind="checks",
            value=tuple(values.get("to") or ()),
            choices=names,
            help="all of them where none is chosen"
            if names
            else "there is no destination yet: it is shown here and told nobody",
        )
    )
    fields += [
        Field(
            name="severity",
            label="Severity",
            kind="choice",
            value=text("severity", "error"),
            choices=SEVERITIES,
            more=True,
        ),
        Field(
            name="authors",
            label="Mentions",
            value=text("authors"),
            placeholder="@ada, @bob",
            help="a comma list, as the service writes them",
            more=True,
        ),
    ]
    if not kind.instant:
        fields.append(
            Field(
                name="resolved",
                label="Tell when it is over",
                kind="switch",
                value=values.get("resolved") is not False,
                more=True,
            )
        )
    return Form(tuple(fields))


def read_alarm(when: str, posted: Mapping[str, Any], taken: Iterable[str]) -> KeptAlarm:
    """Read a rule's form.

    Args:
        when: its kind.
        posted: what was typed, or a table of a file of rules.
        taken: names that others have.

    Raises:
        RuleError: with what is wrong by field.
    """
    table = alarm_table(when, posted)
    problems = _name_problems(str(table["name"]), taken)
    try:
        make_rule({**table, "name": table["name"] or when})
    except RuleError as error:
        problems |= error.problems
    if problems:
        raise RuleError(next(iter(problems.values())), problems=problems)
    return KeptAlarm(name=str(table["name"]), table=table)


def alarm_table(when: str, posted: Mapping[str, Any]) -> dict[str, Any]:
    """Make a rule's table of what was typed, right or wrong."""
    table: dict[str, Any] = {"name": _line(posted.get("name")), "when": when}
    checked = [name[len("to.") :] for name in posted if name.startswith("to.")]
    for key, value in posted.items():
        if key in {"name", "when", "was", "resolved"} or key.startswith("to."):
            continue
        if key in {"services", "authors", "to"} and isinstance(value, str):
            value = [one.strip() for one in value.split(",") if one.strip()]
        if value not in ("", [], None):
            table[key] = value.strip() if isinstance(value, str) else value
    if checked:
        table["to"] = checked
    if not KINDS[when].instant:
        # A box that is not checked is not posted; a program may leave it out as well.
        resolved = posted.get("resolved", "was" not in posted)
        table["resolved"] = resolved not in (False, "false", "")
    return table


# --- destinations --------------------------------------------------------------------------------


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
    name = _line(posted.get("name"))
    problems = _name_problems(name, taken)
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
    def text(name: str, default: str = "") -> str:
        value = values.get(name, default)
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

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


# --- names ---------------------------------------------------------------------------------------


def _line(value: object) -> str:
    return " ".join(str(value or "").split())


def _name_problems(name: str, taken: Iterable[str]) -> dict[str, str]:
    if not name:
        return {"name": "it needs a name"}
    if len(name) > LONGEST_NAME or not name.isprintable():
        return {"name": f"allowed: up to {LONGEST_NAME} characters that can be printed"}
    if name in taken:
        return {"name": f"another is called {name!r} already"}
    return {}
