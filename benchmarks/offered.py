"""Many records from one process, and how many of them arrive: ``python -m benchmarks.offered``.

A process offers log records, or spans, at a steady rate for a while, ours and the stock set-up in
turn. Both are counted by the sink, after the set-up's own flush and shutdown.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from typing import Any, Final

from benchmarks.request import ROOT, counting_sink
from benchmarks.setups import SETUPS
from benchmarks.table import Table, machine

_SETUPS: Final = {"ours": "ours, no request log", "stock": "stock"}
_SIGNALS: Final = ("logs", "spans")
# How many at once before it is looked at the clock.
_AT_ONCE: Final = 20


def offer(setup: str, signal: str, endpoint: str, rate: float, seconds: float) -> dict[str, float]:
    """Offer records in this process.

    Returns:
        How many were offered, in how many seconds, the seconds of processor time that took, and
        what ours says became of them.
    """
    from flask import Flask
    from opentelemetry import trace

    logger = logging.getLogger("shop.orders")
    with tempfile.TemporaryDirectory() as folder:
        running = SETUPS[setup](Flask("bench"), endpoint, folder)
        tracer = trace.get_tracer("shop.orders")

        def one(number: int) -> Any:
            if signal == "logs":
                logger.info("Order %s accepted", number, extra={"user": "alice", "code": 200})
            else:
                tracer.start_span("pay", attributes={"user": "alice", "order": number}).end()

        begin, cpu, offered = time.perf_counter(), time.process_time(), 0
        total = int(rate * seconds)
        while offered < total:
            wait = begin + offered / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            for number in range(offered, offered + _AT_ONCE):
                one(number)
            offered += _AT_ONCE
        took = time.perf_counter() - begin
        running.finish()
        cpu = time.process_time() - cpu
    return {"offered": offered, "seconds": took, "cpu": cpu, **_told(setup)}


def _told(setup: str) -> dict[str, float]:
    """What ours says itself: records given up, and records that the next process would send."""
    if setup == "stock":
        return {}
    import otelbridge

    told = otelbridge.instrument().delivery()
    return {
        "dropped": sum(each.lost for each in told),
        "spooled": sum(each.spool_records for each in told),
    }


def measure(table: Table, rate: float, seconds: float) -> None:
    """Add one row for each set-up and signal."""
    with counting_sink() as endpoint:
        for signal in _SIGNALS:
            for name, setup in _SETUPS.items():
                done = _in_a_process(setup, signal, endpoint, rate, seconds)
                with urllib.request.urlopen(f"{endpoint}/counts") as answer:
                    arrived = json.load(answer).get(signal, 0)
                offered = int(done["offered"])
                met = arrived == offered if name == "ours" else None
                table.add(
                    f"{rate:,.0f} {signal}/s from one process for {seconds:.0f} s, {name}",
                    "all arrive" if name == "ours" else "",
                    f"{offered:,} offered at {offered / done['seconds']:,.0f} a second,"
                    f" {arrived:,} arrived ({arrived / offered:.1%});"
                    + (
                        f" {done['dropped']:,} dropped, {done['spooled']:,} in the spool;"
                        if name == "ours"
                        else ""
                    )
                    + f" {done['cpu'] / offered * 1e6:.0f} us of CPU each",
                    met,
                )


def _in_a_process(
    setup: str, signal: str, endpoint: str, rate: float, seconds: float
) -> dict[str, float]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    with tempfile.TemporaryDirectory() as folder:
        # Without the log records that tell of the process itself.
        own = {"OTELBRIDGE_SPOOL_DIR": folder, "OTELBRIDGE_HEARTBEAT": "0"}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.offered", "--offer", setup, signal, endpoint),
                *("--rate", str(rate), "--seconds", str(seconds)),
            ],
            env={**environ, **own, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            cwd=ROOT,
        )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--offer", nargs=3, metavar=("SETUP", "SIGNAL", "ENDPOINT"))
    given = parser.parse_args()
    if given.offer:
        setup, signal, endpoint = given.offer
        measured = offer(setup, signal, endpoint, given.rate, given.seconds)
        print(json.dumps(measured), flush=True)
        os._exit(0)
    print(machine())
    table = Table()
    measure(table, given.rate, given.seconds)
    sys.exit(not table.met)


if __name__ == "__main__":
    main()
