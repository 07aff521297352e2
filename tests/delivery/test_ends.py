"""Every way a process can end: what it logged arrives all the same, and once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import OTLPReceiver
from programs import finish, run_program, start_program

NOWHERE = "http://127.0.0.1:9"
COUNT = 200

START = """
import logging, multiprocessing, os, signal, sys, time
import otelbridge
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)  # whoever runs the tests may ignore it
handle = otelbridge.instrument(service_name="ends")
logger = logging.getLogger("ends")

def log(first, count):
    for number in range(first, first + count):
        logger.warning("number %d", number, extra={"number": number})
"""


def numbers(receiver: OTLPReceiver) -> list[int]:
    """The numbers that arrived; the process's own events have none."""
    return sorted(
        record.attributes["number"] for record in receiver.logs if "number" in record.attributes
    )


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('nobody catches this')", 1),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGHUP); time.sleep(60)", -signal.SIGHUP),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -signal.SIGINT),
    ],
    ids=["end", "sys.exit", "exception", "SIGTERM", "SIGHUP", "SIGINT"],
)
def test_a_process_that_ends_has_sent_everything(
    end: str, code: int, otlp_receiver: OTLPReceiver
) -> None:
    ended = run_program(
        f"{START}\nlog(0, {COUNT})\n{end}", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http
    )
    assert ended.code == code, ended.err
    assert numbers(otlp_receiver) == list(range(COUNT))


@pytest.mark.parametrize(
    "end",
    ["pass", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"],
    ids=["end", "SIGTERM"],
)
def test_what_a_process_could_not_send_the_next_one_sends(
    end: str, otlp_receiver: OTLPReceiver
) -> None:
    ended = run_program(f"{START}\nlog(0, {COUNT})\n{end}", OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE)
    assert f"kept on disk and sent next time: {COUNT} logs" in ended.err
    finish(f"{START}\nlog({COUNT}, 1)", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert numbers(otlp_receiver) == list(range(COUNT + 1))


def test_a_program_that_replaces_itself_leaves_nothing_behind(otlp_receiver: OTLPReceiver) -> None:
    second = f"{START}\nlog({COUNT}, 1)\nassert handle.flush(20)"
    finish(
        f"{START}\nlog(0, {COUNT})\nos.execl(sys.executable, sys.executable, '-c', {second!r})",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
    )
    assert numbers(otlp_receiver) == list(range(COUNT + 1))


@pytest.mark.parametrize("how", ["os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_killing_costs_nothing_that_is_older_than_a_flush_interval(
    how: str, otlp_receiver: OTLPReceiver
) -> None:
    # Not 0.2 s but what 200 records and a busy machine may take beside them.
    old = "while handle.delivery()[0].spool_records < 200: time.sleep(0.01)"
    run_program(
        f"{START}\nlog(0, {COUNT})\n{old}\nlog({COUNT}, 5)\n{how}",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
        OTEL_TRACES_EXPORTER="none",
    )
    finish(f"{START}\nlog(1000, 1)", OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    found = Counter(numbers(otlp_receiver))
    assert set(found.values()) == {1}
    assert set(range(COUNT)) | {1000} <= set(found) <= set(range(COUNT + 5)) | {1000}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_what_they_logged(
    method: str, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""{START}
def work(first):
    log(first, 10)

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    children = [context.Process(target=work, args=(10 * n,)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with context.Pool(2, maxtasksperchild=1) as pool:
        pool.map(work, [30, 40, 50, 60], chunksize=1)
        pool.close()
        pool.join()
"""
    )
    command = f"import subprocess, sys; subprocess.run([sys.executable, {str(program)!r}], check=1)"
    finish(command, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    assert numbers(otlp_receiver) == list(range(70))


def test_a_process_that_is_frozen_for_longer_than_every_time_out_goes_on(
    otlp_receiver: OTLPReceiver,
) -> None:
    running = start_program(
        f"""{START}
print("started", flush=True)
for number in range(100):
    log(number, 1)
    time.sleep(0.02)
assert handle.flush(30)
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    assert running.stdout is not None
    running.stdout.readline()
    otlp_receiver.wait_for(lambda it: it.logs)
    otlp_receiver.delay = 0.3  # so that it is likely to be frozen amid a sending
    os.kill(running.pid, signal.SIGSTOP)
    time.sleep(3)
    otlp_receiver.delay = 0.0
    os.kill(running.pid, signal.SIGCONT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    # One that was answered too late may come twice; its uid tells.
    unique: dict[Any, int] = {
        record.attributes["log.record.uid"]: record.attributes["number"]
        for record in otlp_receiver.logs
        if "number" in record.attributes
    }
    assert sorted(unique.values()) == list(range(100))


def test_shutdown_within_a_program_leaves_no_thread_and_no_descriptor() -> None:
    ended = finish(
        f"""{START}
import threading
before = set(os.listdir("/proc/self/fd"))
log(0, 50)
handle.shutdown()
alive = [thread.name for thread in threading.enumerate() if "otelbridge" in thread.name]
print(alive)
print([os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")
       if fd not in before and os.path.exists(f"/proc/self/fd/{{fd}}")])
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
    )
    assert ended.out.splitlines() == ["[]", "[]"]
