"""A drill: a healthy time, a fault, the time after it, and the comparison of all numbers."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from tests.faults.destinations import (
    SIGNALS,
    BridgeDestination,
    CollectorDestination,
    Destination,
    ElasticsearchDestination,
)
from tests.faults.gate import Gate
from tests.faults.grpc_gate import GrpcGate
from tests.faults.load import ask
from tests.faults.mounts import Mounts
from tests.faults.outcome import Asked, Outcome, compare
from tests.faults.server import OURS, Server, Setup, requests
from tests.testbed import collector_process, elasticsearch_server

# When nothing has arrived for so long, nothing will: longer than any pause between attempts.
QUIET_SECONDS = 30.0
AnyGate = TypeVar("AnyGate", Gate, GrpcGate)
# A certificate and its key.
Pair = tuple[Path, Path]


@dataclass(frozen=True)
class Form:
    """How long a drill takes, and how much is asked.

    Attributes:
        healthy: seconds before the fault.
        fault: seconds of the fault.
        after: seconds of requests after it.
        settle: seconds that what waits may take to arrive once the requests have ended, as long
            as some of it does arrive.
        rate: requests a second.
        records: log records, and spans, a request.
    """

    healthy: float = 4.0
    fault: float = 10.0
    after: float = 2.0
    settle: float = 240.0
    rate: float = 50.0
    records: int = 10

    @classmethod
    def of(cls, seconds: float | None = None, **others: Any) -> Form:
        """The short form, or a longer one whose fault lasts so many seconds.

        Args:
            seconds: ``OTELBRIDGE_FAULT_SECONDS`` by default.
        """
        if seconds is None:
            seconds = float(os.environ.get("OTELBRIDGE_FAULT_SECONDS") or cls.fault)
        if seconds <= cls.fault:
            return cls(fault=seconds, **others)
        return cls(healthy=20.0, fault=seconds, after=10.0, settle=600.0, **others)


class Run:
    """One drill under way: its servers, and what can be done to them.

    Attributes:
        form: how long everything takes.
        destination: the real server at the end.
        gate: before it; ``None`` where the app reaches the destination itself.
        servers: the apps, one unless the drill asks for more.
        spool: the folder that the apps keep what waits in.
        mounts: what the apps see otherwise than everybody does.
        certificates: what a gate speaks TLS with, a certificate that holds, and an expired one.
    """

    def __init__(self, drill: Drill, setup: Setup, form: Form, folder: Path) -> None:
        self.drill = drill
        self.setup = setup
        self.form = form
        self.folder = folder
        self.spool = folder / "spool"
        self.spool.mkdir(parents=True)
        self.destination = drill.place(folder / "destination")
        self.gate: Gate | GrpcGate | None = None
        self.servers: list[Server] = []
        self.mounts = Mounts()
        self.certificates: tuple[ssl.SSLContext, Pair, Pair] | None = None
        self._load: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()

    @property
    def server(self) -> Server:
        """The only app, or the first."""
        return self.servers[0]

    @property
    def bridge(self) -> BridgeDestination:
        """The destination, of drills that are about the bridge."""
        assert isinstance(self.destination, BridgeDestination)
        return self.destination

    def wait(self, seconds: float | None = None) -> None:
        """Let the fault last; for as long as the form says unless told otherwise."""
        time.sleep(self.form.fault if seconds is None else seconds)

    def entered(self, gate: AnyGate) -> AnyGate:
        """Let a gate listen until the drill is over."""
        return self._stack.enter_context(gate)

    def outcome(self) -> Outcome:
        """Do everything, and tell what became of it."""
        with self._stack:
            return self._perform()

    def _perform(self) -> Outcome:
        form = self.form
        self._start()
        answers = self.folder / "answers.jsonl"
        ports = [server.port for server in self.servers]
        load = self._load = requests(ports, form.rate, form.records, answers)
        self._stack.callback(_kill, load)
        begun = time.time()
        time.sleep(form.healthy)
        attempts = self.gate.requests if self.gate else 0
        broken = time.time()
        self.drill.fault(self)
        mended = time.time()
        attempts = (self.gate.requests if self.gate else 0) - attempts
        time.sleep(form.after)
        load.send_signal(signal.SIGTERM)
        load.wait(60)

        asked = Asked(form.records, self.drill.services)
        asked.read(answers)
        self._settle(asked, form.settle)
        self._hear(asked)
        descriptors = self.server.samples[-1].descriptors
        end_seconds = max([server.end() for server in self.servers])
        if self.setup.name == "ours" and not self._settle(asked, 2.0):
            # What an app left behind is for the next one.
            for server in self.servers:
                server.start()
            self._settle(asked, form.settle)
            for server in self.servers:
                server.end()
        samples = [sample for server in self.servers for sample in server.samples]
        healthy = [sample for sample in samples if begun <= sample.at < broken]
        return Outcome(
            name=self.drill.name,
            setup=self.setup.name,
            fates={signal: compare(asked, self.destination.stored(signal)) for signal in SIGNALS},
            dropped={signal: asked.dropped(signal) for signal in SIGNALS},
            uncounted=asked.uncounted(),
            attempts=attempts,
            # The first requests of a process find everything cold.
            p99_healthy=asked.percentile(0.99, begun + 1.0, broken),
            p99_fault=asked.percentile(0.99, broken, mended),
            inside_healthy=asked.percentile(0.99, begun + 1.0, broken, inside=True),
            inside_fault=asked.percentile(0.99, broken, mended, inside=True),
            slowest=asked.percentile(1.0, begun, mended, inside=True),
            unanswered=sum(request.pid is None for request in asked.requests),
            rss_healthy=max(sample.rss for sample in healthy),
            rss_peak=max(sample.rss for sample in samples),
            descriptors_healthy=max(sample.descriptors for sample in healthy),
            descriptors_end=descriptors,
            end_seconds=end_seconds,
            killed=[kill for server in self.servers for kill in server.killed],
            said="\n".join(server.log.read_text(errors="replace") for server in self.servers),
        )

    def _start(self) -> None:
        self._stack.callback(self.destination.stop)
        self.destination.start()
        protocol, drill = self.drill.protocol, self.drill
        upstream = self.destination.grpc if protocol == "grpc" else self.destination.port
        assert upstream is not None
        if drill.gated:
            kind: Literal["http", "tcp"] = "tcp" if protocol == "grpc" else "http"
            self.gate = self.entered(Gate(upstream, kind))
        environ = {
            "OTEL_SERVICE_NAME": "drilled",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_METRICS_EXPORTER": "none",
            "OTELBRIDGE_SPOOL_DIR": str(self.spool),
            # What is compared with what others lose is the same in number.
            "OTELBRIDGE_REQUEST_LOG": "false",
            **self.destination.environ(self.gate.port if self.gate else upstream),
            **drill.environ,
        }
        drill.prepare(self, environ)
        for place, service in enumerate(drill.services):
            server = Server(
                self.folder / f"app-{place}",
                self.setup,
                {**environ, "OTEL_SERVICE_NAME": service},
                drill.options,
                self.mounts,
            )
            self._stack.callback(server.close)
            self.servers.append(server)
            server.start()

    def _hear(self, asked: Asked) -> None:
        """Ask every worker what it counts."""
        for server in self.servers:
            waited = {worker.pid for worker in server.workers()}
            deadline = time.monotonic() + 10
            while waited and time.monotonic() < deadline:
                answer = asyncio.run(ask(server.port, "/delivery", 5))
                if answer is not None:
                    asked.delivery[answer["pid"]] = answer["delivery"]
                    waited.discard(answer["pid"])

    def _settle(self, asked: Asked, seconds: float) -> bool:
        """Wait until every number is stored, or nothing more comes; whether all are there."""
        sent = asked.numbers(answered=True).keys()
        now = time.monotonic()
        deadline, quiet, before = now + seconds, now + QUIET_SECONDS, -1
        while True:
            missing = sum(
                len(sent - {record.number for record in self.destination.stored(signal)})
                for signal in SIGNALS
            )
            now = time.monotonic()
            if missing != before:
                before, quiet = missing, now + QUIET_SECONDS
            if not missing:
                return True
            if now > min(deadline, quiet):
                return False
            time.sleep(0.5)


def _nothing(run: Run, environ: dict[str, str]) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Drill:
    """What is done to which servers.

    Attributes:
        name: what it is called in tables.
        fault: breaks something, waits, and mends it.
        place: makes the destination in a folder.
        protocol: what the app sends by.
        gated: whether the gate stands before the destination.
        environ: variables of the app.
        options: gunicorn's.
        services: names of the services; each is an app of its own.
        prepare: changes the run or the variables before the app starts.
        met: whether the gate must have been asked during the fault.
        mounts: whether the app needs mounts of its own.
        openssl: whether certificates have to be made.
        ours_alone: whether only our setup has what is put to the test.
        journal: whether a killed process may lose nothing at all.
        may_drop: whether records may be given up, if they are counted.
    """

    name: str
    fault: Callable[[Run], None]
    place: Callable[[Path], Destination] = BridgeDestination
    protocol: str = "http/protobuf"
    gated: bool = True
    environ: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    services: tuple[str, ...] = ("drilled",)
    prepare: Callable[[Run, dict[str, str]], None] = _nothing
    met: bool = False
    mounts: bool = False
    openssl: bool = False
    ours_alone: bool = False
    journal: bool = False
    may_drop: bool = False

    @property
    def ordered(self) -> bool:
        """Whether what is stored last was sent last: others write by several threads."""
        return self.place is BridgeDestination

    @property
    def needs(self) -> tuple[Path, ...]:
        """Programs of the test bed that it needs; ``--check`` says whether they can be had."""
        if self.place is CollectorDestination:
            return elasticsearch_server.RUN, collector_process.BUILD
        return (elasticsearch_server.RUN,) if self.place is ElasticsearchDestination else ()


def perform(
    drill: Drill, setup: Setup = OURS, form: Form | None = None, *, folder: Path
) -> Outcome:
    """Do a drill in an empty folder."""
    return Run(drill, setup, form or Form.of(), folder).outcome()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
