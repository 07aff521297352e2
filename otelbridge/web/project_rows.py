"""Projects and processes as their tables show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from otelbridge.projects import Process, Project, ProjectKey, Standing, Status
from otelbridge.store.protocol import NewestPoint
from otelbridge.web import times

STATUSES: Final[tuple[Status, ...]] = ("crashed", "silent", "running", "stopped")
# Told apart by mark and word as well as by colour.
MARKS: Final[dict[str, str]] = {"running": "●", "stopped": "■", "crashed": "✕", "silent": "○"}
_MOST_NAMED: Final = 3

CPU: Final = "process.cpu.utilization"
MEMORY: Final = "process.memory.usage"
HOST_MEMORY: Final = "system.memory.usage"


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One process as its row shows it."""

    standing: Standing
    why: str
    uptime: str
    seen: str
    cpu: str
    memory: str

    @property
    def process(self) -> Process:
        return self.standing.process

    @property
    def status(self) -> Status:
        return self.standing.status


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """One project as its row shows it.

    Attributes:
        path: its page, which ``params`` are added to.
        errors: error records in the range.
        why: its status in a sentence.
        processes: how many run, and how many there are of them that do not.
    """

    project: Project
    path: str
    params: dict[str, str]
    errors: int
    why: str
    processes: str
    uptime: str
    seen: str
    cpu: str
    memory: str
    interval: str
    versions: Sequence[str]
    hosts: Sequence[str]
    sinks: Sequence[str]
    authors: Sequence[str]

    @property
    def key(self) -> ProjectKey:
        return self.project.key

    @property
    def status(self) -> Status:
        return self.project.status


class Readings:
    """The newest processor and memory readings of every process."""

    def __init__(self, points: Iterable[NewestPoint]) -> None:
        self._values: dict[tuple[str, str, str], float] = {}
        for point in points:
            if point.name != HOST_MEMORY or _state(point) == "used":
                place = (point.service, point.instance, point.name)
                self._values[place] = self._values.get(place, 0.0) + point.value

    def of(self, processes: Iterable[Process], name: str) -> float | None:
        """Add up one reading of processes; ``None`` where none was taken."""
        found = [
            value
            for one in processes
            if (value := self._values.get((one.project.name, one.instance, name))) is not None
        ]
        return sum(found) if found else None


def path_of(key: ProjectKey) -> str:
    """Write the path of a project's page; :func:`params_of` is the rest of its address."""
    return f"/projects/{quote(key.name, safe='')}"


def params_of(key: ProjectKey) -> dict[str, str]:
    """Write what an address says of a project besides its name."""
    return {"namespace": key.namespace, "environment": key.environment}


def make_row(project: Project, errors: int, readings: Readings) -> ProjectRow:
    running = [one.process for one in project.running]
    current = [one.process for one in project.current]
    return ProjectRow(
        project=project,
        path=path_of(project.key),
        params=params_of(project.key),
        errors=errors,
        why=_why_project(project),
        processes=_processes(project),
        uptime=_duration(project.uptime),
        seen=_ago(project.quiet),
        cpu=_share(readings.of(running, CPU)),
        memory=_size(readings.of(running, MEMORY)),
        interval=_each(one.interval for one in current),
        versions=_named(one.version for one in current),
        hosts=_named(one.host for one in current),
        sinks=_named((name for one in current for name in one.sinks), most=None),
        authors=_named((name for one in current for name in one.authors), most=None),
    )


def make_process_row(standing: Standing, readings: Readings) -> ProcessRow:
    running = [standing.process] if standing.status == "running" else []
    return ProcessRow(
        standing=standing,
        why=why(standing),
        uptime=_duration(standing.age),
        seen=_ago(standing.quiet),
        cpu=_share(readings.of(running, CPU)),
        memory=_size(readings.of(running, MEMORY)),
    )


def why(standing: Standing) -> str:
    """Say in a sentence why a process is as it is."""
    process = standing.process
    if standing.status == "running":
        return f"heard {_ago(standing.quiet)}"
    if standing.status == "silent":
        return f"nothing for {_duration(standing.quiet)}, though it said nothing of an end"
    if not process.outcome:
        return "an error nobody caught is the last that came of it"
    ends = {
        "completed": "it ended",
        "interrupted": "it was interrupted",
        "terminated": "it was told to end",
        "crashed": "it ended by an error nobody caught",
        "failed": "it ended with an exit code that says failure",
    }
    said = ends.get(process.outcome, f"it ended: {process.outcome}")
    if process.signal:
        return f"{said} ({process.signal})"
    return said if process.exit_code is None else f"{said} (exit code {process.exit_code})"


