"""Numbers in a query: what is one, how one may be written, and how they are compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from otelbridge.store.elasticsearch.dsl import NOTHING, Dsl, exists

_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
RANGES: Final = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
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


def passes(text: str, limit: float, holds: Callable[[Any, Any], bool]) -> bool:
    """Whether a text is a number and compares so with the limit."""
    number = number_of(text)
    return number is not None and holds(number, limit)


def number_range(path: str, operator: str, number: float) -> Dsl:
    """The values of a field of numbers that compare so with one."""
    if abs(number) >= 2**1000:
        # Beyond every number that a field holds.
        return exists(path) if (number > 0) == (operator in {"<", "<="}) else NOTHING
    return {"range": {path: {RANGES[operator]: float(number)}}}
