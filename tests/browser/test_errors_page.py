"""From the list of errors to one of them, and back to peace."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from otelbridge import schema
from otelbridge.model import LogRecord
from tests.web.running import RunningBridge
from tests.web.samples import TRACEBACK, log

pytestmark = pytest.mark.browser

FINGERPRINT = "0123456789abcdef"
CLEAN = "\n".join(
    line for line in TRACEBACK.splitlines() if "vault/client" not in line and "_get" not in line
)
EVIL = "<img src=x onerror=\"document.title='run'\"> **not bold** no card"


def error(
    *, ago: float, user: str = "ann", service: str = "shop", message: str = EVIL
) -> LogRecord:
    return log(
        "cannot pay",
        level="ERROR",
        service=service,
        ago=ago,
        user=user,
        **{
            "exception.type": "payments.CardError",
            "exception.message": message,
            "exception.stacktrace": TRACEBACK,
            schema.FINGERPRINT: FINGERPRINT,
            schema.TRACEBACK_CLEAN: CLEAN,
            schema.TRACEBACK_MINIMAL: "shop/payments.py:14 in charge - payments.CardError: no card",
            schema.ERROR_VARIABLES: [
                {"frame": "shop/payments.py:14 in charge", "variables": {"user": "'ann'"}}
            ],
        },
    )


def test_follows_an_error_from_the_list_to_its_lines_and_settles_it(
    bridge: RunningBridge, browser_page: Page
) -> None:
    bridge.store(
        *(error(ago=n, user=f"u{n % 3}", service=("shop", "pay")[n % 2]) for n in range(2, 9)),
        log("no error"),
    )
    page = browser_page

    # The list: one line, whose message is a text.
    page.goto("/errors?range=1h")
    row = page.locator("tr[data-row]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(EVIL)
    expect(row).to_contain_text("new")
    row.get_by_role("link", name=re.compile("payments.CardError")).click()

    # The group: what was raised, own frames open, the library's folded.
    expect(page.get_by_role("heading", level=1)).to_have_text("payments.CardError")
    expect(page.locator(".error-message")).to_have_text(EVIL)
    traceback = page.get_by_role("region", name="Exception")
    expect(traceback.locator(".clean")).to_contain_text("raise CardError")
    expect(traceback.locator(".folded")).to_contain_text("2 library frames")
    traceback.get_by_role("button", name="Full text").click()
    own = traceback.locator("pre.full .own")
    expect(own.first).to_contain_text("card = vault.load(user)")
    expect(traceback.locator("pre.full")).to_have_text(TRACEBACK, use_inner_text=False)
    expect(page.get_by_role("region", name="Local variables")).to_contain_text("'ann'")
    expect(page.locator("#histogram .total")).to_have_text("7 records")

    # A number leads to as many records.
    users = page.locator("section", has=page.get_by_role("heading", name="Users"))
    users.get_by_role("row", name=re.compile("^u2 ")).get_by_role("link").click()
    expect(page.locator("#rows > .row")).to_have_count(3)
    page.go_back()

    # Resolved, it leaves the list.
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator(".group-state").first).to_contain_text("resolved")
    page.goto("/errors?range=1h")
    expect(page.locator(".empty")).to_contain_text("1 group of another state")

    # It comes again, and so does its line, without a reload of ours.
    bridge.store(error(ago=-1))
    page.locator("#errors").evaluate("(place) => htmx.trigger(place, 'refresh')")
    expect(page.locator("tr[data-row]")).to_contain_text("reopened")
    page.get_by_role("button", name="Ignore").click()
    expect(page.locator(".empty")).to_be_visible()
    assert page.url.endswith("/errors?range=1h")
    assert "run" not in page.title()


def test_ten_megabytes_of_traceback_are_looked_at_on_a_phone(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    middle = "    " + "x" * 95 + "\n"
    record = error(ago=1, message="m" * 1_000_000)
    record.attributes["exception.stacktrace"] = TRACEBACK.replace(
        "    card = vault.load(user)\n", middle * 100_000
    )
    bridge.store(record)
    page = open_browser(390, 844)

    page.goto(f"/errors/{FINGERPRINT}")
    expect(page.get_by_role("region", name="Exception")).to_contain_text("raise CardError")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Full text").click()
    expect(page.locator("pre.full")).to_contain_text("left out here")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
