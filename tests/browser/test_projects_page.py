"""The Projects view in a browser: live, usable on a phone, with its graphs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from otelbridge import schema
from otelbridge.model import LogRecord
from tests.browser.test_every_page import CONTRASTS, settle
from tests.browser.waiting import wait_until
from tests.projects.events import event
from tests.web.running import RunningBridge
from tests.web.samples import log, point

pytestmark = pytest.mark.browser


def said(name: str, *, ago: float = 0.0, **values: Any) -> LogRecord:
    record = event(name, **values)
    record.time = time.time_ns() - int(ago * 10**9)
    return record


def start(**values: Any) -> LogRecord:
    return said(schema.PROCESS_START, **{"uptime": 0.0, "ago": 5.0, **values})


def crash(**values: Any) -> LogRecord:
    key = schema.PROCESS_OUTCOME.replace(".", "__")
    return said(schema.PROCESS_END, **{"uptime": 5.0, key: "crashed", **values})


def heard(bridge: RunningBridge, number: int) -> None:
    """Wait until so many processes are known."""
    limit = time.monotonic() + 20
    while len(bridge.bridge.projects.processes()) < number:
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_crash_is_seen_while_the_page_is_open(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(start(project="shop"), start(project="mail", instance="two"))
    heard(bridge, 2)
    page = open_browser()
    settle(page, "/projects")
    shop = page.get_by_role("row").filter(has_text="shop")
    expect(shop).to_contain_text("running")

    bridge.store(crash(project="shop"), log("no card", level="ERROR", service="shop"))

    expect(shop).to_contain_text("crashed")
    expect(shop.locator("td[data-label=Errors]")).to_have_text("1")
    expect(page.get_by_role("navigation", name="Status")).to_contain_text("crashed 1")
    # The worst is first.
    assert page.locator("tbody th").all_inner_texts()[0].startswith("shop")


def test_a_project_is_hidden_and_brought_back(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(start(project="shop"), start(project="mail", instance="two"))
    heard(bridge, 2)
    page = open_browser()
    settle(page, "/projects")

    page.get_by_role("button", name="Hide shop").click()
    expect(page.get_by_role("row").filter(has_text="shop")).to_have_count(0)
    page.get_by_role("link", name="hidden 1").click()
    page.get_by_role("button", name="Restore shop").click()
    expect(page.get_by_text("No project is hidden.")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.get_by_role("row").filter(has_text="shop")).to_have_count(1)


def test_the_page_of_a_project_draws_its_graphs_and_leads_to_its_logs(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(start(instance="one"))
    for number in range(20):
        bridge.store(
            point("process.cpu.utilization", 0.1, ago=300 - number * 10),
            point("process.memory.usage", 5e7, ago=300 - number * 10),
            point("system.memory.usage", 2e9, ago=300 - number * 10, state="used"),
        )
    heard(bridge, 1)
    page = open_browser()
    settle(page, "/projects")
    page.get_by_role("link", name="shop", exact=True).click()

    for title in ("Process CPU", "Process memory", "Host memory"):
        expect(page.get_by_role("region", name=title).locator("canvas")).to_be_visible()
    page.get_by_role("navigation", name="Ranges").get_by_role("link", name="7d").click()
    expect(page.get_by_role("region", name="Host memory").locator("canvas")).to_be_visible()
    assert "range=7d" in page.url
    page.get_by_role("link", name="Logs", exact=True).last.click()
    expect(page.locator("#query")).to_have_value('service.name: "shop"')


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/projects", "/projects/shop"])
def test_on_a_phone_nothing_scrolls_sideways(
    bridge: RunningBridge, open_browser: Callable[..., Page], path: str, scheme: str
) -> None:
    bridge.store(
        start(
            host="a-host-with-a-long-name.in.some.data.centre.example",
            resource={"service.version": "2026.11.21-long-build-number"},
            otelbridge__process__sinks=["otlp", "elasticsearch", "telegram://chat"],
            otelbridge__process__authors=["@somebody-with-a-long-name", "@another"],
        ),
        crash(
            otelbridge__process__last_error__type="SomeVeryLongExceptionNameError",
            otelbridge__process__last_error__message="x" * 300,
        ),
    )
    heard(bridge, 1)
    page = open_browser(390, 844, color_scheme=scheme)
    settle(page, path)

    wait_until(page, "document.documentElement.scrollWidth <= innerWidth")
    contrast, of, text = page.evaluate(CONTRASTS)[0]
    assert contrast >= 4.5, (of, text)
