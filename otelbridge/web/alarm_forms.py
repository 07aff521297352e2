"""The form of a rule: which fields each kind has, and what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from otelbridge.alarms.kept import KeptAlarm
from otelbridge.alarms.rules import KINDS, RuleError, make_rule
from otelbridge.channels.message import SEVERITIES
from otelbridge.web.forms import Field, Form, line, name_problems, typed

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
    text = partial(typed, values)
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
    problems = name_problems(str(table["name"]), taken)
    try:
        make_rule({**table, "name": table["name"] or when})
    except RuleError as error:
        problems |= error.problems
    if problems:
        raise RuleError(next(iter(problems.values())), problems=problems)
    return KeptAlarm(name=str(table["name"]), table=table)


def alarm_table(when: str, posted: Mapping[str, Any]) -> dict[str, Any]:
    """Make a rule's table of what was typed, right or wrong."""
    table: dict[str, Any] = {"name": line(posted.get("name")), "when": when}
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
