"""The drilled app under gunicorn, with what can happen to its processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.faults.destinations import without_telemetry
from tests.faults.load import ask
from tests.faults.mounts import Mounts
from tests.testbed import processes

HERE = Path(__file__).parent
START_SECONDS = 60.0
SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Setup:
    """How the app is instrumented.

    Attributes:
        name: what the app and tables call it.
        command: what runs gunicorn, its own options left out.
        environ: variables it needs.
    """

    name: str
    command: tuple[str, ...] = (sys.executable, "-m", "gunicorn")
    environ: Mapping[str, str] = field(default_factory=dict)


OURS = Setup("ours")


@dataclass(frozen=True)
class Sample:
    """The workers at one moment.

    Attributes:
        at: seconds since the epoch.
        rss: bytes of memory of the largest worker.
        descriptors: open ones of the worker that has most.
        workers: how many there were.
    """

    at: float
    rss: int
    descriptors: int
    workers: int


class Server:
    """Gunicorn with two workers of one thread each, on a port that stays.

    Attributes:
        port: where it answers.
        samples: what its workers needed, about twice a second.
        killed: when which worker was killed with -9, and its id.
    """

    def __init__(
        self,
        folder: Path,
        setup: Setup,
        environ: Mapping[str, str],
        options: Sequence[str] = (),
        mounts: Mounts | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "server.log"
        self.port = processes.free_port()
        self.samples: list[Sample] = []
        self.killed: list[tuple[float, int]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._setup = setup
        self._environ = dict(environ)
        self._options = options
        self._mounts = mounts or Mounts()
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers."""
        command = [*self._setup.command, f"--bind=127.0.0.1:{self.port}", "--workers=2"]
        command += ["--graceful-timeout=30", "--log-level=warning", "--backlog=2048"]
        command += [*self._options, "drilled:app"]
        with self.log.open("ab") as output:
            self.process = processes.start(
                self._mounts.command(command),
                output,
                environ={
                    **without_telemetry(),
                    "PYTHONPATH": str(HERE),
                    "PYTHONUNBUFFERED": "1",
                    "DRILL_SETUP": self._setup.name,
                    **self._setup.environ,
                    **self._environ,
                },
            )
        deadline = time.monotonic() + START_SECONDS
        while asyncio.run(ask(self.port, "/pid", 5)) is None:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        if not self._sampler.is_alive() and not self._ended.is_set():
            self._sampler.start()

    def workers(self) -> list[psutil.Process]:
        """Find the processes that answer requests."""
        if self.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []

    def kill_worker(self) -> None:
        """Kill the worker that has lived longest, with -9."""
        worker = min(self.workers(), key=lambda process: (process.create_time(), process.pid))
        self.killed.append((time.time(), worker.pid))
        worker.kill()

    def end_worker(self) -> None:
        """Tell the worker that has lived longest to end."""
        worker = min(self.workers(), key=lambda process: (process.create_time(), process.pid))
        worker.terminate()

    def kill(self) -> None:
        """Kill all of it with -9."""
        assert self.process is not None
        victims = self.workers()
        self.process.kill()
        now = time.time()
        for victim in victims:
            self.killed.append((now, victim.pid))
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, 10)
        self.process.wait()
        self.process = None

    def end(self) -> float:
        """End it as an operator does; returns the seconds this took."""
        if self.process is None:
            return 0.0
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.process = None
        return time.monotonic() - begun

    def close(self) -> None:
        """End it whatever it is doing, and stop watching it."""
        self._ended.set()
        if self.process is not None:
            self.kill()
        if self._sampler.is_alive():
            self._sampler.join()

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            seen = []
            for worker in self.workers():
                with contextlib.suppress(psutil.Error, OSError):
                    seen.append((worker.memory_info().rss, worker.num_fds()))
            if seen:
                rss, descriptors = (max(column) for column in zip(*seen, strict=True))
                self.samples.append(Sample(time.time(), rss, descriptors, len(seen)))


def requests(ports: Sequence[int], rate: float, records: int, out: Path) -> subprocess.Popen[bytes]:
    """Start to ask apps for numbers; end it with SIGTERM."""
    command = [sys.executable, "-m", "tests.faults.load", "--rate", str(rate)]
    command += ["--records", str(records), "--out", str(out), *(str(port) for port in ports)]
    root = HERE.parents[1]
    with (out.parent / "load.log").open("ab") as output:
        return processes.start(command, output, environ={**os.environ, "PYTHONPATH": str(root)})
