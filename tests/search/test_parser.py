"""The language: what a query's text means as a tree, and what is said of a text that is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.search import QueryError, parse
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word

A, B, C = Word("a"), Word("b"), Word("c")


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u00a0"])
def test_a_blank_text_is_no_query(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("refused", Word("refused")),
        ("connection refused", Word("connection refused")),
        ('"connection refused"', Phrase("connection refused")),
        ("*", Word("*")),
        ("user:alice", Match("user", "alice")),
        ("  user :  alice ", Match("user", "alice")),
        ("message: quick brown fox", Match("message", "quick brown fox")),
        ('message: "quick brown"', Match("message", "quick brown", quoted=True)),
        ("http.route: /orders/*", Match("http.route", "/orders/*")),
        ('name: "a*b"', Match("name", "a*b", quoted=True)),
        ("user: *", Exists("user")),
        ("user: (*)", Exists("user")),
        ("*: *", Word("*")),
        ("*: alice", Word("alice")),
        ("code > 5", Compare("code", ">", "5")),
        ("code>=5", Compare("code", ">=", "5")),
        ("code < 5", Compare("code", "<", "5")),
        ("code <= -5.5", Compare("code", "<=", "-5.5")),
        ('@timestamp < "2026-11-20T14:00"', Compare("@timestamp", "<", "2026-11-20T14:00")),
        ("@timestamp >= 2026-11-20", Compare("@timestamp", ">=", "2026-11-20")),
        ("log.level: ERROR", Match("log.level", "ERROR")),
        ("x-request-id: 7", Match("x-request-id", "7")),
        ('"http.route": x', Match("http.route", "x")),
        ("ключ: значение", Match("ключ", "значение")),
        ("attributes.order.id: 12", Match("attributes.order.id", "12")),
    ],
)
def test_a_condition(text: str, query: Query) -> None:
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a and b", And((A, B))),
        ("a AND b Or c", Or((And((A, B)), C))),
        ("a or b and c", Or((A, And((B, C))))),
        ("(a or b) and c", And((Or((A, B)), C))),
        ("not a and b", And((Not(A), B))),
        ("NOT (a and b)", Not(And((A, B)))),
        ("not (not a)", Not(Not(A))),
        ("a and b and c", And((A, B, C))),
        ("a and (b and c)", And((A, B, C))),
        ("(a or b) or c", Or((A, B, C))),
        ("((a))", A),
        ("f: (a or b)", Or((Match("f", "a"), Match("f", "b")))),
        ("f: (a and not b)", And((Match("f", "a"), Not(Match("f", "b"))))),
        ('f: ("a b" or (c))', Or((Match("f", "a b", quoted=True), Match("f", "c")))),
        ("f: not a", None),
        ("f: (a or b) and c", And((Or((Match("f", "a"), Match("f", "b"))), C))),
        ("order android nothing", Word("order android nothing")),
        ("or*", Word("or*")),
        ("a\nand\tb", And((A, B))),
    ],
)
def test_how_conditions_join(text: str, query: Query | None) -> None:
    if query is None:
        with pytest.raises(QueryError, match="found not"):
            parse(text)
    else:
        assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"url: http\://x", "http://x"),
        (r"url: a\(b\)", "a(b)"),
        (r"url: \"a\"", '"a"'),
        (r"url: a\*b", r"a\*b"),
        (r"url: a\\b", r"a\\b"),
        (r"url: \<\>\{\}", "<>{}"),
        (r"url: \and", "and"),
        (r"url: a \or b", "a or b"),
        (r"url: \not", "not"),
        (r"url: a\tb", "a\tb"),
        (r"url: \u0041\u002a", r"A\*"),
        (r"url: \ud83d\ude00", "😀"),
        ("url: a  b", "a  b"),
    ],
)
def test_a_backslash_takes_a_special_characters_meaning_away(text: str, value: str) -> None:
    assert parse(text) == Match("url", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"say \"hi\""', 'say "hi"'),
        (r'"C:\dir\\"', "C:\\dir\\"),
        (r'"a*b (c): {d} and e"', "a*b (c): {d} and e"),
        (r'"one\ntwo"', "one\ntwo"),
        (r'"\u00e9"', "é"),
        ('""', ""),
    ],
)
def test_quotes_take_every_special_characters_meaning_away(text: str, value: str) -> None:
    assert parse(text) == Phrase(value)


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("and", 0, "found and; allowed: a value"),
        ("a and", 5, "ends too early; allowed: a value, not, ("),
        ("a or or b", 5, "found or"),
        ("a not b", 2, "found not; allowed: and, or"),
        ("not not a", 4, "found not"),
        ("user:", 5, "ends too early; allowed: a value, ("),
        ("user: )", 6, "found ); allowed: a value, ("),
        (": a", 0, "found :; allowed: a value"),
        ("()", 1, "found )"),
        ("(a", 2, "ends too early; allowed: )"),
        ("a)", 1, "found )"),
        ("a (b)", 2, "join two conditions by and, or"),
        ('a "b"', 2, "join two conditions by and, or"),
        ("url: http://x", 9, "stands in quotes"),
        ("@timestamp > 2026-11-20T14:00", 26, "stands in quotes"),
        ('message: "abc', 9, "not closed"),
        ("user: { name: x }", 6, "nested fields are not supported"),
        (r"path: C:\dir", 7, "found :"),
        (r"path: \dir", 6, r"found \d; allowed after \: one of"),
        ("a\\", 1, "found \\;"),
        ("err*: x", 0, "found * in a field's name"),
        ("code > 5*", 7, "found * after >"),
        (r"a or \ud83d", 5, "half of a surrogate pair"),
        ("a\ud83d", 1, "half of a surrogate pair"),
        ("(" * 5_000, 15, "parentheses 16 deep; allowed: at most 15"),
        ("(" * 10_000, 5_000, "10000 characters; allowed: at most 5000"),
    ],
)
def test_an_error_says_what_was_found_and_what_is_allowed_and_where(
    text: str, position: int, said: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert said in caught.value.message
    assert caught.value.position == position
    assert len(caught.value.message.splitlines()) == 1


@settings(max_examples=500)
@given(
    st.text(max_size=80)
    | st.text(alphabet='ab:()<>="*{}\\ andorntu01\n', max_size=80)
    | st.text(alphabet=st.characters(codec=None), max_size=20)
)
def test_any_text_is_a_query_or_an_error_of_one_line_at_a_place_in_it(text: str) -> None:
    try:
        parse(text)
    except QueryError as error:
        place, message = error.position, error.message
    else:
        place, message = 0, "a query"
    assert 0 <= place <= len(text)
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5_000,
        "a " * 2_500,
        "a" + " " * 4_990 + "or b",
        "\\" * 5_000,
        '"' + "\\" * 4_999,
        '"' * 5_000,
        "a or " * 999 + "a",
        "f: (" + "a and " * 800 + "a)",
        "*" * 5_000,
        "\\n" * 2_500,
        "not " * 1_250,
        "a:" * 2_500,
    ],
    ids=lambda text: f"{text[:6]!a}...",
)
@pytest.mark.timeout(2)
def test_a_long_query_is_read_in_time_proportional_to_its_length(text: str) -> None:
    try:
        parse(text)
        position = 0
    except QueryError as error:
        position = error.position
    assert 0 <= position <= len(text)
