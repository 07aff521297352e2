"""What a program says of itself in one message, and how the JSON of such a message is read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from otelbridge.model import Attributes
from otelbridge.receivers.decoded import DecodeError
from otelbridge.receivers.levels import parse_level
from otelbridge.receivers.times import parse_time

Event: TypeAlias = Literal["start", "heartbeat", "error", "end"]

PROTOCOL: Final = 1
EVENTS: Final = ("start", "heartbeat", "error", "end")
OUTCOMES: Final = ("completed", "failed", "crashed", "interrupted", "terminated")
_LONGEST_NAME: Final = 500
_MOST_NAMES: Final = 50


@dataclass(slots=True)
class Announcement:
    """One message. ``None`` and empty stand for what it does not say.

    Attributes:
        process: what the program calls the process; without it the bridge finds out which it is.
        version: the program's.
        interval: seconds between heartbeats.
        uptime: seconds.
        errors: so far.
        readings: metrics by name, with the attributes of their series.
        outcome, exit_code, signal: of an end.
        type, message, traceback, level, logger: of an error.
        time: nanoseconds since the epoch.
        rest: what else an error says; its attributes.
        sender: which kind of client says it.
    """

    event: Event
    project: str
    process: str = ""
    host: str = ""
    pid: int | None = None
    version: str = ""
    namespace: str = ""
    environment: str = ""
    interval: float | None = None
    uptime: float | None = None
    errors: int | None = None
    sinks: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    readings: list[Reading] = field(default_factory=list)
    outcome: str = ""
    exit_code: int | None = None
    signal: str = ""
    type: str = ""
    message: str = ""
    traceback: str = ""
    level: str = "ERROR"
    logger: str = ""
    time: int | None = None
    rest: Attributes = field(default_factory=dict)
    sender: str = "webhook"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a metric."""

    name: str
    unit: str
    value: float
    state: str = ""


# The members that name a reading, with what each is a reading of.
_READINGS: Final[dict[str, tuple[str, str, str]]] = {
    "cpu": ("process.cpu.utilization", "1", ""),
    "memory": ("process.memory.usage", "By", ""),
    "host_memory": ("system.memory.usage", "By", "used"),
}


class MessageError(DecodeError):
    """A message that cannot be used; its text is one sentence for whoever sent it."""

    def __init__(self, text: str) -> None:
        super().__init__("invalid_announcement", text)


def read_announcement(fields: Any) -> Announcement:
    """Read a message of our own protocol.

    Members that this version does not know are passed over, and become attributes where the
    message tells of an error, so that a newer client is understood as far as that goes.

    Args:
        fields: the JSON data.

    Raises:
        MessageError: it is none, with the member's name and what is allowed.
    """
    if not isinstance(fields, dict):
        raise MessageError("the message is not a JSON object")
    left = dict(fields)
    protocol = _number(left, "protocol", least=1)
    event = _text(left, "event")
    if event not in EVENTS:
        # A newer protocol may know more of them.
        newer = (
            f" (protocol {protocol:g}; this is {PROTOCOL})" if (protocol or 1) > PROTOCOL else ""
        )
        raise MessageError(f"event is {event[:40]!r}; allowed: {', '.join(EVENTS)}{newer}")
    project = _text(left, "project")
    if not project:
        raise MessageError("project is missing: the name that the program is to be shown by")
    found = Announcement(
        event=event,  # type: ignore[arg-type]  # it is one of them
        project=project,
        process=_text(left, "process"),
        host=_text(left, "host"),
        pid=_whole(left, "pid"),
        version=_text(left, "version"),
        namespace=_text(left, "namespace"),
        environment=_text(left, "environment"),
        interval=_number(left, "interval"),
        uptime=_number(left, "uptime"),
        errors=_whole(left, "errors"),
        sinks=_names(left, "sinks"),
        authors=_names(left, "authors"),
        time=_time(left),
    )
    for name, (metric, unit, state) in _READINGS.items():
        value = _number(left, name)
        if value is not None:
            found.readings.append(Reading(metric, unit, value, state))
    if event == "end":
        _read_end(found, left)
    if event == "error":
        _read_error(found, left)
    return found


def _read_end(found: Announcement, left: dict[str, Any]) -> None:
    found.exit_code = _whole(left, "exit_code", least=-(2**31))
    found.signal = _text(left, "signal")
    outcome = _text(left, "outcome")
    if not outcome:
        outcome = "terminated" if found.signal else "failed" if found.exit_code else "completed"
    if outcome not in OUTCOMES:
        raise MessageError(f"outcome is {outcome[:40]!r}; allowed: {', '.join(OUTCOMES)}")
    found.outcome = outcome


def _read_error(found: Announcement, left: dict[str, Any]) -> None:
    found.type = _text(left, "type")
    found.message = _text(left, "message", longest=None)
    found.traceback = _text(left, "traceback", longest=None)
    found.logger = _text(left, "logger")
    found.level = _text(left, "level") or "ERROR"
    if parse_level(found.level) is None:
        raise MessageError(f"level is {found.level[:40]!r}; such as ERROR, CRITICAL, WARNING")
    if not (found.type or found.message or found.traceback):
        raise MessageError("an error needs a message, a type or a traceback")
    found.rest = left


def _text(left: dict[str, Any], name: str, longest: int | None = _LONGEST_NAME) -> str:
    value = left.pop(name, None)
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise MessageError(f"{name} is not a text")
    value = value if longest is None else value.strip()
    if longest is not None and len(value) > longest:
        raise MessageError(f"{name} has {len(value)} characters; allowed: {longest}")
    return value


def _number(left: dict[str, Any], name: str, least: float = 0.0) -> float | None:
    value = left.pop(name, None)
    if value is None or value == "":
        return None
    try:
        # Shells write numbers as texts.
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and least <= number < 2**63):
        raise MessageError(f"{name} is {str(value)[:40]!r}; allowed: a number from {least:g} on")
    return number


def _whole(left: dict[str, Any], name: str, least: float = 0.0) -> int | None:
    number = _number(left, name, least)
    return None if number is None else int(number)


def _names(left: dict[str, Any], name: str) -> tuple[str, ...]:
    value = left.pop(name, None)
    if value is None:
        return ()
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise MessageError(f"{name} is not a list of texts")
    return tuple(one.strip()[:_LONGEST_NAME] for one in value if one.strip())[:_MOST_NAMES]


def _time(left: dict[str, Any]) -> int | None:
    value = left.pop("time", None)
    if value is None:
        return None
    moment = parse_time(value)
    if moment is None:
        raise MessageError(
            f"time is {str(value)[:40]!r}; allowed: ISO 8601, or seconds since the epoch"
        )
    return moment
