"""Query tree to query text, and conditions added to a text by a click."""

from __future__ import annotations

import re
from typing import Final

from otelbridge.search.parser import KEYWORDS, parse
from otelbridge.search.pattern import pieces
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word

_PLAIN: Final = re.compile(r'[^\s\\():<>"*{}]+')
_SPECIAL: Final = re.compile(r'[\\():<>"*{}]')
_LINE_WHITE: Final = re.compile(r"[\t\n\r\v\f]")
_WORD: Final = re.compile(r"\S+")
_IN_QUOTES: Final = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "\n": "\\n"}


def to_text(query: Query) -> str:
    """Write a query in its shortest usual form; :func:`parse` reads the same tree from it."""
    if isinstance(query, Word):
        return _unquoted(query.text)
    if isinstance(query, Phrase):
        return _quoted(query.text)
    if isinstance(query, Exists):
        return f"{quote_if_needed(query.field)}: *"
    if isinstance(query, Compare):
        return f"{quote_if_needed(query.field)} {query.operator} {quote_if_needed(query.value)}"
    if isinstance(query, Match):
        value = _quoted(query.value) if query.quoted else _unquoted(query.value)
        return f"{quote_if_needed(query.field)}: {value}"
    if isinstance(query, Not):
        return f"not {_within(query.item, And, Or, Not)}"
    if isinstance(query, And):
        return " and ".join(_within(item, And, Or) for item in query.items)
    return " or ".join(_within(item, Or) for item in query.items)


def quote_if_needed(text: str) -> str:
    """Write a value or a field's name, in quotes unless it is one plain word."""
    return text if _is_plain(text) else _quoted(text)


def only(text: str, field: str, value: str | float | bool) -> str:
    """Add "only this value" to a query's text; what excluded it before is taken out.

    Raises:
        QueryError: the text is not a query.
    """
    clause = _clause(field, value)
    return _with(text, wanted=clause, unwanted=Not(clause))


def exclude(text: str, field: str, value: str | float | bool) -> str:
    """Add "not this value" to a query's text; what asked for it before is taken out.

    Raises:
        QueryError: the text is not a query.
    """
    clause = _clause(field, value)
    return _with(text, wanted=Not(clause), unwanted=clause)


def _with(text: str, *, wanted: Query, unwanted: Query) -> str:
    query = parse(text)
    if query is None:
        return to_text(wanted)
    items = query.items if isinstance(query, And) else (query,)
    if unwanted in items:
        items = tuple(item for item in items if item != unwanted)
        if wanted not in items:
            items = (*items, wanted)
        return to_text(items[0] if len(items) == 1 else And(items))
    if wanted in items:
        return text
    # What the user typed stays as it was typed.
    start = f"({text.strip()})" if isinstance(query, Or) else text.strip()
    return f"{start} and {_within(wanted, And, Or)}"


def _clause(field: str, value: str | float | bool) -> Match:
    if isinstance(value, bool):
        return Match(field, "true" if value else "false")
    text = str(value)
    return Match(field, text, quoted=not _is_plain(text))


def _within(item: Query, *kinds: type[Query]) -> str:
    text = to_text(item)
    return f"({text})" if isinstance(item, kinds) else text


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in KEYWORDS


def _quoted(text: str) -> str:
    return '"' + "".join(_IN_QUOTES.get(character, character) for character in text) + '"'


def _unquoted(pattern: str) -> str:
    escaped = "*".join(
        _SPECIAL.sub(lambda special: f"\\{special[0]}", part) for part in pieces(pattern)
    )
    escaped = _LINE_WHITE.sub(_code, escaped)
    escaped = _WORD.sub(
        lambda word: f"\\{word[0]}" if word[0].lower() in KEYWORDS else word[0], escaped
    )
    # White space at the ends would be lost, were it not written as a code.
    body = escaped.strip()
    start = escaped.index(body)
    ends = escaped[:start], escaped[start + len(body) :]
    before, after = ("".join(map(_code_of, end)) for end in ends)
    return before + body + after


def _code(character: re.Match[str]) -> str:
    return _code_of(character[0])


def _code_of(character: str) -> str:
    return f"\\u{ord(character):04x}"
