"""Which process a message is of, where the program does not say."""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from otelbridge.model import Attributes
from otelbridge.projects import Process, ProjectKey
from otelbridge.receivers.announced.announcement import Announcement

# Of who sends heartbeats and does not say how often.
DEFAULT_INTERVAL: Final = 60.0
# An error so many seconds before an end that says nothing more is what it ended by.
LAST_WORDS_SECONDS: Final = 5.0
_MOST_CALLERS: Final = 20_000
_SECOND: Final = 10**9
# Project, kind of client, host.
_Place: TypeAlias = "tuple[ProjectKey, str, str]"


@dataclass(slots=True)
class Caller:
    """A process as its messages tell it.

    Attributes:
        began: when it did, in seconds of a clock that nobody sets; ``started`` is the same,
            nanoseconds since the epoch.
        heard: when its newest message came, by the first clock.
        last_error: what its lifecycle events say of its newest error.
        connected: it has a connection of its own.
    """

    instance: str
    project: ProjectKey
    sender: str
    name: str
    host: str
    pid: int | None
    version: str
    began: float
    started: int
    interval: float = 0.0
    errors: int = 0
    sinks: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    last_error: Attributes = field(default_factory=dict)
    failed: float = field(default=-(10.0**9))
    heard: float = 0.0
    connected: bool = False
    ended: bool = False

    def learn(self, said: Announcement, now: float) -> None:
        """Take in what a message says."""
        self.heard = now
        if said.interval is not None:
            self.interval = said.interval
        elif said.event == "heartbeat" and not self.interval:
            self.interval = DEFAULT_INTERVAL
        if said.uptime is not None:
            self.began = now - said.uptime
        self.sinks = said.sinks or self.sinks
        self.authors = said.authors or self.authors
        self.version = said.version or self.version
        self.pid = self.pid if said.pid is None else said.pid
        if said.event == "error":
            self.errors += 1
            self.failed = now
        if said.errors is not None:
            self.errors = said.errors
        self.ended = self.ended or said.event == "end"


class Callers:
    """Knows the processes that announce themselves without OpenTelemetry.

    Args:
        processes: gives every process that the bridge knows, so that those which announced
            themselves to an earlier bridge process are taken for what they are.
        clock: seconds of a clock that nobody sets.
    """

    def __init__(
        self,
        processes: Callable[[], Iterable[Process]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processes = processes
        self._clock = clock
        self._lock = threading.Lock()
        self._callers: dict[str, Caller] = {}
        self._named: dict[tuple[ProjectKey, str], Caller] = {}
        self._placed: defaultdict[_Place, list[Caller]] = defaultdict(list)
        self._recalled: set[_Place] = set()

    def find(
        self,
        said: Announcement,
        host: str,
        connected: Caller | None = None,
        *,
        resumes: bool = False,
    ) -> Caller:
        """Find the process that a message is of, or make it.

        A message that names its process is of that one. A start is one's of its own. Anything
        else is of the process of that project and host that has said nothing for longest: where
        there are several, each is heard in turn.

        Args:
            host: where the message comes from, for one that does not say.
            connected: whose connection it came by; it is of that one, unless it names another.
            resumes: a start may also be of a process whose connection was lost.
        """
        with self._lock:
            place = (_key(said), said.sender, said.host or host)
            self._recall(place)
            found: Caller | None = None
            if said.process:
                found = self._by_name(said)
            elif connected is not None and connected.project == place[0]:
                # After an end the same connection may bring another process.
                found = None if connected.ended and said.event == "start" else connected
            elif said.event != "start" or resumes:
                found = self._longest_quiet(said, place)
            if found is None:
                found = self._make(said, place)
            found.learn(said, self._clock())
            return found

    def uptime(self, caller: Caller) -> float:
        """Seconds it has lived."""
        return max(0.0, self._clock() - caller.began)

    def failed_lately(self, caller: Caller) -> bool:
        """Tell whether its end follows an error so closely that it ended by it."""
        return self._clock() - caller.failed <= LAST_WORDS_SECONDS

    def _by_name(self, said: Announcement) -> Caller | None:
        found = self._named.get((_key(said), said.process))
        # An end is final: what begins again under the same name is another process.
        return None if found is not None and found.ended and said.event == "start" else found

    def _longest_quiet(self, said: Announcement, place: _Place) -> Caller | None:
        candidates = [
            caller
            for caller in self._placed[place]
            if (said.pid is None or caller.pid in (None, said.pid))
            and not (caller.ended or caller.connected)
        ]
        return min(candidates, key=lambda caller: caller.heard, default=None)

    def _recall(self, place: _Place) -> None:
        """Learn of the processes there that an earlier bridge process heard."""
        if place in self._recalled:
            return
        self._recalled.add(place)
        now, wall = self._clock(), time.time_ns()
        for process in self._processes():
            if (process.project, process.sender, process.host) != place or process.outcome:
                continue
            if process.instance not in self._callers:
                self._remember(_caller_of(process, now, wall), place)

    def _make(self, said: Announcement, place: _Place) -> Caller:
        age = said.uptime or 0.0
        instance = said.process or str(uuid.uuid4())
        if instance in self._callers or self._is_known(instance):
            instance = f"{instance}-{uuid.uuid4()}"
        caller = Caller(
            instance=instance,
            project=place[0],
            sender=said.sender,
            name=said.process,
            host=place[2],
            pid=said.pid,
            version=said.version,
            began=self._clock() - age,
            started=(said.time or time.time_ns()) - int(age * _SECOND),
        )
        self._remember(caller, place)
        return caller

    def _is_known(self, instance: str) -> bool:
        return any(process.instance == instance for process in self._processes())

    def _remember(self, caller: Caller, place: _Place) -> None:
        if len(self._callers) >= _MOST_CALLERS:
            self._forget()
        self._callers[caller.instance] = caller
        self._placed[place].append(caller)
        if caller.name:
            self._named[caller.project, caller.name] = caller

    def _forget(self) -> None:
        """Forget the twentieth of them that has ended, or said nothing for longest."""
        quiet = sorted(self._callers.values(), key=lambda one: (not one.ended, one.heard))
        for one in quiet[: _MOST_CALLERS // 20]:
            del self._callers[one.instance]
            self._placed[one.project, one.sender, one.host].remove(one)
            if self._named.get((one.project, one.name)) is one:
                del self._named[one.project, one.name]


def _caller_of(process: Process, now: float, wall: int) -> Caller:
    return Caller(
        instance=process.instance,
        project=process.project,
        sender=process.sender,
        name=process.instance,
        host=process.host,
        pid=int(process.pid) if process.pid.isdecimal() else None,
        version=process.version,
        began=now - max(0.0, (wall - process.started) / _SECOND),
        started=process.started,
        interval=process.interval,
        errors=process.errors,
        sinks=process.sinks,
        authors=process.authors,
        heard=now - max(0.0, (wall - process.arrived) / _SECOND),
    )


def _key(said: Announcement) -> ProjectKey:
    return ProjectKey(said.project, said.namespace, said.environment)
