"""What the bridge carries and how fast it answers: ``python -m benchmarks.bridge``.

Every number is taken from a real ``otelbridge serve`` in a process of its own, with the senders in
others beside it, on whatever cores there are.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.batches import Ids, order_number, templates
from benchmarks.load import Load, Outcome, connect, send
from benchmarks.process import BridgeProcess, running_bridge
from benchmarks.table import Table, machine

MEGABYTE = 1_000_000
MEMORY_TARGET = 250 * MEGABYTE
BYTES_TARGET = 450
RATES = {"logs": 10_000, "spans": 5_000}
# A rate like the targets comes from some processes, each with one request under way.
SENDERS = 10
FILL_SEED = 77


def count_rows(store: Path, table: str) -> int:
    """Count a table's rows, beside the running bridge and without its help."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def weigh(bridge: BridgeProcess) -> int:
    """Bytes of the store once its write-ahead log, which does not grow with it, is written back."""
    _settle(bridge)
    connection = sqlite3.connect(bridge.store, timeout=30)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return bridge.disk()


# --- taking in ----------------------------------------------------------------------------------


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
        _settle(bridge, 1.0)
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
        "word search": _logs("declined", "15m", total="0"),
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


# --- the live page ------------------------------------------------------------------------------


class _Follower(threading.Thread):
    """Reads the page's event stream and notes when each order number was in it first."""

    def __init__(self, bridge: BridgeProcess) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", bridge.web, timeout=30)
        self.connection.request("GET", "/logs/tail", headers={"Accept": "text/event-stream"})
        self.answer = self.connection.getresponse()
        if self.answer.status != 200:
            raise RuntimeError(f"/logs/tail answered {self.answer.status}")
        self.seen: dict[str, float] = {}

    def run(self) -> None:
        pattern = re.compile(rb"(?<!M-)A-(\d{8})")
        try:
            while line := self.answer.readline():
                now = time.time()
                for number in pattern.findall(line):
                    self.seen.setdefault(f"A-{number.decode()}", now)
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            return  # closed by stop()

    def stop(self) -> None:
        self.answer.close()
        self.connection.close()


def _send_steadily(
    bridge: BridgeProcess, seconds: float, rate: int, batch: int = 50
) -> dict[str, float]:
    """Send logs from here; returns the moment (seconds since the epoch) each order left."""
    ids, made = Ids(5), templates("logs", batch, text=False)
    connection = connect("http/protobuf", bridge.address("http"), "logs")
    sent: dict[str, float] = {}
    begin = time.monotonic()
    for index in range(int(seconds * rate / batch)):
        wait = begin + index * batch / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        first, now = index * batch, time.time_ns()
        body = made[index % len(made)].fill(
            ids, first, lambda n, first=first, now=now: now + (n - first) * 1000, spans=False
        )
        moment = time.time()
        for number in range(first, first + batch):
            sent[order_number(number)] = moment
        connection.send(body)
    return sent


def _add_delays(table: Table, name: str, sent: dict[str, float], seen: dict[str, float]) -> None:
    delays = sorted(seen[order] - sent[order] for order in sent if order in seen)
    if not delays:
        table.add(name, "< 1 s", "no record was seen", False)
        return
    table.add(
        name,
        "< 1 s, every record",
        f"p50 {delays[len(delays) // 2]:.2f} s, p99 {delays[len(delays) * 99 // 100]:.2f} s,"
        f" most {delays[-1]:.2f} s; {len(delays):,} of {len(sent):,} records seen",
        delays[-1] < 1 and len(delays) == len(sent),
    )


def live(table: Table, seconds: float, rate: int = 1000) -> None:
    """Time from sending a record to its line in the event stream, and in a browser's page."""
    with running_bridge() as bridge:
        follower = _Follower(bridge)
        follower.start()
        sent = _send_steadily(bridge, seconds, rate)
        time.sleep(2.5)
        follower.stop()
    _add_delays(table, f"from sending to the page's stream, {rate:,} logs/s", sent, follower.seen)
    with running_bridge() as bridge, chromium() as browser:
        name = f"from sending to the line in Chromium's page, {rate:,} logs/s"
        if browser is None:
            table.add(name, "< 1 s", "no Playwright or Chromium here")
            return
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{bridge.web}/logs?live=1", wait_until="networkidle")
        page.evaluate(_WATCH_ROWS)
        time.sleep(1.0)
        sent = _send_steadily(bridge, seconds, rate)
        time.sleep(2.5)
        seen = {order: ms / 1000 for order, ms in page.evaluate("window.seenOrders").items()}
    _add_delays(table, name, sent, seen)


