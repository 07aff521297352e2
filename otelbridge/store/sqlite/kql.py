"""From a query's tree to SQL over the store's tables.

Each condition becomes a :class:`Part`: what the full-text index can say of it, and what the row
must confirm. Together they decide exactly; which rows are read at all is up to the index.

Nothing of a query's text becomes SQL: values are bound parameters, and what goes into a full-text
expression is words, which hold no character of its syntax.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from otelbridge import schema
from otelbridge.search.fields import Field, resolve
from otelbridge.search.pattern import pieces, words
from otelbridge.search.query import And, Compare, Exists, Match, Not, Or, Phrase, Query, Word
from otelbridge.store.protocol import Signal
from otelbridge.store.sqlite import kql_columns, kql_index
from otelbridge.store.sqlite.attribute_sets import SPAN_CONSTANTS
from otelbridge.store.sqlite.kql_functions import register
from otelbridge.store.sqlite.kql_sql import FALSE, TRUE, Sql, all_hold, any_holds, negated
from otelbridge.store.sqlite.kql_tokens import TokenPattern, token_patterns
from otelbridge.store.sqlite.kql_values import write

__all__ = ["Compiled", "compile_query", "register", "resource_names"]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query over the row alias ``r`` of the tables ``logs`` or ``spans``.

    Attributes:
        match: a full-text expression that every matching row satisfies; ``None`` if there is none.
        where: what decides exactly among the rows that satisfy ``match``; ``1`` if nothing is left.
        params: the values for the marks in ``where``.
    """

    match: str | None
    where: str
    params: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One condition.

    Attributes:
        match: what the index says: true for every row that matches.
        rest: what is left to decide among those rows.
        alone: decides without ``match``; used where the index cannot be asked first.
        unless: an index expression that is true for exactly the rows that do *not* match.
    """

    match: str | None
    rest: Sql
    alone: Sql
    unless: str | None = None

    @property
    def exact(self) -> bool:
        """Whether the index alone decides."""
        return self.match is not None and self.rest == TRUE


def compile_query(
    query: Query,
    signal: Signal,
    *,
    resource_names: Collection[str] | None = None,
    ids: tuple[int, int] | None = None,
    now: int | None = None,
    index_first: bool = True,
    prefixes: bool = True,
) -> Compiled:
    """Translate a query.

    Args:
        resource_names: names of attributes that resources have, see :func:`resource_names`. A bare
            name that none of them has is looked for in records only, and by index; ``None`` if
            that is not known.
        ids: the first id and the end of the ids that are asked for, where there is a range.
        now: nanoseconds since the epoch, for ``now-15m``.
        index_first: the index may propose rows; else the condition decides alone.
        prefixes: the index is asked for beginnings of words too; else for whole words only, and
            the row confirms the rest.
    """
    now = time.time_ns() if now is None else now
    compiler = _Compiler(signal, resource_names, ids, now, prefixes)
    part = compiler.part(query)
    if not index_first:
        return Compiled(None, part.alone.text, part.alone.params)
    chosen = part.alone if part.match is None else part.rest
    return Compiled(part.match, chosen.text, chosen.params)


def resource_names(connection: sqlite3.Connection) -> frozenset[str]:
    """The names of all attributes that stored resources have."""
    return frozenset(
        name
        for (name,) in connection.execute(
            "SELECT DISTINCT pair.key FROM attribute_sets, json_each(attributes) AS pair "
            "WHERE kind = 'resource'"
        )
    )


_EVERYTHING: Final = Part(None, TRUE, TRUE)
_NOTHING: Final = Part(None, FALSE, FALSE)


class _Compiler:
    def __init__(
        self,
        signal: Signal,
        names: Collection[str] | None,
        ids: tuple[int, int] | None,
        now: int,
        prefixes: bool,
    ) -> None:
        self._signal: Signal = signal
        self._names = names
        self._ids = ids
        self._now = now
        self._prefixes = prefixes

    def part(self, query: Query) -> Part:
        if isinstance(query, And):
            return self._all_of([self.part(item) for item in query.items])
        if isinstance(query, Or):
            return self._any_of([self.part(item) for item in query.items])
        if isinstance(query, Not):
            return self._none_of(self.part(query.item))
        if isinstance(query, Word):
            return self._word(query)
        if isinstance(query, Phrase):
            return self._anywhere(token_patterns([query.text]))
        return self._in_field(query, resolve(query.field, self._signal))

    # --- joining --------------------------------------------------------------------------------

    def _all_of(self, parts: Sequence[Part]) -> Part:
        if _NOTHING in parts:
            return _NOTHING
        decided = [part for part in parts if part.exact]
        unwanted = [part.unless for part in parts if part.unless is not None]
        others = [part for part in parts if not part.exact and part.unless is None]
        match = kql_index.all_of(part.match for part in parts)
        rest = [part.rest for part in others]
        if match is not None:
            match = kql_index.but_not(match, unwanted)
        else:
            rest += [part.rest for part in parts if part.unless is not None]
        alone = [part.alone for part in parts if not part.exact]
        if decided:
            alone.insert(0, self._indexed(kql_index.all_of(part.match for part in decided)))
        return Part(match, all_hold(rest), all_hold(alone))

    def _any_of(self, parts: Sequence[Part]) -> Part:
        parts = [part for part in parts if part != _NOTHING]
        if not parts:
            return _NOTHING
        if _EVERYTHING in parts:
            return _EVERYTHING
        match = kql_index.any_of(part.match for part in parts)
        decided = [part for part in parts if part.exact]
        alone = [part.alone for part in parts if not part.exact]
        if decided:
            alone.insert(0, self._indexed(kql_index.any_of(part.match for part in decided)))
        rest = TRUE if len(decided) == len(parts) else any_holds(alone)
        return Part(match, rest, any_holds(alone))

    def _none_of(self, part: Part) -> Part:
        if part == _EVERYTHING:
            return _NOTHING
        if part == _NOTHING:
            return _EVERYTHING
        condition = negated(part.alone)
        return Part(None, condition, condition, unless=part.match if part.exact else None)

    def _indexed(self, match: str | None) -> Sql:
        """Rows that the index names, where it is not asked first."""
        if match is None:
            return TRUE
        table = f"{self._signal}_fts"
        select = f"SELECT rowid FROM {table} WHERE {table} MATCH ?"
        if self._ids is None:
            return Sql(f"r.id IN ({select})", (match,))
        return Sql(f"r.id IN ({select} AND rowid >= ? AND rowid < ?)", (match, *self._ids))

    # --- words anywhere -------------------------------------------------------------------------

    def _word(self, query: Word) -> Part:
        found = []
        for word in words(query.text):
            parts = pieces(word)
            if len(parts) > 1 and not any(parts):
                return _EVERYTHING
            found.append(self._anywhere(token_patterns(parts)))
        return self._any_of(found)

    def _anywhere(self, sequence: Sequence[TokenPattern]) -> Part:
        if not sequence:
            return _NOTHING
        match = kql_index.sequence(sequence, prefixes=self._prefixes)
        indexed = self._indexed(match)
        if match is not None and kql_index.is_exact(sequence):
            return Part(match, TRUE, indexed)
        spec = write("words", [list(sequence)])
        if self._signal == "logs":
            confirmed = Sql(
                "kql_log(?, r.body, r.body_json, r.attributes, "
                "(SELECT attributes FROM attribute_sets WHERE id = r.origin), r.event_name, "
                "(SELECT service FROM attribute_sets WHERE id = r.resource), "
                "(SELECT attributes FROM attribute_sets WHERE id = r.scope))",
                (spec,),
            )
        else:
            confirmed = Sql(
                "kql_span(?, r.name, r.attributes, "
                "(SELECT attributes FROM attribute_sets WHERE id = r.origin), "
                "r.events, r.status_message, "
                "(SELECT service FROM attribute_sets WHERE id = r.resource))",
                (spec,),
            )
        return Part(match, confirmed, all_hold([indexed, confirmed]))

    # --- fields ---------------------------------------------------------------------------------

    def _in_field(self, query: Match | Exists | Compare, field: Field) -> Part:
        if field.location == "column" and field.kind not in {"text", "keyword"}:
            condition = kql_columns.condition(query, field, self._now)
            return _NOTHING if condition == FALSE else Part(None, condition, condition)
        test = _test(query, field, self._prefixes)
        if test is None:
            return _NOTHING
        name, value, match = test
        # A scope without a name has an empty one.
        filled = field.location == "scope"
        condition = self._at(field, lambda keys: write(name, value, keys, filled=filled))
        return Part(match if self._is_indexed(field) else None, condition, condition)

    def _is_indexed(self, field: Field) -> bool:
        """Whether the index holds the words of every value that the field may have."""
        if field.location == "any_attribute":
            return self._names is not None and not self._in_resources(field.key)
        if field.location == "resource":
            return field.key == "service.name"
        if field.location == "scope":
            return self._signal == "logs" and field.key == "name"
        return field.key != "trace_state"

    def _in_resources(self, key: str) -> bool:
        names = self._names or ()
        # "order.id" may be the "id" within an object "order".
        return any(key == name or key.startswith(f"{name}.") for name in names)

    def _at(self, field: Field, spec: Callable[[Sequence[str]], str]) -> Sql:
        """Test the values that a field has in a row."""
        if field.location == "column":
            return _column_test(field, spec(()))
        if field.location == "event_name":
            return Sql("coalesce(kql_event_names(?, r.events), 0)", (spec(()),))
        tested = spec(field.keys)
        if field.location in {"resource", "scope"}:
            return Sql(
                f"r.{field.location} IN (SELECT id FROM attribute_sets "
                f"WHERE kind = '{field.location}' AND kql_object(?, attributes))",
                (tested,),
            )
        if field.location == "body":
            return Sql(
                "coalesce(kql_object(?, CASE WHEN r.body_json THEN r.body END), 0)", (tested,)
            )
        places = [_own_attributes(field.keys, tested)]
        if not _ORIGIN[self._signal].isdisjoint(field.keys):
            places.append(
                Sql(
                    "(SELECT kql_object(?, attributes) FROM attribute_sets WHERE id = r.origin)",
                    (tested,),
                )
            )
        if field.location == "any_attribute" and (
            self._names is None or self._in_resources(field.key)
        ):
            places.append(
                Sql(
                    "r.resource IN (SELECT id FROM attribute_sets "
                    "WHERE kind = 'resource' AND kql_object(?, attributes))",
                    (tested,),
                )
            )
        found = _first_of(places)
        if field.location == "attribute_or_event":
            return any_holds([found, Sql("coalesce(kql_events(?, r.events), 0)", (tested,))])
        return found


# What may be in a row's origin instead of its own attributes.
_ORIGIN: Final = {"logs": schema.ORIGIN_ATTRIBUTES, "spans": SPAN_CONSTANTS}

# A test's name, its value, and what the index can say of it.
_Test: TypeAlias = "tuple[str, Any, str | None]"


def _test(query: Match | Exists | Compare, field: Field, prefixes: bool) -> _Test | None:
    """The test of a field's values; ``None`` for one that nothing passes."""
    if isinstance(query, Exists):
        return "exists", None, None
    if isinstance(query, Compare):
        if field.kind == "text":
            return None
        return "compare", [query.operator, query.value], None
    if field.kind == "text":
        return _text_test(query, prefixes)
    parts = [query.value] if query.quoted else pieces(query.value)
    if len(parts) == 1:
        return "equals", parts[0], kql_index.whole(parts)
    return "pattern", parts, kql_index.whole(parts, prefixes=prefixes)


