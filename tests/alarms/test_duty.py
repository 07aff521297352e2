"""Alarms as a part of the bridge: from a file to a service, over changes and restarts."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from otelbridge.alarms import RuleError
from otelbridge.alarms.book import FileBook
from otelbridge.alarms.duty import Duty
from otelbridge.alarms.kept import KeptAlarm, KeptDestination
from otelbridge.channels import ChannelError
from otelbridge.model import LogRecord, Scope
from tests.channels.services import Reply, Service
from tests.store.samples import OpenStore, opened

RULES = """
[destinations.hook]
url = "{url}"

[[alarms]]
name = "errors"
when = "error"
services = ["{service}"]
"""


@pytest.fixture
def store(tmp_path) -> Iterator[OpenStore]:
    with opened(tmp_path / "store.db", now=time.time, steady=time.monotonic) as store:
        yield store


@pytest.fixture
def hook() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def file(tmp_path, hook):
    def write(url: str = "", service: str = "*", text: str = ""):
        path = tmp_path / "alarms.toml"
        # In one step, as editors do: half a file may be read at any moment.
        written = tmp_path / "alarms.toml.new"
        written.write_text(text or RULES.format(url=url or hook.base, service=service))
        return written.replace(path)

    return write


def fail(store: OpenStore, service: str = "shop") -> None:
    store.put(
        LogRecord(
            time=time.time_ns(),
            body="payment refused",
            attributes={},
            resource={"service.name": service},
            scope=Scope("shop"),
            severity_number=17,
            uid=uuid.uuid4().bytes,
        )
    )


@contextmanager
def bridge_with(environ: dict[str, str], said: list[str] | None = None) -> Iterator[str]:
    """Run a bridge as a process of its own; gives the address that takes OTLP over HTTP."""
    lines = [] if said is None else said
    with subprocess.Popen(
        [sys.executable, "-m", "otelbridge", "serve"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as bridge:
        try:
            for line in bridge.stdout:
                lines.append(line)
                if "OTEL_EXPORTER_OTLP_ENDPOINT=" in line:
                    break
            yield lines[-1].strip().rpartition("=")[2]
        finally:
            bridge.terminate()
            bridge.wait(20)


def send_error(endpoint: str) -> None:
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 17,
        "body": {"stringValue": "payment refused"},
    }
    service = {"key": "service.name", "value": {"stringValue": "shop"}}
    logs = {
        "resource": {"attributes": [service]},
        "scopeLogs": [{"logRecords": [record]}],
    }
    httpx.post(f"{endpoint}/v1/logs", json={"resourceLogs": [logs]}, timeout=30).raise_for_status()


class Running:
    """A duty in an event loop of its own."""

    def __init__(self, path, store, folder) -> None:
        self.duty = Duty(path, store, folder, every=0.02)
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Running:
        self.loop.run_until_complete(self.duty.start())
        return self

    def __exit__(self, *exc: object) -> None:
        self.loop.run_until_complete(self.duty.stop())
        self.loop.close()

    def until(self, condition, timeout: float = 60.0) -> None:
        async def wait() -> None:
            deadline = time.monotonic() + timeout
            while not condition():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

        self.loop.run_until_complete(wait())


def test_an_error_in_the_store_reaches_a_person_and_the_log_says_so(file, store, hook, tmp_path):
    with Running(file(), store, tmp_path / "state") as running:
        fail(store)
        running.until(lambda: running.duty.sent())

        assert [state.phase for state in running.duty.states()] == ["firing"]
        (entry,) = running.duty.sent()
        assert (entry["destination"], entry["state"], entry["reply"]) == (
            "hook",
            "sent",
            "HTTP 200",
        )
        assert entry["title"] == "shop: 1 error in 5m"
    assert [request.fields["title"] for request in hook.taken] == ["shop: 1 error in 5m"]


def test_a_restart_tells_nothing_twice(file, store, hook, tmp_path):
    fail(store)
    with Running(file(), store, tmp_path / "state") as running:
        running.until(lambda: running.duty.sent())
    with Running(file(), store, tmp_path / "state") as running:
        fail(store, "other")
        running.until(lambda: len(running.duty.sent()) == 2)

    assert [request.fields["title"] for request in hook.taken] == [
        "shop: 1 error in 5m",
        "other: 1 error in 5m",
    ]


def test_an_end_waits_until_what_was_told_is_noted(file, store, hook, tmp_path, monkeypatch):
    fail(store)
    disk, noted, save = threading.Event(), [], FileBook.save

    def save_slowly(book, states) -> None:
        if any(state.told for state in states.values()):
            disk.wait(60)
            save(book, states)
            noted.append(True)

    monkeypatch.setattr(FileBook, "save", save_slowly)
    running = Running(file(), store, tmp_path / "state")
    running.__enter__()
    running.until(lambda: running.duty.sent())

    ending = running.loop.create_task(running.duty.stop())
    running.loop.run_until_complete(asyncio.wait([ending], timeout=1))
    assert not ending.done()
    disk.set()
    running.loop.run_until_complete(ending)
    running.loop.close()

    assert noted


def test_what_could_not_be_sent_before_the_end_is_sent_after_the_next_start(file, store, tmp_path):
    with Service() as gone:
        port = gone.port
    path = file(f"http://127.0.0.1:{port}/")
    fail(store)
    with Running(path, store, tmp_path / "state") as running:
        running.until(lambda: running.duty.states() and running.duty.states()[0].told)

    with Service(port) as back:
        with Running(path, store, tmp_path / "state"):
            back.wait_for(1)
        titles = [request.fields["title"] for request in back.taken]

    assert titles == ["shop: 1 error in 5m"]


def test_a_changed_file_is_used_and_a_wrong_one_is_said(file, store, hook, tmp_path, caplog):
    with Running(file(service="other"), store, tmp_path / "state") as running:
        fail(store)
        file(text="[[alarms]]\nname = 'errors'\nwhen = 'never'")
        running.until(lambda: running.duty.problem)
        assert "when is 'never'" in running.duty.problem
        assert len(running.duty.rules.rules) == 1

        file(service="*")
        running.until(lambda: running.duty.sent())
        assert running.duty.problem == ""
    assert [request.fields["title"] for request in hook.taken] == ["shop: 1 error in 5m"]
    warnings = [r.getMessage() for r in caplog.records if "stay as they were" in r.getMessage()]
    assert len(warnings) == 1


def test_a_changed_destination_is_used(file, store, hook, tmp_path):
    with Service() as other, Running(file(), store, tmp_path / "state") as running:
        file(other.base)
        running.until(lambda: running.duty.rules.destinations[0].channel.url == other.base)
        fail(store)
        running.until(lambda: running.duty.sent())

        assert hook.taken == []
        assert len(other.taken) == 1


def test_a_destination_can_be_tried(file, store, hook, tmp_path):
    with Running(file(), store, tmp_path / "state") as running:
        assert running.duty.try_destination("hook").reply == "HTTP 200"
        hook.replies = [Reply(410, "gone for good")]
        with pytest.raises(ChannelError, match=r"gone for good \(HTTP 410\)"):
            running.duty.try_destination("hook")
        with pytest.raises(ValueError, match="no destination 'x'; known: hook"):
            running.duty.try_destination("x")

        assert [(one["state"], one["reason"] or one["reply"]) for one in running.duty.sent()] == [
            ("failed", "gone for good (HTTP 410)"),
            ("sent", "HTTP 200"),
        ]


def test_a_file_that_cannot_be_used_is_said_at_the_start(file, store, tmp_path):
    duty = Duty(tmp_path / "none.toml", store, tmp_path / "state")

    with pytest.raises(RuleError, match="No such file"):
        asyncio.run(duty.start())


def hooked(url: str, **more) -> KeptDestination:
    return KeptDestination(name="hook", kind="webhook", values={"url": url}, **more)


def mine(**more) -> KeptAlarm:
    return KeptAlarm(name="mine", table={"when": "error", "to": ["hook"]}, **more)


def test_without_rules_it_is_idle_and_writes_nothing(store, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        fail(store)
        running.until(lambda: running.duty.looks > 2)

        assert running.duty.states() == []
        assert running.duty.sent() == []
    assert not (tmp_path / "state").exists()


def test_what_is_made_on_the_page_is_watched_and_told_and_outlives_a_restart(store, hook, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(hook.base)))
        running.duty.change(lambda kept: kept.with_alarm(mine()))
        fail(store)
        running.until(lambda: running.duty.sent())
    with Running(None, store, tmp_path / "state") as running:
        assert [state.rule for state in running.duty.states()] == ["mine"]
        fail(store, "other")
        running.until(lambda: len(running.duty.sent()) == 2)

    assert [request.fields["title"] for request in hook.taken] == [
        "shop: 1 error in 5m",
        "other: 1 error in 5m",
    ]


def test_what_was_made_on_the_page_is_its_owner_s_alone_to_read(store, hook, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(hook.base)))

    assert stat.S_IMODE((tmp_path / "state" / "alarms.json").stat().st_mode) == 0o600


def test_a_paused_alarm_is_silent_and_fires_when_it_goes_on(store, hook, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(hook.base)))
        running.duty.change(lambda kept: kept.with_alarm(mine(paused=True)))
        fail(store)
        before = running.duty.looks
        running.until(lambda: running.duty.looks > before + 2)
        assert running.duty.states() == []

        running.duty.change(lambda kept: kept.with_alarm(mine(), was="mine"))
        running.until(lambda: running.duty.sent())

    assert len(hook.taken) == 1


def test_a_paused_destination_is_told_nothing_and_the_alarm_still_fires(store, hook, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(hook.base, paused=True)))
        running.duty.change(lambda kept: kept.with_alarm(mine()))
        fail(store)
        running.until(running.duty.states)

        assert [state.phase for state in running.duty.states()] == ["firing"]
        assert running.duty.waiting() == []
    assert hook.arrived == []


def test_what_did_not_arrive_yet_is_listed_with_the_reason(store, tmp_path):
    with Service() as gone:
        address = gone.base
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(address)))
        running.duty.change(lambda kept: kept.with_alarm(mine()))
        fail(store)
        running.until(lambda: any(one.reason for one in running.duty.waiting()))

        (one,) = running.duty.waiting()
        assert (one.destination, one.message.title) == ("hook", "shop: 1 error in 5m")
        assert "cannot connect" in one.reason


def test_an_alarm_that_becomes_one_of_another_kind_is_not_told_to_be_over(store, hook, tmp_path):
    with Running(None, store, tmp_path / "state") as running:
        running.duty.change(lambda kept: kept.with_destination(hooked(hook.base)))
        running.duty.change(lambda kept: kept.with_alarm(mine()))
        fail(store)
        running.until(lambda: running.duty.sent())

        silent = KeptAlarm(name="mine", table={"when": "silent"})
        running.duty.change(lambda kept: kept.with_alarm(silent, was="mine"))
        running.until(lambda: not running.duty.states())

        assert running.duty.newest("mine") is None


def test_a_change_that_cannot_be_kept_changes_nothing(store, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    duty = Duty(None, store, tmp_path / "state")

    with pytest.raises(OSError, match=r"File exists|Not a directory"):
        duty.change(lambda kept: kept.with_alarm(mine()))

    assert duty.kept.alarms == ()
    assert duty.listing.alarms == ()


def test_the_bridge_tells_people_by_variables_alone(hook, tmp_path):
    environ = {
        **os.environ,
        "OTELBRIDGE_STORE": f"sqlite:///{tmp_path}/bridge.db",
        "OTELBRIDGE_ALARM_RULES": "error services=shop",
        "OTELBRIDGE_NOTIFY": f"{hook.base}#name=hook",
        **{f"OTELBRIDGE_{name}_PORT": "0" for name in ("GRPC", "HTTP", "WEB", "UDP")},
    }
    with bridge_with(environ) as endpoint:
        send_error(endpoint)
        (arrived,) = hook.wait_for(1, 60)

    assert arrived.fields["title"] == "shop: 1 error in 5m"


def test_the_bridge_tells_people_of_errors_it_receives(hook, file, tmp_path):
    environ = {
        **os.environ,
        "OTELBRIDGE_STORE": f"sqlite:///{tmp_path}/bridge.db",
        "OTELBRIDGE_ALARMS": str(file()),
        **{f"OTELBRIDGE_{name}_PORT": "0" for name in ("GRPC", "HTTP", "WEB", "UDP")},
    }
    with bridge_with(environ, said := []) as endpoint:
        send_error(endpoint)
        (arrived,) = hook.wait_for(1, 60)

    assert any("alarms" in line and "alarms.toml" in line for line in said)
    assert arrived.fields["title"] == "shop: 1 error in 5m"
    assert arrived.fields["text"].startswith("payment refused")
    assert arrived.fields["link"].startswith("http://127.0.0.1:")


def test_a_wrong_file_keeps_the_bridge_from_starting_and_says_why(file, tmp_path):
    environ = {
        **os.environ,
        "OTELBRIDGE_STORE": f"sqlite:///{tmp_path}/bridge.db",
        "OTELBRIDGE_ALARMS": str(file(text="[[alarms]]\nname = 'a'\nwhen = 'never'")),
        **{f"OTELBRIDGE_{name}_PORT": "0" for name in ("GRPC", "HTTP", "WEB", "UDP")},
    }

    done = subprocess.run(
        [sys.executable, "-m", "otelbridge", "serve"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("otelbridge: OTELBRIDGE_ALARMS: ")
    assert "a: when is 'never'; allowed: error, new-error" in done.stderr
    assert len(done.stderr.splitlines()) == 1
