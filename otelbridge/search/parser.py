"""Query text to query tree.

The grammar is in ``kql.lark``; here are the values, the escapes in them and what is said of a text
that is not a query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, cast

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from otelbridge.search.pattern import pieces
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word

MAX_CHARACTERS: Final = 5_000
MAX_DEPTH: Final = 15
KEYWORDS: Final = frozenset({"and", "or", "not"})

_ESCAPE: Final = re.compile(r"\\(?:(and|or|not)|u([0-9a-f]{4})|([\s\S]))", re.IGNORECASE)
_QUOTED_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|([trn\\"]))')
_WHITE: Final = {"t": "\t", "r": "\r", "n": "\n"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PARENTHESES: Final = re.compile(r'"(?:[^"\\]|\\[\s\S])*"|\\[\s\S]|[()]')

# What each of the grammar's terminals is called when it is missing, in the order to name them.
_TERMINALS: Final = {
    "UNQUOTED": "a value",
    "_AND": "and",
    "_OR": "or",
    "_NOT": "not",
    "COLON": ":",
    "COMPARE": "< <= > >=",
    "LPAR": "(",
    "RPAR": ")",
    "$END": "the end",
}


class QueryError(ValueError):
    """A text that is not a query.

    Attributes:
        message: one line: what was found and what is allowed there.
        position: index of the character it is about, from 0; the text's length for its end.
    """

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def parse(text: str) -> Query | None:
    """Read a query in the Kibana Query Language; ``None`` for a blank text.

    Args:
        text: at most 5,000 characters, parentheses at most 15 deep.

    Raises:
        QueryError: with a message for the user and the place it is about.
    """
    _check_size(text)
    if not text.strip():
        return None
    try:
        # The builder runs within the parser, so that what comes back is the query itself.
        return cast(Query, _parser().parse(text))
    except UnexpectedCharacters as error:
        raise _unreadable(text, error.pos_in_stream or 0) from None
    except UnexpectedToken as error:
        raise _misplaced(text, error) from None


def unescape_quoted(text: str) -> str:
    """The text that stands between quotes; a backslash before an ordinary character is itself.

    Raises:
        ValueError: a ``\\u`` escape is half of a surrogate pair.
    """

    def replace(escape: re.Match[str]) -> str:
        if escape[1]:
            return chr(int(escape[1], 16))
        return _WHITE.get(escape[2], escape[2])

    return _join_surrogates(_QUOTED_ESCAPE.sub(replace, text))


def unescape_unquoted(text: str) -> str:
    """The pattern that unquoted words stand for.

    Raises:
        ValueError: a ``\\u`` escape is half of a surrogate pair.
    """

    def replace(escape: re.Match[str]) -> str:
        if escape[1]:
            return escape[1]
        character = chr(int(escape[2], 16)) if escape[2] else _WHITE.get(escape[3], escape[3])
        return f"\\{character}" if character in "\\*" else character

    return _join_surrogates(_ESCAPE.sub(replace, text))


def _join_surrogates(text: str) -> str:
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("a \\u escape is half of a surrogate pair, not a character") from None


def _check_size(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"a query of {len(text)} characters; allowed: at most {MAX_CHARACTERS}", MAX_CHARACTERS
        )
    surrogate = _SURROGATE.search(text)
    if surrogate is not None:
        raise QueryError("half of a surrogate pair is not a character", surrogate.start())
    depth = 0
    for found in _PARENTHESES.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth > MAX_DEPTH:
            raise QueryError(
                f"parentheses {depth} deep; allowed: at most {MAX_DEPTH}", found.start()
            )


@dataclass(frozen=True, slots=True)
class _Literal:
    """A value or a field's name: quoted text, or a pattern."""

    text: str
    quoted: bool
    position: int


