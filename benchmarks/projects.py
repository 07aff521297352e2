"""The Projects view under many heartbeats, and a week of them: ``python -m benchmarks.projects``.

Two hundred projects say once a second that they live, while a browser has the page open. Asked is
that none is lost, that each is answered within 100 ms (99 %), that nobody who lives is ever shown
as silent, and that a project's graph over seven days is there within 200 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.process import BridgeProcess, count_rows, running_bridge
from benchmarks.table import Table, machine
from otelbridge import schema
from otelbridge.model import Batch, LogRecord, MetricPoint, Scope
from otelbridge.store.sqlite import SQLiteStore

PROJECTS = 200
P99_SECONDS = 0.1
GRAPH_SECONDS = 0.2
DAY = 86400
# LoggerFlow's own heartbeat over WebSocket.
WEEK_STEP = 5
# The others: OpenTelemetry's own interval of metrics.
OTHERS = 30
OTHERS_STEP = 60
NAMES = (
    ("process.cpu.utilization", {}),
    ("process.memory.usage", {}),
    ("system.memory.usage", {"state": "used"}),
    ("system.cpu.utilization", {"state": "idle"}),
)


@dataclass
class Beaten:
    """What came of a run.

    Attributes:
        took: seconds to each heartbeat's answer.
        stored: heartbeats found in the store afterwards.
        looks: how often the view was asked; ``not_running``: what it said otherwise.
    """

    sent: int
    stored: int
    took: list[float]
    looks: int = 0
    not_running: list[str] = field(default_factory=list)
    page: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.took, n=100)[percent - 1]


def beat(way: str, projects: int, seconds: float, *, browser: bool = True) -> Beaten:
    """Let projects live for a while, with the page open."""
    with running_bridge() as bridge:
        command = [
            *(sys.executable, "-m", "benchmarks.heartbeats", "--way", way),
            *("--address", bridge.address("http"), "--projects", str(projects)),
            *("--seconds", str(seconds)),
        ]
        root = Path(__file__).parents[1]
        sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
        seen = Beaten(0, 0, [])
        ended = threading.Event()
        with _open_page(bridge) if browser else _nothing():
            watcher = threading.Thread(target=_watch, args=(bridge, projects, seen, ended))
            watcher.start()
            said, _ = sender.communicate()
            ended.set()
            watcher.join()
        if sender.returncode:
            raise RuntimeError(f"the sender ended with {sender.returncode}")
        outcome = json.loads(said)
        seen.sent, seen.took = outcome["sent"], outcome["took"]
        # Of each project a start, and its heartbeats.
        seen.stored = count_rows(bridge.store, "logs") - projects
        return seen


def _watch(bridge: BridgeProcess, projects: int, seen: Beaten, ended: threading.Event) -> None:
    """Ask the view every second how everybody is."""
    while not ended.wait(1.0):
        began = time.monotonic()
        status, body = bridge.get("/projects.json?range=1m")
        seen.page.append(time.monotonic() - began)
        seen.looks += 1
        if status != 200:
            seen.not_running.append(f"status {status}")
            continue
        found = json.loads(body)["projects"]
        seen.not_running += [
            f"{p['name']} {p['status']}" for p in found if p["status"] != "running"
        ]


@contextmanager
def _open_page(bridge: BridgeProcess) -> Iterator[None]:
    """Have the page open in a browser, which renews it every two seconds."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{bridge.web}/projects")
        yield
        browser.close()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def heartbeats(table: Table, way: str, projects: int, seconds: float) -> None:
    """Measure heartbeats."""
    found = beat(way, projects, seconds)
    what = f"{projects} projects, a heartbeat a second by {way}, {seconds:g} s, the page open"
    lost = found.sent - found.stored
    table.add(f"{what}: lost", "0", f"{lost} of {found.sent}", lost == 0)
    p50, p99 = found.percentile(50), found.percentile(99)
    table.add(
        f"{what}: answered, p99",
        f"< {P99_SECONDS * 1000:.0f} ms",
        f"{p99 * 1000:.1f} ms (p50 {p50 * 1000:.1f}, largest {max(found.took) * 1000:.0f})",
        p99 < P99_SECONDS,
    )
    table.add(
        f"{what}: shown as not running",
        "0",
        f"{len(found.not_running)} in {found.looks} looks",
        not found.not_running,
    )
    table.add(f"{what}: the view's data", "", f"{statistics.median(found.page) * 1000:.0f} ms")


def week(table: Table, looks: int = 5) -> None:
    """Measure the graphs of a project that was measured for a week."""
    with running_bridge() as bridge:
        folder = bridge.folder.with_name(bridge.folder.name + "-week")
    folder.mkdir()
    try:
        _fill_week(folder / "bench.db")
        with running_bridge(store_from=folder) as bridge:
            took, before = [], bridge.cpu()
            for _ in range(looks):
                began = time.monotonic()
                status, _ = bridge.get("/metrics.json?service=shop&range=7d")
                took.append(time.monotonic() - began)
                if status != 200:
                    raise RuntimeError(f"the graph was answered with {status}")
            processor = (bridge.cpu() - before) / looks
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table.add(
        f"a project's graphs over 7 days of readings every {WEEK_STEP} s, beside {OTHERS} others "
        "with a reading a minute, all restarted daily",
        f"< {GRAPH_SECONDS * 1000:.0f} ms",
        f"{statistics.median(took) * 1000:.0f} ms (first {took[0] * 1000:.0f}; "
        f"{processor * 1000:.0f} of processor)",
        statistics.median(took) < GRAPH_SECONDS,
    )


def _fill_week(path: Path) -> None:
    end = int(time.time())

    async def fill() -> None:
        store = SQLiteStore(path, retention=30 * DAY, retention_bytes=2**40)
        await store.open()
        for first in range(end - 7 * DAY, end, DAY):
            await _fill_day(store, "shop", first, WEEK_STEP)
            for number in range(OTHERS):
                await _fill_day(store, f"other-{number:02}", first, OTHERS_STEP)
        await store.close()

    asyncio.run(fill())


async def _fill_day(store: SQLiteStore, service: str, first: int, step: int) -> None:
    """Store the start of a process, and what it measured for a day."""
    scope = Scope("benchmarks")
    resource = {"service.name": service, "service.instance.id": f"{service}-{first}"}
    start = LogRecord(
        time=first * 10**9,
        body="started",
        attributes={},
        resource=resource,
        scope=Scope(schema.LIFECYCLE_SCOPE),
        severity_number=9,
        event_name=schema.PROCESS_START,
        uid=uuid.uuid4().bytes,
    )
    points = [
        MetricPoint(at * 10**9, name, "gauge", 0.5 + at % 7, dict(attributes), resource, scope)
        for at in range(first, first + DAY, step)
        for name, attributes in NAMES
    ]
    await store.write(Batch(logs=[start]))
    for place in range(0, len(points), 20_000):
        await store.write(Batch(points=points[place : place + 20_000]))


PARTS = ("post", "websocket", "week")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--projects", type=int, default=PROJECTS)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"a comma list of {PARTS}")
    given = parser.parse_args()
    print(machine())
    table = Table()
    for part in given.parts.split(","):
        if part == "week":
            week(table)
        else:
            heartbeats(table, part, given.projects, given.seconds)
    print("\n" + table.text())
    sys.exit(0 if table.met else 1)


if __name__ == "__main__":
    main()
