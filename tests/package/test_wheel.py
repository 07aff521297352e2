"""The built wheel, in a clean environment with the newest versions its bounds allow."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from tests.package.conftest import ROOT, CleanEnvironments, run

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = ("/", "/logs", "/traces", "/services", "/metrics", "/pipeline")
ANY_PORTS = [f"--{name}-port=0" for name in ("grpc", "http", "web", "udp")]


@pytest.fixture(scope="module")
def everything(clean: CleanEnvironments) -> Path:
    return clean.commands(("otelbridge[demo]",))


@pytest.fixture(scope="module")
def served(everything, tmp_path_factory):
    """The address of the page that the installed wheel serves."""
    folder = tmp_path_factory.mktemp("served")
    process = subprocess.Popen(
        [everything / "otelbridge", "serve", *ANY_PORTS, "--store", f"sqlite:///{folder}/s.db"],
        cwd=folder,  # not the checkout, whose package would be imported
        stdout=subprocess.PIPE,
        text=True,
    )
    said = ""
    while not (found := re.search(r"open +(http://127\.0\.0\.1:\d+)/", said)):
        line = process.stdout.readline()
        assert line, f"serve ended with {process.wait(5)}: {said}"
        said += line
    yield found[1]
    process.terminate()
    assert process.wait(20) == 0


class Assets(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "script" and "src" in given:
            self.found.add(given["src"])
        if tag == "link" and given.get("rel") in {"stylesheet", "icon"}:
            self.found.add(given["href"])


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_with_everything_it_loads(served, page):
    with urllib.request.urlopen(served + page, timeout=20) as answer:
        address, text = answer.geturl(), answer.read().decode()
    assert "</html>" in text
    assets = Assets()
    assets.feed(text)
    assert assets.found
    for asset in assets.found:
        whole = urljoin(address, asset)
        assert urlsplit(whole).netloc == urlsplit(served).netloc, "nothing leaves the machine"
        with urllib.request.urlopen(whole, timeout=20) as answer:
            assert answer.read()


def test_the_wheel_holds_what_the_checkout_does(wheel):
    tracked = run("git", "ls-files", "otelbridge", "examples/shop", cwd=ROOT).stdout.split()
    expected = {name.replace("examples/shop/", "otelbridge/demo/") for name in tracked}
    expected.add("otelbridge/kibana/otelbridge.ndjson")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
    assert expected - held == set()
    assert any(name.endswith("licenses/LICENSE") for name in licences)
    vendored = {Path(name).parent for name in expected if "/static/vendor/" in name}
    assert all(any(str(folder) in name for name in licences) for folder in vendored)


def test_the_demo_runs_from_the_wheel(everything, tmp_path):
    done = run(everything / "otelbridge", "demo", *ANY_PORTS, "--seconds", "12", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ requests: .*\bok\b", done.stdout)


def test_the_versions_that_come_with_it_agree_with_one_another(everything):
    done = run(sys.executable, "-m", "pip", "--python", everything / "python", "check")
    assert done.returncode == 0, done.stdout


def test_the_app_half_alone_logs_and_says_what_the_bridge_needs(clean, tmp_path):
    commands = clean.commands(("otelbridge",))
    code = (
        "import logging, otelbridge;"
        "handler = otelbridge.instrument(sinks='console');"
        "logging.warning('hello', extra={'user': 'alice'})"
    )
    done = run(commands / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0
    assert '"user":"alice"' in done.stderr
    assert run(commands / "otelbridge", "config", cwd=tmp_path).returncode == 0
    served = run(commands / "otelbridge", "serve", *ANY_PORTS, cwd=tmp_path)
    assert served.returncode == 1
    assert "pip install 'otelbridge[bridge]'" in served.stderr
    assert served.stderr.count("\n") == 1
