"""Patterns, in which a star stands for any characters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.search.pattern import matches, pattern_of, pieces

SMALL = st.text(alphabet="ab*\\", max_size=6)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("", [""]),
        ("pay", ["pay"]),
        ("*", ["", ""]),
        ("pay*ent", ["pay", "ent"]),
        (r"a\*b*", ["a*b", ""]),
        (r"a\\*", ["a\\", ""]),
        (r"C:\dir", ["C:\\dir"]),
        ("**", ["", "", ""]),
    ],
)
def test_a_pattern_falls_into_pieces_at_its_stars(pattern: str, parts: list[str]) -> None:
    assert pieces(pattern) == parts


@given(st.lists(SMALL, min_size=1, max_size=4))
def test_pieces_join_to_the_pattern_they_come_from(parts: list[str]) -> None:
    assert pieces(pattern_of(parts)) == parts


@given(st.lists(SMALL, min_size=1, max_size=4), st.text(alphabet="ab*\\", max_size=12))
def test_a_pattern_matches_what_its_regular_expression_matches(parts: list[str], text: str) -> None:
    expression = ".*".join(re.escape(part) for part in parts)
    assert matches(parts, text) == (re.fullmatch(expression, text, re.DOTALL) is not None)


@pytest.mark.timeout(2)
def test_a_pattern_that_ruins_a_backtracking_matcher_takes_no_time() -> None:
    assert not matches(["a"] * 1_000 + ["b"], "a" * 200_000)
