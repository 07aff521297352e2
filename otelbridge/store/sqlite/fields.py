"""Fields by the names that a query uses, read from rows: what facets and completion show."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from otelbridge import schema
from otelbridge.model import Attributes, Json
from otelbridge.search.fields import Field, built_in_names, resolve
from otelbridge.store.protocol import Signal
from otelbridge.store.sqlite.attribute_sets import AttributeSet, SetReader
from otelbridge.store.sqlite.json_text import dumps, loads
from otelbridge.store.sqlite.kql import resource_names

# How many of the newest records completion looks at.
_LOOKED_AT = 5_000
# A longer value is no use as a choice.
_LONGEST_VALUE = 256

_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")

_SHARED_COLUMNS: Final = ("id", "attributes", "resource", "scope", "origin")
# What a stored document's own field is called in the table.
_COLUMNS: Final[dict[Signal, dict[str, str]]] = {
    "logs": {
        "body.text": "body",
        "severity_text": "severity_text",
        "severity_number": "severity",
        "trace_id": "trace_id",
        "span_id": "span_id",
        "event_name": "event_name",
        schema.RECORD_UID: "uid",
    },
    "spans": {
        "name": "name",
        "kind": "kind",
        "status.code": "status",
        "status.message": "status_message",
        "trace_id": "trace_id",
        "span_id": "span_id",
        "parent_span_id": "parent_span_id",
        "trace_state": "trace_state",
    },
}
_PLACES: Final[dict[Signal, dict[str, int]]] = {
    signal: {name: len(_SHARED_COLUMNS) + place for place, name in enumerate(names)}
    for signal, names in _COLUMNS.items()
}

_Row = tuple[Any, ...]
_Sets = dict[int, AttributeSet]
_Getter = Callable[[_Row, Attributes, _Sets], Json]


def columns(signal: Signal) -> str:
    """What to select of the alias ``r`` to read fields from it."""
    return ", ".join(f"r.{name}" for name in (*_SHARED_COLUMNS, *_COLUMNS[signal].values()))


def count_values(
    connection: sqlite3.Connection,
    sets: SetReader,
    signal: Signal,
    rows: Sequence[_Row],
    names: Sequence[str],
) -> list[Counter[str]]:
    """Count the values of each field over rows (selected by :func:`columns`), as texts."""
    numbers: set[int] = set()
    for row in rows:
        numbers.update(row[2:4])
        if row[4] is not None:
            numbers.add(row[4])
    known = sets.load(connection, numbers)
    getters = [_getter(signal, resolve(name, signal)) for name in names]
    counters: list[Counter[str]] = [Counter() for _ in names]
    for row in rows:
        attributes = {} if row[1] is None else loads(row[1])
        for getter, counter in zip(getters, counters, strict=True):
            value = getter(row, attributes, known)
            if isinstance(value, str):
                counter[value] += 1
            elif isinstance(value, list):
                counter.update({item if isinstance(item, str) else dumps(item) for item in value})
            elif value is not None:
                counter[dumps(value)] += 1
    return counters


def _getter(signal: Signal, field: Field) -> _Getter:
    if field.location == "column":
        return _column(signal, field)
    if field.location == "event_name" or field.location == "body":
        return _nothing
    if field.location == "scope":
        return _of_scope(field.key)
    if field.location == "resource":
        return lambda row, attributes, known: known[row[2]].attributes.get(field.key)
    return _of_attributes(field.keys, resource_too=field.location == "any_attribute")


def _column(signal: Signal, field: Field) -> _Getter:
    places = _PLACES[signal]
    place = places.get(field.key)
    if place is None:
        # Times and durations: every record has another one.
        return _nothing
    if field.kind == "level":
        number = places["severity_number"]
        return lambda row, attributes, known: (
            row[place] or schema.severity_name(row[number]) or None
        )
    if field.kind == "id":
        return lambda row, attributes, known: None if row[place] is None else row[place].hex()
    if field.kind in ("span_kind", "status"):
        names = _KINDS if field.kind == "span_kind" else _STATUSES
        return lambda row, attributes, known: (
            names[row[place]] if 0 <= row[place] < len(names) else str(row[place])
        )
    return lambda row, attributes, known: row[place]


def _of_scope(key: str) -> _Getter:
    if key in ("name", "version"):
        return lambda row, attributes, known: known[row[3]].attributes[key] or None
    own = key.removeprefix("attributes.")
    return lambda row, attributes, known: known[row[3]].attributes.get("attributes", {}).get(own)


def _of_attributes(keys: Sequence[str], *, resource_too: bool) -> _Getter:
    def get(row: _Row, attributes: Attributes, known: _Sets) -> Json:
        for key in keys:
            if key in attributes:
                return attributes[key]
            if row[4] is not None and key in known[row[4]].attributes:
                return known[row[4]].attributes[key]
            if resource_too and key in known[row[2]].attributes:
                return known[row[2]].attributes[key]
        return None

    return get


def _nothing(row: _Row, attributes: Attributes, known: _Sets) -> Json:
    return None


def read_names(connection: sqlite3.Connection, signal: Signal) -> list[str]:
    """The built-in names and those of the attributes seen; see :meth:`Store.field_names`."""
    seen = connection.execute("SELECT name FROM field_names WHERE signal = ?", (signal,))
    return sorted({*built_in_names(signal), *(row[0] for row in seen), *resource_names(connection)})


def read_values(
    connection: sqlite3.Connection,
    sets: SetReader,
    signal: Signal,
    field: str,
    prefix: str,
    limit: int,
) -> list[str]:
    """Values of a field among the newest records; see :meth:`Store.field_values`."""
    rows = connection.execute(
        f"SELECT {columns(signal)} FROM {signal} AS r ORDER BY r.id DESC LIMIT ?", (_LOOKED_AT,)
    ).fetchall()
    (counter,) = count_values(connection, sets, signal, rows, [field])
    lowered = prefix.lower()
    found = [
        (value, count)
        for value, count in counter.items()
        if value.lower().startswith(lowered) and len(value) <= _LONGEST_VALUE
    ]
    found.sort(key=lambda item: (-item[1], item[0]))
    return [value for value, _ in found[:limit]]
