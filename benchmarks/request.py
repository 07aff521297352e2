"""What one Flask request costs, instrumented in different ways: ``python -m benchmarks.request``.

One route that writes two log records with three extras each. The app is called as a WSGI server
calls it, each request as soon as the one before is answered (``--rate 0``) or at a steady rate; the
sink that counts is a process of its own. What is compared is the processor time of the app's whole
process, exporter threads and the final delivery included, how long answers took, and how much of
what was written arrived. Every round runs every set-up in a fresh process, in turn.

``--peers`` adds what others make, each in an environment of its own below ``.venvs/peers``.
``--write`` is the form for the record: three runs beside all peers, both ways, some 20 minutes; the
result is kept as JSON, and its table and picture are put into ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import VARIANTS, Peer
from benchmarks.request_app import WARM_UP
from benchmarks.request_report import JSON, Cost, Form, Measured, Round, Told, add_rows, write
from benchmarks.setups import SETUPS, Variant
from benchmarks.sink_process import ROOT, Sink, counting_sink
from benchmarks.table import Table, machine

ENVIRONMENTS = ROOT / ".venvs" / "peers"
CLOSED_REQUESTS, SHORT_REQUESTS = 20_000, 2_000
PACED, PACED_SECONDS = 500.0, 4
# What a process of the slowest needs at most, in seconds: its start and end, and each request.
_MOST, _MOST_EACH = 180.0, 0.02

_VERSIONS = """
import json, platform, sys
from importlib.metadata import version
print(json.dumps({"Python": platform.python_version(), **{p: version(p) for p in sys.argv[1:]}}))
"""


@dataclass(frozen=True)
class Way:
    """A variant that can be run here.

    Attributes:
        command: the beginning of its command line, which ends with its Python.
    """

    variant: Variant
    command: list[str]

    def told(self) -> Told:
        """What is known of it; the versions are those of its own environment."""
        # A package may be named with its extras, or with the version that is wanted.
        names = [name.partition("[")[0].partition("==")[0] for name in self.variant.packages]
        done = subprocess.run(
            [self.command[-1], "-c", _VERSIONS, *names], capture_output=True, text=True, check=True
        )
        return Told(self.variant.told, json.loads(done.stdout))


def ways(names: Iterable[str]) -> dict[str, Way]:
    """Set-ups by name; a peer's environment is made where it is not there yet.

    A peer that cannot be installed is left out, which is said.
    """
    found = {}
    for name in names:
        variant = VARIANTS[name]
        command = [sys.executable]
        if isinstance(variant, Peer):
            folder = ENVIRONMENTS / name.lower().replace(" ", "-")
            try:
                command = variant.command(variant.environment(folder.resolve()))
            except subprocess.CalledProcessError as error:
                print(f"{name} is left out: {error}", flush=True)
                continue
        found[name] = Way(variant, command)
    return found


def one_run(name: str, way: Way, sink: Sink, requests: int, rate: float) -> Cost:
    """Run one set-up once.

    Raises:
        RuntimeError: its process failed.
    """
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    endpoint = sink.grpc if way.variant.grpc else sink.http
    with tempfile.TemporaryDirectory() as spool:
        environ |= {
            "PYTHONPATH": str(ROOT),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTELBRIDGE_SPOOL_DIR": spool,
            **way.variant.environ,
        }
        sink.counts()
        done = subprocess.run(
            [
                *way.command,
                *("-m", "benchmarks.request_app", name, endpoint),
                *("--requests", str(requests), "--rate", str(rate)),
            ],
            env=environ,
            capture_output=True,
            text=True,
            timeout=_MOST + requests * (1 / rate if rate else _MOST_EACH),
            cwd=ROOT,
        )
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    counts = sink.counts()
    # The requests that warm up are delivered as well.
    asked = requests + WARM_UP
    return Cost(
        **{key: measured[key] for key in ("cpu", "p50", "p99", "memory")},
        logs=counts.get("logs", 0) + measured["written"],
        spans=counts.get("spans", 0),
        logs_produced=asked * way.variant.logs,
        spans_produced=asked * way.variant.spans,
    )


def measure(
    found: Mapping[str, Way],
    forms: list[Form],
    runs: int = 1,
    rounds: int = 2,
    keep: Path | None = None,
) -> Measured:
    """Measure set-ups; a process that fails is missing in its round, which is said.

    Args:
        forms: how requests are asked; their rounds are added to them.
        runs: how often everything is done.
        rounds: of a run in which requests follow each other at once; a paced one has half of them.
        keep: a file that the result so far is written to after every round.
    """
    measured = Measured(
        time.strftime("%Y-%m-%d"),
        computer(),
        {name: way.told() for name, way in found.items()},
        forms,
    )
    begun = time.monotonic()
    with counting_sink() as sink:
        for run in range(1, runs + 1):
            for form in forms:
                of = max(1, rounds // 2) if form.rate else rounds
                for round_ in range(1, of + 1):
                    print(
                        f"  {time.monotonic() - begun:.0f} s: {form.told}, run {run} of {runs},"
                        f" round {round_} of {of}",
                        flush=True,
                    )
                    form.rounds.append(Round(run, _one_round(found, sink, form)))
                    if keep:
                        keep.write_text(measured.json())
    return measured


def _one_round(found: Mapping[str, Way], sink: Sink, form: Form) -> dict[str, Cost]:
    names = list(found)
    # Another order every round: no set-up always runs after the same neighbour.
    random.Random(len(form.rounds)).shuffle(names)
    costs = {name: _tried(name, found[name], sink, form) for name in names}
    return {name: cost for name, cost in costs.items() if cost}


def _tried(name: str, way: Way, sink: Sink, form: Form) -> Cost | None:
    try:
        cost = one_run(name, way, sink, form.requests, form.rate)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(f"    {name} FAILED: {error}", flush=True)
        return None
    print(
        f"    {name}: {cost.cpu * 1e6:.0f} us of CPU, p50 {cost.p50 * 1e6:.0f} us,"
        f" p99 {cost.p99 * 1e6:.0f} us, {cost.memory / 1e6:.0f} MB,"
        f" {cost.logs:,} of {cost.logs_produced:,} logs,"
        f" {cost.spans:,} of {cost.spans_produced:,} spans",
        flush=True,
    )
    return cost


def computer() -> str:
    """The class of machine, without any version."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    }
    return (
        f"{os.cpu_count()} cores ({', '.join([platform.machine(), *sorted(models)])}),"
        f" {memory / 2**30:.0f} GB, {platform.system()}"
    )


