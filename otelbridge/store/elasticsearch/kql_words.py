"""Words in Elasticsearch's query language: one after another, each a word or a pattern."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from otelbridge.store.elasticsearch.dsl import NOTHING, Dsl, any_of, like


def words_in(paths: Sequence[str], parts: Sequence[str]) -> Dsl:
    """The words of a pattern's pieces follow one another in one of the fields."""
    if not paths:
        return NOTHING
    if len(parts) == 1:
        return {"multi_match": {"query": parts[0], "type": "phrase", "fields": list(paths)}}
    sequence = _word_patterns(parts)
    if not sequence:
        return NOTHING
    if len(sequence) == 1:
        return any_of(like(path, sequence[0]) for path in paths)
    rules = [_interval(pattern) for pattern in sequence]
    following = {"all_of": {"ordered": True, "max_gaps": 0, "intervals": rules}}
    return any_of({"intervals": {path: following}} for path in paths)


def _interval(pattern: Sequence[str]) -> Dsl:
    if len(pattern) == 1:
        return {"match": {"query": pattern[0]}}
    found: Dsl = like("", pattern)["wildcard"][""]
    return {"wildcard": {"pattern": found["value"]}}


def _word_patterns(parts: Sequence[str]) -> list[list[str]]:
    """Split a pattern into patterns of one word each: ``pay*-id`` is ``pay*`` and ``id``."""
    found: list[list[str]] = [[""]]
    for number, piece in enumerate(parts):
        if number:
            found[-1].append("")
        for character in piece.lower():
            if (
                character == "_"
                or unicodedata.category(character)[0] in "LN"
                or (unicodedata.category(character) in {"Mn", "Co"})
            ):
                found[-1][-1] += character
            else:
                found.append([""])
    return [pattern for pattern in found if pattern != [""]]
