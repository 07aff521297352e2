"""Projects: the processes of one name, taken together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from otelbridge.projects.process import Process, ProjectKey, Status


@dataclass(frozen=True, slots=True)
class Standing:
    """A process at one moment.

    Attributes:
        age: seconds it has lived.
        quiet: seconds since it is known to have lived.
    """

    process: Process
    status: Status
    age: float
    quiet: float


@dataclass(frozen=True, slots=True)
class Project:
    """The processes of one project at one moment, the one heard last first.

    Attributes:
        restarts: how often one began in the place of one that had ended or fallen silent, among
            those that are known.
        hidden: somebody hid it.
    """

    key: ProjectKey
    standings: Sequence[Standing]
    restarts: int
    hidden: bool = False

    @property
    def status(self) -> Status:
        """Running while any of its processes is; else as the one that was heard last."""
        if any(one.status == "running" for one in self.standings):
            return "running"
        return self.standings[0].status

    @property
    def counts(self) -> dict[Status, int]:
        """How many of its processes there are in each status."""
        return dict(Counter(one.status for one in self.standings))

    @property
    def running(self) -> list[Standing]:
        return [one for one in self.standings if one.status == "running"]

    @property
    def current(self) -> list[Standing]:
        """Those running; where none is, the one that was heard last."""
        return self.running or list(self.standings[:1])

    @property
    def uptime(self) -> float:
        """Seconds that the oldest of the current processes has lived."""
        return max(one.age for one in self.current)

    @property
    def arrived(self) -> int:
        """When its newest event came, nanoseconds since the epoch."""
        return self.standings[0].process.arrived

    @property
    def quiet(self) -> float:
        """Seconds since any of its processes is known to have lived."""
        return min(one.quiet for one in self.standings)


def gather(
    processes: Iterable[Process], now: float, hidden: frozenset[ProjectKey] = frozenset()
) -> list[Project]:
    """Put processes together by project, in the order of their names.

    Args:
        now: seconds, by the clock that ``Process.heard`` is of.
        hidden: projects that somebody hid.
    """
    members: defaultdict[ProjectKey, list[Process]] = defaultdict(list)
    for process in processes:
        members[process.project].append(process)
    projects = []
    for key in sorted(members):
        newest = sorted(members[key], key=lambda one: (one.arrived, one.instance), reverse=True)
        standings = [
            Standing(one, one.status(now), one.age(now), max(0.0, now - one.heard))
            for one in newest
        ]
        projects.append(Project(key, standings, count_restarts(standings), key in hidden))
    return projects


def count_restarts(standings: Iterable[Standing]) -> int:
    """Count the processes that began in the place of one of their host that was gone by then.

    Each that is gone is replaced by one at most: four workers that follow four are four restarts,
    and a fifth beside them is none.
    """
    moments: list[tuple[int, int, str]] = []
    for one in standings:
        process = one.process
        moments.append((process.started, 1, process.host))
        if one.status != "running":
            # By the process's own clock, as its start is, which comes before its end.
            moments.append((max(process.last_event, process.started + 1), 0, process.host))
    vacant: Counter[str] = Counter()
    restarts = 0
    # A start in the moment of another's end follows it.
    for _, begins, host in sorted(moments):
        if not begins:
            vacant[host] += 1
        elif vacant[host]:
            vacant[host] -= 1
            restarts += 1
    return restarts
