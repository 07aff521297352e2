"""The fault drills, ours beside the peers': ``python -m benchmarks.faults``.

Each drill of ``tests/faults`` is done with otelbridge, with OpenTelemetry's SDK set up as its
manual has it, and with EDOT, Elastic's distribution of it, run by ``opentelemetry-instrument`` in
an environment of its own. The app, the requests and the real destinations are the same. Needs what
the drills need; without Java and Go, give the names of drills that do without.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.table import machine
from tests.faults.destinations import SIGNALS, ElasticsearchDestination
from tests.faults.drill import Drill, Form, perform
from tests.faults.drills import DRILLS
from tests.faults.outcome import Outcome
from tests.faults.server import OURS, Setup

EDOT_PACKAGES = (
    "elastic-opentelemetry",
    "flask>=3.0,<3.2",
    "gunicorn>=26",
    # What edot-bootstrap would choose for this app.
    "opentelemetry-instrumentation-flask",
    "opentelemetry-instrumentation-logging",
)
STOCK = Setup("stock")
SETUPS = ("ours", "stock", "edot")
COLUMNS = (
    *("drill", "who", "sent", "lost", "stored twice", "out of order", "given up, counted"),
    *("p99 healthy", "p99 in the fault", "memory healthy", "memory at most"),
)


def edot(folder: Path) -> Setup:
    """Install EDOT where it is not installed yet, and say how it is run."""
    programs = folder / "bin"
    if not (folder / ".made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([programs / "pip", "install", "-q", *EDOT_PACKAGES], check=True)
        (folder / ".made").touch()
    environ = {
        # It records no logs unless it is told to.
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        "OTEL_LOGS_EXPORTER": "otlp",
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
    }
    run = str(programs / "opentelemetry-instrument")
    return Setup("edot", (run, str(programs / "gunicorn")), environ)


def has_peers(drill: Drill) -> bool:
    """Tell whether a drill asks for nothing that only ours has."""
    alone = drill.ours_alone or drill.journal or drill.place is ElasticsearchDestination
    return not alone


def cells(outcome: Outcome) -> list[str]:
    """One row of the table."""
    lost = ", ".join(f"{len(outcome.fates[signal].lost)} {signal}" for signal in SIGNALS)
    counted = outcome.setup == "ours"
    return [
        outcome.name,
        outcome.setup,
        str(outcome.sent),
        f"{outcome.lost} ({lost})" if outcome.lost else "0",
        str(outcome.twice),
        str(outcome.fates["logs"].late),
        str(sum(outcome.dropped.values())) if counted else "not counted",
        f"{outcome.p99_healthy * 1000:.1f} ms",
        f"{outcome.p99_fault * 1000:.1f} ms",
        f"{outcome.rss_healthy / 2**20:.0f} MB",
        f"{outcome.rss_peak / 2**20:.0f} MB",
    ]


def table(rows: list[list[str]]) -> str:
    """All rows as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("drills", nargs="*", help="names of drills; all by default")
    parser.add_argument("--setups", nargs="+", choices=SETUPS, default=SETUPS)
    parser.add_argument("--seconds", type=float, help="how long each fault lasts; 10 by default")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--records", type=int, default=10, help="log records and spans a request")
    parser.add_argument("--edot", type=Path, default=Path(".venvs/edot"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    given = parser.parse_args()
    unknown = set(given.drills) - {drill.name for drill in DRILLS}
    if unknown:
        parser.error(f"no drill named {sorted(unknown)[0]!r}")
    form = Form.of(given.seconds, rate=given.rate, records=given.records)
    setups: dict[str, Setup] = {"ours": OURS, "stock": STOCK}
    if "edot" in given.setups:
        setups["edot"] = edot(given.edot.resolve())
    print(machine(), flush=True)
    rows = [
        cells(_perform(drill, setups[name], form))
        for drill in DRILLS
        if not given.drills or drill.name in given.drills
        for name in given.setups
        if name == "ours" or has_peers(drill)
    ]
    print("\n" + table(rows))
    if given.json:
        written: dict[str, Any] = {
            "machine": machine(),
            "date": time.strftime("%Y-%m-%d"),
            "form": vars(form),
            "columns": COLUMNS,
            "rows": rows,
        }
        given.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


def _perform(drill: Drill, setup: Setup, form: Form) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="otelbridge-drill-"))
    try:
        outcome = perform(drill, setup, form, folder=folder / "drill")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(outcome.line(), flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