_SORTS: Final[dict[str, Callable[[ProjectRow], Any]]] = {
    "status": lambda row: STATUSES.index(row.status),
    "name": lambda row: 0,
    "processes": lambda row: -len(row.project.running),
    "uptime": lambda row: row.project.uptime,
    "restarts": lambda row: -row.project.restarts,
    "errors": lambda row: -row.errors,
    "heard": lambda row: row.project.quiet,
}
SORTS: Final = tuple(_SORTS)


def sort_rows(rows: Iterable[ProjectRow], by: str, *, backwards: bool) -> list[ProjectRow]:
    """Sort rows by one of :data:`SORTS`, and by name where that is the same."""
    named = sorted(rows, key=lambda row: (row.key.name.casefold(), row.key))
    if by == "name":
        return named[::-1] if backwards else named
    return sorted(named, key=_SORTS[by], reverse=backwards)


def is_found(project: Project, words: str) -> bool:
    """Tell whether every word stands in a project's name, host, version, sink or author."""
    texts = [*project.key]
    for one in project.standings:
        process = one.process
        texts += (process.host, process.version, process.pid, *process.sinks, *process.authors)
    text = "\n".join(texts).casefold()
    return all(word in text for word in words.casefold().split())


def document(project: Project, errors: int, readings: Readings) -> dict[str, Any]:
    """Write a project as JSON data; times in UTC, durations in seconds."""
    return {
        "name": project.key.name,
        "namespace": project.key.namespace,
        "environment": project.key.environment,
        "status": project.status,
        "hidden": project.hidden,
        "uptime": round(project.uptime, 3),
        "restarts": project.restarts,
        "errors": errors,
        "last_heard": times.iso(project.arrived),
        "processes": [_process_document(one, readings) for one in project.standings],
    }


def _process_document(standing: Standing, readings: Readings) -> dict[str, Any]:
    process = standing.process
    error = process.last_error
    return {
        "instance": process.instance,
        "status": standing.status,
        "host": process.host,
        "pid": process.pid,
        "version": process.version,
        "command": process.command,
        "started": times.iso(process.started),
        "uptime": round(standing.age, 3),
        "interval": process.interval,
        "last_heard": times.iso(process.arrived),
        "errors": process.errors,
        "sinks": process.sinks,
        "authors": process.authors,
        "cpu": readings.of([process], CPU),
        "memory": readings.of([process], MEMORY),
        "host_memory": readings.of([process], HOST_MEMORY),
        "outcome": process.outcome or None,
        "exit_code": process.exit_code,
        "signal": process.signal or None,
        "last_error": None
        if error is None
        else {
            "type": error.type,
            "message": error.message,
            "fingerprint": error.fingerprint,
            "uid": error.uid,
        },
    }


def _state(point: NewestPoint) -> str:
    return next((str(v) for name, v in point.attributes.items() if name.endswith("state")), "")


def _why_project(project: Project) -> str:
    if project.status == "running":
        return _processes(project)
    return why(project.standings[0])


def _processes(project: Project) -> str:
    counts = project.counts
    parts = [
        f"{counts[status]} {status}"
        for status in ("running", "silent", "crashed", "stopped")
        if counts.get(status)
    ]
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    return times.duration(int(max(0.0, seconds)) * times.NANOSECONDS)


def _ago(seconds: float) -> str:
    return times.ago(0, int(min(seconds, 10**9) * times.NANOSECONDS))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %" if value >= 0.1 else f"{value:.1%}"


def _size(value: float | None) -> str:
    return "–" if value is None else times.size(value)


def _each(intervals: Iterable[float]) -> str:
    found = sorted({one for one in intervals if one > 0})
    return " / ".join(f"{one:g} s" for one in found[:_MOST_NAMED])


def _named(names: Iterable[str], most: int | None = _MOST_NAMED) -> list[str]:
    found = list(dict.fromkeys(name for name in names if name))
    if most is None or len(found) <= most:
        return found
    return [*found[:most], f"+{len(found) - most}"]
