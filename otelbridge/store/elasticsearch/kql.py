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

import time
from collections.abc import Sequence
from typing import Final, Protocol

from otelbridge.elasticsearch.templates import AS_TEXT, AS_WORDS
from otelbridge.search.fields import Field, resolve
from otelbridge.search.pattern import pieces, words
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word
from otelbridge.store.elasticsearch.dsl import (
    EVERYTHING,
    NOTHING,
    Dsl,
    all_of,
    any_of,
    exists,
    like,
    none_of,
    one_of,
)
from otelbridge.store.elasticsearch.kql_columns import in_column
from otelbridge.store.elasticsearch.kql_numbers import (
    HOLDS,
    RANGES,
    number_of,
    number_range,
    passes,
    texts_of,
)
from otelbridge.store.elasticsearch.kql_words import words_in
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
            return words_in(self._mapped.words(*_WORDS_OF_LOGS), parts)
        own = words_in(self._mapped.words(*_WORDS_OF_SPANS), parts)
        of_events = self._look_ups.event_fields().words(*_WORDS_OF_EVENTS)
        return any_of([own, self._with_event(words_in(of_events, parts))])

    # --- fields ---------------------------------------------------------------------------------

    def _in_field(self, query: Match | Exists | Compare, field: Field) -> Dsl:
        if field.location == "column" and field.kind not in {"text", "keyword"}:
            return in_column(query, field, self._now)
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
        return any_of(words_in(searched, parts) for parts in alternatives)

    def _compare(self, query: Compare, mapped: MappedFields, path: str) -> Dsl:
        number = number_of(query.value)
        if number is None:
            if not mapped.is_keyword(path):
                return NOTHING
            return {"range": {path: {RANGES[query.operator]: query.value}}}
        found = []
        if mapped.is_number(path):
            found.append(number_range(path, query.operator, number))
        if mapped.is_keyword(path):
            holds = HOLDS[query.operator]
            values = (text for text in self._look_ups.numbers(path) if passes(text, number, holds))
            found.append(one_of(path, values))
        return any_of(found)


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
