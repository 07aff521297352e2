"""Queries over the tables find exactly what the language says they find."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.search import parse
from otelbridge.search.query import Query
from otelbridge.store.protocol import Signal
from otelbridge.store.records import Batch, LogRecord, Span
from otelbridge.store.sqlite import tables
from otelbridge.store.sqlite.insert import Inserter
from otelbridge.store.sqlite.kql import compile_query, register, resource_names
from tests.search.queries import LOG_QUERIES, LOGS, SPAN_QUERIES, SPANS
from tests.search.records import LOGS as RANDOM_LOGS
from tests.search.records import SPAN_RECORDS, queries
from tests.search.reference import holds


class Database:
    """The tables in memory, with records in them."""

    def __init__(self, batch: Batch) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.executescript(tables.TABLES)
        register(self.connection)
        inserter = Inserter(self.connection)
        self.connection.execute("BEGIN")
        (added,) = inserter.insert([batch], 1.0)
        self.connection.execute("COMMIT")
        self.ids = {"logs": list(added.logs), "spans": list(added.spans)}

    def find(self, query: Query, signal: Signal, **options: Any) -> list[int]:
        """The ids of the rows that match, in order."""
        compiled = compile_query(query, signal, **options)
        if compiled.match is None:
            rows = self.connection.execute(
                f"SELECT r.id FROM {signal} AS r WHERE {compiled.where}", compiled.params
            )
        else:
            rows = self.connection.execute(
                f"SELECT r.id FROM {signal}_fts AS f CROSS JOIN {signal} AS r ON r.id = f.rowid "
                f"WHERE {signal}_fts MATCH ? AND {compiled.where}",
                (compiled.match, *compiled.params),
            )
        return sorted(row[0] for row in rows)

    def ways(self, query: Query, signal: Signal) -> Iterator[list[int]]:
        """What is found in each of the ways a query may be compiled."""
        names = resource_names(self.connection)
        everything = (0, 2**62)
        for options in ({}, {"resource_names": names}, {"ids": everything}):
            yield self.find(query, signal, now=0, **options)


def expected(records: Sequence[Any], ids: Sequence[int], query: Query) -> list[int]:
    return sorted(id for id, record in zip(ids, records, strict=True) if holds(query, record))


# --- the same in every engine -------------------------------------------------------------------


@pytest.fixture(scope="module")
def database() -> Database:
    return Database(Batch(logs=LOGS, spans=SPANS))


@pytest.mark.parametrize(("text", "numbers"), LOG_QUERIES)
def test_a_query_finds_these_logs(database: Database, text: str, numbers: set[int]) -> None:
    query = parse(text)
    assert query is not None
    ids = database.ids["logs"]
    for found in database.ways(query, "logs"):
        assert {ids.index(id) for id in found} == numbers


@pytest.mark.parametrize(("text", "numbers"), SPAN_QUERIES)
def test_a_query_finds_these_spans(database: Database, text: str, numbers: set[int]) -> None:
    query = parse(text)
    assert query is not None
    ids = database.ids["spans"]
    for found in database.ways(query, "spans"):
        assert {ids.index(id) for id in found} == numbers


# --- the meaning of any query -------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(st.lists(RANDOM_LOGS, min_size=1, max_size=5), st.lists(queries(), min_size=1, max_size=5))
def test_random_queries_find_the_logs_that_they_mean(
    records: list[LogRecord], asked: list[Query]
) -> None:
    records.sort(key=lambda record: record.time)
    database = Database(Batch(logs=records))
    for query in asked:
        wanted = expected(records, database.ids["logs"], query)
        for found in database.ways(query, "logs"):
            assert found == wanted, query


@settings(max_examples=300, deadline=None)
@given(
    st.lists(SPAN_RECORDS, min_size=1, max_size=4, unique_by=lambda s: (s.trace_id, s.span_id)),
    st.lists(queries(), min_size=1, max_size=5),
)
def test_random_queries_find_the_spans_that_they_mean(
    records: list[Span], asked: list[Query]
) -> None:
    records.sort(key=lambda record: record.time)
    database = Database(Batch(spans=records))
    for query in asked:
        wanted = expected(records, database.ids["spans"], query)
        for found in database.ways(query, "spans"):
            assert found == wanted, query
