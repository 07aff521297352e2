"""A query as a tree: what the parser makes and every engine's translator reads.

An unquoted text is a pattern: ``*`` stands for any characters, ``\\*`` for a star and ``\\\\`` for
a backslash. :mod:`otelbridge.search.pattern` reads it. A quoted text stands for itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """Bare words, unquoted: any field holds one of them as a word. ``*`` alone is every record."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A quoted text: any field holds its words in this order."""

    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """``field: value``. Text fields (message, exception texts) match by words, others whole.

    Attributes:
        value: a pattern, or where ``quoted`` the text itself.
        quoted: the value stood in quotes, so ``*`` in it is a star and words keep their order.
    """

    field: str
    value: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """``field: *``: the record has this field."""

    field: str


@dataclass(frozen=True, slots=True)
class Compare:
    """``field >= value``; the value is the text itself, never a pattern."""

    field: str
    operator: Literal["<", "<=", ">", ">="]
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    item: Query


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Query, ...]


Query: TypeAlias = Word | Phrase | Match | Exists | Compare | Not | And | Or
