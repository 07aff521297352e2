"""How many errors a project had in a range: the numbers of lists that a reader can open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from otelbridge.error_groups import ERROR_RECORDS
from otelbridge.projects.process import ProjectKey
from otelbridge.search import to_text
from otelbridge.search.query import And, Match, Query
from otelbridge.store.protocol import Store, TimeRange

_MOST_SERVICES: Final = 10_000


def errors_of(key: ProjectKey) -> str:
    """Write the query that finds a project's errors, as a reader would type it."""
    return f"{query_of(key)} and {to_text(ERROR_RECORDS)}"


def query_of(key: ProjectKey) -> str:
    """Write the query that finds what a project logged."""
    return " and ".join(f"{field}: {_quoted(value)}" for field, value in _fields(key))


def count_errors(
    store: Store, keys: Sequence[ProjectKey], within: TimeRange
) -> dict[ProjectKey, int]:
    """Count the error records of projects in a range; it reads the store and blocks.

    Each number is that of the list which :func:`errors_of` finds in the same range.

    Raises:
        StoreError: the store cannot be read now.
    """
    if not keys:
        return {}
    (facet,) = store.log_facets(ERROR_RECORDS, within, ["service.name"], size=_MOST_SERVICES)
    by_name = dict(facet.values)
    names = Counter(key.name for key in keys)
    counts = {}
    for key in keys:
        # One look answers for every service whose name says all.
        whole = not facet.sampled and names[key.name] == 1 and not (key[1] or key[2])
        if whole or (not facet.sampled and key.name not in by_name):
            counts[key] = by_name.get(key.name, 0)
        else:
            counts[key] = store.count_logs(And((_query(key), ERROR_RECORDS)), within)
    return counts


def _query(key: ProjectKey) -> Query:
    found: list[Query] = [Match(name, value, quoted=True) for name, value in _fields(key)]
    return found[0] if len(found) == 1 else And(tuple(found))


def _fields(key: ProjectKey) -> list[tuple[str, str]]:
    named = [
        ("service.name", key.name),
        ("service.namespace", key.namespace),
        ("service.environment", key.environment),
    ]
    return [(name, value) for name, value in named if value]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
