"""Rules of alarms: what is watched, when it fires, and whom it tells.

A rule is a table, in a TOML file or from a form:

    [destinations.ops]
    url = "$OPS_TELEGRAM"                # or: kind = "telegram", token = "$TOKEN", chat = "-100..."
    authors = ["@ada"]

    [[alarms]]
    name = "payments fail"
    when = "error-rate"
    services = ["payments", "gateway-*"]
    above = "5%"
    over = "5m"
    for = "2m"
    to = ["ops"]
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from otelbridge.alarms.places import line_of, place_of_syntax_error
from otelbridge.channels.definition import make_destination, parse_destination
from otelbridge.channels.destination import Destination
from otelbridge.channels.message import SEVERITIES, Severity
from otelbridge.search import QueryError, parse
from otelbridge.setting_values import parse_duration, parse_integer, parse_period, parse_size

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class RuleError(ValueError):
    """A rule cannot be used; its text is one line that names it, and what is allowed.

    Attributes:
        problems: what is wrong, by the key it is wrong with.
        table: where it stands in a file: the destination's name, or the alarm's number from 0.
    """

    def __init__(
        self,
        text: str,
        *,
        problems: Mapping[str, str] | None = None,
        table: str | int | None = None,
    ) -> None:
        super().__init__(text)
        self.problems = dict(problems or {})
        self.table = table


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One alarm.

    Attributes:
        name: what it is called; no two have the same.
        when: what is watched, a key of :data:`KINDS`.
        services: patterns of services it is about, ``*`` for any characters.
        query: KQL that records match (``log``), or that narrows the others' records.
        above: what is too much: a fraction (``error-rate``, ``cpu``), bytes (``memory``) or
            seconds (``latency``).
        over: seconds that are looked at.
        hold: seconds for which it must be so before it fires, and not be so before it is resolved.
        count: how many records are enough (``error``, ``log``), or how many requests there must
            be for a rate or a latency to mean something.
        after: seconds without a word after which a service is silent.
        percentile: which latency, 50, 95 or 99.
        to: names of destinations; all where it is empty.
        severity: of its messages.
        authors: whom its messages mention.
        resolved: whether its end is told as well.
    """

    name: str
    when: str
    services: tuple[str, ...] = ("*",)
    query: str = ""
    above: float = 0.0
    over: float = 300.0
    hold: float = 0.0
    count: int = 1
    after: float = 300.0
    percentile: int = 95
    to: tuple[str, ...] = ()
    severity: Severity = "error"
    authors: tuple[str, ...] = ()
    resolved: bool = True

    def about(self, service: str) -> bool:
        """Tell whether a service is one of those it is about."""
        return any(fnmatch.fnmatchcase(service, pattern) for pattern in self.services)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule.

    Attributes:
        says: what it watches, for a person.
        keys: which of a rule's keys it has, beside those that all have.
        needed: which of them it cannot do without.
        defaults: where they differ from a rule's.
        instant: each finding is told once and has no end.
    """

    says: str
    keys: tuple[str, ...]
    needed: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    instant: bool = False


KINDS: Final[Mapping[str, Kind]] = {
    "error": Kind("a service logs errors", ("query", "over", "count")),
    "new-error": Kind(
        "an error that was not seen before, or came back after it was resolved",
        ("query", "over"),
        instant=True,
    ),
    "error-rate": Kind(
        "too many of a service's requests fail",
        ("above", "over", "count"),
        ("above",),
        {"count": 10},
    ),
    "log": Kind("log records match a query", ("query", "over", "count"), ("query",)),
    "silent": Kind("nothing was heard of a service", ("after",)),
    "crashed": Kind("a process ended by an error", ("over",), instant=True),
    "cpu": Kind("a process uses too much processor time", ("above", "over"), ("above",)),
    "memory": Kind("a process uses too much memory", ("above", "over"), ("above",)),
    "latency": Kind(
        "a service answers too slowly",
        ("above", "over", "count", "percentile"),
        ("above",),
        {"count": 10},
    ),
}

_COMMON: Final = (
    "name", "when", "services", "for", "to", "severity", "authors", "resolved",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """What a file holds."""

    rules: tuple[Rule, ...] = ()
    destinations: tuple[Destination, ...] = ()


def read_rules(path: Path, environ: Mapping[str, str] | None = None) -> Rules:
    """Read a file of rules and destinations.

    Args:
        path: a TOML file.
        environ: where ``$NAME`` in a destination's values is looked up; the process's own
            variables by default.

    Raises:
        RuleError: naming the file, the line, the table, the key and what is allowed; never a
            secret.
    """
    try:
        text = path.read_text("utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise RuleError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RuleError(f"{path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RuleError(place_of_syntax_error(path, str(error))) from None
    try:
        return make_rules(data, environ)
    except RuleError as error:
        line = line_of(text, error.table, next(iter(error.problems), ""))
        raise RuleError(f"{path}{f':{line}' if line else ''}: {error}") from None


def make_rules(data: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Rules:
    """Make rules and destinations of a file's tables; see :func:`read_rules`."""
    for key in data:
        if key not in {"destinations", "alarms"}:
            raise RuleError(f"{key!r} is not known; allowed: destinations, alarms")
    tables = data.get("destinations", {})
    if not isinstance(tables, dict) or not all(isinstance(one, dict) for one in tables.values()):
        raise RuleError("destinations are tables: [destinations.NAME]")
    destinations = tuple(
        _destination(name, table, os.environ if environ is None else environ)
        for name, table in tables.items()
    )
    alarms = data.get("alarms", [])
    if not isinstance(alarms, list) or not all(isinstance(one, dict) for one in alarms):
        raise RuleError("alarms are a list of tables: [[alarms]]")
    rules: list[Rule] = []
    for number, table in enumerate(alarms):
        try:
            rule = make_rule(table)
        except RuleError as error:
            error.table = number
            raise
        if any(rule.name == other.name for other in rules):
            text = f"two alarms are called {rule.name!r}"
            raise RuleError(text, problems={"name": text}, table=number)
        for name in rule.to:
            if name not in tables:
                known = ", ".join(tables) or "none"
                text = f"to is {name!r}; there are: {known}"
                raise RuleError(f"{rule.name}: {text}", problems={"to": text}, table=number)
        rules.append(rule)
    return Rules(tuple(rules), destinations)


