"""What a store of many records weighs, and how fast it answers."""

from __future__ import annotations

import re
import statistics
import time
import urllib.parse
from dataclasses import dataclass

from benchmarks.batches import Ids, order_number
from benchmarks.live_page import chromium
from benchmarks.load import Load, Outcome, send
from benchmarks.process import BridgeProcess, count_rows, running_bridge, settle, weigh
from benchmarks.table import Table

MEGABYTE = 1_000_000
MEMORY_TARGET = 250 * MEGABYTE
BYTES_TARGET = 450
# As much slower a store of five times the records may answer.
SLOWER_TARGET = 1.5
# Smaller differences are the machine's.
NOISE_MS = 2.0
FILL_SEED = 77
# The time that a store's records are spread over, a little less than the hour that is asked for.
SPAN_SECONDS = 3300.0


@dataclass(frozen=True)
class Question:
    """One request for the page's server.

    Attributes:
        limit: milliseconds allowed, or ``None`` where nothing was asked.
        expect: a text that the answer holds when it is right.
    """

    name: str
    path: str
    limit: float | None
    expect: str = ""


def find(query: str, range_: str = "24h", **more: str) -> str:
    """The path that searches logs."""
    return "/logs.json?" + urllib.parse.urlencode({"query": query, "range": range_, **more})


