"""The live tail over real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.running import RunningBridge, run_bridge
from tests.web.samples import log


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with run_bridge(tmp_path) as running:
        yield running


@contextmanager
def tail(bridge: RunningBridge, **parameters: str) -> Iterator[Iterator[str]]:
    """Follow ``/logs/tail``; yields its lines, once it is connected."""
    with (
        httpx.Client(base_url=bridge.url, timeout=15) as client,
        client.stream("GET", "/logs/tail", params=parameters) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == ": connected"
        yield lines


def records(lines: Iterator[str], count: int) -> list[dict[str, Any]]:
    """The next records of a tail of JSON."""
    found: list[dict[str, Any]] = []
    for line in lines:
        if line.startswith("data: "):
            found.append(json.loads(line[6:]))
        if len(found) == count:
            return found
    raise AssertionError(f"the tail ended after {len(found)} of {count}")


def test_json_is_one_record_a_line(bridge: RunningBridge) -> None:
    with tail(bridge, format="json") as lines:
        bridge.store(log("one\nline", ago=2), log("another", ago=1))

        first, second = records(lines, 2)

    assert first["body"]["text"] == "one\nline"
    assert second["body"]["text"] == "another"


def test_a_query_is_kept_to(bridge: RunningBridge) -> None:
    with tail(bridge, format="json", query="user: alice") as lines:
        bridge.store(log("no", user="bob"))
        bridge.store(log("yes", user="alice"))

        (found,) = records(lines, 1)

    assert found["body"]["text"] == "yes"


def test_what_was_stored_since_a_record_comes_first(bridge: RunningBridge) -> None:
    bridge.store(log("first", ago=30), log("second", ago=20), log("third", ago=10))
    with httpx.Client(base_url=bridge.url) as client:
        stored = client.get("/logs.json").json()["records"]
    oldest = stored[-1]["id"]

    with tail(bridge, format="json", after=str(oldest)) as lines:
        found = records(lines, 2)

    assert [record["body"]["text"] for record in found] == ["second", "third"]


def test_all_that_was_stored_since_comes_however_much(bridge: RunningBridge) -> None:
    bridge.store(log("first", ago=100))
    with httpx.Client(base_url=bridge.url) as client:
        first = client.get("/logs.json").json()["records"][0]["id"]
    bridge.store(*(log(f"number {number}", ago=90 - number / 50) for number in range(1234)))

    with tail(bridge, format="json", after=str(first)) as lines:
        bridge.store(log("last"))
        found = records(lines, 1235)

    texts = [record["body"]["text"] for record in found]
    assert texts == [*(f"number {number}" for number in range(1234)), "last"]


def test_html_is_lines_of_the_list(bridge: RunningBridge) -> None:
    with tail(bridge) as lines:
        bridge.store(log("<b>hello</b>"))

        event = []
        for line in lines:
            if line:
                event.append(line)
            elif event:
                break

    assert event[0] == "event: logs"
    assert event[1].startswith("id: ")
    assert all(line.startswith("data: ") for line in event[2:])
    html = "\n".join(line[6:] for line in event[2:])
    assert "&lt;b&gt;hello&lt;/b&gt;" in html
    assert '<li class="row"' in html


def test_every_record_of_many_arrives_once(bridge: RunningBridge) -> None:
    with tail(bridge, format="json") as lines:
        for batch in range(20):
            bridge.store(*(log(f"{batch}/{number}") for number in range(50)))

        found = records(lines, 1000)

    assert len({record["body"]["text"] for record in found}) == 1000


def test_a_record_is_there_within_a_second(bridge: RunningBridge) -> None:
    with tail(bridge, format="json") as lines:
        took = []
        for number in range(5):
            bridge.store(log(f"number {number}"))
            stored = time.monotonic()
            records(lines, 1)
            took.append(time.monotonic() - stored)

    # A busy machine delays some of them.
    assert min(took) < 1


def test_a_wrong_query_is_refused_before_the_tail_begins(bridge: RunningBridge) -> None:
    answer = httpx.get(f"{bridge.url}/logs/tail", params={"query": "(", "format": "json"})

    assert answer.status_code == 400


def test_the_bridge_stops_though_someone_follows(tmp_path: Path) -> None:
    with run_bridge(tmp_path) as bridge, tail(bridge):
        began = time.monotonic()
        bridge.stop()

        assert time.monotonic() - began < 20
