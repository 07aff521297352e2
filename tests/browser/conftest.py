"""A real bridge, and a real Chromium that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Request, expect, sync_playwright
from playwright.sync_api import Page as BrowserPage

from tests.web.running import RunningBridge, run_bridge

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    """A bridge with an empty store."""
    with run_bridge(tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium where there is one, else the one Playwright brought."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    # What is expected comes at once, but for a machine that is busy.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Seen:
    """What a browser must not have met: messages on its console, requests to other hosts."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@pytest.fixture
def open_browser(bridge: RunningBridge, chromium: Browser) -> Iterator[Callable[..., BrowserPage]]:
    """Opens windows; in the end, no console may have complained and no host but ours been asked."""
    seen = Seen()
    contexts = []

    def listen(page: BrowserPage, tolerated: tuple[str, ...]) -> None:
        def on_console(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not any(
                part in message.text for part in tolerated
            ):
                seen.complaints.append(message.text)

        page.on("console", on_console)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", on_request)

    def on_request(request: Request) -> None:
        if not request.url.startswith((bridge.url, "data:", "about:", "blob:")):
            seen.strangers.append(request.url)

    def open_(
        width: int = 1400, height: int = 900, tolerated: tuple[str, ...] = (), **options: Any
    ) -> BrowserPage:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            base_url=bridge.url,
            **{"timezone_id": "Europe/Berlin", "locale": "en-GB", **options},
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        listen(page, tolerated)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert seen.strangers == []
    assert seen.complaints == []


@pytest.fixture
def browser_page(open_browser: Callable[..., BrowserPage]) -> BrowserPage:
    """A window of a desk's size."""
    return open_browser()
