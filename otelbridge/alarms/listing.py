"""All rules and destinations side by side: those of the file, of variables and of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from otelbridge.alarms.kept import Kept, KeptAlarm, KeptDestination, open_destination
from otelbridge.alarms.rules import Rule, RuleError, Rules, make_rule
from otelbridge.channels.destination import Destination

Source = Literal["file", "variable", "page"]

_T = TypeVar("_T", Rule, Destination)

_IN_WORDS: Final = {"file": "in the file", "variable": "by variable", "page": "on the page"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[_T]):
    """A rule or a destination, and where it is from.

    Attributes:
        what: ``None`` where it cannot be used.
        problem: what is wrong with it, on one line.
        paused: it was set aside on the page.
    """

    name: str
    source: Source
    what: _T | None = None
    problem: str = ""
    paused: bool = False

    @property
    def active(self) -> bool:
        return self.what is not None and not self.paused


@dataclass(frozen=True, slots=True)
class Listing:
    """What there is, the file's first."""

    alarms: tuple[Listed[Rule], ...] = ()
    destinations: tuple[Listed[Destination], ...] = ()

    def active(self) -> Rules:
        """Give what is to be watched, and what is sent to."""
        return Rules(
            tuple(one.what for one in self.alarms if one.what is not None and not one.paused),
            tuple(one.what for one in self.destinations if one.what is not None and not one.paused),
        )


def list_all(file: Rules, variables: Rules, kept: Kept, files: Path) -> Listing:
    """Put rules and destinations of all sources side by side.

    Of two that have one name, the first is used, and the other one's problem says so.

    Args:
        file: those of the file of rules.
        variables: those of environment variables.
        kept: those that were made on the page.
        files: the folder of files that the page's destinations write to.
    """
    sources: tuple[tuple[Source, Rules], ...] = (("file", file), ("variable", variables))
    destinations = [
        Listed(name=one.name, source=source, what=one)
        for source, rules in sources
        for one in rules.destinations
    ]
    destinations += [_kept_destination(one, files) for one in kept.destinations]
    alarms = [
        Listed(name=one.name, source=source, what=one)
        for source, rules in sources
        for one in rules.rules
    ]
    alarms += [_kept_alarm(one) for one in kept.alarms]
    known = {one.name for one in destinations}
    return Listing(
        tuple(_with_known(one, known) for one in _first_of_each_name(alarms)),
        tuple(_first_of_each_name(destinations)),
    )


def _kept_destination(kept: KeptDestination, files: Path) -> Listed[Destination]:
    try:
        made = open_destination(kept, files)
    except ValueError as error:
        return Listed(name=kept.name, source="page", problem=str(error), paused=kept.paused)
    return Listed(name=kept.name, source="page", what=made, paused=kept.paused)


def _kept_alarm(kept: KeptAlarm) -> Listed[Rule]:
    try:
        rule = make_rule({**kept.table, "name": kept.name})
    except RuleError as error:
        return Listed(name=kept.name, source="page", problem=str(error), paused=kept.paused)
    return Listed(name=kept.name, source="page", what=rule, paused=kept.paused)


def _first_of_each_name(listed: Iterable[Listed[_T]]) -> Iterator[Listed[_T]]:
    seen: dict[str, Source] = {}
    for one in listed:
        if one.name in seen:
            place = _IN_WORDS[seen[one.name]]
            yield replace(one, what=None, problem=f"not used: another of this name is made {place}")
        else:
            seen[one.name] = one.source
            yield one


def _with_known(listed: Listed[Rule], destinations: set[str]) -> Listed[Rule]:
    """Say it where a rule tells a destination that is not there any more."""
    missing = [to for to in listed.what.to if to not in destinations] if listed.what else []
    if not missing:
        return listed
    return replace(listed, problem=f"there is no destination {', '.join(map(repr, missing))}")
