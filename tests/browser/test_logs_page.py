"""The Logs page in a browser: live tail, chart, completion, keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.waiting import wait_until
from tests.web.running import RunningBridge
from tests.web.samples import TRACEBACK, log, span

pytestmark = pytest.mark.browser


def parameters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def start_live(page: Page, address: str = "/logs") -> None:
    """Open the list and wait until it follows."""
    page.goto(address)
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#live")).to_have_attribute("data-connection", "open")


def test_a_record_appears_by_itself_while_live(bridge: RunningBridge, browser_page: Page) -> None:
    bridge.store(log("first"))
    start_live(browser_page)

    bridge.store(log("second", ago=0))

    expect(browser_page.locator(".row").first).to_contain_text("second")
    expect(browser_page.locator(".row")).to_have_count(2)
    assert parameters(browser_page)["live"] == "1"


def test_only_records_that_match_the_query_appear(
    bridge: RunningBridge, browser_page: Page
) -> None:
    bridge.store(log("first", user="alice"))
    start_live(browser_page, "/logs?query=user:+alice")

    bridge.store(log("not this", user="bob", ago=0))
    bridge.store(log("but this", user="alice", ago=0))

    expect(browser_page.locator(".row").first).to_contain_text("but this")
    expect(browser_page.locator(".row", has_text="not this")).to_have_count(0)


def test_while_paused_a_bar_counts_and_nothing_moves(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(log("first"))
    start_live(page)
    page.keyboard.press("l")
    expect(page.locator("#live")).to_contain_text("Paused")
    place = page.locator(".row").first.bounding_box()

    bridge.store(log("second", ago=0), log("third", ago=0))

    bar = page.get_by_role("button", name="2 new")
    expect(bar).to_be_visible()
    expect(page.locator(".row")).to_have_count(1)
    assert page.locator(".row").first.bounding_box() == place

    bar.click()
    expect(page.locator(".row")).to_have_count(3)
    expect(bar).to_be_hidden()


def test_while_scrolled_away_a_bar_counts_and_nothing_moves(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(*(log(f"number {number}", ago=number + 1) for number in range(80)))
    start_live(page)
    page.mouse.wheel(0, 900)
    wait_until(page, "scrollY > 600")
    line = page.locator(".row", has_text="number 50").first
    place = line.bounding_box()

    bridge.store(log("one more", ago=0))

    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    assert line.bounding_box() == place
    page.get_by_role("button", name="1 new").click()
    expect(page.locator(".row").first).to_contain_text("one more")
    wait_until(page, "scrollY === 0")


def test_while_a_record_is_open_nothing_moves(bridge: RunningBridge, browser_page: Page) -> None:
    page = browser_page
    bridge.store(log("first"))
    start_live(page)
    page.locator(".row .message").click()
    expect(page.get_by_role("article", name="Record")).to_be_visible()

    bridge.store(log("second", ago=0))

    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    expect(page.locator(".row")).to_have_count(1)


def test_records_of_the_time_before_the_connection_are_not_lost(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(log("first"))
    page.goto("/logs")
    bridge.store(log("in between", ago=0))

    page.get_by_role("button", name="Live").click()

    expect(page.locator(".row").first).to_contain_text("in between")


def test_a_drag_on_the_chart_chooses_the_range(bridge: RunningBridge, browser_page: Page) -> None:
    page = browser_page
    bridge.store(log("long ago", ago=840), log("just now", ago=5))
    page.goto("/logs")
    chart = page.locator(".histogram .bars")
    expect(page.locator(".histogram [data-bar]").first).to_be_attached()
    box = chart.bounding_box()

    page.mouse.move(box["x"] + 2, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 30, steps=5)
    page.mouse.up()

    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("long ago")
    assert re.fullmatch(r"[\d:TZ.-]+/[\d:TZ.-]+", parameters(page)["range"])
    page.go_back()
    expect(page.locator(".row")).to_have_count(2)


def test_the_chart_is_used_with_keys(bridge: RunningBridge, browser_page: Page) -> None:
    page = browser_page
    bridge.store(log("long ago", ago=870), log("just now", ago=5))
    page.goto("/logs")
    expect(page.locator(".histogram [data-bar]").first).to_be_attached()

    page.locator(".histogram").focus()
    page.keyboard.press("ArrowLeft")
    for _ in range(9):
        page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#announcer")).not_to_be_empty()
    page.keyboard.press("Enter")

    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("just now")


def test_a_name_and_a_value_are_completed_with_the_keyboard(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(log("paid", customer="alice smith"), log("other", customer="bob"))
    page.goto("/logs")

    page.keyboard.press("/")
    query = page.get_by_role("combobox", name="Query")
    expect(query).to_be_focused()
    page.keyboard.type("custo")
    expect(page.get_by_role("option").first).to_contain_text("customer")
    page.keyboard.press("Tab")
    expect(query).to_have_value("customer")
    page.keyboard.type(": ali")
    expect(page.get_by_role("option").first).to_contain_text("alice smith")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(query).to_have_value(re.compile("alice smith"))
    page.keyboard.press("Escape")
    page.locator("#query").press("Enter")

    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("paid")


def test_rows_are_walked_opened_and_closed_with_keys(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(*(log(f"number {number}", ago=number + 1) for number in range(3)))
    page.goto("/logs")
    panel = page.get_by_role("article", name="Record")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("number 1")
    wait_until(page, "new URLSearchParams(location.search).has('record')")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    assert "record" not in parameters(page)
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("number 0")


def test_the_range_box_and_the_list_of_keys_have_keys(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    page.goto("/logs")

    page.keyboard.press("t")
    expect(page.get_by_role("textbox", name="Time range")).to_be_focused()
    page.get_by_role("link", name="3h", exact=True).click()
    page.wait_for_url("**/logs?range=3h")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_a_value_offers_only_this_not_this_and_its_traces(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    trace_id = bytes(range(16))
    odd = 'a "quoted" \\ value'
    bridge.store(
        log("with", customer=odd, trace_id=trace_id),
        log("without", customer="bob"),
        span("GET /odd", trace_id=trace_id),
    )
    page.goto("/logs")
    page.locator(".facet summary", has_text="customer").click()
    value = page.locator("[data-facet=customer] button.value", has_text="quoted")

    value.click()
    page.get_by_role("menuitem", name="Only this").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("with")

    page.go_back()
    value.click()
    page.get_by_role("menuitem", name="Not this").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("without")

    page.go_back()
    value.click()
    page.get_by_role("menuitem", name="Show its traces").click()
    expect(page.locator(".trace")).to_have_count(1)
    expect(page.locator(".trace")).to_contain_text("GET /odd")


def test_a_chosen_range_is_shown_by_the_reader_s_clock_and_kept_exact(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    exact = "2026-01-05T12:00:00.5Z/2026-01-05T13:30:00.25Z"
    page.goto(f"/logs?range={exact}")
    box = page.get_by_role("textbox", name="Time range")
    expect(box).to_have_value(re.compile(r"2026-01-05 1\d:00:00 to 1\d:30:00"))

    page.get_by_role("combobox", name="Query").fill("hello")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**query=hello**")

    assert parameters(page)["range"] == exact


def test_a_value_added_to_an_or_does_not_change_its_meaning(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(
        log("a", user="alice", service="one"),
        log("b", user="bob", service="one"),
        log("c", user="bob", service="two"),
    )
    page.goto("/logs?query=user:+alice+or+user:+bob")

    page.locator("#facets button.value", has_text="one").first.click()
    page.get_by_role("menuitem", name="Only this").click()

    expect(page.locator(".row")).to_have_count(2)
    assert parameters(page)["query"] == '(user: alice or user: bob) and service.name: "one"'


def test_older_records_are_added_below(bridge: RunningBridge, browser_page: Page) -> None:
    page = browser_page
    bridge.store(*(log(f"number {number}", ago=1 + number / 10) for number in range(130)))
    page.goto("/logs")
    expect(page.locator(".row")).to_have_count(100)

    page.get_by_role("link", name="Older records").click()

    expect(page.locator(".row")).to_have_count(130)
    expect(page.get_by_text("No older records in this range.")).to_be_visible()


def test_an_empty_range_leads_to_the_newest_record(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(log("long ago", ago=7200))
    page.goto("/logs")

    page.get_by_role("link", name="show it").click()

    expect(page.locator(".row")).to_contain_text("long ago")


def test_a_query_that_cannot_be_read_is_pointed_at_and_can_be_mended(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(log("paid", user="alice"))
    page = open_browser(tolerated=("status of 400",))
    page.goto("/logs")
    query = page.get_by_role("combobox", name="Query")
    query.fill("user: (alice")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert").filter(has_text="ends too early")).to_be_visible()
    expect(query).to_have_attribute("aria-invalid", "true")

    query.fill("user: (alice)")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Search").click()

    expect(page.locator(".row")).to_contain_text("paid")


def test_when_the_bridge_is_gone_the_picture_stays_and_one_sentence_says_so(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(log("paid", user="alice"))
    page = open_browser(tolerated=("Failed to load resource", "htmx:"))
    page.goto("/logs")
    expect(page.locator(".facet summary", has_text="user")).to_be_visible()
    bridge.stop()

    page.locator(".facet summary", has_text="user").click()

    expect(page.get_by_role("alert")).to_contain_text("The bridge does not answer")
    expect(page.locator(".row")).to_contain_text("paid")


def test_a_traceback_is_copied_as_text(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(log("failed", **{"exception.type": "E", "exception.stacktrace": TRACEBACK}))
    page = open_browser(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/logs")
    page.locator(".row .message").click()

    page.locator(".traceback").get_by_role("button", name="Copy").click()

    expect(page.locator(".traceback").get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == TRACEBACK


def test_a_traceback_switches_between_own_frames_and_full_text(
    bridge: RunningBridge, browser_page: Page
) -> None:
    page = browser_page
    bridge.store(
        log(
            "failed",
            level="ERROR",
            **{"exception.type": "payments.CardError", "exception.stacktrace": TRACEBACK},
        )
    )
    page.goto("/logs")
    page.locator(".row .message").click()
    traceback = page.locator(".traceback")
    expect(traceback.locator(".clean")).to_be_visible()
    expect(traceback.locator(".folded .frame").first).to_be_hidden()

    traceback.get_by_role("button", name="Full text").click()

    expect(traceback.locator("pre.full")).to_contain_text("line 90, in _get")
    expect(traceback.locator(".clean")).to_be_hidden()


def test_carets_stand_under_the_code_they_mark(bridge: RunningBridge, browser_page: Page) -> None:
    page = browser_page
    bridge.store(log("failed", **{"exception.type": "E", "exception.stacktrace": TRACEBACK}))
    page.goto("/logs")
    page.locator(".row .message").click()
    expect(page.locator(".traceback .carets").first).to_be_visible()

    offset = page.evaluate(
        """() => {
          const place = (element, letter) => {
            const range = document.createRange();
            const at = element.textContent.indexOf(letter);
            range.setStart(element.firstChild, at);
            range.setEnd(element.firstChild, at + 1);
            return range.getBoundingClientRect().left;
          };
          const frame = document.querySelector(".traceback .frame.own");
          const marker = place(frame.querySelector(".carets"), "^");
          return marker - place(frame.querySelector(".code"), "v");
        }"""
    )

    assert abs(offset) < 0.5


def test_times_are_the_reader_s_and_utc_is_on_hover(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(log("here"))
    page = open_browser(timezone_id="Asia/Kolkata")
    page.goto("/logs")
    wait_until(page, "document.cookie.includes('utc_offset=330')")

    moment = page.locator(".row time")
    shown = moment.inner_text()[:5]
    exact = moment.get_attribute("title")

    assert exact.endswith(" UTC")
    minutes = [int(part[:2]) * 60 + int(part[3:5]) for part in (exact[11:], shown)]
    assert (minutes[1] - minutes[0]) % 1440 == 330
