"""Trees become text that reads back as the same tree; clicks become conditions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.search import QueryError, parse
from otelbridge.search.printer import exclude, only, to_text
from otelbridge.search.query import And, Match, Not
from tests.search.trees import PATTERNS, TEXTS, trees


@settings(max_examples=500)
@given(trees(TEXTS, PATTERNS, TEXTS))
def test_a_tree_reads_back_from_its_text(tree) -> None:
    assert parse(to_text(tree)) == tree


@settings(max_examples=300)
@given(st.text(alphabet='ab:()<>="*{}\\ andorntu01\n', max_size=40))
def test_a_querys_canonical_text_means_the_same(text: str) -> None:
    try:
        query = parse(text)
    except QueryError:
        query = None
    if query is not None:
        assert parse(to_text(query)) == query


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a AND( b or c )", "a and (b or c)"),
        ("f: (a or b)", "f: a or f: b"),
        ("NOT (a and b)", "not (a and b)"),
        ("code>=500", "code >= 500"),
        ("x:*", "x: *"),
        ('m: "say \\"hi\\""', 'm: "say \\"hi\\""'),
        (r"url: http\://x*", r"url: http\://x*"),
        (r"\or", r"\or"),
        ('"my field": v', '"my field": v'),
        ('@timestamp < "2026-11-20T14:00"', '@timestamp < "2026-11-20T14:00"'),
    ],
)
def test_the_canonical_text(text: str, canonical: str) -> None:
    query = parse(text)
    assert query is not None
    assert to_text(query) == canonical


@pytest.mark.parametrize(
    ("text", "field", "value", "wanted", "unwanted"),
    [
        ("", "user", "alice", "user: alice", "not user: alice"),
        ("a", "user", "alice", "a and user: alice", "a and not user: alice"),
        ("a or b", "u", "x", "(a or b) and u: x", "(a or b) and not u: x"),
        (" a AND b ", "u", "x", "a AND b and u: x", "a AND b and not u: x"),
        ("", "m", "two words", 'm: "two words"', 'not m: "two words"'),
        ("", "m", 'a "b" \\ *', r'm: "a \"b\" \\ *"', r'not m: "a \"b\" \\ *"'),
        ("", "m", "not", 'm: "not"', 'not m: "not"'),
        ("", "m", "", 'm: ""', 'not m: ""'),
        ("", "code", 500, "code: 500", "not code: 500"),
        ("", "ratio", 0.5, "ratio: 0.5", "not ratio: 0.5"),
        ("", "ok", True, "ok: true", "not ok: true"),
        ("", "my field", "x", '"my field": x', 'not "my field": x'),
        ("a and u: x", "u", "x", "a and u: x", "a and not u: x"),
        ("not u: x and a", "u", "x", "a and u: x", "not u: x and a"),
        ("u: x", "u", "x", "u: x", "not u: x"),
    ],
)
def test_a_click_adds_a_condition(
    text: str, field: str, value: object, wanted: str, unwanted: str
) -> None:
    assert only(text, field, value) == wanted
    assert exclude(text, field, value) == unwanted


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_click_on_any_value_of_any_field_asks_for_exactly_that(field: str, value: str) -> None:
    asked = parse(only("", field, value))
    assert isinstance(asked, Match)
    assert asked.field == field
    assert asked.value == value
    assert parse(exclude("a", field, value)) == And((parse("a"), Not(asked)))


def test_a_click_while_the_text_is_no_query_is_refused_with_the_place() -> None:
    with pytest.raises(QueryError) as caught:
        only("a and", "user", "alice")
    assert caught.value.position == 5
