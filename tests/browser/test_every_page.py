"""What holds on every page: it fits, it can be read, it stays quiet."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from otelbridge.alarms.kept import KeptAlarm, KeptDestination
from otelbridge.model import SpanEvent
from tests.web.running import RunningBridge
from tests.web.samples import TRACEBACK, log, point, span

pytestmark = pytest.mark.browser

TRACE = bytes(range(16))
ROOT, CALL, SERVE = (bytes([number] * 8) for number in (1, 2, 3))

PAGES = [
    "/services",
    "/projects",
    "/errors",
    "/errors/type%3Apayments.CardError",
    "/logs",
    "/logs?query=level",
    "/traces",
    "/traces?query=user:+alice&by=logs",
    f"/traces/{TRACE.hex()}",
    "/metrics",
    "/alarms",
    "/alarms/new",
    "/alarms/new?when=error-rate",
    "/alarms/destinations/new?kind=email",
    "/pipeline",
    "/login",
]

# The contrast of each visible text with what is behind it, and the worst of them first.
CONTRASTS = """() => {
  const parse = (colour) => {
    parse.canvas ??= document.createElement("canvas");
    const context = parse.canvas.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const linear = (share) => share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    const part = (value) => linear(value / 255);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility({ visibilityProperty: true })) continue;
    const svg = element instanceof SVGElement;
    if (element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([contrast, String(element.className), element.textContent.trim().slice(0, 40)]);
  }
  return found.sort((one, other) => one[0] - other[0]).slice(0, 5);
}"""


@pytest.fixture
def filled(bridge: RunningBridge) -> RunningBridge:
    """A bridge with something for every page, long names and lines among it."""
    failure = {
        "exception.type": "payments.CardError",
        "exception.message": "no card " + "very long " * 30,
        "exception.stacktrace": TRACEBACK,
        "otelbridge.variables": [
            {"frame": "shop/payments.py:14 in charge", "variables": {"card": "unbroken" * 30}}
        ],
    }
    long = "unbroken" * 60
    bridge.store(
        *(
            log(f"level {level} {long}", level=level, ago=number + 1, user="alice", note=long)
            for number, level in enumerate(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
        ),
        log("failed", level="ERROR", trace_id=TRACE, span_id=SERVE, user="alice", **failure),
        log("loose", trace_id=TRACE),
        span("POST /checkout", trace_id=TRACE, span_id=ROOT, service="gateway", failed=True),
        span("POST", trace_id=TRACE, span_id=CALL, parent=ROOT, service="gateway", kind=3,
             start=-1.99, seconds=0.08, failed=True),
        span(f"POST /pay/{long}", trace_id=TRACE, span_id=SERVE, parent=CALL, service="payments",
             start=-1.98, seconds=0.05, failed=True,
             events=[SpanEvent(0, "exception", failure), SpanEvent(0, "retry", {"attempt": 1})],
             **{"http.route": "/pay"}),
        *(span(trace_id=secrets.token_bytes(16), start=-10 * number) for number in range(1, 9)),
        *(
            point(name, value, ago=number * 10, **attributes)
            for number in range(1, 30)
            for name, value, attributes in (
                ("process.cpu.utilization", 0.2, {}),
                ("process.memory.usage", 9e7, {}),
                ("system.memory.usage", 9e9, {"state": "used"}),
            )
        ),
    )  # fmt: skip
    bridge.bridge.alarms.change(
        lambda kept: (
            kept.with_destination(
                KeptDestination(name=f"log {long}", kind="file", values={"path": "a.log"})
            )
            .with_alarm(KeptAlarm(name=f"errors {long}", table={"when": "error"}))
            .with_alarm(KeptAlarm(name="busy", table={"when": "cpu", "above": 9}, paused=True))
            .with_alarm(KeptAlarm(name="broken", table={"when": "never"}))
        )
    )
    return bridge


def settle(page: Page, address: str) -> None:
    """Open a page and wait until its parts are there."""
    page.goto(address)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("address", PAGES)
def test_nothing_scrolls_sideways_on_a_phone(
    filled: RunningBridge, open_browser: Callable[..., Page], address: str
) -> None:
    page = open_browser(390, 844)

    settle(page, address)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_an_open_record_and_its_traceback_fit_on_a_phone(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser(390, 844)
    settle(page, "/logs")

    page.locator(".row", has_text="failed").locator(".message").click()

    expect(page.locator(".traceback")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(
        """() => [...document.querySelectorAll(".panel *")].every((one) =>
             getComputedStyle(one).overflowX === "visible"
             || one.scrollWidth <= one.clientWidth + 1)"""
    )


def test_fields_are_folded_away_on_a_phone_until_asked_for(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser(390, 844)
    settle(page, "/logs")
    expect(page.locator("#facets")).to_be_hidden()

    page.get_by_role("button", name="Fields").click()

    expect(page.locator("#facets")).to_be_visible()
    expect(page.locator("#facets")).to_contain_text("shop")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("address", PAGES)
def test_every_text_can_be_read(
    filled: RunningBridge, open_browser: Callable[..., Page], address: str, theme: str
) -> None:
    page = open_browser(color_scheme=theme)
    settle(page, address)
    for message in page.locator(".row .message").all()[:3]:
        message.click()
    page.wait_for_load_state("networkidle")

    worst = page.evaluate(CONTRASTS)

    assert worst
    assert worst[0][0] >= 4.5, worst


def test_the_theme_follows_the_system_until_one_is_chosen(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser(color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    settle(page, "/logs")
    dark = page.evaluate(background)

    page.get_by_role("button", name="Light or dark").click()
    light = page.evaluate(background)
    settle(page, "/services")

    assert dark != light
    assert page.evaluate(background) == light


@pytest.mark.parametrize("address", PAGES)
def test_every_control_has_a_name(
    filled: RunningBridge, open_browser: Callable[..., Page], address: str
) -> None:
    page = open_browser()
    settle(page, address)

    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
               "a[href], button, input:not([type=hidden]), select, summary")]
             .filter((one) => !one.textContent.trim())
             .filter((one) => !one.getAttribute("aria-label") && !one.labels?.length)
             .map((one) => one.outerHTML.slice(0, 120))"""
    )

    assert nameless == []


