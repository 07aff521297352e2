"""Programs without OpenTelemetry: what they post and send by WebSocket, over real sockets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from otelbridge.model import LogRecord
from otelbridge.search import parse
from otelbridge.store.protocol import TimeRange
from tests.web.running import RunningBridge, run_bridge

EVER = TimeRange(0, 2**63 - 1)


class Bridge:
    """A bridge as a small program sees it."""

    def __init__(self, running: RunningBridge) -> None:
        self.running = running
        self.http = httpx.Client(base_url=running.otlp, timeout=20)

    def post(self, body: Any, path: str = "/v1/lifecycle", **headers: str) -> httpx.Response:
        """Post as curl does: as a form, unless the test says otherwise."""
        content = body if isinstance(body, (str, bytes)) else json.dumps(body)
        given = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self.http.post(path, content=content, headers=given)

    def said(self, body: dict[str, Any]) -> str:
        """Post what must be taken; returns the process's id."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        process: str = answer.json()["process"]
        return process

    def socket(self, path: str = "/v1/lifecycle", **options: Any) -> ClientConnection:
        return connect(self.running.otlp.replace("http", "ws") + path, **options)

    def logs(self, query: str) -> list[LogRecord]:
        """What is stored, oldest first."""
        found = self.running.bridge.store.logs(parse(query), EVER, limit=1000)
        return [stored.record for stored in reversed(found)]

    def project(self, name: str, until: Callable[[Any], bool] = lambda _: True) -> dict[str, Any]:
        """The page's data of a project, once a condition holds for it."""
        limit = time.monotonic() + 20
        while True:
            answer = httpx.get(f"{self.running.url}/projects/{quote(name)}.json", timeout=20)
            if answer.status_code == 200 and until(answer.json()):
                found: dict[str, Any] = answer.json()
                return found
            assert time.monotonic() < limit, answer.text
            time.sleep(0.02)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    with run_bridge(tmp_path) as running:
        yield Bridge(running)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge for tests that leave nothing in it, or know their own."""
    with run_bridge(tmp_path_factory.mktemp("shared")) as running:
        yield Bridge(running)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge that asks senders for a token."""
    with run_bridge(tmp_path, ingest_token="sesame") as running:
        yield Bridge(running)


def test_a_script_announces_itself_and_shows_up(bridge):
    process = bridge.said(
        {
            "event": "start",
            "project": "backup",
            "host": "nas",
            "pid": 42,
            "version": "1.4",
            "interval": 60,
            "sinks": ["file"],
            "authors": ["@ada", "@bob"],
        }
    )
    bridge.said({"event": "heartbeat", "project": "backup", "host": "nas", "cpu": 0.25})

    found = bridge.project("backup", lambda data: data["processes"][0]["cpu"] is not None)
    (shown,) = found["processes"]
    assert found["status"] == "running"
    assert shown["instance"] == process
    assert (shown["host"], shown["pid"], shown["version"]) == ("nas", "42", "1.4")
    assert (shown["interval"], shown["sinks"]) == (60, ["file"])
    assert shown["authors"] == ["@ada", "@bob"]
    assert shown["cpu"] == 0.25


@pytest.mark.parametrize(
    ("said", "status", "outcome"),
    [
        ({}, "stopped", "completed"),
        ({"exit_code": 0}, "stopped", "completed"),
        ({"exit_code": "3"}, "crashed", "failed"),
        ({"exit_code": -9}, "crashed", "failed"),
        ({"signal": "SIGTERM"}, "stopped", "terminated"),
        ({"outcome": "crashed"}, "crashed", "crashed"),
    ],
)
def test_its_end_says_how_it_ended(shared, said, status, outcome):
    project = f"backup {said}"
    shared.said({"event": "start", "project": project})
    shared.said({"event": "end", "project": project, **said})

    found = shared.project(project, lambda data: data["status"] != "running")
    assert found["status"] == status
    assert [one["outcome"] for one in found["processes"]] == [outcome]


def test_an_error_is_a_record_like_any(bridge):
    process = bridge.said({"event": "start", "project": "backup"})
    bridge.said(
        {
            "event": "error",
            "project": "backup",
            "type": "DiskFull",
            "message": "no room",
            "disk": "/dev/sda",
            "level": "critical",
        }
    )
    bridge.said({"event": "heartbeat", "project": "backup"})

    (error,) = bridge.logs("log.level: CRITICAL")
    assert error.body == "no room"
    assert error.resource["service.instance.id"] == process
    assert error.attributes["exception.type"] == "DiskFull"
    assert error.attributes["disk"] == "/dev/sda"
    assert error.attributes["otelbridge.fingerprint"]
    found = bridge.project("backup", lambda data: data["processes"][0]["errors"] == 1)
    assert found["errors"] == 1
    assert found["processes"][0]["last_error"]["type"] == "DiskFull"
    assert found["processes"][0]["last_error"]["uid"] == error.uid.hex()


