"""Fields of the record itself in Elasticsearch's query language: times, ids, levels, numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from otelbridge import schema
from otelbridge.elasticsearch.documents import SPAN_KINDS, STATUS_CODES
from otelbridge.elasticsearch.templates import ANY_CASE
from otelbridge.search.fields import Field
from otelbridge.search.literals import read_duration, read_time
from otelbridge.search.pattern import matches, pieces
from otelbridge.search.query import Compare, Exists, Match
from otelbridge.store.elasticsearch.dsl import (
    NOTHING,
    Dsl,
    any_of,
    between,
    exists,
    like,
    none_of,
    one_of,
)
from otelbridge.store.elasticsearch.kql_numbers import HOLDS, RANGES, number_of

_END_OF_TIME: Final = 2**63 - 1


def in_column(query: Match | Exists | Compare, field: Field, now: int) -> Dsl:
    """Test a field of the record itself, of any kind but text and keyword.

    Args:
        now: nanoseconds since the epoch, for ``now-15m``.
    """
    if field.kind == "time":
        return _time(query, field.key, now)
    if field.kind == "id":
        return _id(query, field.key)
    if field.kind == "level":
        return _level(query)
    if field.kind == "span_kind":
        return _named(query, "kind", SPAN_KINDS, "span_kind_")
    if field.kind == "status":
        return _named(query, "status.code", STATUS_CODES, "status_code_")
    return _numeric(query, field)


def _time(query: Match | Exists | Compare, path: str, now: int) -> Dsl:
    # An observed time that was not given is written as 0.
    first = 1 if path == "observed_timestamp" else 0
    if isinstance(query, Exists):
        return between(path, first, _END_OF_TIME) if first else exists(path)
    value = _literal(query)
    span = None if value is None else read_time(value, now)
    if span is None:
        return NOTHING
    start, end = span
    if isinstance(query, Compare):
        start, end = {
            "<": (first, start),
            "<=": (first, end),
            ">": (end, _END_OF_TIME),
            ">=": (start, _END_OF_TIME),
        }[query.operator]
    return between(path, max(start, first), end)


def _numeric(query: Match | Exists | Compare, field: Field) -> Dsl:
    path = field.key
    if isinstance(query, Exists):
        return exists(path)
    value = _literal(query)
    number = (
        None
        if value is None
        else (read_duration(value) if field.kind == "duration" else number_of(value))
    )
    if number is None:
        return NOTHING
    if path == "severity_number":
        holds = HOLDS.get(query.operator) if isinstance(query, Compare) else None
        return one_of(
            path, [n for n in range(1, 128) if (holds(n, number) if holds else n == number)]
        )
    if abs(number) >= 2**63:
        below = isinstance(query, Compare) and query.operator in {"<", "<="}
        return exists(path) if below == (number > 0) and isinstance(query, Compare) else NOTHING
    if isinstance(query, Match):
        return {"range": {path: {"gte": number, "lte": number}}}
    return {"range": {path: {RANGES[query.operator]: number}}}


def _literal(query: Match | Compare) -> str | None:
    """The value, unless it is a pattern."""
    if isinstance(query, Compare) or query.quoted:
        return query.value
    parts = pieces(query.value)
    return parts[0] if len(parts) == 1 else None


_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


def _id(query: Match | Exists | Compare, key: str) -> Dsl:
    path = f"attributes.{key}" if key == schema.RECORD_UID else key
    if isinstance(query, Exists):
        return exists(path)
    if isinstance(query, Compare):
        return NOTHING
    parts = [query.value] if query.quoted else pieces(query.value)
    lowered = [part.lower() for part in parts]
    if len(parts) > 1:
        return (
            any_of([like(path, lowered), like(path, parts)])
            if parts != lowered
            else like(path, parts)
        )
    if key == schema.RECORD_UID:
        # One that is no sixteen bytes in hexadecimal is kept as it was sent.
        return one_of(path, [parts[0], lowered[0]])
    return one_of(path, lowered) if _HEXADECIMAL.fullmatch(parts[0]) else NOTHING


def _level(query: Match | Exists | Compare) -> Dsl:
    """A level by its name in any case; ``warn`` and ``warning`` are one, as are the numbers' names.

    A name stands for its four severity numbers; a text of the sender's own is found as it is.
    """
    if isinstance(query, Exists):
        return any_of([exists("severity_number"), exists("severity_text")])
    if isinstance(query, Compare):
        start = schema.SEVERITY_NUMBERS.get(query.value.strip().upper())
        if start is None:
            return NOTHING
        first, last = {
            "<": (1, start - 1),
            "<=": (1, start + 3),
            ">": (start + 4, 127),
            ">=": (start, 127),
        }[query.operator]
        return {"range": {"severity_number": {"gte": first, "lte": last}}}
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    starts = {
        start for name, start in schema.SEVERITY_NUMBERS.items() if matches(parts, name.lower())
    }
    numbers = [number for start in sorted(starts) for number in range(start, start + 4)]
    same = [name.lower() for name, start in schema.SEVERITY_NUMBERS.items() if start in starts]
    path = f"severity_text.{ANY_CASE}"
    text = like(path, parts) if len(parts) > 1 else one_of(path, parts)
    return any_of([one_of("severity_number", numbers), one_of(path, same), text])


def _named(query: Match | Exists | Compare, path: str, names: Sequence[str], prefix: str) -> Dsl:
    """A number that has a name: found by either, in any case. The first name is that of none."""
    unset = none_of(any_of([one_of(path, names[1:])]))
    if isinstance(query, Exists):
        return none_of(unset)
    if isinstance(query, Compare):
        return NOTHING
    parts = [query.value.lower()] if query.quoted else pieces(query.value.lower())
    parts[0] = parts[0].removeprefix(prefix)
    found = [
        number
        for number, name in enumerate(names)
        if matches(parts, name.lower()) or parts == [str(number)]
    ]
    known = one_of(path, [names[number] for number in found if number])
    return any_of([known, unset]) if 0 in found else known
