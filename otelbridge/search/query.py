"""A query as a tree: what the parser makes and every engine's translator reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: any field holds it as a word. With ``*``, as a pattern of words."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """A quoted text: any field holds its words in this order."""

    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """``field: value``. Text fields (message, exception texts) match by words, others whole.

    Attributes:
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
    """``field >= value``."""

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


Query: TypeAlias = "Word | Phrase | Match | Exists | Compare | Not | And | Or"
