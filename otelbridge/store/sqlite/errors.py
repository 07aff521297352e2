"""Reading groups of errors, from the table that notes which logs are errors."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from otelbridge import schema
from otelbridge.error_groups import place_of
from otelbridge.model import Attributes
from otelbridge.search.query import Query
from otelbridge.store.protocol import ErrorGroup, TimeRange
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.kql import compile_query, resource_names
from otelbridge.store.sqlite.matching import id_range

# Values listed of a group, and characters of a message that a list can show.
_MOST_VALUES: Final = 20
_MOST_CHARS: Final = 1000


@dataclass(slots=True)
class _Found:
    """What is known of a group while rows are added up."""

    steps: int
    count: int = 0
    newest: int = 0
    resources: Counter[int] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    series: list[int] = field(default_factory=list)

    def add(self, resource: int, users: str | None, step: int, count: int, newest: int) -> None:
        self.series = self.series or [0] * self.steps
        self.series[min(step, self.steps - 1)] += count
        self.count += count
        self.newest = max(self.newest, newest)
        self.resources[resource] += count
        for user in users.split("\n") if users else ():
            self.users[user] += count


def read_error_groups(
    connection: sqlite3.Connection,
    sets: SetReader,
    query: Query | None,
    within: TimeRange,
    *,
    fingerprint: str | None,
    limit: int,
    steps: int,
) -> list[ErrorGroup]:
    """Add up errors by group; see :meth:`Store.error_groups`."""
    first, end = id_range(within)
    if end <= first or limit <= 0:
        return []
    steps = max(steps, 1)
    groups: dict[str, _Found] = {}
    for group, *row in _add_up(connection, query, first, end, fingerprint, steps):
        groups.setdefault(group, _Found(steps)).add(*row)
    # Both reads see one state of the file only by chance: a group may have expired in between.
    chosen = sorted(groups.items(), key=lambda item: item[1].newest, reverse=True)[:limit]
    described = (_describe(connection, sets, *item) for item in chosen)
    return [group for group in described if group is not None]


def _add_up(
    connection: sqlite3.Connection,
    query: Query | None,
    first: int,
    end: int,
    fingerprint: str | None,
    steps: int,
) -> Iterable[Any]:
    source, where, params = "errors AS e", "e.id >= ? AND e.id < ?", [first, end]
    more: list[Any] = []
    if fingerprint is not None:
        where += " AND e.fingerprint = ?"
        more.append(fingerprint)
    if query is not None:
        # Errors are few: they are looked at one by one, not what the words of a query find.
        compiled = compile_query(
            query,
            "logs",
            resource_names=resource_names(connection),
            ids=(first, end),
            index_first=False,
        )
        source += " CROSS JOIN logs AS r ON r.id = e.id"
        where += f" AND ({compiled.where})"
        more += compiled.params
    step = -(-(end - first) // steps)
    return connection.execute(
        f"SELECT e.fingerprint, e.resource, e.users, (e.id - ?) / ?, count(*), max(e.id)"
        f" FROM {source} WHERE {where} GROUP BY 1, 2, 3, 4",
        (first, step, *params, *more),
    )


def _describe(
    connection: sqlite3.Connection, sets: SetReader, group: str, found: _Found
) -> ErrorGroup | None:
    newest = connection.execute(
        "SELECT json_extract(attributes, '$.\"exception.type\"'),"
        " substr(json_extract(attributes, '$.\"exception.message\"'), 1, ?),"
        f" substr(json_extract(attributes, '$.\"{schema.TRACEBACK_MINIMAL}\"'), 1, ?),"
        " CASE WHEN body_json IS NULL THEN substr(body, 1, ?) END"
        " FROM logs WHERE id = ?",
        (_MOST_CHARS, _MOST_CHARS, _MOST_CHARS, found.newest),
    ).fetchone()
    if newest is None:
        return None
    kind, message, minimal, body = newest
    known = sets.load(connection, set(found.resources))
    resources = [(known[number].attributes, count) for number, count in found.resources.items()]
    return ErrorGroup(
        fingerprint=group,
        type=str(kind or ""),
        message=str(message or ("" if kind else body) or ""),
        where=place_of(minimal),
        count=found.count,
        first_seen=_time(connection, group, "min"),
        last_seen=_time(connection, group, "max"),
        sample=found.newest,
        services=_counted(resources, "service.name"),
        releases=_counted(resources, "service.version"),
        users=found.users.most_common(_MOST_VALUES),
        user_count=len(found.users),
        series=found.series,
    )


def _time(connection: sqlite3.Connection, group: str, end: str) -> int:
    row = connection.execute(
        f"SELECT time FROM logs WHERE id = (SELECT {end}(id) FROM errors WHERE fingerprint = ?)",
        (group,),
    ).fetchone()
    return 0 if row is None else int(row[0])


def _counted(resources: Iterable[tuple[Attributes, int]], name: str) -> list[tuple[str, int]]:
    counter: Counter[str] = Counter()
    for attributes, count in resources:
        value = attributes.get(name)
        if isinstance(value, str | int | float) and value != "":
            counter[str(value)] += count
    return counter.most_common(_MOST_VALUES)
