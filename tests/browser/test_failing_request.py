"""The way from a failing request's log line to the exception behind it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.running import RunningBridge

pytestmark = pytest.mark.browser

SHOP = Path(__file__).with_name("failing_shop.py")


def run_shop(bridge: RunningBridge, folder: Path) -> None:
    """Let two real services fail, which send what they recorded by OTLP."""
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": bridge.otlp,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    port_file = folder / "port"
    payments = subprocess.Popen([sys.executable, SHOP, "payments", port_file], env=environment)
    try:
        deadline = time.monotonic() + 30
        while not (port_file.exists() and port_file.read_text()):
            assert payments.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port_file.read_text()}"
        subprocess.run([sys.executable, SHOP, "shop", url], env=environment, check=True, timeout=60)
        assert payments.wait(30) == 0
    finally:
        payments.kill()
        payments.wait()


def test_follows_a_failing_request_from_the_log_list_to_its_exception_in_the_waterfall(
    bridge: RunningBridge, browser_page: Page, tmp_path: Path
) -> None:
    run_shop(bridge, tmp_path)
    page = browser_page

    # The list of logs, narrowed to what went wrong in the shop.
    page.goto("/logs")
    page.get_by_role("combobox", name="Query").fill("service.name: shop and log.level: ERROR")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search").click()
    line = page.locator(".row", has_text="checkout failed")
    expect(line).to_have_count(1)
    expect(line.locator(".level")).to_contain_text("ERROR")

    # The record, opened under its line.
    line.locator(".message").click()
    panel = line.get_by_role("article", name="Record")
    expect(panel).to_contain_text("E_PAY")
    panel.get_by_role("link", name="Open trace").click()

    # Its trace: both services, the failing span open, and it is the payment's.
    expect(page.get_by_role("heading", level=1)).to_contain_text("POST /checkout")
    waterfall = page.get_by_role("list", name="Spans in the order of their calls")
    expect(waterfall.locator(".span")).to_have_count(3)
    opened = waterfall.locator(".span.failed.opened").last
    expect(opened.locator(".op")).to_have_text("POST /pay")
    expect(page.locator(".culprit")).to_contain_text("payments")

    # The exception, with the line that raised it, and the log at its moment.
    traceback = opened.locator(".traceback").first
    expect(traceback.locator(".exception")).to_contain_text("CardError")
    expect(traceback.locator(".exception")).to_contain_text("alice has 3, needs 10")
    expect(traceback.locator(".frame.raising .code")).to_contain_text("raise CardError")
    expect(traceback.locator(".folded").first).to_contain_text("library frame")
    expect(opened.get_by_role("list", name="Logs of POST /pay")).to_contain_text("asking the bank")

    # Back goes back: to the list as it was, the record still open.
    page.go_back()
    expect(page.get_by_role("combobox", name="Query")).to_have_value(
        "service.name: shop and log.level: ERROR"
    )
    expect(page.get_by_role("article", name="Record")).to_contain_text("E_PAY")
