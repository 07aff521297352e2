"""What was lost is seen on the Pipeline page, and when processes started on Metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from otelbridge.model import MetricPoint
from otelbridge.receivers.counters import SenderCounters
from tests.browser.test_every_page import settle
from tests.web.running import RunningBridge
from tests.web.samples import log, point

pytestmark = pytest.mark.browser


def reported(name: str, value: float, **more: str) -> MetricPoint:
    return point(f"otelbridge.delivery.{name}", value, sink="otlp", signal="logs", **more)


def test_the_pipeline_shows_losses_of_udp_and_of_a_process_while_it_is_open(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.bridge.senders["till-3 pid 7"] = SenderCounters(
        "till-3 pid 7", received=98, lost=2, duplicated=5, last_seen=1.8e9
    )
    page = open_browser()
    page.clock.install()
    settle(page, "/pipeline")
    sender = page.get_by_role("row").filter(has_text="till-3 pid 7")
    for label, value in (("Sent", "100"), ("Received", "98"), ("Lost", "2"), ("Duplicated", "5")):
        expect(sender.locator(f"td[data-label={label}]")).to_have_text(value)
    expect(page.get_by_text("No process has reported")).to_be_visible()

    bridge.store(
        reported("accepted", 1000),
        reported("sent", 890),
        reported("waiting", 100),
        reported("spool.records", 100),
        reported("spool.size", 40_960),
        reported("dropped", 10, reason="spool full"),
    )
    page.clock.fast_forward(6_000)

    process = page.get_by_role("row").filter(has_text="otlp")
    expect(process.locator("td[data-label=Accepted]")).to_have_text("1\u202f000")
    expect(process.locator("td[data-label=Sent]")).to_have_text("890")
    expect(process.locator("td[data-label=Waiting]")).to_contain_text(
        "100 of them on disk, 40.0 KB"
    )
    expect(process.locator("td[data-label=Dropped]")).to_have_text("10 spool full")


def test_a_start_with_another_version_is_marked_on_the_charts(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    for number in range(30):
        bridge.store(point("process.cpu.utilization", 0.1, ago=600 - number * 20))
    page = open_browser()
    settle(page, "/metrics?range=15m")
    expect(page.locator("#starts")).to_be_hidden()
    plain = page.locator(".metric canvas").first.screenshot()

    for version, ago in (("2.0", 500.0), ("2.1", 300.0)):
        start = log("started", ago=ago, resource={"service.version": version})
        start.event_name = "otelbridge.process.start"
        bridge.store(start)
    settle(page, "/metrics?range=15m")

    expect(page.locator("#starts")).to_contain_text("2 process starts")
    expect(page.locator("#starts")).to_contain_text("shop 2.1 at")
    assert page.locator(".metric canvas").first.screenshot() != plain
