"""Programs without requests (loops, pools, event loops), counted at a real bridge."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import environment
from running_bridge import running_bridge

from otelbridge.search import parse
from otelbridge.serve import Bridge
from otelbridge.store.protocol import TimeRange

ALWAYS = TimeRange(0, 2**62)
PATIENCE_SECONDS = 200


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    with running_bridge(tmp_path) as running:
        yield running


def start(
    program: str, folder: Path, bridge: Bridge, *command: str, **environ: str
) -> subprocess.Popen[str]:
    (folder / "job.py").write_text(program)
    host, port = bridge.addresses["http"]
    return subprocess.Popen(
        [sys.executable, *command, str(folder / "job.py")],
        env=environment(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{port}",
                "OTELBRIDGE_SHUTDOWN_TIMEOUT": "30s",
                **environ,
            }
        ),
        stdout=subprocess.PIPE,
        text=True,
    )


def logs(bridge: Bridge, query: str) -> list[Any]:
    return [stored.record for stored in bridge.store.logs(parse(query), ALWAYS, limit=1_000)]


def spans(bridge: Bridge) -> list[Any]:
    return [
        stored.span
        for trace in bridge.store.traces(None, ALWAYS, limit=1_000)
        for stored in bridge.store.trace(trace.trace_id).spans
    ]


POOL = """
import logging
import multiprocessing
import otelbridge

@otelbridge.span("work")
def work(number):
    logging.getLogger("job").info("working", extra={"number": number})
    return number

if __name__ == "__main__":
    context = multiprocessing.get_context(METHOD)
    with context.Pool(2, maxtasksperchild=4) as pool:
        assert sorted(pool.imap_unordered(work, range(12))) == list(range(12))
        pool.close()
        pool.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes(method: str, bridge: Bridge, tmp_path: Path) -> None:
    program = POOL.replace("METHOD", repr(method))
    job = start(program, tmp_path, bridge, "-m", "otelbridge", "run", sys.executable)
    assert job.wait(PATIENCE_SECONDS) == 0
    found = logs(bridge, "number: *")
    assert Counter(record.attributes["number"] for record in found) == Counter(range(12))
    assert {span.span_id for span in spans(bridge)} == {record.span_id for record in found}
    processes = {record.resource["process.pid"] for record in found}
    assert len(processes) >= 3
    assert job.pid not in processes
    assert {record.resource["service.name"] for record in found} == {"job"}


LOOP = """
import logging, sched, time
import otelbridge
otelbridge.instrument()
log = logging.getLogger("job")
schedule = sched.scheduler()
rounds = 0

@otelbridge.span("round")
def run():
    global rounds
    rounds += 1
    log.info("round", extra={"number": rounds})
    print(rounds, flush=True)
    schedule.enter(0.05, 1, run)

run()
schedule.run()
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_loop_that_is_ended_by_a_signal(end: int, bridge: Bridge, tmp_path: Path) -> None:
    job = start(LOOP, tmp_path, bridge, OTELBRIDGE_HEARTBEAT="30s")
    assert job.stdout is not None
    printed = [job.stdout.readline() for _ in range(5)]
    job.send_signal(end)
    printed += job.stdout.readlines()
    assert job.wait(PATIENCE_SECONDS) == -end
    numbers = Counter(record.attributes["number"] for record in logs(bridge, "number: *"))
    # One may have been logged and not yet printed.
    assert numbers in [Counter(range(1, len(printed) + more)) for more in (1, 2)]
    rounds = [span for span in spans(bridge) if span.name == "round"]
    # The last round may not have come to its end.
    assert len({span.trace_id for span in rounds}) == len(rounds) >= len(printed) - 1
    [ended] = logs(bridge, 'event.name: "otelbridge.process.end"')
    outcome = {signal.SIGTERM: "terminated", signal.SIGINT: "interrupted"}[end]
    assert ended.attributes["otelbridge.process.outcome"] == outcome


ASYNC = """
import asyncio, logging
import otelbridge
otelbridge.instrument()
log = logging.getLogger("job")

@otelbridge.span
async def fetch(number):
    await asyncio.sleep(0.01)
    log.info("fetched", extra={"number": number})

@otelbridge.span("crawl")
async def main():
    await asyncio.gather(*map(fetch, range(20)))

asyncio.run(main())
"""


def test_an_asyncio_program(bridge: Bridge, tmp_path: Path) -> None:
    job = start(ASYNC, tmp_path, bridge)
    assert job.wait(PATIENCE_SECONDS) == 0
    found = logs(bridge, "number: *")
    assert Counter(record.attributes["number"] for record in found) == Counter(range(20))
    by_id = {span.span_id: span for span in spans(bridge)}
    crawl = next(span for span in by_id.values() if span.name == "crawl")
    assert len(by_id) == 21
    for record in found:
        fetch = by_id[record.span_id]
        assert (fetch.name, fetch.parent_span_id) == ("fetch", crawl.span_id)
