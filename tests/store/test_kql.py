"""Queries over the tables find exactly what the language says they find."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.model import Batch, LogRecord, Scope, Span
from otelbridge.search import exclude, only, parse
from otelbridge.search.query import And, Match, Not, Query, Word
from otelbridge.store.protocol import Signal
from otelbridge.store.sqlite import tables
from otelbridge.store.sqlite.insert import Inserter
from otelbridge.store.sqlite.kql import compile_query, register, resource_names
from otelbridge.store.sqlite.kql_index import has_prefix
from otelbridge.store.sqlite.kql_tokens import TOKENIZE, token_patterns, tokens
from otelbridge.store.sqlite.matching import Matching, matching, newest_first
from tests.search.queries import LOG_QUERIES, LOGS, SPAN_QUERIES, SPANS
from tests.search.records import LOGS as RANDOM_LOGS
from tests.search.records import SPAN_RECORDS, queries
from tests.search.reference import holds
from tests.search.trees import PATTERNS, TEXTS, trees


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
        for options in (
            *({}, {"resource_names": names}, {"ids": everything}, {"prefixes": False}),
            {"prefixes": False, "resource_names": names, "ids": everything},
        ):
            yield self.find(query, signal, now=0, **options)
        yield self.matched([matching(self.connection, query, signal, *everything)])
        yield self.matched(newest_first(self.connection, query, signal, *everything))

    def matched(self, parts: Sequence[Matching]) -> list[int]:
        """The ids of the rows that match, asked for as the store does."""
        newest: list[int] = []
        for found in parts:
            rows = self.connection.execute(
                f"SELECT r.id FROM {found.source} WHERE {found.where} ORDER BY {found.rowid} DESC",
                found.params,
            )
            newest += (row[0] for row in rows)
        assert newest == sorted(newest, reverse=True)
        return newest[::-1]


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


@settings(max_examples=150, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


# --- hostile texts ------------------------------------------------------------------------------

HOSTILE = st.text(max_size=12) | st.sampled_from(
    ["'; DROP TABLE logs; --", '" OR 1=1', "$.a[0]", '"$."', "a' OR '1'='1", "%", "_", "NEAR(a b)"]
)


@settings(max_examples=100, deadline=None)
@given(trees(HOSTILE | TEXTS, PATTERNS, HOSTILE | TEXTS), st.sampled_from(["logs", "spans"]))
def test_no_text_in_a_query_is_taken_for_sql(
    database: Database, query: Query, signal: Signal
) -> None:
    ids = database.ids[signal]
    for found in database.ways(query, signal):
        assert set(found) <= set(ids)
    everything = Not(And((query, Not(query))))
    assert database.find(everything, signal) == sorted(ids)


@settings(max_examples=100, deadline=None)
@given(name=HOSTILE, value=HOSTILE, other=HOSTILE)
def test_any_value_of_any_attribute_is_found_by_a_click_on_it(
    name: str, value: str, other: str
) -> None:
    records = [LogRecord(i, "", {name: v}, {}, Scope()) for i, v in enumerate((value, other))]
    database = Database(Batch(logs=records))
    field = f"attributes.{name}" if name else ""
    asked, unwanted = parse(only("", field, value)), parse(exclude("", field, value))
    assert asked is not None
    assert unwanted is not None
    both = database.ids["logs"]
    for found in database.ways(asked, "logs"):
        assert found == (both if value == other else both[:1])
    for found in database.ways(unwanted, "logs"):
        assert found == ([] if value == other else both[1:])


# --- long queries and long texts ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a or " * 999 + "a",
        "a and " * 832 + "a",
        "b:c or " * 713 + "b:c",
        "b:c and " * 624 + "b:c",
        "log.level:(" + "a or " * 990 + "a)",
        "not " + "(not " * 15 + "a" + ")" * 15,
        "not " + "(not " * 15 + "b:c" + ")" * 15,
        "(b:c and not " * 15 + "b:c" + ")" * 15,
        "not (b:c and " * 15 + "b:c" + ")" * 15,
        "(a and not " * 15 + "a" + ")" * 15,
        "(a or b and not " * 15 + "a" + ")" * 15,
        "(a and not (b or " * 7 + "a" + ")" * 14,
        "(c:d and not (c:d or " * 7 + "a" + ")" * 14,
        ("(" + "a or " * 60 + "b and not ") * 15 + "b:c" + ")" * 15,
        ("(" + "b:c or " * 40) * 15 + "b:c" + ")" * 15,
        ("(" + "b:c or " * 14 + "not ") * 15 + "b:c" + ")" * 15,
        ("(" + "b:c and " * 30 + "not ") * 15 + "b:c" + ")" * 15,
        ("(" + "a and " * 30 + "not ") * 15 + "b:c" + ")" * 15,
        ("(" + "a and " * 30 + "not ") * 15 + "b" + ")" * 15,
        ("(" + "b:c or " * 20 + "b:c and ") * 15 + "b:c" + ")" * 15,
        "(" * 15 + '"a b" or x' + ")" * 15,
        "a " * 2_500,
        '"' + "a " * 2_490 + '"',
        "x: " + "*a" * 2_400,
        "*a" * 2_400,
        "message: " + "a* " * 1_600,
        "x" * 5_000,
        ".".join("x" * 2_400) + ": 1",
        "x > " + "9" * 4_900,
        "duration > " + "9" * 4_900,
        "duration > " + "9" * 18 + "w",
        "severity_number >= " + "9" * 30,
        "@timestamp > now-999999999w",
        "@timestamp < now+999999999w",
        "@timestamp: 9999-12-31",
        "@timestamp: 0001",
        "@timestamp > 999999999999999",
    ],
    ids=lambda text: f"{text[:24]}...",
)
@pytest.mark.parametrize("signal", ["logs", "spans"])
@pytest.mark.timeout(10)
def test_the_largest_query_is_answered(database: Database, text: str, signal: Signal) -> None:
    query = parse(text)
    assert query is not None
    known = set(database.ids[signal])
    for found in database.ways(query, signal):
        assert set(found) <= known


@pytest.mark.parametrize("pattern", ["a*" * 500 + "b", "*a" * 500 + "*b*"])
def test_a_pattern_of_many_stars_takes_no_more_than_a_moment(pattern: str) -> None:
    text = "a" * 100_000
    database = Database(Batch(logs=[LogRecord(1, text, {"x": text}, {}, Scope())]))
    start = time.thread_time()
    for field in ("x", "message"):
        assert database.find(Match(field, pattern), "logs") == []
    assert database.find(Word(pattern), "logs") == []
    assert time.thread_time() - start < 5


# --- words --------------------------------------------------------------------------------------


def indexed(texts: list[str]) -> list[list[str]]:
    """The words that the full-text index takes from each text."""
    connection = sqlite3.connect(":memory:")
    connection.execute(f'CREATE VIRTUAL TABLE t USING fts5 (words, tokenize="{TOKENIZE}")')
    connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, instance)")
    connection.executemany(
        "INSERT INTO t (rowid, words) VALUES (?, ?)", list(enumerate(texts, start=1))
    )
    found: list[list[str]] = [[] for _ in texts]
    for term, row in connection.execute('SELECT term, doc FROM v ORDER BY doc, "offset"'):
        found[row - 1].append(term)
    return found


def test_words_are_split_as_the_tables_index_splits_them() -> None:
    assert tables.TABLES.count(f'tokenize="{TOKENIZE}"') == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_words_are_those_of_the_index(texts: list[str]) -> None:
    assert [tokens(text) for text in texts] == indexed(texts)


def test_every_character_is_taken_as_the_index_takes_it() -> None:
    # Between letters, after a blank and at the end: all that a character's place may change.
    step = 16
    blocks = range(0, 0x30000, step)
    texts = [
        " ".join(f"a{chr(c)}B {chr(c)}" for c in range(b, b + step) if not 0xD800 <= c < 0xE000)
        for b in blocks
    ]
    for block, mine, theirs in zip(blocks, map(tokens, texts), indexed(texts), strict=True):
        assert mine == theirs, hex(block)


@settings(max_examples=200)
@given(st.text(max_size=20))
def test_a_pattern_without_a_star_is_a_row_of_words(text: str) -> None:
    assert token_patterns([text]) == [[word] for word in tokens(text)]


# --- what the index is asked --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "match", "where"),
    [
        ("refused", '"refused"', "1"),
        ("ref*", '"ref" *', "1"),
        ("refused bank", '("refused" OR "bank")', "1"),
        ("refused and bank", '("refused" AND "bank")', "1"),
        ("refused and not bank", '("refused" NOT "bank")', "1"),
        ("attributes.user: alice", '"alice"', None),
        ("attributes.code: 500", '("500" OR ("500" AND "0"))', None),
        ("message: pay*", '"pay" *', None),
        ("not refused", None, None),
        ("*", None, "1"),
        ("user: alice", None, None),
    ],
)
def test_the_index_proposes_where_it_can(text: str, match: str | None, where: str | None) -> None:
    query = parse(text)
    assert query is not None
    compiled = compile_query(query, "logs")
    assert compiled.match == match
    assert (compiled.where == "1") == (where == "1")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("refused and pay*", '"refused"'),
        ("refused and not pay*", '"refused"'),
        ('"refused by" and message: pay*', '("refused" AND "by")'),
        ("refused or pay*", None),
        ("(refused and pay*) or bank", '("refused" OR "bank")'),
        ("attributes.user: al*", None),
        ("attributes.user: a-b*", '"a"'),
        ("message: (refused or pay*)", None),
        ("pay*", None),
    ],
)
def test_without_beginnings_the_index_proposes_by_whole_words(text: str, match: str | None) -> None:
    query = parse(text)
    assert query is not None
    assert compile_query(query, "logs", prefixes=False).match == match


# More than are tested one by one.
MANY = 2_400


@pytest.fixture(scope="module")
def many() -> tuple[list[LogRecord], Database]:
    """Records of which many hold one word and few another."""
    words = ("refund", "payment", "pay", "bank")
    records = [
        LogRecord(
            second * 10**9,
            f"{'seldom' if second % 400 == 0 else 'ever'} often {words[second % 4]} {second}",
            {"user": f"user{second % 7}", "code": f"CARD-{second % 11:03d}"},
            {"service.name": "shop"},
            Scope(),
        )
        for second in range(1, MANY + 1)
    ]
    return records, Database(Batch(logs=records))


@pytest.mark.parametrize(
    ("text", "by_rows"),
    [
        ("seldom and re*", True),
        ("seldom and not pay*", True),
        ('"seldom often" and user: user1*', True),
        ("code: CARD-007 and user: user1*", True),
        ("(seldom and pay*) or 1711", True),
        ("seldom and (pay* or user: user3)", True),
        ("often and re*", False),
        ("often and not pay*", False),
        ('"often bank" and user: user*', True),
        ("service.name: shop and message: ban*", False),
        ("seldom or ref*", False),
        ("user: user1*", False),
        ("pay*", False),
    ],
)
def test_beginnings_are_left_to_the_rows_where_whole_words_propose_few(
    many: tuple[list[LogRecord], Database], text: str, by_rows: bool
) -> None:
    records, database = many
    query = parse(text)
    assert query is not None
    found = matching(database.connection, query, "logs", 0, 2**62)
    asked = found.match is not None and has_prefix(found.match)
    assert asked == (not by_rows)
    wanted = expected(records, database.ids["logs"], query)
    assert wanted
    for ids in database.ways(query, "logs"):
        assert ids == wanted


def test_rows_outside_the_range_do_not_count_for_what_words_propose(
    many: tuple[list[LogRecord], Database],
) -> None:
    _, database = many
    query = parse("often and re*")
    assert query is not None
    ids = database.ids["logs"]
    found = matching(database.connection, query, "logs", ids[0], ids[1000])
    assert found.match == '"often"'
    found = matching(database.connection, query, "logs", ids[0], ids[1001])
    assert found.match == '("often" AND "re" *)'


def test_the_newest_rows_that_whole_words_propose_are_tested_first(
    many: tuple[list[LogRecord], Database],
) -> None:
    _, database = many
    query = parse("often and re*")
    assert query is not None
    ids = database.ids["logs"]
    newer, older = newest_first(database.connection, query, "logs", ids[0], ids[-1])
    assert newer.match == '"often"'
    assert older.match == '("often" AND "re" *)'
    assert len(database.matched([newer])) == 1000 // 4
    assert database.matched([newer, older]) == database.find(query, "logs")[:-1]


def test_a_bare_name_is_looked_for_by_index_unless_resources_have_it_too() -> None:
    def match(text: str, names: set[str]) -> str | None:
        query = parse(text)
        assert query is not None
        return compile_query(query, "logs", resource_names=names).match

    assert match("user: alice", {"host.name"}) == '"alice"'
    assert match("user: alice", {"host.name", "user"}) is None
    assert match("host.name: a", {"host.name"}) is None
    assert match("order.id: a", {"order"}) is None


def test_the_names_of_resources_are_those_of_every_resource(database: Database) -> None:
    assert resource_names(database.connection) == {
        "service.name",
        "host.name",
        "team",
        "process.pid",
        "service.version",
        "deployment.environment.name",
    }


@pytest.mark.parametrize(("signal", "index"), [("logs", "logs_trace"), ("spans", "spans_trace")])
def test_a_trace_is_found_by_its_index(database: Database, signal: Signal, index: str) -> None:
    query = parse("trace.id: 4bf92f3577b34da6a3ce929d0e0e4736")
    assert query is not None
    compiled = compile_query(query, signal)
    plan = database.connection.execute(
        f"EXPLAIN QUERY PLAN SELECT r.id FROM {signal} AS r WHERE {compiled.where}",
        compiled.params,
    ).fetchall()
    assert any(index in row[-1] for row in plan)


def test_a_word_that_the_index_keeps_for_itself_is_in_no_record(database: Database) -> None:
    for text in ("_severity_9", "_sev*", "_*"):
        query = parse(text)
        assert query is not None
        assert database.find(query, "logs") == []
        assert len(database.find(Not(query), "logs")) == len(LOGS)
