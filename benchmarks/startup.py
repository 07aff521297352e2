"""What instrumenting adds to an app's start: ``python -m benchmarks.startup``.

Each round starts a fresh interpreter per set-up, in turn, so that noise meets all alike. Flask is
imported and the app made before the clock starts: both need it anyway.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from benchmarks.table import Table, machine

TARGET = 1.3

_PROGRAM = """
import json, os, sys, time
from flask import Flask
from benchmarks.setups import SETUPS
app = Flask("bench")
wall, cpu = time.perf_counter(), time.process_time()
SETUPS[sys.argv[1]](app, "http://127.0.0.1:9", "")
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
import psutil
print(json.dumps([wall, cpu, psutil.Process().memory_info().rss]), flush=True)
# Nothing is left to deliver, and nobody listens: end without the exporters' farewell.
os._exit(0)
"""


def one_start(setup: str) -> tuple[float, float, int]:
    """Seconds, seconds of processor, and resident bytes after the start, in a fresh process."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, setup],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{setup}: {done.stderr}")
    wall, cpu, memory = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, memory


def measure(table: Table, rounds: int = 15) -> None:
    """Add the start's rows to a table."""
    names = ("stock", "ours")
    starts: dict[str, list[tuple[float, float, int]]] = {name: [] for name in names}
    for name in names:
        one_start(name)  # writes the .pyc files
    for round_ in range(rounds):
        for name in names if round_ % 2 else reversed(names):
            starts[name].append(one_start(name))
    wall = {name: [start[0] for start in starts[name]] for name in names}
    ratios = sorted(b / a for a, b in zip(wall["stock"], wall["ours"], strict=True))
    ratio = statistics.median(wall["ours"]) / statistics.median(wall["stock"])
    table.add(
        "import and instrument(app), against the stock SDK",
        f"<= {TARGET} times",
        f"{ratio:.2f} times ({ratios[len(ratios) // 10]:.2f} to"
        f" {ratios[-1 - len(ratios) // 10]:.2f} over {rounds} rounds):"
        f" {statistics.median(wall['ours']) * 1e3:.0f} ms against"
        f" {statistics.median(wall['stock']) * 1e3:.0f} ms",
        ratio <= TARGET,
    )
    memory = {name: statistics.median(start[2] for start in starts[name]) for name in names}
    table.add(
        "memory after the start",
        "",
        f"{memory['ours'] / 1e6:.0f} MB against {memory['stock'] / 1e6:.0f} MB",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    print(machine())
    measure(Table(), given.rounds)


if __name__ == "__main__":
    main()
