"""The Alarms view in a browser: the first alarm, made, tried, fired and taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_every_page import settle
from tests.channels.services import Reply, Service
from tests.web.running import RunningBridge, run_bridge
from tests.web.samples import log

pytestmark = pytest.mark.browser

NASTY = '<b onmouseover="alert(1)">shop</b>'
PASSWORD = "correct horse battery"
# What a message to a service, or hashing a password, may take on a busy machine; milliseconds.
PATIENCE = 30_000


@pytest.fixture
def hook() -> Iterator[Service]:
    with Service() as service:
        yield service


def fill(page: Page, **values: str) -> None:
    for label, value in values.items():
        page.get_by_label(label.replace("_", " "), exact=False).first.fill(value)


def make_destination(page: Page, hook: Service) -> None:
    settle(page, "/alarms/destinations/new?kind=webhook")
    fill(page, Name="pager", URL=hook.base)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="pager")).to_be_visible(timeout=PATIENCE)


def test_a_person_makes_the_first_alarm_and_is_told(
    bridge: RunningBridge, open_browser: Callable[..., Page], hook: Service
) -> None:
    bridge.store(log("payment refused", level="ERROR", service=NASTY))
    page = open_browser()
    settle(page, "/services")
    page.get_by_role("link", name="Alarms").click()

    page.get_by_role("link", name="webhook").click()
    fill(page, Name="pager", URL=hook.base)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="error a service logs errors").click()
    fill(page, Name="errors")
    page.get_by_role("checkbox", name="pager").check()
    page.get_by_role("button", name="Save").click()

    alarm = page.get_by_role("row").filter(has_text="an error within 5m")
    # It renews itself: nobody loads the page again.
    expect(alarm.locator(".state.firing").first).to_be_visible(timeout=PATIENCE)
    expect(alarm).to_contain_text(f"{NASTY}: 1 error in 5m")
    sent = page.locator("section", has_text="What was sent")
    expect(sent).to_contain_text("HTTP 200", timeout=PATIENCE)
    assert [request.fields["title"] for request in hook.taken] == [f"{NASTY}: 1 error in 5m"]

    alarm.get_by_role("link", name="records").click()
    expect(page.locator(".row")).to_contain_text("payment refused")


def test_a_wrong_field_is_said_beside_it_and_what_was_typed_stays(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser(tolerated=("422",))
    settle(page, "/alarms/new?when=cpu")
    fill(page, Name="busy")
    page.get_by_label("Above this share of a processor").fill("much")
    page.get_by_role("button", name="Save").click()

    above = page.get_by_label("Above this share of a processor")
    expect(above).to_have_value("much")
    expect(above).to_have_attribute("aria-invalid", "true")
    expect(above).to_have_accessible_description("above is 'much'; allowed: a part or a "
                                                 "percentage, such as 0.05 or 5%")  # fmt: skip
    above.fill("90%")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row").filter(has_text="more than 90%")).to_be_visible()


def test_a_destination_is_tried_where_it_stands(
    bridge: RunningBridge, open_browser: Callable[..., Page], hook: Service
) -> None:
    page = open_browser()
    make_destination(page, hook)
    row = page.get_by_role("row", name="pager")

    page.get_by_role("button", name="Send a test to pager").click()
    expect(row).to_contain_text("it arrived", timeout=PATIENCE)
    hook.replies = [Reply(410, "gone <i>for good</i>")]
    page.get_by_role("button", name="Send a test to pager").click()

    said = row.get_by_role("alert")
    expect(said).to_have_text("gone <i>for good</i> (HTTP 410)", timeout=PATIENCE)


def test_an_alarm_is_paused_and_removed_on_a_phone(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser(390, 844)
    settle(page, "/alarms/new?when=crashed")
    fill(page, Name="crashes")
    page.get_by_role("button", name="Save").click()

    page.get_by_role("button", name="Pause crashes").click()
    expect(page.locator(".state.paused")).to_be_visible()
    page.get_by_role("button", name="Go on with crashes").click()
    expect(page.locator(".alarms .state.ok")).to_be_visible()
    page.get_by_text("Remove", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Yes, remove the alarm crashes").click()

    expect(page.get_by_text("There are no alarms yet.")).to_be_visible()


def test_a_user_signs_in_with_name_and_password(tmp_path: Path, chromium: Browser) -> None:
    with run_bridge(tmp_path, login="ada", password=PASSWORD) as bridge:
        context = chromium.new_context(base_url=bridge.url)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto("/alarms")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("guess")
        page.get_by_role("button", name="Sign in").click()
        said = page.get_by_role("alert")
        expect(said).to_have_text("The name or the password is wrong.", timeout=PATIENCE)
        expect(page.get_by_label("Name")).to_have_value("ada")

        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

        expect(page.get_by_text("There are no alarms yet.")).to_be_visible(timeout=PATIENCE)
        assert page.url == f"{bridge.url}/alarms"
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()
        context.close()
