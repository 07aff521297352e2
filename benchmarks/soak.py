"""An hour of requests with a fault every minute: ``python -m benchmarks.soak``.

One app of two gunicorn workers, instrumented by the one line, is asked at a steady rate. It sends
to a real bridge through the gate of ``tests/faults``. In every minute something is broken for 5 to
25 seconds, drawn from a list with a known seed; in the second half it is never the workers
themselves, so that their memory can be watched growing old. At the end every number is compared.
Writes what happened as JSON and as a picture; exits with 1 if a record is lost without excuse or
stored twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.table import machine
from benchmarks.timeline import Band, Line, Panel, Timeline
from tests.faults.destinations import SIGNALS, BridgeDestination, Signal
from tests.faults.gate import Answer, CloseHalfWay, Fault, Gate, Hang, Pass, Refuse, Reset, Slow
from tests.faults.outcome import Asked, Fate, Request, compare
from tests.faults.server import OURS, Server, requests

FAULT_EVERY = 60.0
FAULT_BEGINS = 15.0
SHORTEST, LONGEST = 5.0, 25.0
WATCH_SECONDS = 5.0
SETTLE_SECONDS = 300.0
# As in the drills: what a killed process may take with it.
LAST_SECONDS: dict[Signal, float] = {"logs": 0.5, "spans": 0.8}

AT_THE_GATE: dict[str, Fault] = {
    "429": Answer(429, {"Retry-After": "2"}),
    "503": Answer(503, {"Retry-After": "1"}),
    "500": Answer(500),
    "hangs": Hang(),
    "half-way": CloseHalfWay(after=20),
    "answers lost": CloseHalfWay(),
    "1 KB/s": Slow(),
    "resets": Reset(),
    "refuses": Refuse(),
}


@dataclass
class Seen:
    """The machine at one moment: bytes, and open descriptors."""

    at: float
    bridge_memory: int
    bridge_descriptors: int
    spool: int


@dataclass
class Soak:
    """Everything that runs, and what was seen of it."""

    folder: Path
    bridge: BridgeDestination
    gate: Gate
    server: Server
    random: random.Random
    begun: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)

    def watch(self, until: float) -> None:
        """Let time pass, and note what everything needs."""
        while (left := until - time.time()) > 0:
            time.sleep(min(left, WATCH_SECONDS))
            self.note()

    def note(self) -> None:
        """Note what everything needs now."""
        memory = descriptors = 0
        with contextlib.suppress(psutil.Error, AttributeError):
            process = psutil.Process(self.bridge.process.pid)  # type: ignore[union-attr]
            memory, descriptors = process.memory_info().rss, process.num_fds()
        spool = 0
        for path in (self.folder / "spool").rglob("*"):
            with contextlib.suppress(OSError):
                spool += path.stat().st_size
        self.seen.append(Seen(time.time() - self.begun, memory, descriptors, spool))

    def break_something(self, seconds: float, *, workers: bool) -> str:
        """Break something for a time; returns what."""
        kinds: dict[str, Callable[[float], None]] = {
            **{name: self._gated(fault) for name, fault in AT_THE_GATE.items()},
            "bridge killed": self._kill_bridge,
            "bridge restarted": self._restart_bridge,
        }
        if workers:
            kinds["worker killed"] = self._worker(self.server.kill_worker)
            kinds["worker ended"] = self._worker(self.server.end_worker)
        name = self.random.choice(sorted(kinds))
        begin = time.time() - self.begun
        kinds[name](seconds)
        self.bands.append(Band(name, begin, time.time() - self.begun))
        return name

    def _gated(self, fault: Fault) -> Callable[[float], None]:
        def apply(seconds: float) -> None:
            self.gate.fault = fault
            self.watch(time.time() + seconds)
            self.gate.fault = Pass()

        return apply

    def _kill_bridge(self, seconds: float) -> None:
        self.bridge.kill()
        self.watch(time.time() + seconds)
        self.bridge.start()

    def _restart_bridge(self, seconds: float) -> None:
        self.bridge.stop()
        self.bridge.start()

    def _worker(self, act: Callable[[], None]) -> Callable[[float], None]:
        def apply(seconds: float) -> None:
            act()
            self.watch(time.time() + seconds)

        return apply


def run(folder: Path, minutes: float, rate: float, records: int, seed: int) -> dict[str, Any]:
    """Do all of it; returns the result."""
    with contextlib.ExitStack() as stack:
        bridge = BridgeDestination(folder / "bridge", OTELBRIDGE_RETENTION_BYTES="20GB")
        stack.callback(bridge.stop)
        bridge.start()
        gate = stack.enter_context(Gate(bridge.port))
        environ = {
            "OTEL_SERVICE_NAME": "drilled",
            "OTELBRIDGE_SPOOL_DIR": str(folder / "spool"),
            **bridge.environ(gate.port),
        }
        server = Server(folder / "app", OURS, environ)
        stack.callback(server.close)
        server.start()
        soak = Soak(folder, bridge, gate, server, random.Random(seed))
        answers = folder / "answers.jsonl"
        load = requests([server.port], rate, records, answers)
        stack.callback(load.kill)
        begun = soak.begun = time.time()
        ends = begun + minutes * 60
        while (minute := time.time()) + FAULT_BEGINS + LONGEST < ends:
            soak.watch(minute + FAULT_BEGINS)
            seconds = soak.random.uniform(SHORTEST, LONGEST)
            name = soak.break_something(seconds, workers=minute < begun + minutes * 30)
            print(f"{time.time() - begun:6.0f} s  {name}, {seconds:.0f} s", flush=True)
            soak.watch(min(minute + FAULT_EVERY, ends))
        soak.watch(ends)
        load.send_signal(signal.SIGTERM)
        load.wait(120)
        ended = time.time()
        asked = Asked(records)
        asked.read(answers)
        print(f"{len(asked.requests)} requests in {ended - begun:.0f} s", flush=True)
        fates, complete = _settled(asked, soak)
        soak.note()
        end_seconds = server.end()
        if not complete:
            # What an app left behind is for the next one.
            server.start()
            fates, _ = _settled(asked, soak)
            server.end()
        result = _result(soak, asked, fates, rate, ended - begun)
        result["minutes"], result["seed"] = minutes, seed
        result["app ended in"] = round(end_seconds, 2)
        result["timeline"] = _timeline(soak, asked, ended, rate)
        return result


def _settled(asked: Asked, soak: Soak) -> tuple[dict[Signal, Fate], bool]:
    """Wait until every number is stored that no killed worker took with it."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        fates = {signal: compare(asked, soak.bridge.stored(signal)) for signal in SIGNALS}
        missing = sum(
            len(fate.unexcused(soak.server.killed, LAST_SECONDS[signal]))
            for signal, fate in fates.items()
        )
        print(f"{missing} not stored yet", flush=True)
        if not missing or time.monotonic() > deadline:
            return fates, not missing
        time.sleep(20)


