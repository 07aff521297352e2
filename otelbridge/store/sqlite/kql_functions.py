"""The SQL functions that compiled queries call: one test on a value, an object or a whole record.

Each answers 1, 0, or NULL where there is nothing to test.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from otelbridge import schema
from otelbridge.store.sqlite.kql_values import any_under, leaves, read


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled queries call."""
    for name, count, function in (
        ("kql_value", 2, _value),
        ("kql_leaves", 2, _all_leaves),
        ("kql_object", 2, _object),
        ("kql_events", 2, _events),
        ("kql_event_names", 2, _event_names),
        ("kql_log", 8, _log),
        ("kql_span", 7, _span),
    ):
        connection.create_function(name, count, function, deterministic=True)


def _value(spec: str, value: str | float | None) -> bool | None:
    """A column's value."""
    return None if value is None else read(spec).test(value)


def _all_leaves(spec: str, text: str | None) -> bool | None:
    """The values of a body that is no text."""
    if text is None:
        return None
    test = read(spec).test
    return any(test(leaf) for leaf in leaves(orjson.loads(text)))


def _object(spec: str, text: str | None) -> bool | None:
    """The values under a key of an object in JSON; ``None`` where it has no such key."""
    if text is None:
        return None
    asked = read(spec)
    return any_under(orjson.loads(text), asked)


def _events(spec: str, text: str | None) -> bool | None:
    """The attributes of a span's events."""
    if text is None:
        return None
    asked = read(spec)
    return any(any_under(event[2], asked) for event in orjson.loads(text))


def _event_names(spec: str, text: str | None) -> bool | None:
    if text is None:
        return None
    test = read(spec).test
    return any(test(event[1]) for event in orjson.loads(text))


def _log(
    spec: str,
    body: str | None,
    body_json: int | None,
    attributes: str | None,
    origin: str | None,
    event_name: str | None,
    service: str | None,
    scope: str | None,
) -> bool:
    """Any text of a log."""
    asked = read(spec)
    if not asked.may_be_in((body, attributes, event_name, service, scope, origin)):
        return False
    test = asked.test
    if any(text is not None and test(text) for text in (event_name, service)):
        return True
    values: list[Any] = [orjson.loads(body) if body is not None and body_json else body]
    if scope is not None:
        values.append(orjson.loads(scope)["name"])
    values += (_searched(orjson.loads(text)) for text in (attributes, origin) if text is not None)
    return any(test(leaf) for leaf in leaves(values))


def _span(
    spec: str,
    name: str,
    attributes: str | None,
    origin: str | None,
    events: str | None,
    status_message: str | None,
    service: str | None,
) -> bool:
    """Any text of a span."""
    asked = read(spec)
    if not asked.may_be_in((name, attributes, origin, events, status_message, service)):
        return False
    test = asked.test
    if any(text is not None and test(text) for text in (name, status_message, service)):
        return True
    values: list[Any] = [
        _searched(orjson.loads(text)) for text in (attributes, origin) if text is not None
    ]
    if events is not None:
        values += ([event[1], _searched(event[2])] for event in orjson.loads(events))
    return any(test(leaf) for leaf in leaves(values))


def _searched(attributes: dict[str, Any]) -> list[Any]:
    return [value for key, value in attributes.items() if key != schema.RECORD_UID]
