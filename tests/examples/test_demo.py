"""``otelbridge demo``: everything starts, everything arrives, nothing stays behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

from otelbridge.commands.ask import BridgeClient

pytestmark = [pytest.mark.servers, pytest.mark.slow]

DEADLINE = 60.0
ANY_PORTS = [f"--{name}-port=0" for name in ("grpc", "http", "web", "udp")]


def start(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start the demo on free ports; give its process and the page's address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "demo", *ANY_PORTS, *options],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = ""
    assert process.stdout is not None
    while not (found := re.search(r"open +(http://127\.0\.0\.1:\d+)", said)):
        line = process.stdout.readline()
        assert line, f"the demo ended with {process.wait(5)}: {said}"
        said += line
    return process, found[1]


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; one that ended counts as gone even before anybody has asked how."""
    return psutil.wait_procs(
        [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE],
        timeout=1,
    )[1]


def wait_for(client: BridgeClient, query: str, path: str = "/logs.json") -> list[dict]:
    deadline = time.monotonic() + DEADLINE
    while True:
        found = client.get(path, query=query, range="15m", limit=50)
        records = found.get("records") or found.get("traces") or []
        if records:
            return records
        assert time.monotonic() < deadline, f"nothing came for {query}"
        time.sleep(0.2)


@pytest.fixture
def client():
    process, url = start("--rate", "25")
    children = descendants(process)
    yield BridgeClient(url, None)
    process.terminate()
    process.wait(DEADLINE)
    assert alive(children) == []


def test_three_services_report_and_their_failures_are_found(client):
    for service in ("gateway", "orders", "payments"):
        wait_for(client, f"service.name: {service} and log.level: INFO")
    wait_for(client, "service.name: payments and log.level: WARNING and error_code: card_expired")
    wait_for(client, "service.name: orders and error_code: payment_timeout")
    [failure, *_] = wait_for(client, "service.name: orders and error.type: *PricingError")
    assert "ZeroDivisionError" in failure["attributes"]["exception.stacktrace"]
    # The same trace, as its three services saw it.
    together = wait_for(client, f"trace.id: {failure['trace_id']} and service.name: gateway")
    assert {record["trace_id"] for record in together} == {failure["trace_id"]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_nothing(number):
    process, _ = start()
    children = descendants(process)
    assert len(children) >= 3 * 3 + 2  # three masters with two workers, the bridge, the traffic
    process.send_signal(number)
    assert process.wait(DEADLINE) == 0
    assert alive(children) == []


def test_it_stops_by_itself_after_the_time_given():
    process, _ = start("--seconds", "1")
    assert process.wait(DEADLINE) == 0


def test_a_part_that_dies_ends_the_demo_with_a_failure():
    process, _ = start()
    children = descendants(process)
    bridge = next(child for child in children if "serve" in child.cmdline())
    bridge.kill()
    assert process.wait(DEADLINE) == 1
    assert "the bridge died with code -9" in process.stdout.read()
    assert alive(children) == []


def test_when_nobody_reads_what_it_says_it_stops_everything_and_leaves_nothing():
    process, _ = start()
    children = descendants(process)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(DEADLINE)
    assert alive(children) == []
