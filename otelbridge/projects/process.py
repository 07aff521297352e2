"""One process as its lifecycle events tell it, and how it is.

Whether a process is running, stopped, crashed or silent is decided here and nowhere else: the
page, its JSON and the alarms all ask :meth:`Process.status`. See docs/architecture.md, "The life of
a process".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from otelbridge import schema
from otelbridge.model import LogRecord

Status: TypeAlias = Literal["running", "stopped", "crashed", "silent"]

# Silence means nothing for so many heartbeats' time, and for so many seconds at least.
PATIENT_INTERVALS: Final = 2.5
PATIENT_SECONDS: Final = 10.0

# Loggers whose CRITICAL record is the last that a process says which dies of an error.
LAST_WORDS: Final = frozenset({"sys.excepthook", "multiprocessing"})
_CRITICAL: Final = schema.SEVERITY_NUMBERS["CRITICAL"]

_SECOND: Final = 10**9
_MOST_CHARS: Final = 500
_MOST_NAMES: Final = 50


class ProjectKey(NamedTuple):
    """What a project is known by: its name, and where it is given its namespace and environment."""

    name: str
    namespace: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class LastError:
    """The newest error a process told of."""

    type: str
    message: str
    fingerprint: str
    uid: str


@dataclass(frozen=True, slots=True)
class Process:
    """What is known of one process.

    Attributes:
        started: when it began by its own clock, nanoseconds since the epoch.
        sender: what it announces itself by (``telemetry.sdk.name``).
        interval: seconds between its heartbeats; 0 where it promised none.
        uptime: seconds, as it said last.
        errors: how many it said it had.
        arrived: when its newest event came, nanoseconds since the epoch, by the bridge's clock;
            for what was read from the store at the bridge's start, by the process's clock.
        heard: the moment it is known to have lived last, in seconds of the bridge's own clock
            that nobody sets.
        last_event: its newest event's time, by its own clock.
        delays: the smallest differences between the bridge's clocks and its own, wall clock and
            uptime; they tell how late an event came.
        outcome: how it said that it ended; empty while it has not.
        dying: the last that came of it is an error nobody caught.
    """

    instance: str
    project: ProjectKey
    host: str = ""
    pid: str = ""
    version: str = ""
    command: str = ""
    sender: str = ""
    started: int = 0
    interval: float = 0.0
    uptime: float = 0.0
    errors: int = 0
    sinks: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    last_error: LastError | None = None
    arrived: int = 0
    heard: float = -math.inf
    last_event: int = 0
    delays: tuple[float, float] = (math.inf, math.inf)
    outcome: str = ""
    exit_code: int | None = None
    signal: str = ""
    dying: bool = False

    def status(self, now: float) -> Status:
        """Say how it is.

        Args:
            now: seconds, by the clock that ``heard`` is of.
        """
        if self.outcome:
            return "crashed" if self.outcome in {"crashed", "failed"} else "stopped"
        if self.dying:
            return "crashed"
        return "silent" if now - self.heard >= self.patience else "running"

    @property
    def patience(self) -> float:
        """Seconds for which silence means nothing."""
        if self.interval <= 0:
            return math.inf
        return max(PATIENT_SECONDS, PATIENT_INTERVALS * self.interval)

    def age(self, now: float) -> float:
        """Seconds it has lived; of one that is not running, as far as it said."""
        if self.status(now) != "running" or self.heard == -math.inf:
            return self.uptime
        return self.uptime + max(0.0, now - self.heard)


def project_of(resource: Mapping[str, Any]) -> ProjectKey:
    """Name the project that a resource belongs to."""
    return ProjectKey(
        _text(resource.get("service.name")),
        _text(resource.get("service.namespace")),
        _text(resource.get("deployment.environment.name")),
    )


def instance_of(resource: Mapping[str, Any]) -> str:
    """Name the process that a resource is of; empty where it does not say."""
    given = _text(resource.get("service.instance.id"))
    if given:
        return given
    host, pid = _text(resource.get("host.name")), _text(resource.get("process.pid"))
    return f"{host}:{pid}" if pid else ""


def is_last_word(record: LogRecord) -> bool:
    """Tell whether a record is one that a process dies of."""
    return record.severity_number >= _CRITICAL and record.scope.name in LAST_WORDS


def hear(
    process: Process | None, record: LogRecord, *, now: float, wall: int, live: bool = True
) -> Process | None:
    """Take in one event of a process, or the error it dies of.

    Events may come in any order, late, and more than once.

    Args:
        process: what was known of it, ``None`` where nothing was.
        now: when the event came, in seconds of a clock that nobody sets.
        wall: the same, nanoseconds since the epoch.
        live: it came just now, and was not found in the store.

    Returns:
        What is known now; ``None`` where the record is of no process that can be told from others.
    """
    if record.event_name not in schema.PROCESS_EVENTS:
        if process is None or process.outcome or not is_last_word(record):
            return process
        if record.time < process.last_event:
            return process
        return replace(process, dying=True, arrived=_arrival(process, record, wall, live))
    known = process or _new(record)
    if known is None:
        return None
    said = record.attributes
    uptime = _number(said.get(schema.PROCESS_UPTIME), 0.0)
    if record.event_name == schema.PROCESS_START:
        known = replace(known, **_start_facts(record, known))
    if known.outcome:
        # An end is final, whatever was on its way meanwhile.
        return known
    is_late = process is not None and (uptime, record.time) <= (process.uptime, process.last_event)
    if is_late and record.event_name != schema.PROCESS_END:
        # It proves nothing about now.
        return known
    heard, delays = _moment(known, uptime, record.time, now, wall) if live else (now, known.delays)
    known = replace(
        known,
        interval=_number(said.get(schema.HEARTBEAT_INTERVAL), known.interval),
        uptime=max(uptime, known.uptime),
        errors=max(int(_number(said.get(schema.PROCESS_ERRORS), 0.0)), known.errors),
        sinks=_texts(said.get(schema.PROCESS_SINKS)) or known.sinks,
        authors=_texts(said.get(schema.PROCESS_AUTHORS)) or known.authors,
        last_error=_last_error(said) or known.last_error,
        arrived=_arrival(known, record, wall, live),
        heard=max(heard, known.heard),
        last_event=max(record.time, known.last_event),
        delays=delays,
        dying=False,
    )
    if record.event_name == schema.PROCESS_END:
        code = said.get(schema.EXIT_CODE)
        known = replace(
            known,
            outcome=_text(said.get(schema.PROCESS_OUTCOME)) or "completed",
            exit_code=code if isinstance(code, int) else None,
            signal=_text(said.get(schema.PROCESS_SIGNAL)),
        )
    return known


def _moment(
    process: Process, uptime: float, time: int, now: float, wall: int
) -> tuple[float, tuple[float, float]]:
    """Reckon when an event was said, by the bridge's clock.

    It came as much late as its way took longer than the quickest of its process. Two clocks of
    the sender say how long that was, and the kinder one is believed: its wall clock may have been
    set, and its uptime stands still while the machine sleeps.
    """
    by_wall, by_uptime = (wall - time) / _SECOND, now - uptime
    delays = (min(process.delays[0], by_wall), min(process.delays[1], by_uptime))
    late = min(by_wall - delays[0], by_uptime - delays[1])
    return now - late, delays


def _arrival(process: Process, record: LogRecord, wall: int, live: bool) -> int:
    return max(wall if live else record.time, process.arrived)


def _new(record: LogRecord) -> Process | None:
    resource = record.resource
    instance = instance_of(resource)
    project = project_of(resource)
    if not (instance and project.name):
        return None
    uptime = _number(record.attributes.get(schema.PROCESS_UPTIME), 0.0)
    started = _moment_of(record.attributes.get(schema.PROCESS_START_TIME))
    return Process(
        instance=instance,
        project=project,
        host=_text(resource.get("host.name")),
        pid=_text(resource.get("process.pid")),
        version=_text(resource.get("service.version")),
        command=_text(resource.get("process.command")),
        sender=_text(resource.get("telemetry.sdk.name")),
        started=started if started is not None else record.time - int(uptime * _SECOND),
    )


def _start_facts(record: LogRecord, known: Process) -> dict[str, Any]:
    """What a start tells, also one that comes after everything else."""
    said = record.attributes
    started = _moment_of(said.get(schema.PROCESS_START_TIME))
    return {
        "started": started if started is not None else known.started,
        "sinks": known.sinks or _texts(said.get(schema.PROCESS_SINKS)),
        "authors": known.authors or _texts(said.get(schema.PROCESS_AUTHORS)),
    }


def _last_error(said: Mapping[str, Any]) -> LastError | None:
    names = (
        schema.LAST_ERROR_TYPE,
        schema.LAST_ERROR_MESSAGE,
        schema.LAST_ERROR_FINGERPRINT,
        schema.LAST_ERROR_UID,
    )
    found = [_text(said.get(name)) for name in names]
    return LastError(*found) if any(found) else None


def _moment_of(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not read the Z.
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * _SECOND)


def _number(value: Any, otherwise: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return otherwise
    return float(value) if math.isfinite(value) and value >= 0 else otherwise


def _text(value: Any) -> str:
    if value is None or isinstance(value, (dict, list)):
        return ""
    return str(value)[:_MOST_CHARS]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list):
        return ()
    return tuple(filter(None, (_text(one) for one in value[:_MOST_NAMES])))
