"""Real programs and a real bridge: how programs live and die, and the bridge does not always.

Each is what LoggerFlow 0.0.6 was seen to fail at; the comments say how.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.bridge_process import BridgeProcess, free_ports, start_bridge
from tests.programs import finish, run_program, start_program

pytestmark = [pytest.mark.servers]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeProcess]:
    """A bridge that tests share; each has projects of its own."""
    folder = tmp_path_factory.mktemp("projects") / "bridge"
    folder.mkdir()
    started = start_bridge(folder)
    yield started
    started.kill()


def sends_to(bridge: BridgeProcess, project: str, **more: str) -> dict[str, str]:
    """The variables of a program that announces itself to a bridge."""
    return {
        "OTEL_SERVICE_NAME": project,
        "OTEL_EXPORTER_OTLP_ENDPOINT": bridge.url("http"),
        "OTELBRIDGE_HEARTBEAT": "1s",
        # On a busy machine the usual time may not be enough for the end to arrive.
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
        **more,
    }


def project(
    bridge: BridgeProcess, name: str, until: Callable[[Any], bool], seconds: float = 60
) -> dict[str, Any]:
    """The page's data of a project, once a condition holds for it."""
    limit = time.monotonic() + seconds
    answer: Any = None
    while True:
        try:
            answer = httpx.get(bridge.url("web", f"/projects/{name}.json"), timeout=20)
            if answer.status_code == 200 and until(answer.json()):
                found: dict[str, Any] = answer.json()
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < limit, answer and answer.text
        time.sleep(0.1)


def status_is(status: str) -> Callable[[Any], bool]:
    return lambda data: data["status"] == status


INSTRUMENTED = "import otelbridge, sys, time, os, logging\notelbridge.instrument()\n"


@pytest.mark.parametrize(
    ("end", "code", "status", "said"),
    [
        ("", 0, "stopped", {"outcome": "completed"}),
        ("sys.exit(3)", 3, "crashed", {"outcome": "failed", "exit_code": 3}),
        ("raise KeyError('x')", 1, "crashed", {"outcome": "crashed", "exit_code": 1}),
        (
            "os.kill(os.getpid(), 15); time.sleep(60)",
            -15,
            "stopped",
            {"outcome": "terminated", "signal": "SIGTERM"},
        ),
        (
            "os.kill(os.getpid(), 2); time.sleep(60)",
            -2,
            "stopped",
            {"outcome": "interrupted"},
        ),
    ],
)
def test_how_a_program_ends_is_shown(bridge, end, code, status, said):
    name = f"ended-{code}"
    ended = run_program(INSTRUMENTED + end, **sends_to(bridge, name))

    assert ended.code == code
    (process,) = project(bridge, name, lambda data: data["status"] != "running")["processes"]
    assert process["status"] == status
    assert {name: process[name] for name in said} == said


def test_a_killed_program_falls_silent(bridge):
    program = start_program(
        INSTRUMENTED + "time.sleep(1); print('up', flush=True); time.sleep(600)",
        **sends_to(bridge, "worker"),
    )
    project(bridge, "worker", status_is("running"))
    program.kill()
    program.communicate()

    assert project(bridge, "worker", status_is("silent"))["processes"][0]["outcome"] is None


def test_an_error_raised_from_another_is_the_one_that_was_raised(bridge):
    program = """
        try:
            {}["k"]
        except KeyError as error:
            raise ValueError("final failure") from error
    """
    ended = run_program(
        INSTRUMENTED + "exec('''" + program.replace("        ", "") + "''')",
        **sends_to(bridge, "chained"),
    )

    assert ended.code == 1
    # LoggerFlow: KeyError: 'k'.
    (process,) = project(bridge, "chained", status_is("crashed"))["processes"]
    assert process["last_error"]["type"] == "ValueError"
    assert process["last_error"]["message"] == "final failure"
    listed = httpx.get(
        bridge.url("web", "/errors.json"), params={"query": "service.name: chained"}, timeout=20
    )
    groups = listed.json()["groups"]
    assert [group["type"] for group in groups] == ["ValueError"]


def test_every_error_of_four_workers_under_one_name_counts(bridge):
    work = INSTRUMENTED + (
        "for n in range(25): logging.getLogger('work').error('failure %d', n)\n"
        "time.sleep(1); print('done', flush=True); sys.stdin.readline()"
    )
    workers = [start_program(work, **sends_to(bridge, "four")) for _ in range(4)]
    # LoggerFlow: 3 rows of one name, and 0 of 12 errors.
    found = project(
        bridge, "four", lambda data: data["errors"] == 100 and len(data["processes"]) == 4
    )
    assert found["status"] == "running"
    for worker in workers:
        worker.communicate("\n", timeout=60)

    found = project(bridge, "four", status_is("stopped"))
    assert sum(one["errors"] for one in found["processes"]) == 100
    assert [one["outcome"] for one in found["processes"]] == ["completed"] * 4


