"""With the journal switched on, kill -9 right after a call returned loses nothing of it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from programs import run_program, start_program

NOWHERE = "http://127.0.0.1:9"

START = """
import logging, os, random, sys, threading
import otelbridge
handle = otelbridge.instrument(service_name="journaled", sinks="{sinks}")
logger = logging.getLogger("journaled")

def log(number):
    logger.info("number %d", number, extra={{"number": number}})
"""

SENDS_THE_REST = f"""
{START.format(sinks="otlp")}
log(-1)
for _ in range(30):
    if handle.flush(1.0) and not any(each.waiting for each in handle.delivery()):
        break
"""


@pytest.fixture
def journaled(tmp_path: Path) -> dict[str, str]:
    return {"OTELBRIDGE_JOURNAL": "1", "OTELBRIDGE_SPOOL_DIR": str(tmp_path / "spool")}


def numbers(receiver: OTLPReceiver) -> list[int]:
    return [
        record.attributes["number"]
        for record in receiver.logs
        if record.attributes.get("number", -1) >= 0
    ]


def send_the_rest(receiver: OTLPReceiver, environ: dict[str, str]) -> None:
    """Run the process that comes next."""
    ended = run_program(SENDS_THE_REST, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http, **environ)
    assert ended.code == 0, ended.err


def stored_once(receiver: OTLPReceiver) -> Counter[int]:
    """What a store keeps that knows records by their id."""
    known = {
        record.attributes["log.record.uid"]: record.attributes["number"]
        for record in receiver.logs
        if record.attributes.get("number", -1) >= 0
    }
    return Counter(known.values())


@pytest.mark.parametrize("destination", ["healthy", "down"])
def test_killed_on_the_line_after_a_log_call(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str], destination: str
) -> None:
    rounds = 6
    endpoint = otlp_receiver.http if destination == "healthy" else NOWHERE
    for turn in range(rounds):
        count = random.randrange(1, 400)
        ended = run_program(
            f"{START.format(sinks='otlp')}\n"
            f"for number in range({turn * 1000}, {turn * 1000 + count}): log(number)\n"
            "os.kill(os.getpid(), 9)",
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            **journaled,
        )
        assert ended.code == -9, ended.err
        expected = {turn * 1000 + number for number in range(count)}
        if turn < rounds - 1 and destination == "down":
            continue  # the next one may also find several of them
        send_the_rest(otlp_receiver, journaled)
        assert expected <= set(numbers(otlp_receiver))
    assert set(stored_once(otlp_receiver).values()) == {1}
    assert not list(Path(journaled["OTELBRIDGE_SPOOL_DIR"]).rglob("*.journal"))


def test_one_record_in_its_first_millisecond(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    for number in range(5):
        ended = run_program(
            f"{START.format(sinks='otlp')}\nlog({number})\nos.kill(os.getpid(), 9)",
            OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
            **journaled,
        )
        assert ended.code == -9
    send_the_rest(otlp_receiver, journaled)

    assert sorted(numbers(otlp_receiver)) == list(range(5))


def test_without_the_journal_the_same_is_lost(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    """What the tests above show is the journal's doing."""
    without = journaled | {"OTELBRIDGE_JOURNAL": "0"}
    run_program(
        f"{START.format(sinks='otlp')}\nlog(0)\nos.kill(os.getpid(), 9)",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
        **without,
    )
    send_the_rest(otlp_receiver, without)

    assert numbers(otlp_receiver) == []


def test_spans_are_journaled_when_they_end(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    ended = run_program(
        f"{START.format(sinks='otlp')}\n"
        "from opentelemetry import trace\n"
        "for number in range(20):\n"
        "    with trace.get_tracer('t').start_as_current_span(f'span {number}'): pass\n"
        "os.kill(os.getpid(), 9)",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
        **journaled,
    )
    assert ended.code == -9, ended.err
    program = SENDS_THE_REST + (
        "from opentelemetry import trace\n"
        "with trace.get_tracer('t').start_as_current_span('last'): pass\n"
    )
    run_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http, **journaled)

    found = {span.item.name for span in otlp_receiver.traces}
    assert {f"span {number}" for number in range(20)} <= found


THREADS = (
    START.format(sinks="otlp")
    + """
def work(thread):
    number = BEGIN + thread * 1_000_000
    while True:
        log(number)
        # One write: it is in the pipe when the call returned.
        os.write(1, f"{number}\\n".encode())
        number += 1

for thread in range(8):
    threading.Thread(target=work, args=(thread,)).start()
"""
)


@pytest.mark.parametrize("destination", ["healthy", "down"])
def test_killed_from_outside_amid_many_threads(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str], destination: str
) -> None:
    returned: set[int] = set()
    for turn in range(3):
        process = start_program(
            THREADS.replace("BEGIN", str(turn * 100_000_000)),
            OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http if destination == "healthy" else NOWHERE,
            **journaled,
        )
        assert process.stdout is not None
        returned |= {int(process.stdout.readline()) for _ in range(random.randrange(1, 1500))}
        process.kill()
        returned |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        process.wait()
        send_the_rest(otlp_receiver, journaled)
    assert len(returned) > 50
    assert returned <= set(numbers(otlp_receiver))


FORKING = (
    START.format(sinks="otlp")
    + """
log(0)
for child in range(1, 5):
    if os.fork() == 0:
        for number in range(50): log(child * 1000 + number)
        os.kill(os.getpid(), 9)
for _ in range(4): os.wait()
log(1)
os.kill(os.getpid(), 9)
"""
)


def test_forked_children_have_journals_of_their_own(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    ended = run_program(FORKING, OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE, **journaled)
    assert ended.code == -9, ended.err
    send_the_rest(otlp_receiver, journaled)

    expected = {0, 1} | {child * 1000 + number for child in range(1, 5) for number in range(50)}
    assert set(numbers(otlp_receiver)) == expected
    assert set(stored_once(otlp_receiver).values()) == {1}


def test_a_process_that_ends_well_leaves_no_journal_and_sends_nothing_twice(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    ended = run_program(
        f"{START.format(sinks='otlp')}\nfor number in range(500): log(number)",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        **journaled,
    )
    assert ended.code == 0, ended.err
    assert sorted(numbers(otlp_receiver)) == list(range(500))
    left = [path for path in Path(journaled["OTELBRIDGE_SPOOL_DIR"]).rglob("*") if path.is_file()]
    assert left == []


def test_what_was_spooled_at_the_end_is_not_in_the_journal_too(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    ended = run_program(
        f"{START.format(sinks='otlp')}\nfor number in range(300): log(number)",
        OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE,
        **journaled,
    )
    assert ended.code == 0, ended.err
    assert not list(Path(journaled["OTELBRIDGE_SPOOL_DIR"]).rglob("*.journal"))
    send_the_rest(otlp_receiver, journaled)

    assert sorted(numbers(otlp_receiver)) == list(range(300))


def test_without_a_spool_there_is_no_journal_and_one_line_says_so(
    otlp_receiver: OTLPReceiver, journaled: dict[str, str]
) -> None:
    environ = journaled | {"OTELBRIDGE_SPOOL_DIR": "none"}
    ended = run_program(
        f"{START.format(sinks='otlp')}\nlog(0)",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        **environ,
    )

    for signal in ("logs", "traces"):
        line = f"there is no journal of {signal}: OTELBRIDGE_SPOOL_DIR is none"
        assert ended.err.splitlines().count(line) == 1
    assert numbers(otlp_receiver) == [0]
