"""What the bridge carries and how fast it answers: ``python -m benchmarks.bridge``.

Every number is taken from a real ``otelbridge serve`` in a process of its own, with the senders in
others beside it, on whatever cores there are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.large_store import MEGABYTE, MEMORY_TARGET, find, five_times, large_store
from benchmarks.live_page import live
from benchmarks.load import Outcome
from benchmarks.process import BridgeProcess, count_rows, running_bridge, settle
from benchmarks.table import Table, machine

RATES = {"logs": 10_000, "spans": 5_000}
# A rate like the targets comes from some processes, each with one request under way.
SENDERS = 10


def start_load(
    bridge: BridgeProcess, protocol: str, signal: str, **options: object
) -> subprocess.Popen[str]:
    """Start a sender in a process of its own."""
    arguments = [
        *(sys.executable, "-m", "benchmarks.load", "--json", "--protocol", protocol),
        *("--address", bridge.address(protocol), "--signal", signal),
    ]
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", str(value)]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    )


def outcome_of(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a sender and read what it tells."""
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load ended with {process.returncode}")
    return Outcome(**json.loads(output))


def sustained(table: Table, protocol: str, signals: tuple[str, ...], seconds: float) -> None:
    """Send at the target's rate to a fresh bridge, and count what it then holds."""
    with running_bridge() as bridge:
        cpu = bridge.cpu()
        loads = {
            signal: start_load(
                bridge, protocol, signal, rate=RATES[signal], seconds=seconds, connections=SENDERS
            )
            for signal in signals
        }
        outcomes = {signal: outcome_of(load) for signal, load in loads.items()}
        busy = (bridge.cpu() - cpu) / max(outcome.seconds for outcome in outcomes.values())
        stored = {signal: count_rows(bridge.store, signal) for signal in signals}
        peak = bridge.peak()
    names, texts, met = [], [], peak < MEMORY_TARGET
    for signal, outcome in outcomes.items():
        kept_up = outcome.rate >= 0.98 * RATES[signal] and outcome.late < 1.0
        lost = outcome.sent - stored[signal]
        met = met and kept_up and lost == 0 and outcome.acknowledged == outcome.sent
        names.append(f"{RATES[signal]:,} {signal}/s")
        texts.append(
            f"{outcome.rate:,.0f}/s {signal}, {lost} of {outcome.sent:,} lost,"
            f" answer p99 {outcome.latency(0.99) * 1e3:.0f} ms"
            + (f", {outcome.retries} retries" if outcome.retries else "")
            + (f", {outcome.late:.1f} s late" if outcome.late >= 1 else "")
            + (f", {outcome.errors[0]}" if outcome.errors else "")
        )
    table.add(
        f"{' with '.join(names)} over {protocol} for {seconds:.0f} s",
        "kept up, none lost, < 250 MB",
        f"{'; '.join(texts)}; peak {peak / MEGABYTE:.0f} MB; {busy:.2f} cores",
        met,
    )


def ceiling(table: Table, protocol: str, signal: str, records: int) -> None:
    """Send as fast as it is acknowledged: what it carries at most."""
    with running_bridge() as bridge:
        outcome = outcome_of(
            start_load(bridge, protocol, signal, rate=0, total=records, connections=8)
        )
        lost = outcome.sent - count_rows(bridge.store, signal)
        peak = bridge.peak()
    table.add(
        f"most {signal}/s over {protocol}",
        "",
        f"{outcome.rate:,.0f}/s, {lost} lost, peak {peak / MEGABYTE:.0f} MB",
        None if lost == 0 else False,
    )


def udp(table: Table, seconds: float, rate: int = 5000) -> None:
    """Send lines by UDP: those that do not arrive must be counted as lost."""
    total = int(seconds * rate)
    with running_bridge() as bridge:
        subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.lines", "--port", str(bridge.udp)),
                *("--rate", str(rate), "--total", str(total)),
            ],
            check=True,
            cwd=Path(__file__).parents[1],
        )
        settle(bridge, 1.0)
        stored = count_rows(bridge.store, "logs")
        (sender,) = json.loads(bridge.get("/pipeline.json")[1])["senders"]
        peak = bridge.peak()
    # What is lost after the last line that came, the receiver cannot know of.
    unseen = total - sender["highest"]
    table.add(
        f"{rate:,} UDP lines/s for {seconds:.0f} s",
        "what is lost is counted",
        f"{stored:,} of {total:,} stored, {sender['lost']:,} counted as lost;"
        f" peak {peak / MEGABYTE:.0f} MB",
        stored + sender["lost"] + unseen == total,
    )


