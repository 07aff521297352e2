"""What one Flask request costs, instrumented in different ways: ``python -m benchmarks.request``.

One route that writes two log records with three extras each. The app is called as a WSGI server
calls it, at a steady rate; the sink that counts is a process of its own. What is compared is the
processor time of the app's whole process, exporter threads and the final delivery included, and
how much of what was written arrived. Every round runs every set-up in a fresh process, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import Table, machine

LOGS_PER_REQUEST = {"ours": 4}  # its Request and Response records come on top of the app's two
TRACED = ("stock", "ours", "ours, no request log")


def run_app(setup: str, endpoint: str, requests: int, rate: float) -> None:
    """The measured process: serve ``requests`` at ``rate`` a second, and print what it took."""
    import io
    import logging

    from flask import Flask

    from benchmarks.setups import SETUPS

    app = Flask("bench")
    logger = logging.getLogger("shop.orders")

    @app.get("/orders/<order_id>")
    def order(order_id: str) -> dict[str, str]:
        logger.info(
            "Order %s accepted", order_id, extra={"user": "alice", "status": "success", "code": 200}
        )
        logger.warning(
            "Stock of order %s is low", order_id, extra={"user": "alice", "items": 3, "left": 0.5}
        )
        return {"order": order_id}

    with tempfile.TemporaryDirectory() as folder:
        running = SETUPS[setup](app, endpoint, folder)

        def start_response(*_: object) -> object:
            return lambda _: None

        def call(number: int) -> None:
            environ = {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "",
                "PATH_INFO": f"/orders/{number}",
                "QUERY_STRING": "verbose=1",
                "SERVER_NAME": "127.0.0.1",
                "SERVER_PORT": "8000",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "10.0.0.7",
                "HTTP_HOST": "shop.example:8000",
                "HTTP_USER_AGENT": "benchmark/1.0",
                "HTTP_ACCEPT": "*/*",
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.input": io.BytesIO(),
                "wsgi.errors": sys.stderr,
                "wsgi.multithread": True,
                "wsgi.multiprocess": True,
                "wsgi.run_once": False,
            }
            answer = app(environ, start_response)
            for _ in answer:
                pass
            close = getattr(answer, "close", None)
            if close:
                close()

        for number in range(200):
            call(number)
        # The first delivery loads what delivers; that is the start's cost, not a request's.
        running.flush()
        latencies = []
        cpu, begin = time.process_time(), time.perf_counter()
        for number in range(requests):
            wait = begin + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            before = time.perf_counter()
            call(number)
            latencies.append(time.perf_counter() - before)
        running.finish()
        cpu = time.process_time() - cpu
    latencies.sort()
    print(
        json.dumps(
            {
                "cpu": cpu / requests,
                "p50": latencies[requests // 2],
                "p99": latencies[requests * 99 // 100],
            }
        ),
        flush=True,
    )
    os._exit(0)


@dataclass(frozen=True)
class Cost:
    """One process's result: seconds a request, and the records the sink counted."""

    cpu: float
    p50: float
    p99: float
    logs: int
    spans: int


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


def one_run(setup: str, endpoint: str, requests: int, rate: float) -> Cost:
    """Run one set-up once."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.request", "--app", setup),
            *("--endpoint", endpoint, "--requests", str(requests), "--rate", str(rate)),
        ],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120 + requests / rate,
        cwd=Path(__file__).parents[1],
    )
    if done.returncode:
        raise RuntimeError(f"{setup}: {done.stderr[-2000:]}")
    with urllib.request.urlopen(f"{endpoint}/counts") as answer:
        counts = json.load(answer)
    measured = json.loads(done.stdout.splitlines()[-1])
    return Cost(**measured, logs=counts.get("logs", 0), spans=counts.get("spans", 0))


def measure(table: Table, rounds: int = 5, requests: int = 3000, rate: float = 500.0) -> None:
    """Add one row a set-up to a table."""
    from benchmarks.setups import SETUPS

    costs: dict[str, list[Cost]] = {name: [] for name in SETUPS}
    with counting_sink() as endpoint:
        for round_ in range(rounds):
            names = list(SETUPS)
            # Another order every round: no set-up always runs after the same neighbour.
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                costs[name].append(one_run(name, endpoint, requests, rate))
    bare = statistics.median(cost.cpu for cost in costs["bare"])
    stock = statistics.median(cost.cpu for cost in costs["stock"]) - bare
    for name, runs in costs.items():
        cpu = sorted(cost.cpu for cost in runs)
        added = statistics.median(cpu) - bare
        text = (
            f"{statistics.median(cpu) * 1e6:.0f} us of CPU ({cpu[0] * 1e6:.0f} to"
            f" {cpu[-1] * 1e6:.0f}), {statistics.median(cpu) / bare:.1f} times bare;"
            f" p50 {statistics.median(c.p50 for c in runs) * 1e6:.0f} us,"
            f" p99 {statistics.median(c.p99 for c in runs) * 1e6:.0f} us"
        )
        if name in TRACED:
            # The 200 requests that warm up are delivered as well.
            written = (requests + 200) * rounds
            logs = written * LOGS_PER_REQUEST.get(name, 2)
            text += (
                f"; {sum(c.logs for c in runs):,} of {logs:,} logs and"
                f" {sum(c.spans for c in runs):,} of {written:,} spans delivered"
            )
        if name.startswith("ours"):
            text += f"; adds {added / stock:.2f} times what stock adds"
        table.add(f"a Flask request, {name}", "", text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--app", help=argparse.SUPPRESS)
    parser.add_argument("--endpoint", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.app:
        run_app(given.app, given.endpoint, given.requests, given.rate)
        return
    print(machine())
    measure(Table(), given.rounds, given.requests, given.rate)


if __name__ == "__main__":
    main()
