"""From a query's tree to Elasticsearch's query language, over the documents as they are stored.

What a query means is said once, in the tests' reference; the embedded store holds to it exactly.
Here it holds with these exceptions, each of the way Elasticsearch indexes and none of which loses
a record to every query:

- An object and dotted names are one: ``order: *`` also finds a record with the key ``order.id``.
- A key that held a text first is indexed as text in that index: numbers that come later are found
  and compared as numbers, and also where texts are compared.
- A value longer than 8,191 characters is found by its words, not whole; a name beyond the largest
  number of fields is not searched at all.
- An event of a span is a document of its own: a condition on events is first asked of them, and
  refused where it holds for too many.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from otelbridge import schema
from otelbridge.elasticsearch.documents import SPAN_KINDS, STATUS_CODES
from otelbridge.elasticsearch.templates import ANY_CASE, AS_TEXT, AS_WORDS
from otelbridge.search.fields import Field, resolve
from otelbridge.search.literals import read_duration, read_time
from otelbridge.search.pattern import matches, pieces, words
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word
from otelbridge.store.elasticsearch.dsl import (
    EVERYTHING,
    NOTHING,
    Dsl,
    all_of,
    any_of,
    between,
    exists,
    like,
    none_of,
    one_of,
)
from otelbridge.store.elasticsearch.mapped import MappedFields
from otelbridge.store.protocol import Signal

LOGS: Final[Dsl] = exists("observed_timestamp")
"""What tells logs from the events of spans, which lie beside them."""


class LookUps(Protocol):
    """What must be asked of the server before a query can be written."""

    def spans_with_event(self, condition: Dsl) -> list[tuple[str, str]]:
        """Trace and span ids (hexadecimal) of the spans with an event that meets a condition."""

    def event_fields(self) -> MappedFields:
        """The fields of span events."""

    def numbers(self, path: str) -> list[str]:
        """The texts, among the values of a keyword field, that are numbers."""


def compile_query(
    query: Query | None,
    signal: Signal,
    mapped: MappedFields,
    look_ups: LookUps,
    *,
    now: int | None = None,
) -> Dsl:
    """Translate a query; ``None`` is everything.

    Args:
        mapped: the fields of the signal's data stream.
        now: nanoseconds since the epoch, for ``now-15m``.
    """
    if query is None:
        return EVERYTHING
    return _Compiler(signal, mapped, look_ups, time.time_ns() if now is None else now).part(query)


class _Compiler:
    def __init__(self, signal: Signal, mapped: MappedFields, look_ups: LookUps, now: int) -> None:
        self._signal: Signal = signal
        self._mapped = mapped
        self._look_ups = look_ups
        self._now = now

    def part(self, query: Query) -> Dsl:
        if isinstance(query, And):
            return all_of([self.part(item) for item in query.items])
        if isinstance(query, Or):
            return any_of([self.part(item) for item in query.items])
        if isinstance(query, Not):
            return none_of(self.part(query.item))
        if isinstance(query, Word):
            return self._word(query)
        if isinstance(query, Phrase):
            return self._anywhere([query.text])
        return self._in_field(query, resolve(query.field, self._signal))

    # --- words anywhere -------------------------------------------------------------------------

    def _word(self, query: Word) -> Dsl:
        found = []
        for word in words(query.text):
            parts = pieces(word)
            if len(parts) > 1 and not any(parts):
                return EVERYTHING
            found.append(self._anywhere(parts))
        return any_of(found)

    def _anywhere(self, parts: Sequence[str]) -> Dsl:
        if self._signal == "logs":
            return _words_in(self._mapped.words(*_WORDS_OF_LOGS), parts)
        own = _words_in(self._mapped.words(*_WORDS_OF_SPANS), parts)
        of_events = self._look_ups.event_fields().words(*_WORDS_OF_EVENTS)
        return any_of([own, self._with_event(_words_in(of_events, parts))])

    # --- fields ---------------------------------------------------------------------------------

    def _in_field(self, query: Match | Exists | Compare, field: Field) -> Dsl:
        if field.location == "column" and field.kind not in {"text", "keyword"}:
            return self._column(query, field)
        if field.location == "column":
            return self._test(query, field, self._mapped, _columns(field))
        if field.location == "event_name":
            events = self._look_ups.event_fields()
            return self._with_event(self._test(query, field, events, ["event_name"]))
        if field.location == "resource":
            return self._test(query, field, self._mapped, [f"resource.attributes.{field.key}"])
        if field.location == "scope":
            return self._test(query, field, self._mapped, [f"scope.{field.key}"])
        if field.location == "body":
            return self._test(query, field, self._mapped, [f"body.structured.{field.key}"])
        own = [f"attributes.{key}" for key in field.keys]
        found = self._test(query, field, self._mapped, own)
        if field.location == "attribute_or_event":
            events = self._look_ups.event_fields()
            return any_of([found, self._with_event(self._test(query, field, events, own))])
        if field.location == "any_attribute":
            inherited = self._test(query, field, self._mapped, [f"resource.attributes.{field.key}"])
            missing = none_of(_present(self._mapped, own))
            return any_of([found, all_of([inherited, missing])])
        return found

    def _with_event(self, condition: Dsl) -> Dsl:
        """Spans with an event that meets a condition."""
        if condition == NOTHING:
            return NOTHING
        by_trace: dict[str, list[str]] = {}
        for trace_id, span_id in self._look_ups.spans_with_event(condition):
            by_trace.setdefault(trace_id, []).append(span_id)
        return any_of(
            all_of([one_of("trace_id", [trace_id]), one_of("span_id", span_ids)])
            for trace_id, span_ids in by_trace.items()
        )

    def _test(
        self,
        query: Match | Exists | Compare,
        field: Field,
        mapped: MappedFields,
        paths: Sequence[str],
    ) -> Dsl:
        """Test the values at the paths; one that passes is enough."""
        if isinstance(query, Exists):
            return _present(mapped, paths)
        if isinstance(query, Compare):
            if field.kind == "text":
                return NOTHING
            return any_of(self._compare(query, mapped, path) for path in paths)
        if field.kind == "text":
            return self._text(query, mapped, paths)
        parts = [query.value] if query.quoted else pieces(query.value)
        if len(parts) == 1:
            values = texts_of(parts[0])
            return any_of(one_of(path, values) for path in _whole(mapped, paths))
        return any_of(like(path, parts) for path in _whole(mapped, paths))

    def _text(self, query: Match, mapped: MappedFields, paths: Sequence[str]) -> Dsl:
        alternatives = [[query.value]] if query.quoted else [pieces(w) for w in words(query.value)]
        if any(len(parts) > 1 and not any(parts) for parts in alternatives):
            return _present(mapped, paths)
        searched = [found for path in paths for found in _word_fields(mapped, path)]
        return any_of(_words_in(searched, parts) for parts in alternatives)

    def _compare(self, query: Compare, mapped: MappedFields, path: str) -> Dsl:
        number = number_of(query.value)
        if number is None:
            if not mapped.is_keyword(path):
                return NOTHING
            return {"range": {path: {_RANGES[query.operator]: query.value}}}
        found = []
        if mapped.is_number(path):
            found.append(_number_range(path, query.operator, number))
        if mapped.is_keyword(path):
            holds = _HOLDS[query.operator]
            values = (text for text in self._look_ups.numbers(path) if _passes(text, number, holds))
            found.append(one_of(path, values))
        return any_of(found)

    # --- fields of the record itself ------------------------------------------------------------

    def _column(self, query: Match | Exists | Compare, field: Field) -> Dsl:
        if field.kind == "time":
            return self._time(query, field.key)
        if field.kind == "id":
            return _id(query, field.key)
        if field.kind == "level":
            return _level(query)
        if field.kind == "span_kind":
            return _named(query, "kind", SPAN_KINDS, "span_kind_")
        if field.kind == "status":
            return _named(query, "status.code", STATUS_CODES, "status_code_")
        return _numeric(query, field)

    def _time(self, query: Match | Exists | Compare, path: str) -> Dsl:
        # An observed time that was not given is written as 0.
        first = 1 if path == "observed_timestamp" else 0
        if isinstance(query, Exists):
            return between(path, first, _END_OF_TIME) if first else exists(path)
        value = _literal(query)
        span = None if value is None else read_time(value, self._now)
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


_END_OF_TIME: Final = 2**63 - 1

_WORDS_OF_LOGS: Final = (
    "body.text",
    "body.structured.",
    "attributes.",
    "event_name.",
    "scope.name.",
    "resource.attributes.service.name.",
)
_WORDS_OF_SPANS: Final = (
    "name.",
    "status.message",
    "attributes.",
    "resource.attributes.service.name.",
)
_WORDS_OF_EVENTS: Final = ("event_name.", "attributes.")


def _columns(field: Field) -> list[str]:
    if field.key == "body.text":
        return ["body.text", "body.structured"]
    return [field.key]


def _present(mapped: MappedFields, paths: Sequence[str]) -> Dsl:
    """One of the paths has a value: a single one, or an object that is not empty."""
    found = []
    for path in paths:
        for leaf in (path, *mapped.under(path)):
            if mapped.is_known(leaf):
                found.append(exists(leaf))
            # A value that is no number, or too long to be indexed whole, is only here.
            found += [
                exists(f"{leaf}.{part}")
                for part in (AS_TEXT, AS_WORDS)
                if mapped.is_known(f"{leaf}.{part}")
            ]
    return any_of(found)


def _whole(mapped: MappedFields, paths: Sequence[str]) -> list[str]:
    """Where the values of the paths are indexed by their whole text."""
    found = []
    for path in paths:
        if mapped.is_keyword(path):
            found.append(path)
        if mapped.is_known(f"{path}.{AS_TEXT}"):
            found.append(f"{path}.{AS_TEXT}")
    return found


def _word_fields(mapped: MappedFields, path: str) -> list[str]:
    """Where the values of a path are indexed by their words."""
    if path == "body.structured":
        return mapped.words("body.structured.")
    found = [path] if mapped.is_text(path) else []
    if mapped.is_text(f"{path}.{AS_WORDS}"):
        found.append(f"{path}.{AS_WORDS}")
    return found


# --- words ---------------------------------------------------------------------------------------


def _words_in(paths: Sequence[str], parts: Sequence[str]) -> Dsl:
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


# --- numbers -------------------------------------------------------------------------------------

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
_RANGES: Final = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": lambda value, limit: bool(value < limit),
    "<=": lambda value, limit: bool(value <= limit),
    ">": lambda value, limit: bool(value > limit),
    ">=": lambda value, limit: bool(value >= limit),
}


def number_of(text: str) -> int | float | None:
    """The number that a text is, or ``None``."""
    if _NUMBER.fullmatch(text) is None:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def texts_of(value: str) -> list[str]:
    """The texts that a value may have in a document: a number may be written in several ways."""
    number = number_of(value)
    found = [value]
    if number is None or number in {float("inf"), float("-inf")}:
        return found
    if number == int(number):
        found.append(str(int(number)))
    if abs(number) < 2**1000:
        written = repr(float(number))
        # The exporter of the Collector always writes a point, and so do some other libraries.
        mantissa, mark, exponent = written.partition("e")
        found += [written, f"{mantissa}.0{mark}{exponent}" if "." not in mantissa else written]
    return list(dict.fromkeys(found))


def _passes(text: str, limit: float, holds: Callable[[Any, Any], bool]) -> bool:
    number = number_of(text)
    return number is not None and holds(number, limit)


def _number_range(path: str, operator: str, number: float) -> Dsl:
    if abs(number) >= 2**1000:
        # Beyond every number that a field holds.
        return exists(path) if (number > 0) == (operator in {"<", "<="}) else NOTHING
    return {"range": {path: {_RANGES[operator]: float(number)}}}


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
        holds = _HOLDS.get(query.operator) if isinstance(query, Compare) else None
        return one_of(
            path, [n for n in range(1, 128) if (holds(n, number) if holds else n == number)]
        )
    if abs(number) >= 2**63:
        below = isinstance(query, Compare) and query.operator in {"<", "<="}
        return exists(path) if below == (number > 0) and isinstance(query, Compare) else NOTHING
    if isinstance(query, Match):
        return {"range": {path: {"gte": number, "lte": number}}}
    return {"range": {path: {_RANGES[query.operator]: number}}}


def _literal(query: Match | Compare) -> str | None:
    """The value, unless it is a pattern."""
    if isinstance(query, Compare) or query.quoted:
        return query.value
    parts = pieces(query.value)
    return parts[0] if len(parts) == 1 else None


# --- ids, levels, names --------------------------------------------------------------------------

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