# A line counts as seen in the frame after it came into the page.
_WATCH_ROWS = r"""() => {
  window.seenOrders = {};
  new MutationObserver((changes) => {
    const added = changes.flatMap((change) => [...change.addedNodes]);
    requestAnimationFrame(() => {
      const now = Date.now();
      for (const node of added) {
        const order = node.textContent.match(/A-\d{8}/);
        if (order) window.seenOrders[order[0]] ??= now;
      }
    });
  }).observe(document.getElementById("rows"), {childList: true});
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a headless Chromium; yields ``None`` where there is none, or no Playwright."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        program = None
    if program is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


# --- asking a large store -----------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """One request for the page's server.

    Attributes:
        limit: milliseconds allowed, or ``None`` where nothing was asked.
        expect: a text that the answer holds when it is right.
    """

    name: str
    path: str
    limit: float | None
    expect: str = ""


def _logs(query: str, range_: str = "24h", **more: str) -> str:
    return "/logs.json?" + urllib.parse.urlencode({"query": query, "range": range_, **more})


def questions(records: int) -> list[Question]:
    """The questions to a store of that many records, all of the last hour."""
    order = order_number(records // 2)
    ids = Ids(FILL_SEED)
    log = ids.log_trace(records // 3).hex()
    page = {"total": "0"}
    return [
        Question("word search (one in thirty): declined", _logs("declined", **page), 100, "decl"),
        Question("word search (every record): order", _logs("order", **page), 100, "Order"),
        Question(f"word search (one record): {order}", _logs(f'"{order}"', **page), 100, order),
        Question("word search (none): zebra", _logs("zebra", **page), 100, '"records":[]'),
        Question("field search: user: user1234", _logs("user: user1234", **page), 100, "user1234"),
        Question("field search: log.level: ERROR", _logs("log.level: ERROR", **page), 100, "ERROR"),
        Question(
            "field search: error_code: PAY-007 and user: user1*",
            _logs("error_code: PAY-007 and user: user1*", **page), 100, "PAY-007",
        ),
        Question("field search: code >= 400", _logs("code >= 400", **page), 100, "402"),
        Question(
            "field search (none, word is everywhere): user: success",
            _logs("user: success", **page), None, '"records":[]',
        ),
        Question("field search and its count: user1234", _logs("user: user1234"), 100, "total"),
        Question("word search with its count: declined", _logs("declined"), None, "total"),
        Question("word search with its count: order", _logs("order"), None, "total"),
        Question("a log's trace by id", f"/traces/{log}.json", 100, log),
        Question("logs of a trace: trace.id: ...", _logs(f"trace.id: {log}", **page), 100, log),
        Question(
            "traces with a word: PaymentDeclined",
            "/traces.json?range=1h&query=PaymentDeclined", 100, "PaymentDeclined",
        ),
        Question(
            "traces by field: http.response.status_code >= 500",
            "/traces.json?range=1h&query=http.response.status_code+%3E%3D+500", 100, "trace_id",
        ),
        Question(
            "traces by duration: duration > 60ms",
            "/traces.json?range=1h&query=duration+%3E+60ms", 100, "trace_id",
        ),
        Question("last hour's histogram", "/logs/histogram.json?range=1h", 300, "bars"),
        Question(
            "last hour's histogram of log.level: ERROR",
            "/logs/histogram.json?range=1h&query=log.level:ERROR", 300, "bars",
        ),
        Question(
            "last hour's histogram of the word declined",
            "/logs/histogram.json?range=1h&query=declined", None, "bars",
        ),
        Question("facets of the last hour", "/logs/facets.json?range=1h", None),
        Question("page /logs, last hour", "/logs?range=1h", 200, "<html"),
        Question("page /logs?query=declined", "/logs?range=1h&query=declined", 200, "<html"),
        Question("page /traces, last hour", "/traces?range=1h", 200, "<html"),
        Question("page /services, last hour", "/services?range=1h", 200, "<html"),
    ]  # fmt: skip


def ask(table: Table, bridge: BridgeProcess, question: Question, rounds: int = 9) -> None:
    """Time one question; the first answer, which finds nothing warm, is told apart."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        try:
            status, content = bridge.get(question.path)
        except OSError as error:
            status, content = 0, str(error).encode()
        times.append(time.perf_counter() - began)
        if status != 200 or question.expect.encode() not in content:
            shown = re.sub(r"\s+", " ", content[:150].decode(errors="replace")).replace("|", "/")
            table.add(question.name, "an answer", f"{status}: {shown}", False)
            return
    first, warm = times[0] * 1e3, statistics.median(times[1:]) * 1e3
    most = max(times[1:]) * 1e3
    limit = question.limit
    table.add(
        question.name,
        f"< {limit:.0f} ms" if limit else "",
        f"{warm:.0f} ms (most {most:.0f}, first {first:.0f})",
        warm < limit if limit else None,
    )


