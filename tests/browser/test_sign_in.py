"""Signing in with the token, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.web.running import run_bridge
from tests.web.samples import log

pytestmark = pytest.mark.browser

TOKEN = "a-token-of-some-length"


def test_a_reader_signs_in_and_arrives_where_they_were_going(
    tmp_path: Path, chromium: Browser
) -> None:
    with run_bridge(tmp_path, token=TOKEN) as bridge:
        bridge.store(log("secret"))
        context = chromium.new_context(base_url=bridge.url)
        page = context.new_page()

        page.goto("/logs?range=1h")
        page.get_by_label("Token").fill("guess")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open").click()

        expect(page.locator(".row")).to_contain_text("secret")
        assert page.url == f"{bridge.url}/logs?range=1h"
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        context.close()


def test_the_address_that_is_printed_at_the_start_signs_in_and_forgets_the_token(
    tmp_path: Path, chromium: Browser
) -> None:
    with run_bridge(tmp_path, token=TOKEN) as bridge:
        bridge.store(log("secret"))
        context = chromium.new_context(base_url=bridge.url)
        page = context.new_page()

        page.goto(f"/logs?token={TOKEN}")

        expect(page.locator(".row")).to_contain_text("secret")
        assert TOKEN not in page.url
        page.get_by_role("button", name="Live").click()
        expect(page.locator("#live")).to_have_attribute("data-connection", "open")
        context.close()
