"""What a process tells of its life, and how each way to end it is told apart."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import OTLPReceiver, Received
from programs import finish, run_program, start_program

START = "import otelbridge; handle = otelbridge.instrument()\n"


def announcing(receiver: OTLPReceiver, heartbeat: str = "30s") -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
        "OTELBRIDGE_HEARTBEAT": heartbeat,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
    }


def life(receiver: OTLPReceiver) -> list[Received]:
    """The events, in the order of their times; what was sent twice is one, as in a store."""
    found = {
        record.attributes["log.record.uid"]: record
        for record in receiver.logs
        if record.scope == "otelbridge.lifecycle"
    }
    return sorted(found.values(), key=lambda record: record.item.time_unix_nano)


def names(records: list[Received]) -> list[str]:
    return [record.item.event_name.rpartition(".")[2] for record in records]


def beats_of(receiver: OTLPReceiver) -> list[Received]:
    return [
        each for each in life(receiver) if each.item.event_name == "otelbridge.process.heartbeat"
    ]


def the_end(receiver: OTLPReceiver) -> dict[str, Any]:
    [end] = [each for each in life(receiver) if each.item.event_name == "otelbridge.process.end"]
    return end.attributes


def test_start_and_end_of_a_program(otlp_receiver: OTLPReceiver) -> None:
    before = time.time()
    finish(START, **announcing(otlp_receiver))
    start, end = life(otlp_receiver)
    assert names([start, end]) == ["start", "end"]
    assert start.item.severity_text == end.item.severity_text == "INFO"
    assert start.attributes["otelbridge.lifecycle.version"] == 1
    assert start.attributes["otelbridge.process.heartbeat.interval"] == 30.0
    assert start.attributes["otelbridge.process.sinks"] == ["otlp"]
    assert start.attributes["otelbridge.process.errors"] == 0
    started = datetime.fromisoformat(start.attributes["otelbridge.process.start_time"]).timestamp()
    assert before - 1 < started < time.time()
    assert start.item.time_unix_nano == pytest.approx(started * 1e9, abs=2e6)
    assert end.attributes["otelbridge.process.outcome"] == "completed"
    assert end.resource["process.pid"] == start.resource["process.pid"]
    assert end.resource["service.instance.id"] == start.resource["service.instance.id"]
    assert "host.name" in start.resource


def test_heartbeats(otlp_receiver: OTLPReceiver) -> None:
    program = (
        START
        + "import logging, sys; sys.stdin.readline(); logging.error('x'); sys.stdin.readline()"
    )
    process = start_program(program, **announcing(otlp_receiver, "200ms"))
    assert process.stdin is not None
    otlp_receiver.wait_for(lambda receiver: len(beats_of(receiver)) >= 2)
    process.stdin.write("\n")
    process.stdin.flush()
    otlp_receiver.wait_for(
        lambda receiver: beats_of(receiver)[-1].attributes["otelbridge.process.errors"]
    )
    _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    events = life(otlp_receiver)
    assert names(events)[0] == "start"
    assert names(events)[-1] == "end"
    beats = events[1:-1]
    assert set(names(beats)) == {"heartbeat"}
    assert len(beats) >= 3
    assert {beat.item.severity_text for beat in beats} == {"DEBUG"}
    uptimes = [beat.attributes["otelbridge.process.uptime"] for beat in beats]
    assert uptimes == sorted(uptimes)
    assert beats[0].attributes["otelbridge.process.errors"] == 0
    assert beats[-1].attributes["otelbridge.process.errors"] == 1
    assert beats[-1].attributes["otelbridge.process.last_error.message"] == "x"


def test_nothing_is_announced_where_the_interval_is_0(otlp_receiver: OTLPReceiver) -> None:
    finish(START + "import logging; logging.warning('x')", **announcing(otlp_receiver, "0"))
    assert life(otlp_receiver) == []
    assert otlp_receiver.log("x")


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("import sys; sys.exit(0)", {"outcome": "completed", "code": 0}),
        ("import sys; sys.exit(3)", {"outcome": "failed", "code": 3}),
        ("import sys; sys.exit('bye')", {"outcome": "failed", "code": 1}),
        ("raise ValueError('x')", {"outcome": "crashed", "code": 1}),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
            {"outcome": "interrupted", "signal": "SIGINT"},
        ),
        (
            "import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
            {"outcome": "terminated", "signal": "SIGTERM"},
        ),
    ],
)
def test_how_it_ended(ending: str, expected: dict[str, Any], otlp_receiver: OTLPReceiver) -> None:
    run_program(START + ending, **announcing(otlp_receiver))
    end = the_end(otlp_receiver)
    told = {
        "outcome": end["otelbridge.process.outcome"],
        "code": end.get("process.exit.code"),
        "signal": end.get("otelbridge.process.exit.signal"),
    }
    assert {name: value for name, value in told.items() if value is not None} == expected


def test_the_end_names_the_last_error(otlp_receiver: OTLPReceiver) -> None:
    run_program(START + "raise ValueError('no such order')", **announcing(otlp_receiver))
    end = the_end(otlp_receiver)
    [error] = [record for record in otlp_receiver.logs if record.scope == "sys.excepthook"]
    assert end["otelbridge.process.errors"] == 1
    assert end["otelbridge.process.last_error.type"] == "ValueError"
    assert end["otelbridge.process.last_error.message"] == "no such order"
    assert (
        end["otelbridge.process.last_error.fingerprint"]
        == error.attributes["otelbridge.fingerprint"]
    )
    assert end["otelbridge.process.last_error.uid"] == error.attributes["log.record.uid"]


def test_a_program_that_is_killed_says_no_more(otlp_receiver: OTLPReceiver) -> None:
    program = START + "print('up', flush=True); import time; time.sleep(60)"
    process = start_program(program, **announcing(otlp_receiver, "100ms"))
    assert process.stdout is not None
    process.stdout.readline()
    otlp_receiver.wait_for(lambda receiver: len(life(receiver)) > 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "end" not in names(life(otlp_receiver))


def test_a_forked_child_tells_its_own_life(otlp_receiver: OTLPReceiver) -> None:
    program = (
        START
        + """