@v_args(inline=True)
class _Builder(Transformer[Token, Query]):
    """Turns each rule of the grammar, as the parser completes it, into its part of the tree."""

    def start(self, query: Query) -> Query:
        return query

    def any_of(self, *items: Query) -> Query:
        return _join(Or, items)

    def all_of(self, *items: Query) -> Query:
        return _join(And, items)

    def none_of(self, item: Query) -> Query:
        return Not(item)

    any_of_values = any_of
    all_of_values = all_of
    none_of_values = none_of

    def literal(self, token: Token) -> _Literal:
        position = token.start_pos or 0
        try:
            if token.type == "QUOTED":
                return _Literal(unescape_quoted(token[1:-1]), True, position)
            return _Literal(unescape_unquoted(token), False, position)
        except ValueError as error:
            raise QueryError(str(error), position) from None

    def anywhere(self, literal: _Literal) -> Query:
        return Phrase(literal.text) if literal.quoted else Word(literal.text)

    def field_is(self, name: _Literal, values: Query) -> Query:
        if name.text == "*" and not name.quoted:
            return values
        return _in_field(_field_name(name), values)

    def compare(self, name: _Literal, operator: Token, value: _Literal) -> Query:
        field = _field_name(name)
        text = value.text
        if not value.quoted:
            parts = pieces(text)
            if len(parts) > 1:
                raise QueryError(
                    f"found * after {operator}; allowed: a number, a date or a duration",
                    value.position,
                )
            text = parts[0]
        return Compare(field, cast(Literal["<", "<=", ">", ">="], str(operator)), text)


def _join(kind: type[And] | type[Or], items: tuple[Query, ...]) -> Query:
    joined: list[Query] = []
    for item in items:
        if isinstance(item, kind):
            joined.extend(item.items)
        else:
            joined.append(item)
    return kind(tuple(joined))


def _field_name(name: _Literal) -> str:
    if name.quoted:
        return name.text
    parts = pieces(name.text)
    if len(parts) > 1:
        raise QueryError(
            "found * in a field's name; allowed: a whole name, or * alone before a :",
            name.position,
        )
    return parts[0]


def _in_field(field: str, values: Query) -> Query:
    if isinstance(values, Word):
        return Exists(field) if values.text == "*" else Match(field, values.text)
    if isinstance(values, Phrase):
        return Match(field, values.text, quoted=True)
    if isinstance(values, Not):
        return Not(_in_field(field, values.item))
    if isinstance(values, (And, Or)):
        return type(values)(tuple(_in_field(field, item) for item in values.items))
    return values


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("kql.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", transformer=_Builder())


def _unreadable(text: str, position: int) -> QueryError:
    """A character that begins nothing."""
    character = text[position]
    if character == '"':
        message = 'this quote is not closed; allowed: text up to a second "'
    elif character in "{}":
        message = (
            f"found {character}: nested fields are not supported; "
            f"in a value write \\{character} or use quotes"
        )
    else:
        # The pattern of unquoted text takes everything but the specials and a lone backslash.
        message = (
            f"found {_shown(text[position : position + 2])}; "
            'allowed after \\: one of \\ ( ) : < > " * { } or and, or, not; \\\\ is a backslash'
        )
    return QueryError(message, position)


def _misplaced(text: str, error: UnexpectedToken) -> QueryError:
    """A part of the language where another one belongs."""
    token, accepts = error.token, error.accepts or set()
    allowed = [name for terminal, name in _TERMINALS.items() if terminal in accepts]
    expectation = f"allowed: {', '.join(allowed)}"
    if token.type == "$END":
        return QueryError(f"the query ends too early; {expectation}", len(text))
    message = f"found {_shown(token)}; {expectation}"
    if token.type in {"COLON", "COMPARE"} and "_AND" in accepts:
        message += '; a value with : < > in it stands in quotes: "…"'
    elif token.type in {"_AND", "_OR", "_NOT"} and "UNQUOTED" in accepts:
        message += f"; for the word itself write \\{token} or use quotes"
    elif token.type in {"QUOTED", "UNQUOTED", "LPAR"}:
        message += "; join two conditions by and, or"
    return QueryError(message, token.start_pos or 0)


def _shown(text: str) -> str:
    cut = text if len(text) <= 20 else f"{text[:20]}…"
    return cut if cut.isprintable() else ascii(cut)
