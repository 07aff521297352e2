"""Services over a range, from the roll-ups."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from otelbridge.error_groups import FAILED_ENDS
from otelbridge.store.protocol import ServiceSummary, TimeRange
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.matching import id_range, matching
from otelbridge.store.sqlite.rollups import step_duration
from otelbridge.store.sqlite.tables import ROLLUP_SECONDS, ROLLUP_WIDTHS

_SECOND = 1_000_000_000
_ERROR_SEVERITY = 17


@dataclass(slots=True)
class _Service:
    requests: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)
    durations: defaultdict[int, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    logs: int = 0
    error_logs: int = 0
    last_seen: int = 0
    instances: set[str] = field(default_factory=set)


def read_services(
    connection: sqlite3.Connection, sets: SetReader, within: TimeRange, steps: int
) -> list[ServiceSummary]:
    """Sum up every service; see :meth:`Store.services`.

    A range is counted to ten seconds. The steps of the series are at least as wide as the counts
    that are read for them, and begin at a multiple of that, which is why the first one may be
    partly before the range; nothing before the range is counted in it.
    """
    first = within.start // _SECOND // ROLLUP_SECONDS * ROLLUP_SECONDS
    end = -(-within.end // _SECOND)
    if end <= first:
        return []
    wanted = (end - first) // max(steps, 1)
    unit = max((width for width in ROLLUP_WIDTHS if width <= wanted), default=ROLLUP_SECONDS)
    start = first // unit * unit
    step = max(-(-(end - start) // (max(steps, 1) * unit)) * unit, unit)
    ranges = _ranges(first, end, unit)
    found: defaultdict[str, _Service] = defaultdict(_Service)
    for width, range_first, range_end in ranges:
        _add_spans(connection, sets, found, width, (range_first, range_end), (start, step))
        _add_logs(connection, sets, found, width, (range_first, range_end))
    _leave_out_ends(connection, sets, found, TimeRange(first * _SECOND, end * _SECOND))
    count = -(-(end - start) // step)
    return [_summary(name, found[name], count) for name in sorted(found)]


def _ranges(first: int, end: int, unit: int) -> list[tuple[int, int, int]]:
    """Cut a range into one of wide steps and narrow edges: width, first and end of each."""
    inner_first = -(-first // unit) * unit
    inner_end = end // unit * unit
    if unit == ROLLUP_SECONDS or inner_first >= inner_end:
        return [(ROLLUP_SECONDS, first, end)]
    ranges = [
        (ROLLUP_SECONDS, first, inner_first),
        (unit, inner_first, inner_end),
        (ROLLUP_SECONDS, inner_end, end),
    ]
    return [item for item in ranges if item[1] < item[2]]


def _add_spans(
    connection: sqlite3.Connection,
    sets: SetReader,
    found: defaultdict[str, _Service],
    width: int,
    within: tuple[int, int],
    places: tuple[int, int],
) -> None:
    rows = connection.execute(
        "SELECT resource, (step - ?) / ? AS place, error, duration_step, sum(count), max(step)"
        " FROM span_counts WHERE width = ? AND step >= ? AND step < ? GROUP BY 1, 2, 3, 4",
        (*places, width, *within),
    ).fetchall()
    known = sets.load(connection, {row[0] for row in rows})
    lasts: defaultdict[int, set[int]] = defaultdict(set)
    for resource, place, error, duration_step, number, last in rows:
        service = found[known[resource].service or ""]
        service.instances.add(known[resource].instance or "")
        service.requests[place] += number
        if error:
            service.errors[place] += number
        service.durations[place][duration_step] += number
        lasts[last].add(resource)
    for resource, seen in _last_seen(connection, "span_counts", width, lasts):
        service = found[known[resource].service or ""]
        service.last_seen = max(service.last_seen, seen)


def _add_logs(
    connection: sqlite3.Connection,
    sets: SetReader,
    found: defaultdict[str, _Service],
    width: int,
    within: tuple[int, int],
) -> None:
    rows = connection.execute(
        "SELECT resource, sum(count), sum(CASE WHEN severity >= ? THEN count ELSE 0 END), max(step)"
        " FROM log_counts WHERE width = ? AND step >= ? AND step < ? GROUP BY resource",
        (_ERROR_SEVERITY, width, *within),
    ).fetchall()
    known = sets.load(connection, {row[0] for row in rows})
    lasts: defaultdict[int, set[int]] = defaultdict(set)
    for resource, number, errors, last in rows:
        service = found[known[resource].service or ""]
        service.instances.add(known[resource].instance or "")
        service.logs += number
        service.error_logs += errors
        lasts[last].add(resource)
    for resource, seen in _last_seen(connection, "log_counts", width, lasts):
        service = found[known[resource].service or ""]
        service.last_seen = max(service.last_seen, seen)


def _leave_out_ends(
    connection: sqlite3.Connection,
    sets: SetReader,
    found: defaultdict[str, _Service],
    within: TimeRange,
) -> None:
    """Take out of the errors what the roll-ups cannot tell from them; there are few."""
    ends = matching(connection, FAILED_ENDS, "logs", *id_range(within))
    rows = connection.execute(
        f"SELECT r.resource, count(*) FROM {ends.source} WHERE {ends.where} GROUP BY 1", ends.params
    ).fetchall()
    known = sets.load(connection, {row[0] for row in rows})
    for resource, number in rows:
        service = found[known[resource].service or ""]
        # Both reads see one state of the file only by chance.
        service.error_logs = max(service.error_logs - number, 0)


def _last_seen(
    connection: sqlite3.Connection, table: str, width: int, lasts: Mapping[int, Collection[int]]
) -> Iterator[tuple[int, int]]:
    """The last narrow step of each resource, given the last step of ``width`` of each.

    Args:
        lasts: resources by that step.
    """
    for last, resources in lasts.items():
        if width == ROLLUP_SECONDS:
            yield from ((resource, last) for resource in resources)
            continue
        for resource, step in connection.execute(
            f"SELECT resource, max(step) FROM {table} WHERE width = ? AND step >= ? AND step < ?"
            " GROUP BY resource",
            (ROLLUP_SECONDS, last, last + width),
        ):
            if resource in resources:
                yield resource, step


def _summary(name: str, service: _Service, count: int) -> ServiceSummary:
    whole: Counter[int] = Counter()
    for counter in service.durations.values():
        whole.update(counter)
    p50, p95, p99 = _percentiles(whole)
    per_step = [_percentiles(service.durations.get(place, Counter())) for place in range(count)]
    return ServiceSummary(
        name=name,
        requests=sum(service.requests.values()),
        errors=sum(service.errors.values()),
        p50=p50,
        p95=p95,
        p99=p99,
        logs=service.logs,
        error_logs=service.error_logs,
        last_seen=service.last_seen * _SECOND,
        instances=len(service.instances),
        rate_series=[service.requests[place] for place in range(count)],
        error_series=[service.errors[place] for place in range(count)],
        p50_series=[three[0] for three in per_step],
        p95_series=[three[1] for three in per_step],
        p99_series=[three[2] for three in per_step],
    )


def _percentiles(durations: Counter[int]) -> tuple[int | None, int | None, int | None]:
    total = sum(durations.values())
    if not total:
        return None, None, None
    found: list[int] = []
    # The nearest rank: the smallest duration that at least so many percent do not exceed.
    wanted = [-(-total * percent // 100) for percent in (50, 95, 99)]
    passed = 0
    for step in sorted(durations):
        passed += durations[step]
        while len(found) < 3 and passed >= wanted[len(found)]:
            found.append(step_duration(step))
    return found[0], found[1], found[2]
