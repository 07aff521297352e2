"""Many records from one process, and how many of them arrive: ``python -m benchmarks.offered``.

A process offers log records, or spans, at a steady rate for a while, ours and the stock set-up in
turn. Both are counted by the sink, after the set-up's own flush and shutdown. Ours is to offer the
whole rate and to have every record arrive; what the stock set-up does is told beside it.
``--write`` puts the table into ``docs/performance.md``.
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
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.document import PERFORMANCE, put_into
from benchmarks.memory import peak_memory
from benchmarks.setups import SETUPS
from benchmarks.sink_process import ROOT, Sink, counting_sink
from benchmarks.table import Table, machine

Signal = Literal["logs", "spans"]
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "spans")
OURS: Final = "ours, HTTP"
OFFERING: Final = (OURS, "stock, HTTP")
MARKS: Final = "offered"
# A millisecond's at the rate that is asked for: as finely as a sleep is precise.
_AT_ONCE: Final = 20
# What counts as the whole rate.
_WHOLE: Final = 0.99


@dataclass(frozen=True)
class Offered:
    """What a process did.

    Attributes:
        offered, arrived: how many records.
        seconds: how long it offered them.
        cpu: seconds of processor, the delivery of the last included.
        memory: its largest, in bytes.
        dropped, spooled: what ours says became of the others: given up, or for the next process.
    """

    offered: int
    seconds: float
    cpu: float
    memory: int
    arrived: int = 0
    dropped: int | None = None
    spooled: int | None = None

    @property
    def rate(self) -> float:
        """How many it offered a second."""
        return self.offered / self.seconds

    @property
    def each(self) -> float:
        """Microseconds of processor for one."""
        return self.cpu / self.offered * 1e6

    def verdict(self, rate: float) -> str:
        """What is wrong with it; nothing where it offered a rate and everything arrived."""
        faults = []
        if self.rate < rate * _WHOLE:
            faults.append(f"this machine made {self.rate:,.0f} a second only")
        if self.arrived != self.offered:
            faults.append(f"{self.offered - self.arrived:,} did not arrive")
        return " and ".join(faults)


def offer(name: str, signal: Signal, endpoint: str, rate: float, seconds: float) -> dict[str, Any]:
    """Offer records in this process; returns what :class:`Offered` begins with."""
    from flask import Flask
    from opentelemetry import trace

    logger = logging.getLogger("shop.orders")
    with tempfile.TemporaryDirectory() as folder:
        running = SETUPS[name].setup(Flask("bench"), endpoint, folder)
        tracer = trace.get_tracer("shop.orders")

        def one(number: int) -> None:
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
            upto = min(offered + _AT_ONCE, total)
            for number in range(offered, upto):
                one(number)
            offered = upto
        # The last are offered when their time is over, too.
        took = max(time.perf_counter() - begin, total / rate)
        running.finish()
        cpu = time.process_time() - cpu
    told = {"offered": offered, "seconds": took, "cpu": cpu, "memory": peak_memory()}
    return told | (_told() if name == OURS else {})


def _told() -> dict[str, int]:
    """What ours says itself: records given up, and records that the next process would send."""
    import otelbridge

    told = otelbridge.instrument().delivery()
    return {
        "dropped": sum(each.lost for each in told),
        "spooled": sum(each.spool_records for each in told),
    }


def measure(rate: float, seconds: float) -> dict[tuple[Signal, str], Offered]:
    """Let every set-up offer each signal, in turn."""
    found = {}
    with counting_sink() as sink:
        for signal in SIGNALS:
            for name in OFFERING:
                print(f"  {name}: {rate:,.0f} {signal}/s for {seconds:g} s", flush=True)
                found[signal, name] = _in_a_process(name, signal, sink, rate, seconds)
    return found


def _in_a_process(name: str, signal: Signal, sink: Sink, rate: float, seconds: float) -> Offered:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    sink.counts()
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.offered", "--offer", name, signal, sink.http),
                *("--rate", str(rate), "--seconds", str(seconds)),
            ],
            env={**environ, "OTELBRIDGE_SPOOL_DIR": folder, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            cwd=ROOT,
        )
    measured = json.loads(done.stdout.splitlines()[-1])
    return Offered(**measured, arrived=sink.counts().get(signal, 0))


def add_rows(
    table: Table, found: dict[tuple[Signal, str], Offered], rate: float, seconds: float
) -> None:
    """Add a row for each set-up and signal; only ours is asked to have everything arrive."""
    for (signal, name), one in found.items():
        asked = name == OURS
        wrong = one.verdict(rate)
        table.add(
            f"{rate:,.0f} {signal}/s from one process for {seconds:g} s, {name}",
            "all offered, all arrive" if asked else "",
            f"{one.offered:,} offered at {one.rate:,.0f} a second,"
            f" {one.arrived:,} arrived ({one.arrived / one.offered:.1%}),"
            f" {_own_account(one)}{one.each:.1f} us of CPU each, {one.memory / 1e6:.0f} MB"
            + (f": {wrong}" if wrong else ""),
            not wrong if asked else None,
        )


def _own_account(one: Offered) -> str:
    return "" if one.dropped is None else f"{one.dropped:,} dropped, {one.spooled:,} in the spool, "


def markdown(found: dict[tuple[Signal, str], Offered], date: str, on: str) -> str:
    """The table for the documents."""
    lines = [
        f"{on}; {date}.",
        "",
        "| offered | set-up | a second | arrived | CPU each | peak memory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (signal, name), one in found.items():
        share = f"**{one.arrived / one.offered:.1%}**"
        arrived = "all" if one.arrived == one.offered else f"{share}, {one.arrived:,}"
        lines.append(
            f"| {one.offered:,} {signal} | {name} | {one.rate:,.0f} | {arrived} "
            f"| {one.each:.0f} µs | {one.memory / 1e6:.0f} MB |"
        )
    return "\n".join(lines)


def conclusion(found: dict[tuple[Signal, str], Offered], rate: float) -> Iterable[str]:
    """One line for each signal: whether ours did what is asked."""
    for signal in SIGNALS:
        one = found[signal, OURS]
        wrong = one.verdict(rate)
        verdict = f"NOT: {wrong}" if wrong else f"ok: all {one.arrived:,} arrived"
        yield f"{rate:,.0f} {signal}/s, {OURS}: {verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    parser.add_argument("--offer", nargs=3, metavar=("SETUP", "SIGNAL", "ENDPOINT"))
    given = parser.parse_args()
    if given.offer:
        name, signal, endpoint = given.offer
        measured = offer(name, signal, endpoint, given.rate, given.seconds)
        print(json.dumps(measured), flush=True)
        os._exit(0)
    print(machine())
    found = measure(given.rate, given.seconds)
    table = Table()
    add_rows(table, found, given.rate, given.seconds)
    if given.write:
        put_into(PERFORMANCE, MARKS, markdown(found, time.strftime("%Y-%m-%d"), machine()))
    print("\n".join(conclusion(found, given.rate)))
    return 0 if table.met else 1


if __name__ == "__main__":
    sys.exit(main())
