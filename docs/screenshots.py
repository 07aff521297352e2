"""Makes the README's pictures from the demo, running.

    python docs/screenshots.py                        those of the README, in docs/images
    python docs/screenshots.py --all build/pictures   every view, light and dark, wide and narrow

Needs Chromium and Playwright for Python.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from otelbridge.commands.ask import BridgeClient

IMAGES = Path(__file__).parent / "images"
VIEWS = {
    "projects": "/projects",
    "errors": "/errors?range=5m",
    "logs": "/logs?range=5m",
    "traces": "/traces?range=5m",
    "services": "/services?range=5m",
    "metrics": "/metrics?range=5m",
    "alarms": "/alarms",
    "pipeline": "/pipeline",
}
SIZES = {"": (1400, 900), "-narrow": (390, 844)}
FAILURE = "service.name: orders and error.type: *PricingError"


def failing_trace(client: BridgeClient) -> str:
    """The address of a trace whose exception is worth seeing."""
    deadline = time.monotonic() + 60
    while True:
        found = client.get("/logs.json", query=FAILURE, range="15m", limit=1)["records"]
        if found:
            return f"/traces/{found[0]['trace_id']}"
        if time.monotonic() > deadline:
            raise SystemExit("no failing order came within a minute")
        time.sleep(1)


def frequent_error(client: BridgeClient) -> str:
    """The address of the group with most errors."""
    groups = client.get("/errors.json", query=FAILURE, range="15m", sort="count")["groups"]
    return f"/errors/{groups[0]['fingerprint']}?range=5m"


def shoot(
    browser: Browser,
    url: str,
    views: dict[str, str],
    folder: Path,
    schemes: list[str],
    sizes: list[str],
) -> None:
    """Take every view in each colour scheme and size."""
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in schemes:
        for ending in sizes:
            width, height = SIZES[ending]
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": width, "height": height},
                device_scale_factor=1,
            )
            page = context.new_page()
            for name, path in views.items():
                page.goto(url + path)
                # The charts follow the first paint; a live page never goes idle.
                page.wait_for_timeout(1500)
                page.screenshot(path=folder / f"{name}-{scheme}{ending}.png")
            context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the demo.")
    parser.add_argument("--seconds", type=float, default=75, help="how long to let it run before")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="take every picture, to there")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    ports = [f"--{name}-port=0" for name in ("grpc", "http", "web", "udp")]
    demo = subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "demo", *ports],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        url = None
        assert demo.stdout is not None
        while url is None:
            line = demo.stdout.readline()
            if not line:
                raise SystemExit("the demo did not start")
            found = re.search(r"open +(http://[^\s/]+)", line)
            url = found and found[1]
        time.sleep(options.seconds)
        client = BridgeClient(url, None)
        views = {**VIEWS, "trace": failing_trace(client), "error": frequent_error(client)}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            if options.all:
                shoot(browser, url, views, options.all, ["light", "dark"], list(SIZES))
            else:
                readme = {name: views[name] for name in ("logs", "trace", "services")}
                shoot(browser, url, readme, IMAGES, ["light"], [""])
            browser.close()
    finally:
        demo.terminate()
        demo.wait(30)


if __name__ == "__main__":
    main()
