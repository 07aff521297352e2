"""Pieces of SQL with the values of their marks.

Every condition is 1 or 0, never NULL, so that its negation is its opposite.

SQLite limits both how deep an expression is and how much of it may be open while it is read.
Hence the forms here: long chains are cut into links, and what is nested deep stands first, where
only its own parenthesis is open before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_LINK: Final = 10
# Up to here conditions keep their order, which is the order in which they are tried.
_SHALLOW: Final = 4


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition; ``depth`` counts the parentheses that joining has put around parts of it."""

    text: str
    params: tuple[Any, ...] = ()
    depth: int = 0


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
    """The opposite."""
    if condition in (TRUE, FALSE):
        return FALSE if condition == TRUE else TRUE
    return Sql(f"(({condition.text}) IS NOT TRUE)", condition.params, condition.depth + 2)


def _joined(operator: str, conditions: Sequence[Sql]) -> Sql | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    if any(item.depth > _SHALLOW for item in conditions):
        conditions = sorted(conditions, key=lambda item: -item.depth)
    while len(conditions) > 1:
        conditions = [
            _link(operator, conditions[start : start + _LINK])
            for start in range(0, len(conditions), _LINK)
        ]
    return conditions[0]


def _link(operator: str, conditions: Sequence[Sql]) -> Sql:
    if len(conditions) == 1:
        return conditions[0]
    return Sql(
        f"({f' {operator} '.join(item.text for item in conditions)})",
        tuple(value for item in conditions for value in item.params),
        max(item.depth for item in conditions) + 1,
    )
