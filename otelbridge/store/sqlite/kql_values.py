"""Tests on the values of a record, as compiled queries ask for them.

A test is handed over as JSON text, so that it is one bound parameter; each is read once.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from otelbridge.search.pattern import matches
from otelbridge.store.sqlite.kql_tokens import TokenPattern, contains, tokens

Number: TypeAlias = int | float
Test: TypeAlias = Callable[[Any], bool]

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
# A number's text in JSON may differ from its text here.
_NUMERIC: Final = re.compile(r"[0-9e]*")
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a row.

    Attributes:
        keys: names of an attribute, any of which will do.
        test: holds for the values that are asked for.
        parts: in lower case; a text of ASCII that holds none of them passes no test, nor does the
            JSON that it stands in. Empty where nothing can be said.
    """

    keys: tuple[str, ...]
    test: Test
    parts: tuple[str, ...] = ()

    def may_be_in(self, texts: Sequence[str | None]) -> bool:
        """Whether a look at the texts as they are stored leaves it possible."""
        if not self.parts:
            return True
        for text in texts:
            if text is not None and (not text.isascii() or _has_any(text.lower(), self.parts)):
                return True
        return False


@lru_cache(maxsize=4096)
def read(spec: str) -> Asked:
    """Read what :func:`write` wrote."""
    found = orjson.loads(spec)
    value, keys = found["value"], tuple(found["keys"])
    test = _TESTS[found["test"]](value)
    if found["filled"]:
        return Asked(keys, lambda value: value != "" and test(value))
    parts = _parts(value) if found["test"] == "words" else ()
    return Asked(keys, test, () if any(map(_NUMERIC.fullmatch, parts)) else parts)


def write(test: str, value: Any, keys: Sequence[str] = (), *, filled: bool = False) -> str:
    """Write a test as one parameter of an SQL function.

    Args:
        test: ``exists``, ``equals``, ``pattern``, ``any_case``, ``words`` or ``compare``.
        filled: an empty text counts as none.
    """
    return orjson.dumps({"test": test, "value": value, "keys": keys, "filled": filled}).decode()


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


# --- values within JSON -------------------------------------------------------------------------


def any_under(found: Any, asked: Asked) -> bool | None:
    """Test the values under the keys; ``None`` where there is none but null."""
    present = False
    for key in asked.keys:
        for value in _under(found, key):
            if asked.test(value):
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
                yield from leaves(value[path], into_objects=False)
            at = path.find(".")
            while at >= 0:
                inner = value.get(path[:at])
                if isinstance(inner, (dict, list)):
                    waiting.append((inner, path[at + 1 :]))
                at = path.find(".", at + 1)


def leaves(value: Any, *, into_objects: bool = True) -> Iterator[Any]:
    """Single values; an object that is not gone into counts as one if anything is in it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if into_objects:
                waiting.extend(value.values())
            elif any(True for _ in leaves(value)):
                yield value
        elif value is not None:
            yield value


# --- tests --------------------------------------------------------------------------------------


def _exists(_: Any) -> Test:
    return lambda value: True


def _equals(wanted: str) -> Test:
    number = number_of(wanted)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return value == wanted
        if number is not None and not isinstance(value, bool) and value == number:
            return True
        return text_of(value) == wanted

    return test


def _pattern(pieces: list[str]) -> Test:
    def test(value: Any) -> bool:
        text = text_of(value)
        return text is not None and matches(pieces, text)

    return test


def _any_case(patterns: list[list[str]]) -> Test:
    def test(value: Any) -> bool:
        text = str(value).lower()
        return any(matches(pieces, text) for pieces in patterns)

    return test


def _words(sequences: list[list[TokenPattern]]) -> Test:
    parts = _parts(sequences)

    def test(value: Any) -> bool:
        text = text_of(value)
        if text is None or (text.isascii() and not _has_any(text.lower(), parts)):
            return False
        words = tokens(text)
        return any(contains(words, sequence) for sequence in sequences)

    return test


def _compare(value: tuple[str, str]) -> Test:
    symbol, wanted = value
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


def _parts(sequences: Sequence[Sequence[TokenPattern]]) -> tuple[str, ...]:
    """Of each sequence of words the longest part that must stand in a text as it is."""
    found = []
    for sequence in sequences:
        parts = [part for pattern in sequence for part in pattern if part.isascii()]
        found.append(max(parts, key=len, default=""))
    return tuple(dict.fromkeys(found))


def _has_any(text: str, parts: Sequence[str]) -> bool:
    return any(part in text for part in parts)


_TESTS: Final[dict[str, Callable[[Any], Test]]] = {
    "exists": _exists,
    "equals": _equals,
    "pattern": _pattern,
    "any_case": _any_case,
    "words": _words,
    "compare": _compare,
}