def _result(
    soak: Soak,
    asked: Asked,
    fates: dict[Signal, Fate],
    rate: float,
    seconds: float,
) -> dict[str, Any]:
    killed = soak.server.killed
    samples = soak.server.samples
    answered = [request for request in asked.requests if request.pid is not None]
    # The first minute fills caches; the last is compared with the one after it.
    early = [sample for sample in samples if 60 <= sample.at - soak.begun < 120] or samples
    late = [sample for sample in samples if sample.at > samples[-1].at - 60]
    return {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "requests a second, asked for": rate,
        "requests a second, had": round(len(answered) / seconds, 1),
        "log records and spans a request": asked.records,
        "requests": len(asked.requests),
        "answered": len(answered),
        "faults": [vars(band) for band in soak.bands],
        "workers killed": len(killed),
        "signals": {
            signal: {
                "sent": fate.sent,
                "stored": fate.stored,
                "lost": len(fate.lost),
                "lost without excuse": len(fate.unexcused(killed, LAST_SECONDS[signal])),
                "stored twice": fate.twice,
                "strange": fate.strange,
                "out of order": fate.late,
                "dropped, counted": asked.dropped(signal),
            }
            for signal, fate in fates.items()
        },
        "p50 ms": round(asked.percentile(0.50, 0, 1e12) * 1000, 2),
        "p99 ms": round(asked.percentile(0.99, 0, 1e12) * 1000, 2),
        "p99 inside the app, ms": round(asked.percentile(0.99, 0, 1e12, inside=True) * 1000, 2),
        "p99 beside faults": beside_faults(asked.requests, soak.bands, soak.begun),
        "memory of a worker, MB": {
            "second minute": round(max(sample.rss for sample in early) / 2**20, 1),
            "last minute": round(max(sample.rss for sample in late) / 2**20, 1),
            "most": round(max(sample.rss for sample in samples) / 2**20, 1),
        },
        "descriptors of a worker": {
            "second minute": max(sample.descriptors for sample in early),
            "last minute": max(sample.descriptors for sample in late),
            "most": max(sample.descriptors for sample in samples),
        },
        "memory of the bridge at most, MB": round(max(s.bridge_memory for s in soak.seen) / 2**20),
        "spool at most, MB": round(max(s.spool for s in soak.seen) / 2**20, 2),
        "spool at the end, MB": round(soak.seen[-1].spool / 2**20, 2),
    }


