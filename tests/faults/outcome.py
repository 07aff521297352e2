"""What became of every number: asked for, logged and traced, stored, lost, stored twice."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.destinations import SIGNALS, Signal, Stored


@dataclass(frozen=True)
class Request:
    """One request to the app.

    Attributes:
        first: its first number.
        at: when it was sent, in seconds since the epoch.
        seconds: to the answer.
        pid: the process that answered; ``None`` where nobody did.
        inside: seconds that the process was at it; the others it waited for its turn.
    """

    first: int
    at: float
    seconds: float
    pid: int | None
    inside: float | None


@dataclass
class Asked:
    """What the app was asked, and what it answered.

    Attributes:
        records: numbers a request.
        services: names of the apps' services, which requests go to in turn.
        delivery: what each process counted of its own deliveries when it was last asked.
    """

    records: int
    services: tuple[str, ...] = ("drilled",)
    requests: list[Request] = field(default_factory=list)
    delivery: dict[int, Any] = field(default_factory=dict)

    def read(self, file: Path) -> None:
        """Read what the load has written."""
        for text in file.read_text().splitlines():
            line = json.loads(text)
            if isinstance(line, list):
                self.requests.append(Request(*line))
            else:
                self.delivery[line["pid"]] = line["delivery"]

    def dropped(self, signal: Signal) -> int:
        """Add up what all processes say that they gave up."""
        name = "logs" if signal == "logs" else "traces"
        return sum(
            sum(way["dropped"].values())
            for ways in self.delivery.values()
            for way in ways or ()
            if way["signal"] == name
        )

    def service(self, number: int) -> str:
        """Name the service whose app was asked for a number."""
        return self.services[number // self.records % len(self.services)]

    def uncounted(self) -> list[Any]:
        """List the counts that do not say what became of every record."""
        return [
            way
            for ways in self.delivery.values()
            for way in ways or ()
            if way["accepted"] + way["adopted"]
            != way["sent"] + sum(way["dropped"].values()) + way["waiting"]
        ]

    def numbers(self, *, answered: bool) -> dict[int, Request]:
        """List the numbers of requests that were answered, or of those that were not."""
        return {
            number: request
            for request in self.requests
            if (request.pid is not None) == answered
            for number in range(request.first, request.first + self.records)
        }

    def percentile(self, share: float, begin: float, end: float, *, inside: bool = False) -> float:
        """Seconds to the answer, or inside the app, of the requests sent within a time."""
        times = sorted(
            request.inside if inside else request.seconds
            for request in self.requests
            if request.inside is not None and begin <= request.at < end
        )
        return times[min(int(share * len(times)), len(times) - 1)] if times else float("nan")


@dataclass
class Fate:
    """What became of the numbers of one signal.

    Attributes:
        sent: numbers whose request was answered: they must be stored.
        stored: different numbers found.
        lost: numbers sent and not found, with their requests.
        twice: how many records are there besides the first of their number.
        strange: numbers found that nobody asked for.
        misplaced: records that are said to be another service's.
        late: records that arrived after one that the same process made later.
    """

    sent: int
    stored: int
    lost: dict[int, Request]
    twice: int
    strange: int
    misplaced: int
    late: int

    def unexcused(self, killed: Sequence[tuple[float, int]], seconds: float) -> dict[int, Request]:
        """List the lost numbers that no process took with it when it was killed.

        Args:
            killed: moments and process ids.
            seconds: how much of its last time a killed process may take with it.
        """
        return {
            number: request
            for number, request in self.lost.items()
            if not any(
                request.pid == pid
                and moment - seconds <= request.at + request.seconds <= moment + 1
                for moment, pid in killed
            )
        }


def compare(asked: Asked, stored: Iterable[Stored]) -> Fate:
    """Compare every number sent with every number stored."""
    counts: Counter[int] = Counter()
    misplaced = 0
    by_process: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for record in stored:
        counts[record.number] += 1
        misplaced += record.service != asked.service(record.number)
        if record.pid is not None and record.order is not None:
            by_process[record.pid].append((record.arrival, record.order))
    sent, unanswered = asked.numbers(answered=True), asked.numbers(answered=False)
    return Fate(
        sent=len(sent),
        stored=len(counts),
        lost={number: request for number, request in sent.items() if number not in counts},
        twice=sum(counts.values()) - len(counts),
        strange=sum(number not in sent and number not in unanswered for number in counts),
        misplaced=misplaced,
        late=sum(_late(records) for records in by_process.values()),
    )


def _late(records: list[tuple[int, int]]) -> int:
    """Count records that came in a later batch than one made after them."""
    found, highest, highest_before, arrival_before = 0, -1, -1, None
    for arrival, order in sorted(records):
        if arrival != arrival_before:
            arrival_before, highest_before = arrival, highest
        found += order < highest_before
        highest = max(highest, order)
    return found


@dataclass
class Outcome:
    """One drill's result.

    Attributes:
        fates: what became of log records and of spans.
        dropped: what the app's processes counted as given up.
        uncounted: counts of the app's processes that do not add up.
        attempts: requests, or connections, that came to the gate during the fault.
        p99_healthy: seconds, 99 of 100 requests were answered within it before the fault.
        p99_fault: the same during the fault.
        inside_healthy: as ``p99_healthy``, without the time before the app began with a request.
        inside_fault: the same during the fault.
        slowest: seconds that the slowest request of all took inside the app.
        unanswered: requests that got no answer.
        rss_healthy: bytes of the largest worker before the fault, at most.
        rss_peak: bytes of the largest worker, at most.
        descriptors_healthy: open ones of a worker before the fault, at most.
        descriptors_end: open ones of a worker at the end.
        end_seconds: how long the app took to end.
        killed: when which worker was killed with -9.
        said: what the servers printed.
    """

    name: str
    setup: str
    fates: dict[Signal, Fate]
    dropped: dict[Signal, int]
    uncounted: list[Any]
    attempts: int
    p99_healthy: float
    p99_fault: float
    inside_healthy: float
    inside_fault: float
    slowest: float
    unanswered: int
    rss_healthy: int
    rss_peak: int
    descriptors_healthy: int
    descriptors_end: int
    end_seconds: float
    killed: list[tuple[float, int]]
    said: str = ""

    @property
    def sent(self) -> int:
        """Records and spans made for requests that were answered."""
        return sum(fate.sent for fate in self.fates.values())

    @property
    def lost(self) -> int:
        """Those of them that are stored nowhere."""
        return sum(len(fate.lost) for fate in self.fates.values())

    @property
    def twice(self) -> int:
        """Records and spans that are stored once more than they should be."""
        return sum(fate.twice for fate in self.fates.values())

    def line(self) -> str:
        """One line for whoever watches."""
        dropped = sum(self.dropped.values())
        each = ", ".join(f"{signal} {len(self.fates[signal].lost)}" for signal in SIGNALS)
        return (
            f"{self.name:36} {self.setup:6} sent {self.sent:7}  lost {self.lost:6} ({each})  "
            f"twice {self.twice:5}  late {self.fates['logs'].late:4}  dropped {dropped:6}  "
            f"p99 {self.p99_healthy * 1000:5.1f} -> {self.p99_fault * 1000:6.1f} ms  "
            f"inside {self.inside_healthy * 1000:5.1f} -> {self.inside_fault * 1000:5.1f} ms  "
            f"memory {self.rss_healthy / 2**20:4.0f} -> {self.rss_peak / 2**20:4.0f} MB  "
            f"descriptors {self.descriptors_healthy} -> {self.descriptors_end}  "
            f"end {self.end_seconds:4.1f} s"
        )
