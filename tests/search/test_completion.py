"""Help while typing: what is suggested at the cursor, marked by | in these texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.search import QueryError, complete, parse

NAMES = ["log.level", "message", "user", "user.id", "http.route", "my field"]
VALUES = {
    "user": ["alice", "alice smith", "bob", "and"],
    "log.level": ["ERROR", "INFO"],
    "http.route": ["/orders/<id>", "/"],
    "my field": ["x"],
}


def values(field: str, prefix: str) -> list[str]:
    return [value for value in VALUES.get(field, []) if value.startswith(prefix)]


def suggestions(marked: str) -> list[str]:
    """The whole texts that the suggestions at the mark would give."""
    text = marked.replace("|", "")
    found = complete(text, marked.index("|"), NAMES, values)
    return [text[: one.start] + one.text + text[one.end :] for one in found]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("lo|", ["log.level"]),
        ("US|", ["user", "user.id"]),
        ("level|", ["log.level"]),
        ("a and us|", ["a and user", "a and user.id"]),
        ("(us|", ["(user", "(user.id"]),
        ("not us|", ["not user", "not user.id"]),
        ("us|er: bob", ["user: bob", "user.id: bob"]),
        ("my|", ['"my field"']),
        ('"my|', ['"my field"']),
    ],
)
def test_a_half_typed_name_is_completed(typed: str, expected: list[str]) -> None:
    assert suggestions(typed) == expected


@pytest.mark.parametrize("typed", ["|", "a and |", "("[:1] + "|", "not (|", "user: bob or |"])
def test_where_a_condition_may_begin_every_field_is_suggested(typed: str) -> None:
    text = typed.replace("|", "")
    found = complete(text, len(text), NAMES, values)
    assert [one.label for one in found] == [*NAMES, "not"]


@pytest.mark.parametrize("typed", ["message|", "message |"])
def test_after_a_name_its_operators_are_suggested(typed: str) -> None:
    assert suggestions(typed)[:6] == [
        "message: ",
        "message: *",
        "message > ",
        "message >= ",
        "message < ",
        "message <= ",
    ]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("log.level: |", ["log.level: ERROR", "log.level: INFO"]),
        ("log.level:E|", ["log.level:ERROR"]),
        ("log.level: E| and user: bob", ["log.level: ERROR and user: bob"]),
        ("log.level: E|RR", ["log.level: ERROR"]),
        ('log.level: "E|', ["log.level: ERROR"]),
        ('log.level: "E|RR" and a', ["log.level: ERROR and a"]),
        ("http.route: /|", ['http.route: "/orders/<id>"', "http.route: /"]),
        ("user: (bob or ali|", ["user: (bob or alice", 'user: (bob or "alice smith"']),
        ("user: alice s|", ['user: "alice smith"']),
        ("user: an|", ['user: "and"']),
        ('"my field": |', ['"my field": x']),
        ("log.level > |", ["log.level > ERROR", "log.level > INFO"]),
        ("nothing: |", []),
    ],
)
def test_values_are_completed_and_quoted_where_they_need_it(
    typed: str, expected: list[str]
) -> None:
    assert suggestions(typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("user: bob |", ["user: bob and ", "user: bob or "]),
        ("user: bob a|", ["user: bob and "]),
        ("user: bob o|", ["user: bob or "]),
        ('user: "bob"|', ['user: "bob" and ', 'user: "bob" or ']),
        ("(user: bob) |", ["(user: bob) and ", "(user: bob) or "]),
        ("user: (bob |", ["user: (bob and ", "user: (bob or "]),
        ("refused |", ["refused and ", "refused or "]),
        ("a and b a|", ["a and b and "]),
    ],
)
def test_after_a_condition_conjunctions_are_suggested(typed: str, expected: list[str]) -> None:
    assert suggestions(typed) == expected


def test_what_is_suggested_is_said_in_words() -> None:
    operator = complete("user ", 5, NAMES, values)[0]
    assert (operator.kind, operator.label, operator.description) == ("operator", ":", "is")
    assert complete("us", 2, NAMES, values)[0].kind == "field"
    assert complete("user: b", 7, NAMES, values)[0].kind == "value"
    assert complete("user: b ", 8, NAMES, values)[0].kind == "conjunction"


@given(st.text(alphabet='us:()<>="*{}\\ andorntu01', max_size=40), st.integers(-5, 50))
def test_any_text_with_the_cursor_anywhere_gets_suggestions_within_it(
    text: str, cursor: int
) -> None:
    for one in complete(text, cursor, NAMES, values):
        assert 0 <= one.start <= one.end <= len(text)


@given(st.sampled_from(NAMES), st.text(min_size=1, max_size=8))
def test_a_suggested_value_is_read_as_that_value(name: str, value: str) -> None:
    typed = "user: "
    (one,) = (c for c in complete(typed, 6, NAMES, lambda *_: [value]) if c.kind == "value")
    query = parse(typed[: one.start] + one.text)
    assert query == parse(f"user: {one.text}")
    assert getattr(query, "value", None) == value


def test_text_that_is_no_query_is_completed_all_the_same() -> None:
    with pytest.raises(QueryError):
        parse(") and us")
    assert suggestions(") and us|") == [") and user", ") and user.id"]