def questions(records: int) -> list[Question]:
    """The questions to a store of that many records, all of the last hour."""
    order = order_number(records // 2)
    ids = Ids(FILL_SEED)
    log = ids.log_trace(records // 3).hex()
    page = {"total": "0"}
    return [
        Question("word search (one in thirty): declined", find("declined", **page), 100, "decl"),
        Question("word search (every record): order", find("order", **page), 100, "A-"),
        Question(f"word search (one record): {order}", find(f'"{order}"', **page), 100, order),
        Question("word search (none): zebra", find("zebra", **page), 100, '"records":[]'),
        Question("field search: user: user1234", find("user: user1234", **page), 100, "user1234"),
        Question("field search: log.level: ERROR", find("log.level: ERROR", **page), 100, "ERROR"),
        Question(
            "field search: error_code: PAY-007 and user: user1*",
            find("error_code: PAY-007 and user: user1*", **page), 100, "PAY-007",
        ),
        Question("field search: code >= 400", find("code >= 400", **page), 100, "402"),
        Question(
            "field search (none, word is everywhere): user: success",
            find("user: success", **page), None, '"records":[]',
        ),
        Question("field search and its count: user1234", find("user: user1234"), 100, "total"),
        Question("word search with its count: declined", find("declined"), None, "total"),
        Question("word search with its count: order", find("order"), None, "total"),
        Question("a log's trace by id", f"/traces/{log}.json", 100, log),
        Question("logs of a trace: trace.id: ...", find(f"trace.id: {log}", **page), 100, log),
        Question(
            "traces with a word: PaymentDeclined",
            "/traces.json?range=1h&query=PaymentDeclined", 100, "PaymentDeclined",
        ),
        Question(
            "traces by field: http.response.status_code >= 500",
            "/traces.json?range=1h&query=http.response.status_code+%3E%3D+500", 100, "trace_id",
        ),
        Question(
            "traces by duration: duration > 60ms",
            "/traces.json?range=1h&query=duration+%3E+60ms", 100, "trace_id",
        ),
        Question("last hour's histogram", "/logs/histogram.json?range=1h", 300, "bars"),
        Question(
            "last hour's histogram of log.level: ERROR",
            "/logs/histogram.json?range=1h&query=log.level:ERROR", 300, "bars",
        ),
        Question(
            "last hour's histogram of the word declined",
            "/logs/histogram.json?range=1h&query=declined", None, "bars",
        ),
        Question("facets of the last hour", "/logs/facets.json?range=1h", None),
        Question("page /logs, last hour", "/logs?range=1h", 200, "<html"),
        Question("page /logs?query=declined", "/logs?range=1h&query=declined", 200, "<html"),
        Question("page /traces, last hour", "/traces?range=1h", 200, "<html"),
        Question("page /services, last hour", "/services?range=1h", 200, "<html"),
    ]  # fmt: skip


class NoAnswerError(Exception):
    """A question was not answered, or wrongly."""


def timed(bridge: BridgeProcess, question: Question) -> float:
    """Ask once; the milliseconds to the whole answer."""
    began = time.perf_counter()
    try:
        status, content = bridge.get(question.path)
    except OSError as error:
        status, content = 0, str(error).encode()
    took = time.perf_counter() - began
    if status != 200 or question.expect.encode() not in content:
        shown = re.sub(r"\s+", " ", content[:150].decode(errors="replace")).replace("|", "/")
        raise NoAnswerError(f"{status}: {shown}")
    return took * 1e3


def ask(table: Table, bridge: BridgeProcess, question: Question, rounds: int = 9) -> None:
    """Time one question; the first answer, which finds nothing warm, is told apart."""
    try:
        first, *times = [timed(bridge, question) for _ in range(rounds)]
    except NoAnswerError as error:
        table.add(question.name, "an answer", str(error), False)
        return
    warm = statistics.median(times)
    limit = question.limit
    table.add(
        question.name,
        f"< {limit:.0f} ms" if limit else "",
        f"{warm:.0f} ms (most {max(times):.0f}, first {first:.0f})",
        warm < limit if limit else None,
    )


def fill(bridge: BridgeProcess, signal: str, records: int, seconds: float) -> Outcome:
    """Store records that are spread over the last ``seconds``."""
    return send(
        Load("grpc", bridge.address("grpc"), signal, rate=0, total=records,
             connections=6, span_of_time=seconds, seed=FILL_SEED)
    )  # fmt: skip


def large_store(table: Table, records: int) -> None:
    """Fill a store with logs and spans of the last 55 minutes, weigh it, and ask it."""
    with running_bridge() as bridge:
        print(f"  storing {records:,} logs and {records // 5:,} spans", flush=True)
        empty = weigh(bridge)
        logs = fill(bridge, "logs", records, SPAN_SECONDS)
        stored = count_rows(bridge.store, "logs")
        log_bytes = weigh(bridge) - empty
        table.add(
            f"bytes on disk of each of {stored:,} logs",
            f"<= {BYTES_TARGET}",
            f"{log_bytes / stored:.0f} (sent: {logs.bytes / logs.sent:.0f} as protobuf)",
            log_bytes / stored <= BYTES_TARGET and stored == logs.sent,
        )
        table.add("storing them, as fast as it went", "", f"{logs.rate:,.0f} logs/s")
        spans = fill(bridge, "spans", records // 5, SPAN_SECONDS)
        stored = count_rows(bridge.store, "spans")
        span_bytes = weigh(bridge) - empty - log_bytes
        table.add(
            f"bytes on disk of each of {stored:,} spans",
            f"<= {BYTES_TARGET}",
            f"{span_bytes / stored:.0f} (sent: {spans.bytes / spans.sent:.0f} as protobuf;"
            f" logs and spans together {(log_bytes + span_bytes) / (records + stored):.0f})",
            span_bytes / stored <= BYTES_TARGET and stored == spans.sent,
        )
        for question in questions(records):
            ask(table, bridge, question)
        table.add(
            "peak memory while filled and asked", "< 250 MB", f"{bridge.peak() / MEGABYTE:.0f} MB",
            bridge.peak() < MEMORY_TARGET,
        )  # fmt: skip
        browser_paint(table, bridge)


def five_times(table: Table, records: int, rounds: int = 9) -> None:
    """Ask a store of so many logs, and in turn one of five times as many, of five times the time.

    An hour's questions then meet as many records in either, those of a day five times as many.
    """
    with running_bridge() as small, running_bridge() as large:
        for bridge, times in ((small, 1), (large, 5)):
            print(f"  storing {times * records:,} logs and a fifth of it as spans", flush=True)
            logs = fill(bridge, "logs", times * records, times * SPAN_SECONDS)
            spans = fill(bridge, "spans", times * records // 5, times * SPAN_SECONDS)
            stored = count_rows(bridge.store, "logs"), count_rows(bridge.store, "spans")
            table.add(
                f"stored of {logs.sent:,} logs and {spans.sent:,} spans",
                "all",
                f"{stored[0]:,} and {stored[1]:,}; {logs.rate:,.0f} logs/s,"
                f" {spans.rate:,.0f} spans/s, peak {bridge.peak() / MEGABYTE:.0f} MB",
                stored == (logs.sent, spans.sent) and bridge.peak() < MEMORY_TARGET,
            )
            settle(bridge)
        pairs = zip(questions(records), questions(5 * records), strict=True)
        for one, five in pairs:
            try:
                asked = [(timed(small, one), timed(large, five)) for _ in range(rounds)][1:]
            except NoAnswerError as error:
                table.add(one.name, "an answer", str(error), False)
                continue
            before, after = (statistics.median(times) for times in zip(*asked, strict=True))
            table.add(
                one.name,
                f"<= {SLOWER_TARGET} times" if one.limit else "",
                f"{after / before:.2f} times ({before:.0f} to {after:.0f} ms)",
                after <= max(SLOWER_TARGET * before, before + NOISE_MS) if one.limit else None,
            )


def browser_paint(table: Table, bridge: BridgeProcess, rounds: int = 5) -> None:
    """First contentful paint of /logs in Chromium, where Playwright and a Chromium are there."""
    paints = []
    with chromium() as browser:
        if browser is None:
            table.add("first paint of /logs", "< 200 ms", "no Playwright or Chromium here")
            return
        page = browser.new_page()
        for _ in range(rounds):
            page.goto(f"http://127.0.0.1:{bridge.web}/logs?range=1h", wait_until="load")
            paint = page.wait_for_function(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            )
            paints.append(float(paint.json_value()))
    table.add(
        "first paint of /logs?range=1h in Chromium",
        "< 200 ms",
        f"{statistics.median(paints):.0f} ms ({min(paints):.0f} to {max(paints):.0f})",
        statistics.median(paints) < 200,
    )