def test_type_and_message_are_read_from_the_traceback(bridge):
    try:
        try:
            {}["k"]
        except KeyError as error:
            raise ValueError("final failure") from error
    except ValueError:
        import traceback

        text = traceback.format_exc()
    bridge.said({"event": "error", "project": "backup", "traceback": text})

    (error,) = bridge.logs("log.level: ERROR")
    assert error.attributes["exception.type"] == "ValueError"
    assert error.attributes["exception.message"] == "final failure"
    assert error.attributes["exception.stacktrace"] == text


def test_two_runs_are_two_processes_and_a_restart(bridge):
    first = bridge.said({"event": "start", "project": "backup"})
    bridge.said({"event": "end", "project": "backup"})
    second = bridge.said({"event": "start", "project": "backup"})

    assert first != second
    found = bridge.project("backup", lambda data: len(data["processes"]) == 2)
    assert found["restarts"] == 1
    assert found["status"] == "running"


def test_the_same_name_for_the_process_every_night_is_a_new_process_every_night(bridge):
    night = {"project": "backup", "process": "nightly"}
    first = bridge.said({"event": "start", **night})
    assert bridge.said({"event": "heartbeat", **night}) == first == "nightly"
    assert bridge.said({"event": "end", **night}) == first
    second = bridge.said({"event": "start", **night})
    assert bridge.said({"event": "end", **night}) == second != first

    bridge.project("backup", lambda data: len(data["processes"]) == 2)


def test_four_workers_that_do_not_say_which_they_are_are_each_heard(bridge):
    started = [bridge.said({"event": "start", "project": "shop"}) for _ in range(4)]
    beats = [bridge.said({"event": "heartbeat", "project": "shop"}) for _ in range(8)]

    assert len(set(started)) == 4
    assert beats == started * 2


def test_a_pid_tells_processes_of_a_host_apart(bridge):
    one = bridge.said({"event": "start", "project": "shop", "pid": 1})
    two = bridge.said({"event": "start", "project": "shop", "pid": 2})

    assert bridge.said({"event": "heartbeat", "project": "shop", "pid": 2}) == two
    assert bridge.said({"event": "heartbeat", "project": "shop", "pid": 1}) == one


def test_one_name_on_two_hosts_is_one_project_with_two_processes(bridge):
    one = bridge.said({"event": "start", "project": "shop", "host": "alpha"})
    two = bridge.said({"event": "start", "project": "shop", "host": "beta"})
    assert bridge.said({"event": "heartbeat", "project": "shop", "host": "alpha"}) == one
    assert bridge.said({"event": "heartbeat", "project": "shop", "host": "beta"}) == two

    found = bridge.project("shop", lambda data: len(data["processes"]) == 2)
    assert {one["host"] for one in found["processes"]} == {"alpha", "beta"}


def test_a_process_goes_on_as_itself_over_a_restart_of_the_bridge(tmp_path):
    with run_bridge(tmp_path) as running:
        bridge = Bridge(running)
        process = bridge.said({"event": "start", "project": "backup", "interval": 30})
        bridge.project("backup")
    with run_bridge(tmp_path) as running:
        bridge = Bridge(running)
        assert bridge.said({"event": "heartbeat", "project": "backup"}) == process
        found = bridge.project("backup")
        assert [one["interval"] for one in found["processes"]] == [30]


def test_a_newer_client_is_understood_as_far_as_it_goes(bridge):
    bridge.said(
        {"event": "start", "project": "backup", "protocol": 9, "mood": "good", "tags": [1, {}]}
    )

    assert bridge.project("backup")["status"] == "running"


def test_an_older_client_says_no_protocol_and_little_else(bridge):
    answer = bridge.post({"event": "heartbeat", "project": "backup"})

    assert answer.json()["protocol"] == 1
    assert bridge.project("backup")["processes"][0]["interval"] == 60


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "the message is not JSON: "),
        ("event=start", "the message is not JSON: "),
        ("[]", "the message is not a JSON object"),
        ({}, "event is ''; allowed: start, heartbeat, error, end"),
        (
            {"event": "pause", "project": "x", "protocol": 2},
            "event is 'pause'; allowed: start, heartbeat, error, end (protocol 2; this is 1)",
        ),
        ({"event": "start"}, "project is missing: the name that the program is to be shown by"),
        ({"event": "start", "project": ["x"]}, "project is not a text"),
        ({"event": "start", "project": "x" * 501}, "project has 501 characters; allowed: 500"),
        (
            {"event": "start", "project": "x", "interval": "often"},
            "interval is 'often'; allowed: a number from 0 on",
        ),
        (
            {"event": "start", "project": "x", "interval": -1},
            "interval is '-1'; allowed: a number from 0 on",
        ),
        (
            {"event": "start", "project": "x", "pid": True},
            "pid is 'True'; allowed: a number from 0 on",
        ),
        (
            {"event": "start", "project": "x", "authors": {"a": 1}},
            "authors is not a list of texts",
        ),
        (
            {"event": "start", "project": "x", "time": "noon"},
            "time is 'noon'; allowed: ISO 8601, or seconds since the epoch",
        ),
        (
            {"event": "end", "project": "x", "outcome": "fine"},
            "outcome is 'fine'; allowed: completed, failed, crashed, interrupted, terminated",
        ),
        ({"event": "error", "project": "x"}, "an error needs a message, a type or a traceback"),
        (
            {"event": "error", "project": "x", "message": "m", "level": [1]},
            "level is not a text",
        ),
    ],
)
def test_bad_input_is_one_clear_line(shared, body, problem):
    answer = shared.post(body)

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(problem)
    assert "\n" not in answer.json()["error"]
    assert not shared.logs("service.name: x")