def asked_meanwhile(table: Table, seconds: float) -> None:
    """Ask the page while logs and spans come in at the target's rates."""
    paths = {
        "/logs": "/logs?range=15m",
        "word search": find("declined", "15m", total="0"),
        "histogram": "/logs/histogram.json?range=15m",
    }
    times: dict[str, list[float]] = {name: [] for name in paths}
    with running_bridge() as bridge:
        loads = [
            start_load(
                bridge, "grpc", signal, rate=RATES[signal], seconds=seconds, connections=SENDERS
            )
            for signal in RATES
        ]
        while any(load.poll() is None for load in loads):
            for name, path in paths.items():
                began = time.perf_counter()
                status, _ = bridge.get(path)
                times[name].append(time.perf_counter() - began)
                assert status == 200, path
            time.sleep(0.2)
        outcomes = [outcome_of(load) for load in loads]
    texts = [
        f"{name} {statistics.median(found) * 1e3:.0f} ms (most {max(found) * 1e3:.0f})"
        for name, found in times.items()
    ]
    table.add(
        "asked while 10,000 logs/s and 5,000 spans/s come in",
        "",
        f"{', '.join(texts)}; {' and '.join(f'{o.rate:,.0f}/s' for o in outcomes)} acknowledged",
    )


def start_time(table: Table, rounds: int = 5) -> None:
    """Time from starting the interpreter to the first answers."""
    times = []
    for _ in range(rounds):
        with running_bridge() as bridge:
            times.append(bridge.start_seconds)
    table.add(
        "serve starts: page, OTLP/HTTP and OTLP/gRPC answer",
        "< 2 s",
        f"{statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})",
        max(times) < 2,
    )


PARTS = (
    "start",
    "sustained",
    "together",
    "json",
    "udp",
    "asked",
    "ceiling",
    "live",
    "large",
)
# Only where it is asked for: it stores six times as many records.
LONG_PARTS = ("five",)


def measure(table: Table, parts: tuple[str, ...], seconds: float, records: int) -> None:
    """Run the chosen parts and add their rows."""
    if "start" in parts:
        start_time(table)
    if "sustained" in parts:
        for protocol in ("grpc", "http/protobuf"):
            sustained(table, protocol, ("logs",), seconds)
            sustained(table, protocol, ("spans",), seconds)
    if "together" in parts:
        for protocol in ("grpc", "http/protobuf"):
            sustained(table, protocol, ("logs", "spans"), seconds)
    if "json" in parts:
        sustained(table, "http/json", ("logs",), seconds)
    if "udp" in parts:
        udp(table, seconds)
    if "asked" in parts:
        asked_meanwhile(table, min(seconds, 20.0))
    if "ceiling" in parts:
        for signal in ("logs", "spans"):
            for protocol in ("grpc", "http/protobuf"):
                ceiling(table, protocol, signal, max(20_000, int(RATES[signal] * seconds)))
    if "live" in parts:
        live(table, min(seconds, 20.0))
    if "large" in parts:
        large_store(table, records)
    if "five" in parts:
        five_times(table, records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each sustained run")
    parser.add_argument(
        "--records",
        type=int,
        default=1_000_000,
        help="logs in the large store; five times as many in the part five",
    )
    parser.add_argument(
        "--parts", default=",".join(PARTS), help=f"a comma list of {PARTS + LONG_PARTS}"
    )
    given = parser.parse_args()
    print(machine())
    table = Table()
    measure(table, tuple(given.parts.split(",")), given.seconds, given.records)
    print("\n" + table.text())
    sys.exit(0 if table.met else 1)


if __name__ == "__main__":
    main()
