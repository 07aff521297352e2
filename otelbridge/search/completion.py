"""What may come next, while a query is being typed.

The text before the cursor is mostly no query yet, so it is read by its words and not by the
grammar: what matters is whether a field's name, a value or a conjunction stands at the cursor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Final, Literal

from otelbridge.search.parser import KEYWORDS, unescape_quoted, unescape_unquoted
from otelbridge.search.pattern import pieces
from otelbridge.search.printer import quote_if_needed

MAX_COMPLETIONS: Final = 20

_TOKEN: Final = re.compile(
    r'(?P<space>\s+)|(?P<quoted>"(?:[^"\\]|\\[\s\S])*")|(?P<open>"[\s\S]*)'
    r'|(?P<compare>[<>]=?)|(?P<mark>[:(){}])|(?P<word>(?:[^\s\\():<>"{}]|\\[\s\S]?)+)'
)
_REST_OF_WORD: Final = re.compile(r'(?:[^\s\\():<>"{}]|\\[\s\S]?)*')
_REST_OF_QUOTED: Final = re.compile(r'[^\s"]*"?')

_OPERATORS: Final = (
    (": ", ":", "is"),
    (": *", ": *", "has any value"),
    (" > ", ">", "is greater than"),
    (" >= ", ">=", "is greater than or equal to"),
    (" < ", "<", "is less than"),
    (" <= ", "<=", "is less than or equal to"),
)
_CONJUNCTIONS: Final = (("and", "both hold"), ("or", "one of both holds"))


@dataclass(frozen=True, slots=True)
class Completion:
    """One suggestion: ``text`` takes the place of the characters from ``start`` to before ``end``.

    Attributes:
        label: how to show it.
        description: what it means, or an empty text.
    """

    text: str
    start: int
    end: int
    kind: Literal["field", "operator", "value", "conjunction"]
    label: str
    description: str = ""


def complete(
    text: str,
    cursor: int,
    names: Sequence[str],
    values: Callable[[str, str], Sequence[str]],
) -> list[Completion]:
    """Suggest what may stand at the cursor; the text need not be a query.

    Args:
        cursor: index of the character that the cursor stands before.
        names: the fields' names, in the order to suggest them.
        values: gives the values of a field that begin with a text.
    """
    cursor = max(0, min(cursor, len(text)))
    place = _place(text, cursor)
    if place.expects == "operand":
        found = _fields(place, names)
        if place.typed in names:
            found += _operators(place.end, place.end)
        found += _keyword(place, "not", "does not hold")
    elif place.expects == "value":
        found = _values(place, place.field or "", place.typed, values)
        if place.in_list:
            found += _keyword(place, "not", "does not hold")
    else:
        found = _after(place, cursor, names, values)
    return found[:MAX_COMPLETIONS]


@dataclass(slots=True)
class _Place:
    """What is known of the place at the cursor.

    Attributes:
        expects: a condition, a value of ``field``, or what follows either.
        typed: the word at the cursor up to it, unescaped; it stands from ``start`` to ``end``.
        literal: the value or name just before ``typed``, and where it begins and ends.
        lists: for each open parenthesis the field whose values it holds, if it does.
    """

    expects: Literal["operand", "value", "after"] = "operand"
    field: str | None = None
    typed: str = ""
    start: int = 0
    end: int = 0
    literal: str | None = None
    literal_start: int = 0
    literal_end: int = 0
    lists: list[str | None] = made_by(default_factory=list)

    @property
    def in_list(self) -> bool:
        return bool(self.lists) and self.lists[-1] is not None


def _place(text: str, cursor: int) -> _Place:
    place = _Place(start=cursor, end=cursor)
    for token in _TOKEN.finditer(text, 0, cursor):
        kind, found = token.lastgroup, token[0]
        if kind == "open" or (kind == "word" and token.end() == cursor):
            rest = _REST_OF_QUOTED if kind == "open" else _REST_OF_WORD
            extent = rest.match(text, cursor)
            place.start = token.start()
            place.end = extent.end() if extent is not None else cursor
            place.typed = _plain(found[1:], quoted=True) if kind == "open" else _plain(found)
        elif kind == "word" and found.lower() in KEYWORDS:
            _open_operand(place)
        elif kind in {"word", "quoted"}:
            _add_literal(place, text, token)
        elif kind == "compare" or found == ":":
            place.field = place.literal or ""
            place.expects, place.literal = "value", None
        elif found == "(":
            place.lists.append(place.field if place.expects == "value" else None)
            _open_operand(place)
        elif found == ")":
            if place.lists:
                place.lists.pop()
            place.expects, place.literal, place.field = "after", None, None
    return place


def _open_operand(place: _Place) -> None:
    place.field = place.lists[-1] if place.lists else None
    place.expects = "operand" if place.field is None else "value"
    place.literal = None


def _add_literal(place: _Place, text: str, token: re.Match[str]) -> None:
    if place.literal is None:
        place.literal_start = token.start()
    place.literal_end = token.end()
    if token.lastgroup == "quoted":
        place.literal = _plain(token[0][1:-1], quoted=True)
    else:
        place.literal = _plain(text[place.literal_start : place.literal_end])
    place.expects = "after"


def _plain(text: str, *, quoted: bool = False) -> str:
    """The text that something half typed stands for; as it is, where an escape is half typed."""
    try:
        return unescape_quoted(text) if quoted else "*".join(pieces(unescape_unquoted(text)))
    except ValueError:
        return text


def _fields(place: _Place, names: Sequence[str]) -> list[Completion]:
    return [
        Completion(quote_if_needed(name), place.start, place.end, "field", name)
        for name in _ranked(names, place.typed)
        if name != place.typed
    ]


def _ranked(names: Iterable[str], typed: str) -> list[str]:
    """Names that begin with what was typed, then those that have it within."""
    wanted = typed.lower()
    starts: list[str] = []
    holds: list[str] = []
    for name in dict.fromkeys(names):
        at = name.lower().find(wanted)
        if at >= 0:
            (holds if at else starts).append(name)
    return starts + holds


def _operators(start: int, end: int) -> list[Completion]:
    return [
        Completion(text, start, end, "operator", label, description)
        for text, label, description in _OPERATORS
    ]


def _values(
    place: _Place, name: str, prefix: str, values: Callable[[str, str], Sequence[str]]
) -> list[Completion]:
    return [
        Completion(quote_if_needed(value), place.start, place.end, "value", value)
        for value in dict.fromkeys(values(name, prefix))
    ]


def _keyword(place: _Place, keyword: str, description: str) -> list[Completion]:
    if not keyword.startswith(place.typed.lower()):
        return []
    return [Completion(f"{keyword} ", place.start, place.end, "conjunction", keyword, description)]


def _after(
    place: _Place,
    cursor: int,
    names: Sequence[str],
    values: Callable[[str, str], Sequence[str]],
) -> list[Completion]:
    """After a name or a value: an operator, more words of a value, or a conjunction."""
    found: list[Completion] = []
    if place.literal is not None and place.field is None and not place.typed:
        if place.literal in names:
            found += _operators(place.literal_end, cursor)
    elif place.literal is not None and place.field is not None and place.typed:
        # "alice sm": the value goes on, and what is suggested takes the place of all of it.
        longer = _Place(start=place.literal_start, end=place.end)
        found += _values(longer, place.field, f"{place.literal} {place.typed}", values)
    for keyword, description in _CONJUNCTIONS:
        found += _keyword(place, keyword, description)
    if cursor and not place.typed and place.literal_end == cursor:
        # A conjunction does not touch what it follows: after a closing quote it needs a space.
        found = [
            Completion(f" {c.text}", c.start, c.end, c.kind, c.label, c.description)
            if c.kind == "conjunction"
            else c
            for c in found
        ]
    return found
