"""The SQL functions that compiled queries call: one test on a value, an object or a whole record.

A test is handed over as JSON text, so that it is one bound parameter; each is read once.
"""

from __future__ import annotations

import operator
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from otelbridge import schema
from otelbridge.search.pattern import matches
from otelbridge.store.sqlite.kql_tokens import contains, tokens

Number: TypeAlias = int | float
Test: TypeAlias = Callable[[Any], bool]

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled queries call."""
    for name, count, function in (
        ("kql_value", 2, _value),
        ("kql_leaves", 2, _all_leaves),
        ("kql_object", 2, _object),
        ("kql_events", 2, _events),
        ("kql_event_names", 2, _event_names),
        ("kql_log", 8, _log),
        ("kql_span", 6, _span),
    ):
        connection.create_function(name, count, function, deterministic=True)


def number_of(text: str) -> Number | None:
    """The number that a text is, or ``None``."""
    if _NUMBER.fullmatch(text) is None:
        return None
    try:
        return int(text)
    except ValueError:
        return float(text)


def text_of(value: Any) -> str | None:
    """A single value as text, as it is searched for; ``None`` for what is no single value."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return None


# --- SQL functions: 1, 0, or NULL where there is nothing to test --------------------------------


def _value(spec: str, value: str | float | None) -> bool | None:
    """A column's value."""
    return None if value is None else _read(spec)[1](value)


def _all_leaves(spec: str, text: str | None) -> bool | None:
    """The values of a body that is no text."""
    if text is None:
        return None
    _, test = _read(spec)
    return any(test(leaf) for leaf in _leaves(orjson.loads(text)))


def _object(spec: str, text: str | None) -> bool | None:
    """The values under a key of an object in JSON; ``None`` where it has no such key."""
    if text is None:
        return None
    keys, test = _read(spec)
    return _any_under(orjson.loads(text), keys, test)


def _events(spec: str, text: str | None) -> bool | None:
    """The attributes of a span's events."""
    if text is None:
        return None
    keys, test = _read(spec)
    return any(_any_under(event[2], keys, test) for event in orjson.loads(text))


def _event_names(spec: str, text: str | None) -> bool | None:
    if text is None:
        return None
    _, test = _read(spec)
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
    _, test = _read(spec)
    if any(text is not None and test(text) for text in (event_name, service)):
        return True
    values: list[Any] = [orjson.loads(body) if body is not None and body_json else body]
    if scope is not None:
        values.append(orjson.loads(scope)["name"])
    values += (_searched(orjson.loads(text)) for text in (attributes, origin) if text is not None)
    return any(test(leaf) for leaf in _leaves(values))


def _span(
    spec: str,
    name: str,
    attributes: str | None,
    events: str | None,
    status_message: str | None,
    service: str | None,
) -> bool:
    """Any text of a span."""
    _, test = _read(spec)
    if any(text is not None and test(text) for text in (name, status_message, service)):
        return True
    values: list[Any] = [] if attributes is None else [_searched(orjson.loads(attributes))]
    if events is not None:
        values += ([event[1], _searched(event[2])] for event in orjson.loads(events))
    return any(test(leaf) for leaf in _leaves(values))


def _searched(attributes: dict[str, Any]) -> list[Any]:
    return [value for key, value in attributes.items() if key != schema.RECORD_UID]


# --- values within JSON -------------------------------------------------------------------------


def _any_under(found: Any, keys: Sequence[str], test: Test) -> bool | None:
    """Test the values under ``keys``; ``None`` where there is none but null."""
    present = False
    for key in keys:
        for value in _under(found, key):
            if test(value):
                return True
            present = True
    return False if present else None


def _under(found: Any, key: str) -> Iterator[Any]:
    """The values of a key: ``order.id`` is also the ``id`` within an object ``order``."""
    waiting: list[tuple[Any, str]] = [(found, key)]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, path) for item in value)
        elif isinstance(value, dict):
            if path in value:
                yield from _leaves(value[path], into_objects=False)
            at = path.find(".")
            while at >= 0:
                inner = value.get(path[:at])
                if isinstance(inner, (dict, list)):
                    waiting.append((inner, path[at + 1 :]))
                at = path.find(".", at + 1)


def _leaves(value: Any, *, into_objects: bool = True) -> Iterator[Any]:
    """Single values; an object that is not gone into counts as one if anything is in it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if into_objects:
                waiting.extend(value.values())
            elif any(True for _ in _leaves(value)):
                yield value
        elif value is not None:
            yield value


# --- tests --------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _read(spec: str) -> tuple[tuple[str, ...], Test]:
    found = orjson.loads(spec)
    test = _TESTS[found["test"]](found)
    if found.get("filled"):
        return tuple(found["keys"]), lambda value: value != "" and test(value)
    return tuple(found["keys"]), test


def _exists(spec: dict[str, Any]) -> Test:
    return lambda value: True


def _equals(spec: dict[str, Any]) -> Test:
    wanted: str = spec["value"]
    number = number_of(wanted)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return value == wanted
        if number is not None and not isinstance(value, bool) and value == number:
            return True
        return text_of(value) == wanted

    return test


def _pattern(spec: dict[str, Any]) -> Test:
    pieces: list[str] = spec["value"]

    def test(value: Any) -> bool:
        text = text_of(value)
        return text is not None and matches(pieces, text)

    return test


def _any_case(spec: dict[str, Any]) -> Test:
    patterns: list[list[str]] = spec["value"]

    def test(value: Any) -> bool:
        text = str(value).lower()
        return any(matches(pieces, text) for pieces in patterns)

    return test


def _words(spec: dict[str, Any]) -> Test:
    sequences: list[list[list[str]]] = spec["value"]

    def test(value: Any) -> bool:
        text = text_of(value)
        if text is None:
            return False
        words = tokens(text)
        return any(contains(words, sequence) for sequence in sequences)

    return test


def _compare(spec: dict[str, Any]) -> Test:
    wanted: str
    symbol, wanted = spec["value"]
    holds = _OPERATORS[symbol]
    number = number_of(wanted)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            if number is None:
                return holds(value, wanted)
            value = number_of(value)
        if number is None or value is None or isinstance(value, (bool, dict)):
            return False
        return holds(value, number)

    return test


_TESTS: Final[dict[str, Callable[[dict[str, Any]], Test]]] = {
    "exists": _exists,
    "equals": _equals,
    "pattern": _pattern,
    "any_case": _any_case,
    "words": _words,
    "compare": _compare,
}
