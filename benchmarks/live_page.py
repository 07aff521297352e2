"""How soon a record that was sent is seen: in the page's event stream, and in a browser."""

from __future__ import annotations

import http.client
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.batches import Ids, order_number, templates
from benchmarks.load import connect
from benchmarks.process import BridgeProcess, running_bridge
from benchmarks.table import Table


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