def test_no_error_is_lost_while_the_bridge_is_away_for_ten_seconds(tmp_path):
    folder, ports = tmp_path / "bridge", free_ports()
    folder.mkdir()
    bridge = start_bridge(folder, ports=ports)
    program = start_program(
        INSTRUMENTED
        + "for n in range(60):\n"
        + "    logging.getLogger('work').error('failure %d', n)\n"
        + "    print(n, flush=True); time.sleep(0.5)\n"
        + "sys.stdin.readline()",
        **sends_to(bridge, "shop"),
    )
    assert program.stdout is not None
    for line in program.stdout:
        if line == "15\n":
            bridge.kill()
        # Ten seconds later.
        if line == "35\n":
            bridge = start_bridge(folder, ports=ports)
        if line == "59\n":
            break
    try:
        # LoggerFlow, away for 10 of 60 seconds: 10 of 60 by webhook, 29 by WebSocket.
        # What the process itself has counted is told by its next heartbeat.
        found = project(
            bridge,
            "shop",
            lambda data: data["errors"] == data["processes"][0]["errors"] == 60,
        )
        assert found["status"] == "running"
        program.communicate("\n", timeout=60)
        project(bridge, "shop", status_is("stopped"))
    finally:
        program.kill()
        bridge.kill()


def test_nobody_is_silent_after_a_restart_of_the_bridge(tmp_path):
    folder, ports = tmp_path / "bridge", free_ports()
    folder.mkdir()
    bridge = start_bridge(folder, ports=ports)
    program = start_program(INSTRUMENTED + "sys.stdin.readline()", **sends_to(bridge, "shop"))
    try:
        project(bridge, "shop", status_is("running"))
        bridge.kill()
        # With the new one's start, longer than its silence would mean something.
        time.sleep(9)
        bridge = start_bridge(folder, ports=ports)
        seen = set()
        limit = time.monotonic() + 4
        while time.monotonic() < limit:
            answer = httpx.get(bridge.url("web", "/projects/shop.json"), timeout=20)
            seen.add(answer.json().get("status", "not there yet"))
            time.sleep(0.1)
        assert seen <= {"running", "not there yet"}
    finally:
        program.communicate("\n", timeout=60)
        bridge.kill()


def test_a_program_starts_though_nobody_listens():
    # LoggerFlow: 5.1 seconds, and LifecycleException.
    program = (
        "import time; began = time.perf_counter()\n"
        + INSTRUMENTED
        + "print(time.perf_counter() - began)"
    )
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTELBRIDGE_HEARTBEAT": "1s"}
    ended = finish(program, OTELBRIDGE_SHUTDOWN_TIMEOUT="1s", **nowhere)

    # The bound of a busy machine: what matters is that no connection is waited for.
    assert float(ended.out) < 10


def test_errors_that_cannot_be_sent_do_not_hold_up_the_end(tmp_path):
    # LoggerFlow: a second an error, 24.8 s.
    folder = tmp_path / "bridge"
    folder.mkdir()
    bridge = start_bridge(folder)
    program = start_program(
        INSTRUMENTED
        + "time.sleep(1); print('up', flush=True); sys.stdin.readline()\n"
        + "for n in range(20): logging.getLogger('work').error('failure %d', n)\n"
        + "began = time.monotonic(); otelbridge.shutdown(); print(time.monotonic() - began)",
        **sends_to(bridge, "shop", OTELBRIDGE_SHUTDOWN_TIMEOUT="2s"),
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        bridge.process.send_signal(signal.SIGSTOP)
        out, err = program.communicate("\n", timeout=100)
        # Two seconds are allowed; the rest is a busy machine's.
        assert float(out) < 12, err
        assert program.returncode == 0
        bridge.process.send_signal(signal.SIGCONT)
        # What could not be sent is kept, and sent by the next run.
        finish(INSTRUMENTED + "time.sleep(1)", **sends_to(bridge, "shop"))
        project(bridge, "shop", lambda data: data["errors"] == 20)
    finally:
        bridge.process.send_signal(signal.SIGCONT)
        bridge.kill()


def test_a_shell_script_announces_itself_with_curl(bridge):
    url = bridge.url("http", "/v1/lifecycle")
    script = f"""
        set -e
        say() {{ curl -fsS {url} -d "$1"; }}
        say '{{"event": "start", "project": "backup", "interval": 60, "pid": '$$'}}'
        say '{{"event": "error", "project": "backup", "message": "no room", "pid": '$$'}}'
        say '{{"event": "end", "project": "backup", "exit_code": 4, "pid": '$$'}}'
    """
    subprocess.run(["sh", "-c", script], check=True, timeout=60, stdout=subprocess.DEVNULL)

    found = project(bridge, "backup", lambda data: data["status"] == "crashed")
    assert (found["errors"], found["processes"][0]["exit_code"]) == (1, 4)


def test_two_hundred_projects_with_a_heartbeat_a_second_and_the_page_open():
    # In full, with times: python -m benchmarks.projects.
    from benchmarks.projects import beat

    found = beat("post", 200, 20, browser=False)

    assert found.stored == found.sent == 200 * 20
    assert found.looks > 0
    assert found.not_running == []
