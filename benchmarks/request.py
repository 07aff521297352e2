"""What one Flask request costs, instrumented in different ways: ``python -m benchmarks.request``.

One route that writes two log records with three extras each. The app is called as a WSGI server
calls it, at a steady rate; the sink that counts is a process of its own. What is compared is the
processor time of the app's whole process, exporter threads and the final delivery included, and
how much of what was written arrived. Every round runs every set-up in a fresh process, in turn.

``--peers`` adds what others make, each in an environment of its own below ``.venvs/peers``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import PEERS
from benchmarks.request_app import WARM_UP
from benchmarks.setups import SETUPS
from benchmarks.table import Table, machine

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".venvs" / "peers"
# Items for each request: its span, the app's two log records, and the two that ours adds.
DELIVERED = {"stock": 3, "ours": 5, "ours, no request log": 3}


@dataclass(frozen=True)
class Cost:
    """One process's result: seconds a request, and the items the sink counted."""

    cpu: float
    p50: float
    p99: float
    delivered: int


@contextmanager
def counting_sink() -> Iterator[str]:
    """Run the sink; yields its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(10)


@dataclass(frozen=True)
class Runner:
    """How a set-up's app is run.

    Attributes:
        command: the beginning of its command line.
        delivered: how many items the sink is to count for each request.
        besides: how many more for each process.
    """

    command: list[str]
    delivered: int
    besides: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)


def runners(with_peers: bool) -> dict[str, Runner]:
    """All set-ups; the peers' environments are made where they are not there yet."""
    found = {
        # A process of ours also tells of its start and of its end.
        name: Runner([sys.executable], DELIVERED.get(name, 0), 2 * name.startswith("ours"))
        for name in SETUPS
    }
    if with_peers:
        for name, peer in PEERS.items():
            folder = ENVIRONMENTS / name.lower().replace(" ", "-")
            programs = peer.environment(folder.resolve())
            found[name] = Runner(peer.command(programs), peer.delivered, environ=peer.environ)
    return found


def one_run(setup: str, runner: Runner, endpoint: str, requests: int, rate: float) -> Cost:
    """Run one set-up once."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    environ |= {"PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **runner.environ}
    done = subprocess.run(
        [
            *runner.command,
            *("-m", "benchmarks.request_app", setup, endpoint),
            *("--requests", str(requests), "--rate", str(rate)),
        ],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120 + requests / rate,
        cwd=ROOT,
    )
    if done.returncode:
        raise RuntimeError(f"{setup}: {done.stderr[-2000:]}")
    with urllib.request.urlopen(f"{endpoint}/counts") as answer:
        counts = json.load(answer)
    measured = json.loads(done.stdout.splitlines()[-1])
    return Cost(**measured, delivered=counts.get("logs", 0) + counts.get("spans", 0))


def measure(
    table: Table,
    rounds: int = 5,
    requests: int = 3000,
    rate: float = 500.0,
    *,
    with_peers: bool = False,
) -> None:
    """Add one row a set-up to a table."""
    ways = runners(with_peers)
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    with counting_sink() as endpoint:
        for round_ in range(rounds):
            names = list(ways)
            # Another order every round: no set-up always runs after the same neighbour.
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                costs[name].append(one_run(name, ways[name], endpoint, requests, rate))
            print(f"    round {round_ + 1} of {rounds}", flush=True)
    for name, runs in costs.items():
        table.add(f"a Flask request, {name}", "", _told(name, runs, costs, ways[name], requests))


def _told(
    name: str, runs: list[Cost], costs: dict[str, list[Cost]], way: Runner, requests: int
) -> str:
    def added(which: str) -> list[float]:
        return [one.cpu - bare.cpu for one, bare in zip(costs[which], costs["bare"], strict=True)]

    def against_bare(value: Callable[[Cost], float]) -> list[float]:
        return [value(one) / value(bare) for one, bare in zip(runs, costs["bare"], strict=True)]

    text = f"{statistics.median(cost.cpu for cost in runs) * 1e6:.0f} us of CPU"
    if name != "bare":
        text += (
            f", {statistics.median(added(name)) * 1e6:+.0f};"
            f" {spread(against_bare(lambda cost: cost.cpu))} times bare;"
            f" p99 {spread(against_bare(lambda cost: cost.p99))} times bare's"
        )
    if name not in {"bare", "stock"}:
        shares = [one / stock for one, stock in zip(added(name), added("stock"), strict=True)]
        text += f"; adds {spread(shares, 2)} times what stock adds"
    if way.delivered:
        # The 200 requests that warm up are delivered as well.
        written = ((requests + WARM_UP) * way.delivered + way.besides) * len(runs)
        got = sum(cost.delivered for cost in runs)
        text += f"; {got:,} of {written:,} items delivered"
    return text


def spread(values: list[float], digits: int = 1) -> str:
    """The median, the least and the most."""
    return (
        f"{statistics.median(values):.{digits}f}"
        f" ({min(values):.{digits}f} to {max(values):.{digits}f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--peers", action="store_true", help="also those of others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    given = parser.parse_args()
    print(machine())
    table = Table()
    measure(table, given.rounds, given.requests, given.rate, with_peers=given.peers)
    if given.json:
        given.json.write_text(table.json())


if __name__ == "__main__":
    main()
