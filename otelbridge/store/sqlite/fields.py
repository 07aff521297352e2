"""Fields by the names that a query uses, read from rows."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from otelbridge import schema
from otelbridge.store.protocol import Signal
from otelbridge.store.records import Attributes, Json
from otelbridge.store.sqlite.attribute_sets import AttributeSet, SetReader
from otelbridge.store.sqlite.json_text import dumps, loads

# How many of the newest records completion looks at.
_LOOKED_AT = 5_000

_LOG_NAMES: Final = (
    *schema.LINE_TO_DOCUMENT,
    *schema.LINE_TO_RESOURCE,
    *schema.LINE_TO_ATTRIBUTE,
    schema.RECORD_UID,
)
_SPAN_NAMES: Final = (
    "name",
    "kind",
    "status.code",
    "status.message",
    "duration",
    "parent.id",
    schema.TIMESTAMP,
    schema.LOG_LOGGER,
    schema.TRACE_ID,
    schema.SPAN_ID,
    *schema.LINE_TO_RESOURCE,
)
_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES: Final = ("unset", "ok", "error")

# What a value is read from: id, attributes as JSON, and the sets' numbers, then the table's own.
_COLUMNS: Final[dict[Signal, str]] = {
    "logs": "r.id, r.attributes, r.resource, r.scope, r.origin, r.severity, r.severity_text,"
    " r.trace_id, r.span_id, r.event_name, r.uid",
    "spans": "r.id, r.attributes, r.resource, r.scope, NULL, r.name, r.kind, r.status, r.trace_id,"
    " r.span_id, r.parent_span_id",
}
_LOG_COLUMN: Final = {
    "trace.id": 7,
    "trace_id": 7,
    "span.id": 8,
    "span_id": 8,
    "event_name": 9,
    schema.RECORD_UID: 10,
}
_SPAN_COLUMN: Final = {
    "name": 5,
    "span.name": 5,
    "trace.id": 8,
    "trace_id": 8,
    "span.id": 9,
    "span_id": 9,
    "parent.id": 10,
    "parent_span_id": 10,
}

_Row = tuple[Any, ...]
_Sets = dict[int, AttributeSet]
_Getter = Callable[[_Row, Attributes, _Sets], Json]


def columns(signal: Signal) -> str:
    """What to select of the alias ``r`` to read fields from it."""
    return _COLUMNS[signal]


def values_of(
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
    getters = [_getter(signal, name) for name in names]
    counters: list[Counter[str]] = [Counter() for _ in names]
    for row in rows:
        attributes = loads(row[1]) if row[1] is not None else {}
        for getter, counter in zip(getters, counters, strict=True):
            value = getter(row, attributes, known)
            if isinstance(value, list):
                for item in value:
                    counter[_as_text(item)] += 1
            elif value is not None:
                counter[_as_text(value)] += 1
    return counters


def _getter(signal: Signal, name: str) -> _Getter:
    if name in (schema.LOG_LOGGER, "scope.name"):
        return lambda row, attributes, known: known[row[3]].attributes["name"] or None
    if signal == "logs":
        if name in (schema.LOG_LEVEL, "severity_text"):
            return lambda row, attributes, known: (
                (schema.severity_name(row[5]) if row[6] is None else row[6]) or None
            )
        if name in _LOG_COLUMN:
            place = _LOG_COLUMN[name]
            return lambda row, attributes, known: _column(row[place])
    else:
        if name in ("kind", "span.kind"):
            return lambda row, attributes, known: _named(_KINDS, row[6])
        if name == "status.code":
            return lambda row, attributes, known: _named(_STATUSES, row[7])
        if name in _SPAN_COLUMN:
            place = _SPAN_COLUMN[name]
            return lambda row, attributes, known: _column(row[place])
    if name in schema.LINE_TO_RESOURCE:
        return _from_resource(schema.LINE_TO_RESOURCE[name])
    if name.startswith("resource.attributes."):
        return _from_resource(name.removeprefix("resource.attributes."))
    key = schema.LINE_TO_ATTRIBUTE.get(name, name).removeprefix("attributes.")
    anywhere = not name.startswith("attributes.") and name not in schema.LINE_TO_ATTRIBUTE
    return _from_attributes(key, anywhere)


def _from_resource(key: str) -> _Getter:
    return lambda row, attributes, known: known[row[2]].attributes.get(key)


def _from_attributes(key: str, resource_too: bool) -> _Getter:
    def get(row: _Row, attributes: Attributes, known: _Sets) -> Json:
        if key in attributes:
            return attributes[key]
        if row[4] is not None:
            origin = known[row[4]].attributes
            if key in origin:
                return origin[key]
        return known[row[2]].attributes.get(key) if resource_too else None

    return get


def _column(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value or None


def _named(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else dumps(value)


def read_names(connection: sqlite3.Connection, signal: Signal) -> list[str]:
    """The built-in names and those of the attributes seen; see :meth:`Store.field_names`."""
    seen = [
        row[0]
        for row in connection.execute("SELECT name FROM field_names WHERE signal = ?", (signal,))
    ]
    of_resources = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT j.key FROM attribute_sets AS s, json_each(s.attributes) AS j"
            " WHERE s.kind = 'resource'"
        )
    ]
    builtin = _LOG_NAMES if signal == "logs" else _SPAN_NAMES
    return sorted({*builtin, *seen, *of_resources})


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
    (counter,) = values_of(connection, sets, signal, rows, [field])
    lowered = prefix.lower()
    found = [(value, n) for value, n in counter.items() if value.lower().startswith(lowered)]
    found.sort(key=lambda item: (-item[1], item[0]))
    return [value for value, _ in found[:limit]]
