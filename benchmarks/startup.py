"""What instrumenting adds to an app's start: ``python -m benchmarks.startup``.

Each round starts a fresh interpreter per set-up, in turn, so that noise meets all alike. Flask is
imported and the app made before the clock starts: both need it anyway. What a set-up leaves for
later (ours loads its exporters when there is something to send) is in the second row: processor
time of the start, a first request and the delivery of its records to a sink that counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys

from benchmarks.sink_process import counting_sink
from benchmarks.table import Table, machine

TARGET = 1.3
SETUPS = {"stock": "stock, HTTP", "ours": "ours as it comes"}

_PROGRAM = """
import json, logging, os, sys, time
from flask import Flask
from benchmarks.setups import SETUPS
app = Flask("bench")
app.add_url_rule("/", view_func=lambda: logging.getLogger("shop").info("Asked") or "ok")
begun, cpu = time.perf_counter(), time.process_time()
running = SETUPS[sys.argv[1]].setup(app, sys.argv[2], "")
built = time.perf_counter() - begun
app.test_client().get("/")
running.flush()
cpu = time.process_time() - cpu
import psutil
print(json.dumps([built, cpu, psutil.Process().memory_info().rss]), flush=True)
# Everything is delivered: end without the exporters' farewell.
os._exit(0)
"""


def one_start(setup: str, endpoint: str) -> tuple[float, float, int]:
    """Start a fresh process.

    Returns:
        seconds until it is instrumented; seconds of processor, and resident bytes, until its first
        request's records are delivered.
    """
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, setup, endpoint],
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
    starts: dict[str, list[tuple[float, float, int]]] = {name: [] for name in SETUPS}
    with counting_sink() as sink:
        for setup in SETUPS.values():
            one_start(setup, sink.http)  # writes the .pyc files
        for round_ in range(rounds):
            for name in SETUPS if round_ % 2 else reversed(SETUPS):
                starts[name].append(one_start(SETUPS[name], sink.http))
    wall = {name: [start[0] for start in starts[name]] for name in SETUPS}
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
    cpu = {name: statistics.median(start[1] for start in starts[name]) for name in SETUPS}
    table.add(
        "the same with a first request, delivered, in processor time",
        "",
        f"{cpu['ours'] / cpu['stock']:.2f} times:"
        f" {cpu['ours'] * 1e3:.0f} ms against {cpu['stock'] * 1e3:.0f} ms",
    )
    memory = {name: statistics.median(start[2] for start in starts[name]) for name in SETUPS}
    table.add(
        "memory after that",
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
