"""Pieces of SQL with the values of their marks.

Every condition is 1 or 0, never NULL, so that its negation is its opposite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Sql:
    text: str
    params: tuple[Any, ...] = ()


TRUE: Final = Sql("1")
FALSE: Final = Sql("0")


def all_hold(conditions: Sequence[Sql]) -> Sql:
    """All of them; true where there is none."""
    if FALSE in conditions:
        return FALSE
    return _joined("AND", [item for item in conditions if item != TRUE]) or TRUE


def any_holds(conditions: Sequence[Sql]) -> Sql:
    """One of them; false where there is none."""
    if TRUE in conditions:
        return TRUE
    return _joined("OR", [item for item in conditions if item != FALSE]) or FALSE


def negated(condition: Sql) -> Sql:
    if condition in (TRUE, FALSE):
        return FALSE if condition == TRUE else TRUE
    return Sql(f"NOT ({condition.text})", condition.params)


def _joined(operator: str, conditions: Sequence[Sql]) -> Sql | None:
    """Join in halves: a chain is as deep as it is long, and SQLite limits the depth."""
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    middle = len(conditions) // 2
    left, right = _joined(operator, conditions[:middle]), _joined(operator, conditions[middle:])
    assert left is not None
    assert right is not None
    return Sql(f"({left.text} {operator} {right.text})", left.params + right.params)
