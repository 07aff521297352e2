"""LoggerFlow 0.0.6's own client, unchanged, pointed at our address by either transport."""

from __future__ import annotations

import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.running import RunningBridge, run_bridge

# The installation is part of the first test's time.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

# As its README has it, but for the address and a shorter heartbeat.
PROGRAM = """
import sys, time
from loggerflow import LoggerFlow
from loggerflow.lifecycle import WebhookLifecycle, WebSocketLifecycle

lifecycle = {lifecycle}
lf = LoggerFlow(project_name={name!r}, backend=lifecycle)
lf.run()
print("connected", flush=True)
sys.stdin.readline()
{work}
"""
TRANSPORTS = {
    "webhook": "WebhookLifecycle(webhook_url='http://{at}/loggerflow/', heartbeat=1)",
    "websocket": "WebSocketLifecycle(websocket_url='ws://{at}/loggerflow/', heartbeat=1)",
}
FAIL = """
try:
    {}["k"]
except KeyError as error:
    raise ValueError("final failure") from error
"""


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with run_bridge(tmp_path) as running:
        yield running


def start(
    python: Path, bridge: RunningBridge, transport: str, name: str, work: str = "", user: str = ""
) -> subprocess.Popen[str]:
    """Start a program with LoggerFlow in it; returns once its client is connected."""
    at = user + bridge.otlp.removeprefix("http://")
    program = PROGRAM.format(
        lifecycle=TRANSPORTS[transport].format(at=at), name=name, work=textwrap.dedent(work)
    )
    process = subprocess.Popen(
        [python, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "connected\n"
    return process


def finish(process: subprocess.Popen[str]) -> int:
    process.communicate("go on\n", timeout=60)
    return process.returncode


def project(
    bridge: RunningBridge, name: str, until: Callable[[Any], bool], **params: str
) -> dict[str, Any]:
    """The page's data of a project, once a condition holds for it."""
    limit = time.monotonic() + 60
    while True:
        answer = httpx.get(f"{bridge.url}/projects/{name}.json", params=params, timeout=20)
        if answer.status_code == 200 and until(answer.json()):
            found: dict[str, Any] = answer.json()
            return found
        assert time.monotonic() < limit, answer.text
        time.sleep(0.05)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_shows_up_with_its_errors_and_metrics(loggerflow, bridge, transport):
    program = start(loggerflow, bridge, transport, "old", FAIL)
    running = project(bridge, "old", lambda data: data["processes"][0]["host_memory"] is not None)
    assert running["status"] == "running"
    assert running["processes"][0]["interval"] == 1

    assert finish(program) == 1
    project(bridge, "old", lambda data: data["errors"] == 1)
    asked = {"query": 'service.name: "old"'}
    answer = httpx.get(f"{bridge.url}/errors.json", params=asked, timeout=20)
    [error] = answer.json()["groups"]
    # LoggerFlow's own server says KeyError here.
    assert (error["type"], error["message"]) == ("ValueError", "final failure")
    metrics = httpx.get(f"{bridge.url}/metrics.json", params={"service": "old"}, timeout=20)
    drawn = {chart["key"]: chart["series"] for chart in metrics.json()["charts"]}
    assert drawn["memory"]
    assert drawn["host"]
    assert drawn["host-cpu"]


def test_over_a_websocket_its_end_is_known(loggerflow, bridge):
    clean = start(loggerflow, bridge, "websocket", "clean")
    failing = start(loggerflow, bridge, "websocket", "failing", FAIL)
    assert finish(clean) == 0
    assert finish(failing) == 1

    project(bridge, "clean", lambda data: data["status"] == "stopped")
    project(bridge, "failing", lambda data: data["status"] == "crashed")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_four_workers_under_one_name_are_one_project_and_every_error_counts(
    loggerflow, bridge, transport
):
    work = """
    for number in range(3):
        try:
            raise ValueError(number)
        except ValueError:
            import traceback
            lf.send_traceback(traceback.format_exc())
    """
    workers = [start(loggerflow, bridge, transport, "shop", work) for _ in range(4)]
    found = project(bridge, "shop", lambda data: len(data["processes"]) == 4)
    assert found["status"] == "running"
    assert [finish(worker) for worker in workers] == [0] * 4

    # Of LoggerFlow's own server 0 of 12 were seen.
    project(bridge, "shop", lambda data: data["errors"] == 12)


def test_with_a_token_it_is_in_the_address(loggerflow, tmp_path):
    with run_bridge(tmp_path, ingest_token="sesame") as bridge:
        for transport in TRANSPORTS:
            program = start(loggerflow, bridge, transport, transport, user="any:sesame@")
            project(bridge, transport, lambda data: data["status"] == "running")
            assert finish(program) == 0