def _text_test(query: Match, prefixes: bool) -> _Test | None:
    alternatives = [[query.value]] if query.quoted else [pieces(w) for w in words(query.value)]
    if any(len(parts) > 1 and not any(parts) for parts in alternatives):
        return "exists", None, None
    sequences = [found for parts in alternatives if (found := token_patterns(parts))]
    if not sequences:
        return None
    match = kql_index.any_of(kql_index.sequence(found, prefixes=prefixes) for found in sequences)
    return "words", sequences, match


_COLUMNS: Final = {
    "event_name": "r.event_name",
    "name": "r.name",
    "status.message": "r.status_message",
    "trace_state": "r.trace_state",
}


def _column_test(field: Field, spec: str) -> Sql:
    if field.key == "body.text":
        return Sql(
            "coalesce(CASE WHEN r.body_json THEN kql_leaves(?, r.body) "
            "ELSE kql_value(?, r.body) END, 0)",
            (spec, spec),
        )
    return Sql(f"coalesce(kql_value(?, {_COLUMNS[field.key]}), 0)", (spec,))


def _own_attributes(keys: Sequence[str], tested: str) -> Sql:
    """The row's own attributes; NULL where they do not have the field."""
    # Most rows that lack a field are told by a glance at the text, without reading the object.
    ends = [key.rpartition(".")[2] for key in keys]
    if any(character < " " or character in '"\\' for end in ends for character in end):
        return Sql("kql_object(?, r.attributes)", (tested,))
    glances = " OR ".join("instr(r.attributes, ?)" for _ in ends)
    return Sql(
        f"CASE WHEN {glances} THEN kql_object(?, r.attributes) END",
        (*(f'{end}"' for end in ends), tested),
    )


def _first_of(places: Sequence[Sql]) -> Sql:
    """What the first place says that has the field at all."""
    text = ", ".join(place.text for place in places)
    return Sql(f"coalesce({text}, 0)", tuple(p for place in places for p in place.params))