def large_store(table: Table, records: int) -> None:
    """Fill a store with logs and spans of the last 55 minutes, weigh it, and ask it."""
    with running_bridge() as bridge:
        print(f"  storing {records:,} logs and {records // 5:,} spans", flush=True)
        empty = weigh(bridge)
        logs = send(
            Load("grpc", bridge.address("grpc"), "logs", rate=0, total=records,
                 connections=6, span_of_time=3300, seed=FILL_SEED)
        )  # fmt: skip
        stored = count_rows(bridge.store, "logs")
        log_bytes = weigh(bridge) - empty
        table.add(
            f"bytes on disk of each of {stored:,} logs",
            f"<= {BYTES_TARGET}",
            f"{log_bytes / stored:.0f} (sent: {logs.bytes / logs.sent:.0f} as protobuf)",
            log_bytes / stored <= BYTES_TARGET and stored == logs.sent,
        )
        table.add("storing them, as fast as it went", "", f"{logs.rate:,.0f} logs/s")
        spans = send(
            Load("grpc", bridge.address("grpc"), "spans", rate=0, total=records // 5,
                 connections=6, span_of_time=3300, seed=FILL_SEED)
        )  # fmt: skip
        stored = count_rows(bridge.store, "spans")
        span_bytes = weigh(bridge) - empty - log_bytes
        table.add(
            f"bytes on disk of each of {stored:,} spans",
            f"<= {BYTES_TARGET}",
            f"{span_bytes / stored:.0f} (sent: {spans.bytes / spans.sent:.0f} as protobuf;"
            f" logs and spans together {(log_bytes + span_bytes) / (records + stored):.0f})",
            span_bytes / stored <= BYTES_TARGET and stored == spans.sent,
        )
        for question in questions(records):
            ask(table, bridge, question)
        table.add(
            "peak memory while filled and asked", "< 250 MB", f"{bridge.peak() / MEGABYTE:.0f} MB",
            bridge.peak() < MEMORY_TARGET,
        )  # fmt: skip
        browser_paint(table, bridge)


def _settle(bridge: BridgeProcess, quiet: float = 3.0) -> None:
    """Wait until the files have not changed for ``quiet`` seconds, at most a minute."""
    size, since, end = bridge.disk(), time.monotonic(), time.monotonic() + 60
    while time.monotonic() < end and time.monotonic() - since < quiet:
        time.sleep(0.25)
        if bridge.disk() != size:
            size, since = bridge.disk(), time.monotonic()


def browser_paint(table: Table, bridge: BridgeProcess, rounds: int = 5) -> None:
    """First contentful paint of /logs in Chromium, where Playwright and a Chromium are there."""
    paints = []
    with chromium() as browser:
        if browser is None:
            table.add("first paint of /logs", "< 200 ms", "no Playwright or Chromium here")
            return
        page = browser.new_page()
        for _ in range(rounds):
            page.goto(f"http://127.0.0.1:{bridge.web}/logs?range=1h", wait_until="load")
            paint = page.wait_for_function(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            paints.append(float(paint.json_value()))
    table.add(
        "first paint of /logs?range=1h in Chromium",
        "< 200 ms",
        f"{statistics.median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f})",
        statistics.median(paints) < 200,
    )


PARTS = ("start", "sustained", "together", "json", "udp", "asked", "ceiling", "live", "large")


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each sustained run")
    parser.add_argument("--records", type=int, default=1_000_000, help="logs in the large store")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"a comma list of {PARTS}")
    given = parser.parse_args()
    print(machine())
    table = Table()
    measure(table, tuple(given.parts.split(",")), given.seconds, given.records)
    print("\n" + table.text())
    sys.exit(0 if table.met else 1)


if __name__ == "__main__":
    main()
