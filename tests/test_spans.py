"""Spans around a script's work, by decorator and by ``with``."""

from __future__ import annotations

from typing import Any

import pytest
from otlp_receiver import OTLPReceiver
from programs import Ended, finish, run_program

import otelbridge

START = """
import asyncio, logging, sys, threading
import otelbridge
otelbridge.instrument(service_name="nightly")
from opentelemetry import trace

def current():
    span = trace.get_current_span()
    return getattr(span, "name", "none")
"""
ERROR = 2


def finished(program: str, receiver: OTLPReceiver) -> str:
    return finish(START + program, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http).out


def ran(program: str, receiver: OTLPReceiver) -> Ended:
    return run_program(START + program, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http)


def spans(receiver: OTLPReceiver) -> dict[str, Any]:
    found = {span.item.name: span.item for span in receiver.traces}
    assert len(found) == len(receiver.traces)
    return found


def test_a_script_is_one_trace(otlp_receiver: OTLPReceiver) -> None:
    finished(
        """
@otelbridge.span
def load(path):
    logging.warning("loading %s", path)

@otelbridge.span("store it", {"rows": 3})
async def store():
    await asyncio.sleep(0)
    logging.warning("storing")

with otelbridge.span("nightly import", {"day": "Saturday"}) as root:
    root.set_attribute("files", 1)
    load("a.csv")
    asyncio.run(store())
logging.warning("after")
""",
        otlp_receiver,
    )
    found = spans(otlp_receiver)
    root, load, store = found["nightly import"], found["load"], found["store it"]
    assert root.parent_span_id == b""
    assert load.parent_span_id == store.parent_span_id == root.span_id
    attributes = {span.item.name: span.attributes for span in otlp_receiver.traces}
    assert attributes == {
        "nightly import": {"day": "Saturday", "files": 1},
        "load": {"code.function.name": "__main__.load"},
        "store it": {"code.function.name": "__main__.store", "rows": 3},
    }
    logged = {log.item.body.string_value: log.item.span_id for log in otlp_receiver.logs}
    assert logged == {"loading a.csv": load.span_id, "storing": store.span_id, "after": b""}


def test_a_generators_span_is_current_only_while_it_works(otlp_receiver: OTLPReceiver) -> None:
    printed = finished(
        """
@otelbridge.span
def rows():
    try:
        got = yield current()
        while got:
            try:
                got = yield f"{got} in {current()}"
            except KeyError:
                got = yield f"caught in {current()}"
    finally:
        print("closed in", current())
    return "done"

def all_rows():
    return (yield from rows())

it = all_rows()
print(next(it), current())
print(it.send("one"), current())
print(it.throw(KeyError("x")), current())
try:
    it.send(None)
except StopIteration as stop:
    print(stop.value)

@otelbridge.span
def endless():
    try:
        while True:
            yield 1
    finally:
        print("closed in", current())

with otelbridge.span("reader"):
    for one in endless():
        print("reading in", current())
        break
    del one

@otelbridge.span
async def later():
    try:
        got = yield current()
        yield f"{got} in {current()}"
    finally:
        print("closed in", current())

async def main():
    it = later()
    print(await it.__anext__(), current())
    print(await it.asend("two"), current())
    await it.aclose()
    print([each async for each in later()])

asyncio.run(main())
""",
        otlp_receiver,
    )
    assert printed.splitlines() == [
        "rows none",
        "one in rows none",
        "caught in rows none",
        "closed in rows",
        "done",
        "reading in reader",
        "closed in endless",
        "later none",
        "two in later none",
        "closed in later",
        "closed in later",
        "['later', 'None in later']",
    ]
    assert {span.item.status.code for span in otlp_receiver.traces} == {0}
    assert sorted(span.item.name for span in otlp_receiver.traces) == [
        "endless",
        "later",
        "later",
        "reader",
        "rows",
    ]


@pytest.mark.parametrize(
    "raising",
    [
        "def fail():\n    raise ValueError('no file')\nrun = fail",
        "async def fail():\n    raise ValueError('no file')\nrun = lambda: asyncio.run(fail())",
        "def fail():\n    yield 1\n    raise ValueError('no file')\nrun = lambda: list(fail())",
    ],
    ids=["function", "coroutine", "generator"],
)
def test_an_error_is_recorded_once_and_ends_the_program_as_ever(
    raising: str, otlp_receiver: OTLPReceiver
) -> None:
    program = f"""
@otelbridge.span
{raising}

with otelbridge.span("nightly import"):
    run()
"""
    ended = ran(program, otlp_receiver)
    assert ended.code == 1
    assert ended.err.count("ValueError: no file") == 1
    found = spans(otlp_receiver)
    assert [event.name for event in found["fail"].events] == ["exception"]
    assert list(found["nightly import"].events) == []
    for span in found.values():
        assert (span.status.code, span.status.message) == (ERROR, "ValueError: no file")
    [log] = otlp_receiver.logs
    assert log.attributes["exception.type"] == "ValueError"
    assert log.item.span_id == found["fail"].span_id


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        ("sys.exit(3)", 3, ERROR),
        ("sys.exit()", 0, 0),
        ("sys.exit('no disk')", 1, ERROR),
    ],
)
def test_an_exit_goes_on(ending: str, code: int, status: int, otlp_receiver: OTLPReceiver) -> None:
    ended = ran(f"with otelbridge.span('nightly import'):\n    {ending}", otlp_receiver)
    assert ended.code == code
    span = spans(otlp_receiver)["nightly import"]
    assert span.status.code == status
    assert list(span.events) == []
    assert otlp_receiver.logs == []


def test_one_object_serves_several_threads_and_nests(otlp_receiver: OTLPReceiver) -> None:
    finished(
        """
work = otelbridge.span("work")
barrier = threading.Barrier(3)

def run():
    barrier.wait()
    with work:
        barrier.wait()
        with work:
            barrier.wait()
    assert current() == "none"

threads = [threading.Thread(target=run) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""",
        otlp_receiver,
    )
    found = [span.item for span in otlp_receiver.traces]
    outer = {span.span_id for span in found if not span.parent_span_id}
    assert len(found) == 6
    assert {span.parent_span_id for span in found if span.parent_span_id} == outer
    assert len(outer) == 3


def test_nothing_is_lost_of_a_script_that_ends_at_once(otlp_receiver: OTLPReceiver) -> None:
    ended = run_program(
        START + "with otelbridge.span('nightly import'):\n    logging.warning('done')",
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTELBRIDGE_HEARTBEAT="30s",
    )
    assert ended.code == 0
    assert list(spans(otlp_receiver)) == ["nightly import"]
    names = [log.item.event_name for log in otlp_receiver.logs]
    assert sorted(names) == ["", "otelbridge.process.end", "otelbridge.process.start"]


def test_without_telemetry_it_does_nothing() -> None:
    ended = finish(
        """
        import sys
        import otelbridge

        @otelbridge.span
        def twice(number):
            return 2 * number

        with otelbridge.span("work"):
            assert twice(2) == 4
        assert "opentelemetry.sdk" not in sys.modules
        """
    )
    assert ended.err == ""


def test_a_with_needs_a_name() -> None:
    nameless = otelbridge.span()
    with pytest.raises(ValueError, match="needs a name"), nameless:
        raise AssertionError("it was entered")
