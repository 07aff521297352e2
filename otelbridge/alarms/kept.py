"""Rules and destinations that were made on the page, as the tables that a form gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from otelbridge.channels.channel import ChannelSettingsError
from otelbridge.channels.cutting import one_line
from otelbridge.channels.definition import make_destination
from otelbridge.channels.destination import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAlarm:
    """A rule.

    Attributes:
        table: as in a file of rules; :func:`otelbridge.alarms.rules.make_rule` reads it.
        paused: it is not looked at.
    """

    name: str
    table: Mapping[str, Any]
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDestination:
    """A destination.

    Attributes:
        kind: a channel's name, or the import path of a class.
        values: the channel's fields and the destination's own options, secrets among them.
        paused: nothing is sent there.
    """

    name: str
    kind: str
    values: Mapping[str, Any]
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """All that was made on the page; each change gives another."""

    alarms: tuple[KeptAlarm, ...] = ()
    destinations: tuple[KeptDestination, ...] = ()

    def alarm(self, name: str) -> KeptAlarm | None:
        return next((one for one in self.alarms if one.name == name), None)

    def destination(self, name: str) -> KeptDestination | None:
        return next((one for one in self.destinations if one.name == name), None)

    def with_alarm(self, alarm: KeptAlarm, was: str = "") -> Kept:
        """Add a rule, or put it in the place of the one that was called ``was``."""
        if self.alarm(was) is None:
            return replace(self, alarms=(*self.alarms, alarm))
        changed = tuple(alarm if one.name == was else one for one in self.alarms)
        return replace(self, alarms=changed)

    def with_destination(self, destination: KeptDestination, was: str = "") -> Kept:
        """Add a destination, or put it in the place of ``was``, for the rules that name it too."""
        if self.destination(was) is None:
            return replace(self, destinations=(*self.destinations, destination))
        return Kept(
            tuple(_renamed(one, was, destination.name) for one in self.alarms),
            tuple(destination if one.name == was else one for one in self.destinations),
        )

    def without_alarm(self, name: str) -> Kept:
        return replace(self, alarms=tuple(one for one in self.alarms if one.name != name))

    def without_destination(self, name: str) -> Kept:
        left = tuple(one for one in self.destinations if one.name != name)
        return replace(self, destinations=left)


def to_data(kept: Kept) -> dict[str, Any]:
    """Give it as plain data; :func:`from_data` reads it back."""
    return asdict(kept)


def from_data(data: Mapping[str, Any]) -> Kept:
    """Read what :func:`to_data` gave.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: the data is of something else.
    """
    return Kept(
        tuple(
            KeptAlarm(
                name=str(one["name"]), table=dict(one["table"]), paused=bool(one.get("paused"))
            )
            for one in data["alarms"]
        ),
        tuple(
            KeptDestination(
                name=str(one["name"]),
                kind=str(one["kind"]),
                values=dict(one["values"]),
                paused=bool(one.get("paused")),
            )
            for one in data["destinations"]
        ),
    )


def open_destination(kept: KeptDestination, files: Path) -> Destination:
    """Make the destination.

    Args:
        kept: as it was filled in.
        files: the folder of files that messages are written to. Whoever may use the page may not
            choose any file of this machine.

    Raises:
        ChannelSettingsError: it cannot be made of these values; secrets are not shown.
    """
    values = dict(kept.values)
    problems: dict[str, str] = {}
    if kept.kind == "file" and (path := str(values.get("path", "")).strip()):
        if path in {".", ".."} or any(sign in path for sign in "/\\\0:~"):
            problems["path"] = f"path is {path!r}; allowed: a file's name; its folder is {files}"
        values["path"] = str(files / "messages.log" if problems else files / path)
    try:
        made = make_destination(kept.kind, values)
    except ChannelSettingsError as error:
        problems |= error.problems
        raise ChannelSettingsError(next(iter(problems.values()), str(error)), problems) from None
    except Exception as error:
        # A class of somebody's own may say anything, the secret that it was given included.
        text = f"{kept.kind}: {type(error).__name__}: {error}"
        for value in values.values():
            if isinstance(value, str) and len(value) >= 4:
                text = text.replace(value, "***")
        raise ChannelSettingsError(one_line(text)) from None
    if problems:
        raise ChannelSettingsError(next(iter(problems.values())), problems)
    return replace(made, name=kept.name)


def _renamed(alarm: KeptAlarm, was: str, name: str) -> KeptAlarm:
    to = alarm.table.get("to")
    if was == name or not isinstance(to, list) or was not in to:
        return alarm
    return replace(alarm, table={**alarm.table, "to": [name if one == was else one for one in to]})
