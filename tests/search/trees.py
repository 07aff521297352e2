"""Random query trees, in the form that the parser gives them."""

from hypothesis import strategies as st

from otelbridge.search.pattern import pattern_of
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word

TEXTS = st.text(max_size=8) | st.text(alphabet='ab*\\ :()<>"{}\t\n', max_size=8)
PATTERNS = (
    (st.lists(TEXTS, min_size=1, max_size=3) | st.just(["and"]) | st.just(["not or"]))
    .map(pattern_of)
    .filter(bool)
)


def flat(kind: type[And] | type[Or], items: list[Query]) -> Query:
    """Join as the parser does: a conjunction within a conjunction is one."""
    joined: list[Query] = []
    for item in items:
        joined.extend(item.items if isinstance(item, kind) else [item])
    return kind(tuple(joined))


def trees(
    fields: st.SearchStrategy[str], patterns: st.SearchStrategy[str], texts: st.SearchStrategy[str]
) -> st.SearchStrategy[Query]:
    """Trees over the given field names and values."""
    operators = st.sampled_from(["<", "<=", ">", ">="])
    leaves: st.SearchStrategy[Query] = st.one_of(
        patterns.map(Word),
        texts.map(Phrase),
        fields.map(Exists),
        st.builds(Match, fields, patterns.filter(lambda pattern: pattern != "*")),
        st.builds(Match, fields, texts, st.just(True)),
        st.builds(Compare, fields, operators, texts),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(Not),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: flat(And, items)),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: flat(Or, items)),
        ),
        max_leaves=6,
    )
