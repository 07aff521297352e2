"""The same queries find the same records as in the embedded store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from otelbridge.search import parse
from otelbridge.search.query import Query
from otelbridge.store.protocol import Signal
from tests.search.queries import LOG_QUERIES, LOGS, SPAN_QUERIES, SPANS
from tests.store.elasticsearch.stored import ALL_TIME, OpenStore, opened

# An object and dotted names are one to Elasticsearch: a record with the key "order.id" is found
# by "order: *" as one with an object "order" is.
DIFFERENT: dict[str, set[int]] = {"order: *": {5, 6}}


@pytest.fixture(scope="module")
def filled(prepared_elasticsearch: str) -> Iterator[OpenStore]:
    with opened(prepared_elasticsearch, uuid.uuid4().hex) as store:
        store.write(*LOGS, *SPANS)
        yield store


def times(store: OpenStore, query: Query | None, signal: Signal) -> list[int]:
    """The times of the records that a query finds, in order."""
    server = store.store._open_server
    condition = server.matching(query, signal, ALL_TIME)
    hits = server.pages("logs" if signal == "logs" else "traces", condition, most=10_000)
    return [hit["sort"][0] for hit in hits]


@pytest.mark.parametrize(("text", "numbers"), LOG_QUERIES)
def test_a_query_finds_these_logs(filled: OpenStore, text: str, numbers: set[int]) -> None:
    found = {[log.time for log in LOGS].index(time) for time in times(filled, parse(text), "logs")}

    assert found == DIFFERENT.get(text, numbers)


@pytest.mark.parametrize(("text", "numbers"), SPAN_QUERIES)
def test_a_query_finds_these_spans(filled: OpenStore, text: str, numbers: set[int]) -> None:
    starts = [span.time for span in SPANS]

    assert {starts.index(time) for time in times(filled, parse(text), "spans")} == numbers
