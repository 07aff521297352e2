"""The tests of ``tests/web/test_live.py``, over Elasticsearch.

There a record can be found when the index has been refreshed, once a second, and the bridge looks
for new ones once a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from otelbridge.model import LogRecord, MetricPoint, Span
from tests.store.elasticsearch.stored import make_findable, remove_streams
from tests.web.running import RunningBridge, run_bridge
from tests.web.samples import log
from tests.web.test_live import (  # noqa: F401
    records,
    tail,
    test_a_query_is_kept_to,
    test_a_wrong_query_is_refused_before_the_tail_begins,
    test_all_that_was_stored_since_comes_however_much,
    test_every_record_of_many_arrives_once,
    test_html_is_lines_of_the_list,
    test_json_is_one_record_a_line,
    test_what_was_stored_since_a_record_comes_first,
)


@dataclass
class BridgeOverElasticsearch(RunningBridge):
    """A bridge; what it stores can be found when it has."""

    def store(self, *records: LogRecord | Span | MetricPoint) -> None:
        """Store records, and wait until they can be found."""
        super().store(*records)
        store: Any = self.bridge.store
        make_findable(store)


@pytest.fixture
def bridge(tmp_path: Path, prepared_elasticsearch: str) -> Iterator[RunningBridge]:
    settings = {"store": prepared_elasticsearch, "elasticsearch_namespace": uuid4().hex}
    with run_bridge(tmp_path, **settings) as running:
        yield BridgeOverElasticsearch(running.bridge, running.loop)
    remove_streams(running.bridge.settings)


def test_a_record_is_there_within_three_seconds(bridge: RunningBridge) -> None:
    with tail(bridge, format="json") as lines:
        took = []
        for number in range(3):
            RunningBridge.store(bridge, log(f"number {number}"))
            stored = time.monotonic()
            records(lines, 1)
            took.append(time.monotonic() - stored)

    # A busy machine delays some of them.
    assert min(took) < 3


def test_the_bridge_stops_though_someone_follows(bridge: RunningBridge) -> None:
    with tail(bridge):
        began = time.monotonic()
        bridge.stop()

        assert time.monotonic() - began < 20