def beside_faults(
    requests: Sequence[Request], bands: Sequence[Band], begun: float
) -> dict[str, dict[str, float]]:
    """Compare the requests sent while the destination was broken with those of healthy times.

    Requests of the times in which a worker was killed or ended are left out: starting another one
    takes gunicorn a processor, whatever is instrumented.

    Args:
        requests: all of them; those without an answer are left out.
        bands: what was broken, and when, in seconds since the beginning.
        begun: when that was, in seconds since the epoch.

    Returns:
        For the time to the answer and for the time inside the app: how many requests there were,
        the milliseconds that 99 of 100 took at most, and the ratio of these.
    """
    broken: list[Request] = []
    healthy: list[Request] = []
    for request in requests:
        at = request.at - begun
        band = next((band for band in bands if band.begin <= at < band.end), None)
        if request.pid is not None and (band is None or not band.name.startswith("worker")):
            (healthy if band is None else broken).append(request)
    found = {}
    for name, pairs in {
        "to the answer": [[request.seconds for request in some] for some in (broken, healthy)],
        "inside the app": [[request.inside or 0 for request in some] for some in (broken, healthy)],
    }.items():
        if all(pairs):
            fault, fine = map(_p99, pairs)
            found[name] = {
                "requests in a fault": len(broken),
                "requests besides": len(healthy),
                "in a fault, ms": round(fault, 2),
                "besides, ms": round(fine, 2),
                "ratio": round(fault / fine, 2),
            }
    return found


def _timeline(soak: Soak, asked: Asked, ended: float, rate: float) -> str:
    begun = soak.begun
    seconds = ended - begun
    step = max(1.0, seconds / 600)
    buckets: dict[int, list[Request]] = {}
    for request in asked.requests:
        if request.pid is not None:
            buckets.setdefault(int((request.at - begun) / step), []).append(request)
    # The last one is not full.
    full = sorted(buckets.items())[:-1]
    answered = [(place * step, len(found) / step) for place, found in full]
    p99 = [(place * step, _p99([request.seconds for request in found])) for place, found in full]
    inside = [
        (place * step, _p99([request.inside or 0 for request in found])) for place, found in full
    ]
    every = max(1, len(soak.server.samples) // 1200)
    samples = soak.server.samples[::every]
    return Timeline(
        f"{seconds / 60:.0f} minutes at {rate:g} requests a second, a fault every minute",
        seconds,
        soak.bands,
        [
            Panel("requests answered a second", [Line("", answered)]),
            Panel(
                "milliseconds that 99 of 100 requests took",
                [Line("to the answer", p99), Line("inside the app", inside)],
            ),
            Panel(
                "memory, MB",
                [
                    Line("larger worker", [(s.at - begun, s.rss / 2**20) for s in samples]),
                    Line("bridge", [(s.at, s.bridge_memory / 2**20) for s in soak.seen]),
                ],
            ),
            Panel(
                "open descriptors",
                [
                    Line("a worker", [(s.at - begun, s.descriptors) for s in samples]),
                    Line("bridge", [(s.at, s.bridge_descriptors) for s in soak.seen]),
                ],
            ),
            Panel("spool, MB", [Line("", [(s.at, s.spool / 2**20) for s in soak.seen])]),
        ],
    ).svg()


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))] * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    parser.add_argument("--records", type=int, default=1, help="log records and spans a request")
    parser.add_argument("--seed", type=int, default=1, help="of the faults that are drawn")
    parser.add_argument("--json", type=Path, default=Path("docs/soak.json"), metavar="FILE")
    parser.add_argument("--svg", type=Path, default=Path("docs/images/soak.svg"), metavar="FILE")
    parser.add_argument("--folder", type=Path, help="where everything is kept; removed by default")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="otelbridge-soak-"))
    print(machine(), flush=True)
    try:
        result = run(folder, given.minutes, given.rate, given.records, given.seed)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    given.svg.write_text(result.pop("timeline"))
    text = json.dumps(result, indent=1) + "\n"
    given.json.write_text(text)
    print(text)
    fine = all(
        not signal["lost without excuse"] and not signal["stored twice"] and not signal["strange"]
        for signal in result["signals"].values()
    )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