def make_rule(table: Mapping[str, Any]) -> Rule:
    """Make a rule of a table.

    Raises:
        RuleError: naming the rule, the key and what is allowed.
    """
    name = str(table.get("name", "")).strip()
    if not name:
        raise RuleError("an alarm needs a name", problems={"name": "an alarm needs a name"})
    when = str(table.get("when", "")).strip().lower().replace(" ", "-").replace("_", "-")
    kind = KINDS.get(when)
    if kind is None:
        text = f"when is {table.get('when', '')!r}; allowed: {', '.join(KINDS)}"
        raise RuleError(f"{name}: {text}", problems={"when": text})
    allowed = (*_COMMON, *kind.keys)
    problems = {
        key: f"{when} has no {key!r}; allowed: {', '.join(allowed)}"
        for key in table
        if key not in allowed
    }
    problems |= {key: f"{when} needs {key}" for key in kind.needed if table.get(key) in (None, "")}
    values: dict[str, Any] = dict(kind.defaults)
    for key, value in table.items():
        if key in {"name", "when"} or key in problems or value in (None, ""):
            continue
        reader = _ABOVE[when] if key == "above" else _READERS[key]
        try:
            values["hold" if key == "for" else key] = reader(value)
        except ValueError as error:
            problems[key] = f"{key} is {value!r}; {error}"
    if problems:
        raise RuleError(f"{name}: {next(iter(problems.values()))}", problems=problems)
    return Rule(name=name, when=when, **values)


def _destination(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> Destination:
    try:
        values = {key: _expanded(key, value, environ) for key, value in table.items()}
        values["name"] = name
        if "url" in values and "kind" not in values:
            made = parse_destination(str(values.pop("url")))
            if len(values) == 1:
                return Destination(**{**_attributes(made), "name": name})
            options = make_destination("file", {"path": "unused", **values})
            return Destination(**{**_attributes(options), "channel": made.channel})
        kind = str(values.pop("kind", ""))
        return make_destination(kind, values)
    except ValueError as error:
        problems = getattr(error, "problems", None)
        raise RuleError(f"destination {name}: {error}", problems=problems, table=name) from None


def _attributes(destination: Destination) -> dict[str, Any]:
    return {name: getattr(destination, name) for name in Destination.__dataclass_fields__}


def _expanded(key: str, value: Any, environ: Mapping[str, str]) -> Any:
    """Take a secret from a variable, so that the file can be shown to anybody."""
    if not (isinstance(value, str) and value.startswith("$") and value[1:].isidentifier()):
        return value
    if not environ.get(value[1:]):
        text = f"{key} is {value}, which is not set"
        raise RuleError(text, problems={key: text})
    return environ[value[1:]]


# --- values --------------------------------------------------------------------------------------


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise ValueError("allowed: a list of texts")
    return tuple(one.strip() for one in value if one.strip())


def _duration(read: Callable[[str], float]) -> Callable[[Any], float]:
    return lambda value: read(f"{value}s" if isinstance(value, (int, float)) else str(value))


def _query(value: Any) -> str:
    try:
        parse(str(value))
    except QueryError as error:
        raise ValueError(f"allowed: KQL; {error}") from None
    return str(value)


def _severity(value: Any) -> str:
    if value not in SEVERITIES:
        raise ValueError(f"allowed: {', '.join(SEVERITIES)}")
    return str(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("allowed: true or false")
    return value


def _fraction(value: Any) -> float:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise ValueError("allowed: a part or a percentage, such as 0.05 or 5%")
    return number


def _percentile(value: Any) -> int:
    if str(value) not in {"50", "95", "99"}:
        raise ValueError("allowed: 50, 95 or 99")
    return int(value)


_ABOVE: Final[Mapping[str, Callable[[Any], float]]] = {
    "error-rate": _fraction,
    "cpu": _fraction,
    "memory": lambda value: float(parse_size(str(value))),
    "latency": _duration(parse_duration),
}

_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "services": _words,
    "to": _words,
    "authors": _words,
    "query": _query,
    "over": _duration(parse_period),
    "for": _duration(parse_duration),
    "after": _duration(parse_period),
    "count": lambda value: parse_integer(1, 10**9)(str(value)),
    "percentile": _percentile,
    "severity": _severity,
    "resolved": _switch,
}