def record(runs: int = 3, rounds: int = 2, keep: Path = JSON) -> Measured:
    """Measure everything beside all peers, both ways, and put it into the documents."""
    forms = [Form(0, CLOSED_REQUESTS), Form(PACED, int(PACED * PACED_SECONDS))]
    measured = measure(ways(VARIANTS), forms, runs, rounds, keep)
    write(measured)
    return measured


def compare(table: Table, *, full: bool = False) -> None:
    """Add the rows of a comparison beside all peers to a table; ``full`` is that for the record."""
    add_rows(table, record() if full else measure(ways(VARIANTS), [Form(0, SHORT_REQUESTS)]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, help="1 by default, 3 for the record")
    parser.add_argument("--rounds", type=int, default=2, help="of a run")
    parser.add_argument("--write", action="store_true", help="for the record: all, into the docs")
    others = parser.add_argument_group("if it is not for the record")
    others.add_argument("--requests", type=int, help="of a set-up in a round")
    others.add_argument(
        "--rate",
        type=float,
        nargs="+",
        default=[0],
        help="a second; 0, the default: as soon as the one before is answered",
    )
    others.add_argument("--peers", action="store_true", help="also those of others")
    others.add_argument("--only", nargs="+", choices=VARIANTS, metavar="NAME", help="some of all")
    others.add_argument("--json", type=Path, metavar="FILE", help="keep the result here")
    given = parser.parse_args()
    print(machine())
    if given.write:
        measured = record(given.runs or 3, given.rounds)
    else:
        names = given.only or (VARIANTS if given.peers else SETUPS)
        forms = [
            Form(rate, given.requests or int(rate * PACED_SECONDS) or CLOSED_REQUESTS)
            for rate in given.rate
        ]
        measured = measure(ways(names), forms, given.runs or 1, given.rounds, given.json)
    table = Table()
    add_rows(table, measured)
    return 0 if table.met else 1


if __name__ == "__main__":
    sys.exit(main())