import os, sys
child = os.fork()
if not child:
    sys.stdin.readline()
    sys.exit(7)
print(child, flush=True)
os.waitpid(child, 0)
"""
    )
    process = start_program(program, **announcing(otlp_receiver))
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    # A little after it was forked: one that becomes another program at once is none to announce.
    otlp_receiver.wait_for(
        lambda receiver: any(record.resource["process.pid"] == pid for record in life(receiver))
    )
    _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    of_child = [record for record in life(otlp_receiver) if record.resource["process.pid"] == pid]
    assert names(of_child) == ["start", "end"]
    assert of_child[1].attributes["process.exit.code"] == 7
    assert of_child[0].resource["process.parent_pid"] != pid
    assert len({record.resource["service.instance.id"] for record in life(otlp_receiver)}) == 2


def test_a_child_that_only_starts_another_program_is_not_announced(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = (
        START
        + """
import os
child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""
    )
    finish(program, **announcing(otlp_receiver))
    assert len({record.resource["process.pid"] for record in life(otlp_receiver)}) == 1


def test_a_child_of_multiprocessing_tells_its_exit_code(otlp_receiver: OTLPReceiver) -> None:
    program = (
        START
        + """
import multiprocessing, sys
worker = multiprocessing.get_context("fork").Process(target=sys.exit, args=(5,))
worker.start()
worker.join()
print(worker.pid)
"""
    )
    pid = int(finish(program, **announcing(otlp_receiver)).out)
    ends = {
        record.resource["process.pid"]: record.attributes
        for record in life(otlp_receiver)
        if record.item.event_name == "otelbridge.process.end"
    }
    assert len(ends) == 2
    assert ends[pid]["process.exit.code"] == 5
    assert ends[pid]["otelbridge.process.outcome"] == "failed"


def test_the_announcements_do_not_reach_the_programs_own_handlers(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = "import logging; logging.basicConfig(level=1)\n" + START + "print('x')"
    ended = finish(program, **announcing(otlp_receiver))
    assert (ended.out, ended.err) == ("x\n", "")
    assert len(life(otlp_receiver)) == 2


def test_gevent_may_patch_a_process_that_is_announced(
    otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    program = (
        START
        + f"""
import sys
sys.stdin.readline()
import gevent.monkey
gevent.monkey.patch_all()
import gevent, logging, os
while not os.path.exists({str(heard)!r}):
    gevent.sleep(0.05)
logging.error("after")
"""
    )
    process = start_program(program, **announcing(otlp_receiver, "200ms"))
    assert process.stdin is not None
    # A thread that is being started amid the patching fails, whoever starts it.
    otlp_receiver.wait_for(beats_of)
    process.stdin.write("\n")
    process.stdin.flush()
    otlp_receiver.wait_for(lambda receiver: len(beats_of(receiver)) >= 10)
    heard.touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    events = life(otlp_receiver)
    assert names(events)[0] == "start"
    assert names(events)[-1] == "end"
    assert names(events).count("start") == 1
    assert "heartbeat" in names(events)
    assert events[-1].attributes["otelbridge.process.errors"] == 1
