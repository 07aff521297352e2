"""Following what becomes findable, in whatever order that happens."""

from __future__ import annotations

from typing import Any

from otelbridge.store.elasticsearch.following import Arriving
from otelbridge.store.elasticsearch.ids import make_id

INDEX = ".ds-logs-1"
TIME = 1_700_000_000_000_000_000


class Findable:
    """What a server finds of one index: documents by their sequence numbers."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def search(self, type: str, condition: Any, **options: Any) -> dict[str, Any]:
        if type != "logs" or not self.numbers:
            return {"hits": {"hits": []}}
        if "aggs" in options:
            bucket = {"key": INDEX, "last": {"value": float(max(self.numbers))}}
            return {"aggregations": {"indices": {"buckets": [bucket]}}}
        bounds = _bounds(condition)
        hits = [
            {"_index": INDEX, "sort": [TIME + number * 1000, number]}
            for number in self.numbers
            if bounds["gt"] < number <= bounds["lte"]
        ]
        return {"hits": {"hits": hits}}


def _bounds(condition: Any) -> dict[str, int]:
    """The range of sequence numbers in a condition."""
    if isinstance(condition, dict):
        if "_seq_no" in condition:
            return dict(condition["_seq_no"])
        condition = list(condition.values())
    found = [_bounds(part) for part in condition] if isinstance(condition, list) else []
    return next((bounds for bounds in found if bounds), {})


def told(arriving: Arriving) -> list[int]:
    """The sequence numbers of what a look tells."""
    arrivals = arriving.look()
    by_id = {make_id(TIME + number * 1000, number): number for number in range(10_000)}
    return [] if arrivals is None else [by_id[id] for id in arrivals.logs]


def test_what_was_there_is_not_told_and_what_comes_is_told_once() -> None:
    server: Any = Findable()
    server.numbers = set(range(5))
    arriving = Arriving(server)
    assert told(arriving) == []
    server.numbers |= {5, 6}
    assert told(arriving) == [5, 6]
    assert told(arriving) == []
    server.numbers.add(7)
    assert told(arriving) == [7]


def test_a_document_that_is_found_after_one_with_a_larger_number_is_told() -> None:
    server: Any = Findable()
    server.numbers = {0}
    arriving = Arriving(server)
    assert told(arriving) == []
    server.numbers |= {1, 3, 4}
    assert told(arriving) == [1, 3, 4]
    server.numbers |= {2, 5}
    assert told(arriving) == [2, 5]


def test_a_document_that_is_found_late_is_told_though_nothing_follows() -> None:
    server: Any = Findable()
    server.numbers = {0}
    arriving = Arriving(server)
    told(arriving)
    server.numbers |= {2}
    assert told(arriving) == [2]
    server.numbers |= {1}
    assert told(arriving) == [1]
    assert told(arriving) == []


def test_an_index_that_comes_later_is_told_from_its_beginning() -> None:
    server: Any = Findable()
    arriving = Arriving(server)
    assert told(arriving) == []
    server.numbers = {0, 1}
    assert told(arriving) == [0, 1]


def test_of_many_none_is_told_twice() -> None:
    server: Any = Findable()
    server.numbers = {0}
    arriving = Arriving(server)
    told(arriving)
    seen: list[int] = []
    for last in range(1000, 9001, 1000):
        server.numbers = set(range(last))
        seen += told(arriving)
    assert seen == list(range(1, 9000))
