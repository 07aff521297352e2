"""What ``OTELBRIDGE_JOURNAL=1`` costs: ``python -m benchmarks.journal``.

Programs log at a steady rate to a receiver that only counts, with the journal and without, in
turns. Shown is the processor's time, which a busy machine disturbs least: of the thread that logs
(what a request pays) and of the whole program (encoding and sending included), per record.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Table, machine

_KINDS = ("log record", "span")


def _program(kind: str, records: int, rate: float) -> None:
    """Log in this process, and print what it cost."""
    import logging

    from opentelemetry import trace

    import otelbridge

    handle = otelbridge.instrument(service_name="journal-benchmark", sinks="otlp")
    logger = logging.getLogger("shop.payments")
    tracer = trace.get_tracer("shop.payments")

    def log(number: int) -> None:
        logger.info("order %d paid", number, extra={"user": "alice", "status": 200, "amount": 17.5})

    def span(number: int) -> None:
        with tracer.start_as_current_span("GET /orders", attributes={"http.route": "/orders"}):
            pass

    act = log if kind == "log record" else span
    for number in range(200):
        act(number)
    handle.flush()
    on_thread, on_clock = [], []
    begun, spent = time.monotonic(), time.process_time()
    for number in range(records):
        before, started = time.thread_time_ns(), time.perf_counter_ns()
        act(number)
        on_clock.append(time.perf_counter_ns() - started)
        on_thread.append(time.thread_time_ns() - before)
        # What is slept off in one piece is not rushed through afterwards.
        if number % 20 == 19:
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
    handle.flush()
    whole = time.process_time() - spent
    delivered = sum(each.sent for each in handle.delivery())
    handle.shutdown()
    print(
        json.dumps(
            {
                "thread": statistics.fmean(on_thread) / 1e3,
                "median": statistics.median(on_clock) / 1e3,
                "p99": statistics.quantiles(on_clock, n=100)[98] / 1e3,
                "process": whole / records * 1e6,
                "delivered": delivered,
            }
        )
    )


def _run(kind: str, journal: bool, records: int, rate: float, endpoint: str) -> dict[str, float]:
    folder = tempfile.mkdtemp()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTELBRIDGE_JOURNAL": str(int(journal)),
        "OTELBRIDGE_SPOOL_DIR": folder,
    }
    command = [sys.executable, "-m", "benchmarks.journal", "--program", kind]
    try:
        done = subprocess.run(
            [*command, "--records", str(records), "--rate", str(rate)],
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        shutil.rmtree(folder)
    measured: dict[str, float] = json.loads(done.stdout)
    assert measured["delivered"] >= records, done.stderr
    return measured


def _parts(table: Table, folder: Path) -> None:
    """Time the journal itself, on records of 500 bytes that leave it in time."""
    from otelbridge.delivery.journal import Journal

    journal = Journal(lambda: folder, "logs", print)
    body = os.urandom(500)
    journal.advance(journal.append(body))
    costs = []
    for _ in range(20):
        began = time.process_time()
        for _ in range(5_000):
            position = journal.append(body)
        journal.advance(position)
        costs.append((time.process_time() - began) / 5_000 * 1e6)
    journal.close()
    table.add("writing 500 bytes to the journal", "", f"{min(costs):.1f} us")


def measure(table: Table, rounds: int, records: int, rate: float, endpoint: str) -> None:
    """Add the journal's rows to a table."""
    folder = Path(tempfile.mkdtemp())
    _parts(table, folder)
    shutil.rmtree(folder)
    for kind in _KINDS:
        runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
        for _ in range(rounds):
            for journal in (False, True):
                runs[journal].append(_run(kind, journal, records, rate, endpoint))
        for key, name in (
            ("thread", "the calling thread's time"),
            ("process", "the whole program's time"),
            ("median", "the call on the clock, median"),
            ("p99", "the call on the clock, p99"),
        ):
            # The best of several rounds is the one that others disturbed least.
            without, beside = (min(run[key] for run in runs[on]) for on in (False, True))
            table.add(
                f"a {kind}: {name}",
                "",
                f"{without:.0f} us without, {beside:.0f} us with: "
                f"{beside - without:+.0f} us, {beside / without:.2f} times",
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--records", type=int, default=4_000)
    parser.add_argument("--rate", type=float, default=1_000, help="records a second")
    parser.add_argument("--program", choices=_KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.program:
        _program(given.program, given.records, given.rate)
        return 0
    print(machine())
    table = Table()
    sink = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert sink.stdout is not None
        port = int(sink.stdout.readline().split()[-1])
        measure(table, given.rounds, given.records, given.rate, f"http://127.0.0.1:{port}")
    finally:
        sink.communicate()
    print("\n" + table.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