def test_a_click_on_a_trace_leads_to_its_waterfall_and_spans_fold(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser()
    settle(page, "/traces")
    page.locator(".trace", has_text="POST /checkout").click()
    spans = page.locator(".span:visible")
    expect(spans).to_have_count(3)

    page.locator(".fold-button").first.click()
    expect(spans).to_have_count(1)
    page.locator(".fold-button").first.click()
    expect(spans).to_have_count(3)


def test_a_span_is_opened_by_keys_and_the_address_keeps_it(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser()
    settle(page, f"/traces/{TRACE.hex()}")

    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.locator(f"#panel-{ROOT.hex()}")).to_be_visible()
    assert f"span={ROOT.hex()}" in page.url
    page.reload()
    expect(page.locator(f"#panel-{ROOT.hex()}")).to_be_visible()


def test_a_drag_on_a_metric_s_chart_chooses_the_range(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser()
    settle(page, "/metrics")
    expect(page.locator(".metric .u-over")).to_have_count(3)
    box = page.locator(".metric .u-over").first.bounding_box()

    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=4)
    page.mouse.up()

    page.wait_for_url("**/metrics?range=*Z%2F*Z")
    expect(page.locator(".metric .u-over")).to_have_count(3)


def test_charts_of_metrics_stand_exactly_under_each_other(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser()
    settle(page, "/metrics")
    expect(page.locator(".metric .u-over")).to_have_count(3)

    boxes = [over.bounding_box() for over in page.locator(".metric .u-over").all()]

    assert len({(box["x"], box["width"]) for box in boxes}) == 1


def test_a_click_on_a_service_leads_to_its_logs(
    filled: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    page = open_browser()
    settle(page, "/services?range=1h")

    page.get_by_role("link", name="payments").click()

    expect(page.get_by_role("combobox", name="Query")).to_have_value('service.name: "payments"')
    assert "range=1h" in page.url


def test_the_services_renew_themselves(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(log(service="first"))
    page = open_browser()
    page.clock.install()
    settle(page, "/services")
    expect(page.get_by_role("link", name="first")).to_be_visible()

    bridge.store(log(service="second"))
    page.clock.fast_forward(11_000)

    expect(page.get_by_role("link", name="second")).to_be_visible()


def test_the_metrics_renew_themselves(
    bridge: RunningBridge, open_browser: Callable[..., Page]
) -> None:
    bridge.store(point("process.cpu.utilization", 0.1, ago=20))
    page = open_browser()
    page.clock.install()
    settle(page, "/metrics")
    largest = page.locator(".metric .legend tbody td").nth(1)
    expect(largest).to_have_text("10 %")

    bridge.store(point("process.cpu.utilization", 0.7))
    page.clock.fast_forward(11_000)

    expect(largest).to_have_text("70 %")
