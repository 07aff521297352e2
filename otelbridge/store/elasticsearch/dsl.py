"""Pieces of Elasticsearch's query language, joined without more nesting than there must be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

Dsl: TypeAlias = dict[str, Any]

EVERYTHING: Final[Dsl] = {"match_all": {}}
NOTHING: Final[Dsl] = {"match_none": {}}


def all_of(parts: Iterable[Dsl]) -> Dsl:
    """Every part holds."""
    found = [part for part in parts if part != EVERYTHING]
    if NOTHING in found:
        return NOTHING
    if len(found) < 2:
        return found[0] if found else EVERYTHING
    wanted: list[Dsl] = []
    unwanted: list[Dsl] = []
    for part in found:
        inner = part.get("bool", {})
        if inner and not inner.keys() - {"filter", "must_not"}:
            wanted += inner.get("filter", [])
            unwanted += inner.get("must_not", [])
        else:
            wanted.append(part)
    joined: Dsl = {}
    if wanted:
        joined["filter"] = wanted
    if unwanted:
        joined["must_not"] = unwanted
    return {"bool": joined}


def any_of(parts: Iterable[Dsl]) -> Dsl:
    """At least one part holds."""
    found = [part for part in parts if part != NOTHING]
    if EVERYTHING in found:
        return EVERYTHING
    if len(found) < 2:
        return found[0] if found else NOTHING
    choices: list[Dsl] = []
    for part in found:
        inner = part.get("bool", {})
        choices += inner["should"] if inner.keys() == {"should", _AT_LEAST} else [part]
    return {"bool": {"should": choices, _AT_LEAST: 1}}


_AT_LEAST: Final = "minimum_should_match"


def none_of(part: Dsl) -> Dsl:
    """The part does not hold."""
    if part == EVERYTHING:
        return NOTHING
    if part == NOTHING:
        return EVERYTHING
    inner = part.get("bool", {})
    if inner.keys() == {"must_not"} and len(inner["must_not"]) == 1:
        only: Dsl = inner["must_not"][0]
        return only
    return {"bool": {"must_not": [part]}}


def exists(path: str) -> Dsl:
    """The field has a value."""
    return {"exists": {"field": path}}


def one_of(path: str, values: Iterable[Any]) -> Dsl:
    """The field has one of these values, whole."""
    listed = list(dict.fromkeys(values))
    return {"terms": {path: listed}} if listed else NOTHING


def like(path: str, pieces: Sequence[str]) -> Dsl:
    """The field's whole value fits the pieces with any characters between them."""
    # Stars beside one another mean what one does, and cost the server more.
    kept = [pieces[0], *(piece for piece in pieces[1:-1] if piece), *pieces[1:][-1:]]
    escaped = (re.sub(r"([\\*?])", r"\\\1", piece) for piece in kept)
    return {"wildcard": {path: {"value": "*".join(escaped)}}}


def between(path: str, start: int, end: int) -> Dsl:
    """A time from ``start`` to before ``end``, nanoseconds since the epoch."""
    first, last = max(start, 0), min(end, 2**63 - 1)
    if first >= last:
        return NOTHING
    return {
        "range": {
            path: {"gte": _moment(first), "lt": _moment(last), "format": "epoch_millis"},
        }
    }


def _moment(time: int) -> str:
    return f"{time // 10**6}.{time % 10**6:06d}"
