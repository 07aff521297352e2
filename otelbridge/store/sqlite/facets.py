"""Top values of fields among the logs that match."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from otelbridge.search.query import Query
from otelbridge.store.protocol import Facet, TimeRange
from otelbridge.store.sqlite import fields as field_reader
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.matching import id_range, matching

# Values are counted over this many of the newest matching records.
_SAMPLE = 10_000


def read_facets(
    connection: sqlite3.Connection,
    sets: SetReader,
    query: Query | None,
    within: TimeRange,
    fields: Sequence[str],
    size: int,
) -> list[Facet]:
    """Count the values of ``fields``; see :meth:`Store.log_facets`."""
    if not fields:
        return []
    first, end = id_range(within)
    found = matching(connection, query, "logs", first, end)
    rows = connection.execute(
        f"SELECT {field_reader.columns('logs')} FROM {found.source} WHERE {found.where}"
        f" ORDER BY {found.rowid} DESC LIMIT ?",
        (*found.params, _SAMPLE + 1),
    ).fetchall()
    sampled = _SAMPLE if len(rows) > _SAMPLE else 0
    counters = field_reader.count_values(connection, sets, "logs", rows[:_SAMPLE], fields)
    return [
        Facet(name, _top(counter, size), sampled)
        for name, counter in zip(fields, counters, strict=True)
    ]


def _top(counter: Counter[str], size: int) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:size]