def test_what_is_turned_away_is_counted(bridge):
    bridge.post("nonsense")

    counters = next(one for one in bridge.running.bridge.receivers if one.name == "OTLP/HTTP")
    assert counters.rejected == {"invalid_announcement": 1}


def test_too_large_a_message_is_refused(tmp_path):
    with run_bridge(tmp_path, max_body_bytes="64KB") as running:
        bridge = Bridge(running)
        answer = bridge.post({"event": "error", "project": "x", "message": "m" * 100_000})
        assert answer.status_code == 413
        with bridge.socket() as socket:
            socket.send(json.dumps({"event": "error", "project": "x", "message": "m" * 100_000}))
            with pytest.raises(Exception, match="1009"):
                socket.recv(timeout=20)
        assert bridge.post({"event": "start", "project": "x"}).status_code == 200


def test_a_page_in_a_browser_may_not_send(bridge):
    answer = bridge.post({"event": "start", "project": "x"}, Origin="http://evil.example")

    assert answer.status_code == 403
    assert answer.json() == {"error": "a page in a browser may not send here"}
    with pytest.raises(InvalidStatus, match="403"):
        bridge.socket(origin="http://evil.example")


def test_the_ingest_token_is_asked_for(guarded):
    start = {"event": "start", "project": "x"}

    assert guarded.post(start).status_code == 401
    assert guarded.post(start, Authorization="Bearer wrong").status_code == 401
    assert guarded.post(start, Authorization="Basic wrong").status_code == 401
    assert guarded.post(start, Authorization="Bearer sesame").status_code == 200
    basic = base64.b64encode(b"anybody:sesame").decode()
    assert guarded.post(start, Authorization=f"Basic {basic}").status_code == 200
    with pytest.raises(InvalidStatus, match="401"):
        guarded.socket()
    with guarded.socket(additional_headers={"Authorization": "Bearer sesame"}) as socket:
        socket.send(json.dumps(start))
        assert json.loads(socket.recv(timeout=20))["status"] == "ok"


def test_over_a_websocket_every_message_is_answered_and_is_of_its_connection(bridge):
    with bridge.socket() as one, bridge.socket() as two:
        processes = []
        for socket in (one, two, one, two):
            event = "start" if len(processes) < 2 else "heartbeat"
            socket.send(json.dumps({"event": event, "project": "shop"}))
            processes.append(json.loads(socket.recv(timeout=20))["process"])

    assert processes[0] != processes[1]
    assert processes[2:] == processes[:2]


def test_over_a_websocket_bad_input_is_answered_and_the_connection_goes_on(bridge):
    with bridge.socket() as socket:
        socket.send("nonsense")
        assert "not JSON" in json.loads(socket.recv(timeout=20))["error"]
        socket.send(b"\xff\xfe")
        assert "not JSON" in json.loads(socket.recv(timeout=20))["error"]
        socket.send(json.dumps({"event": "start", "project": "shop"}))
        assert json.loads(socket.recv(timeout=20))["status"] == "ok"


def test_a_lost_connection_is_no_end(bridge):
    with bridge.socket() as socket:
        socket.send(json.dumps({"event": "start", "project": "shop"}))
        process = json.loads(socket.recv(timeout=20))["process"]

    assert bridge.project("shop")["status"] == "running"
    with bridge.socket() as socket:
        socket.send(json.dumps({"event": "heartbeat", "project": "shop"}))
        assert json.loads(socket.recv(timeout=20))["process"] == process


def test_a_connection_may_bring_one_process_after_another(bridge):
    with bridge.socket() as socket:
        processes = []
        for event in ("start", "end", "start", "end"):
            socket.send(json.dumps({"event": event, "project": "shop"}))
            processes.append(json.loads(socket.recv(timeout=20))["process"])

    assert processes[0] == processes[1] != processes[2] == processes[3]


def test_the_bridge_stops_though_somebody_is_connected(tmp_path):
    with run_bridge(tmp_path) as running, Bridge(running).socket() as socket:
        socket.send(json.dumps({"event": "start", "project": "shop"}))
        socket.recv(timeout=20)
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 15
