"""Counts of logs over time: from the roll-ups where nothing is filtered, else from the rows."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from otelbridge import schema
from otelbridge.search.query import Query
from otelbridge.store.protocol import Histogram, HistogramBar, TimeRange
from otelbridge.store.sqlite.kql_index import has_prefix
from otelbridge.store.sqlite.matching import Matching, id_range, matching
from otelbridge.store.sqlite.tables import ROLLUP_WIDTHS
from otelbridge.store.sqlite.words import severity_word

_SECOND = 1_000_000  # of ids

# Steps that a person can read off an axis, in microseconds. From ten seconds on each is a whole
# number of roll-up steps and divides the day or the week.
_STEPS = (
    *(10**power * digit for power in range(6) for digit in (1, 2, 5)),
    *(
        seconds * _SECOND
        for seconds in (
            *(1, 2, 5, 10, 30),
            *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
            *(3600 * hours for hours in (1, 2, 3, 6, 12)),
            *(86400 * days for days in (1, 2, 7, 14, 28)),
        )
    ),
)
_MOST_BARS = 2_000
# Ids that are sorted into bars in little more time than they are counted in, and in little memory.
_FEW = 50_000


def step_for(duration: int, bars: int) -> int:
    """The round step, in microseconds, that cuts a duration into about ``bars`` bars.

    Args:
        duration: in microseconds.
    """
    bars = min(max(bars, 1), _MOST_BARS)
    wanted = duration / bars
    best: int = min(_STEPS, key=lambda step: max(step / wanted, wanted / step) if wanted else step)
    while duration / best > _MOST_BARS:
        best *= 2
    return best


def read_histogram(
    connection: sqlite3.Connection, query: Query | None, within: TimeRange, bars: int
) -> Histogram:
    """Count logs by severity name; see :meth:`Store.log_histogram`."""
    first, end = id_range(within)
    if end <= first:
        return Histogram(step_for(0, bars) * 1000, [], 0)
    step = step_for(end - first, bars)
    if query is None:
        counted = _count_all(connection, first, end, step)
    else:
        found = matching(connection, query, "logs", first, end)
        # Of the beginning of a word the index makes one list anew for every question.
        if found.exact and found.match is not None and not has_prefix(found.match):
            counted = _count_words(connection, found.match, first, end, step)
        else:
            counted = _count_rows(connection, found, step)
    by_bar: defaultdict[int, Counter[str]] = defaultdict(Counter)
    total = 0
    for place, severity, count in counted:
        by_bar[place][schema.severity_name(severity)] += count
        total += count
    return Histogram(
        step * 1000,
        [
            HistogramBar(place * step * 1000, dict(by_bar[place]) if place in by_bar else {})
            for place in range(first // step, -(-end // step))
        ],
        total,
    )


def count_all(connection: sqlite3.Connection, first: int, end: int) -> int:
    """How many logs have an id from ``first`` to before ``end``."""
    return sum(count for _, _, count in _count_all(connection, first, end, None))


def _count_rows(
    connection: sqlite3.Connection, found: Matching, step: int | None
) -> list[tuple[int, int, int]]:
    place = "0" if step is None else f"{found.rowid} / {step}"
    return connection.execute(
        f"SELECT {place}, r.severity, count(*) FROM {found.source} WHERE {found.where}"
        " GROUP BY 1, 2",
        found.params,
    ).fetchall()


def _count_words(
    connection: sqlite3.Connection, match: str, first: int, end: int, step: int
) -> Iterable[tuple[int, int, int]]:
    """Count what the index alone decides, without touching a row.

    The index holds each record's severity as a word. The most frequent severity is what the others
    leave of the whole.
    """
    widest = ROLLUP_WIDTHS[-1]
    severities = connection.execute(
        "SELECT severity FROM log_counts WHERE width = ? AND step > ? AND step < ?"
        " GROUP BY severity ORDER BY sum(count) DESC",
        (widest, first // _SECOND - widest, -(-end // _SECOND)),
    ).fetchall()
    left = _count_bars(connection, match, first, end, step, range(first // step, -(-end // step)))
    for (severity,) in severities[1:]:
        if not left:
            break
        with_severity = f'({match}) AND "{severity_word(severity)}"'
        counts = _count_bars(connection, with_severity, first, end, step, left)
        for place, count in counts.items():
            yield place, severity, count
        left = {
            place: rest for place, count in left.items() if (rest := count - counts.get(place, 0))
        }
    for place, count in left.items():
        yield place, severities[0][0], count


def _count_bars(
    connection: sqlite3.Connection,
    match: str,
    first: int,
    end: int,
    step: int,
    places: Iterable[int],
) -> dict[int, int]:
    """How many logs the index finds in each bar of ``places``, those without one left out.

    Where a question joins words, the index looks for its first answer from the beginning of all
    that is stored, which is long where answers are few: those are found by one question. Many
    are counted bar by bar, since sorting them into bars would take memory.
    """
    counts = dict(
        connection.execute(
            f"SELECT place, count(*) FROM (SELECT rowid / {step} AS place FROM logs_fts"
            " WHERE logs_fts MATCH ? AND rowid >= ? AND rowid < ? LIMIT ?) GROUP BY 1",
            (match, first, end, _FEW + 1),
        ).fetchall()
    )
    if sum(counts.values()) <= _FEW:
        return counts
    counted = (
        (
            place,
            count_match(connection, match, max(first, place * step), min(end, (place + 1) * step)),
        )
        for place in places
    )
    return {place: count for place, count in counted if count}


def count_match(connection: sqlite3.Connection, match: str, first: int, end: int) -> int:
    """How many logs with ids from ``first`` to before ``end`` the index finds."""
    row = connection.execute(
        "SELECT count(*) FROM logs_fts WHERE logs_fts MATCH ? AND rowid >= ? AND rowid < ?",
        (match, first, end),
    ).fetchone()
    return int(row[0])


def _count_all(
    connection: sqlite3.Connection, first: int, end: int, step: int | None
) -> Iterable[tuple[int, int, int]]:
    """Count by bar and severity, of as wide roll-up steps as fit, and of rows at the edges."""
    widths = [width for width in ROLLUP_WIDTHS if step is None or step % (width * _SECOND) == 0]
    return _count_in(connection, first, end, step, widths)


def _count_in(
    connection: sqlite3.Connection, first: int, end: int, step: int | None, widths: Sequence[int]
) -> list[tuple[int, int, int]]:
    if first >= end:
        return []
    if not widths:
        return _count_rows(connection, matching(connection, None, "logs", first, end), step)
    width = widths[-1]
    inner_first = -(-first // (width * _SECOND)) * width
    inner_end = end // (width * _SECOND) * width
    if inner_first >= inner_end:
        return _count_in(connection, first, end, step, widths[:-1])
    place = "0" if step is None else f"step / {step // _SECOND}"
    inner = connection.execute(
        f"SELECT {place}, severity, sum(count) FROM log_counts"
        " WHERE width = ? AND step >= ? AND step < ? GROUP BY 1, 2",
        (width, inner_first, inner_end),
    ).fetchall()
    return [
        *_count_in(connection, first, inner_first * _SECOND, step, widths[:-1]),
        *inner,
        *_count_in(connection, inner_end * _SECOND, end, step, widths[:-1]),
    ]
