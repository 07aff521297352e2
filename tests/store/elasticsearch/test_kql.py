"""The same queries find the same records as in the embedded store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelbridge.model import LogRecord, Span
from otelbridge.search import parse
from otelbridge.search.query import Query
from otelbridge.store.protocol import Signal
from tests.search.queries import LOG_QUERIES, LOGS, SPAN_QUERIES, SPANS
from tests.search.records import queries
from tests.search.reference import holds
from tests.store.elasticsearch.random_records import LOGS as LOG_RECORDS
from tests.store.elasticsearch.random_records import SPAN_RECORDS
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


# --- the meaning of any query -------------------------------------------------------------------


def ids(store: OpenStore, query: Query, signal: Signal) -> set[str]:
    """The documents' ids of the records that a query finds."""
    server = store.store._open_server
    condition = server.matching(query, signal, ALL_TIME)
    hits = server.pages("logs" if signal == "logs" else "traces", condition, most=10_000)
    return {hit["_id"] for hit in hits}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LOG_RECORDS, min_size=5, max_size=30), st.lists(queries(), min_size=5, max_size=30))
def test_random_queries_find_the_logs_that_they_mean(
    prepared_elasticsearch: str, records: list[LogRecord], asked: list[Query]
) -> None:
    for number, record in enumerate(records):
        record.uid = bytes([number + 1]) * 16
    with opened(prepared_elasticsearch, uuid.uuid4().hex) as store:
        store.write(*records)
        for query in asked:
            wanted = {record.uid.hex() for record in records if record.uid and holds(query, record)}
            assert ids(store, query, "logs") == wanted, query


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(SPAN_RECORDS, min_size=5, max_size=20, unique_by=lambda s: (s.trace_id, s.span_id)),
    st.lists(queries(), min_size=5, max_size=30),
)
def test_random_queries_find_the_spans_that_they_mean(
    prepared_elasticsearch: str, records: list[Span], asked: list[Query]
) -> None:
    with opened(prepared_elasticsearch, uuid.uuid4().hex) as store:
        store.write(*records)
        for query in asked:
            wanted = {
                record.trace_id.hex() + record.span_id.hex()
                for record in records
                if holds(query, record)
            }
            assert ids(store, query, "spans") == wanted, query
