"""Services over a range, from the roll-ups alone."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from otelbridge.store.protocol import ServiceSummary, TimeRange
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.rollups import step_duration
from otelbridge.store.sqlite.tables import ROLLUP_SECONDS

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

    The range is taken in whole roll-up steps: up to ten seconds more at its start, and series of
    steps of ten seconds or more.
    """
    first = within.start // (_SECOND * ROLLUP_SECONDS) * ROLLUP_SECONDS
    end = -(-within.end // _SECOND)
    if end <= first:
        return []
    width = -(-(end - first) // max(steps, 1))
    width = -(-width // ROLLUP_SECONDS) * ROLLUP_SECONDS
    count = -(-(end - first) // width)
    found: defaultdict[str, _Service] = defaultdict(_Service)
    _add_spans(connection, sets, found, first, end, width)
    _add_logs(connection, sets, found, first, end)
    return [_summary(name, found[name], count) for name in sorted(found)]


def _add_spans(
    connection: sqlite3.Connection,
    sets: SetReader,
    found: defaultdict[str, _Service],
    first: int,
    end: int,
    width: int,
) -> None:
    rows = connection.execute(
        "SELECT resource, (step - ?) / ? AS place, error, duration_step, sum(count), max(step)"
        " FROM span_counts WHERE step >= ? AND step < ? GROUP BY 1, 2, 3, 4",
        (first, width, first, end),
    ).fetchall()
    known = sets.load(connection, {row[0] for row in rows})
    for resource, place, error, duration_step, number, last in rows:
        service = found[known[resource].service or ""]
        service.instances.add(known[resource].instance or "")
        service.requests[place] += number
        if error:
            service.errors[place] += number
        service.durations[place][duration_step] += number
        service.last_seen = max(service.last_seen, last)


def _add_logs(
    connection: sqlite3.Connection,
    sets: SetReader,
    found: defaultdict[str, _Service],
    first: int,
    end: int,
) -> None:
    rows = connection.execute(
        "SELECT resource, sum(count), sum(CASE WHEN severity >= ? THEN count ELSE 0 END), max(step)"
        " FROM log_counts WHERE step >= ? AND step < ? GROUP BY resource",
        (_ERROR_SEVERITY, first, end),
    ).fetchall()
    known = sets.load(connection, {row[0] for row in rows})
    for resource, number, errors, last in rows:
        service = found[known[resource].service or ""]
        service.instances.add(known[resource].instance or "")
        service.logs += number
        service.error_logs += errors
        service.last_seen = max(service.last_seen, last)


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
