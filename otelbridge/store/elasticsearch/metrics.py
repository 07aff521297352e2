"""Reading metrics, thinned without losing their peaks.

A document does not say all that a point did: whether a histogram counts from the start or since
the last one is seen by its start time, which stands still or moves on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from otelbridge.elasticsearch.reading import read_time
from otelbridge.store.elasticsearch.dsl import all_of, any_of, between, exists
from otelbridge.store.elasticsearch.server import Server, source_of
from otelbridge.store.protocol import MetricSeries, NewestPoint, TimeRange

_PREFIX: Final = "metrics."
_MOST_POINTS: Final = 50_000
# A counter's first point in the range has something to differ from within this time before it.
_BEFORE: Final = 5 * 60 * 10**9

# A point as a chart has it: time, value, largest value.
_Shown = tuple[int, float, float]


@dataclass(slots=True)
class _Series:
    unit: str
    service: str
    instance: str
    attributes: dict[str, Any]
    points: list[tuple[int, int, Any]] = field(default_factory=list)


def read_names(server: Server, within: TimeRange) -> list[tuple[str, str]]:
    """Names and units of the metrics with a point in the range."""
    names = [
        path.removeprefix(_PREFIX)
        for path in server.fields("metrics").leaves()
        if path.startswith(_PREFIX)
    ]
    if not names:
        return []
    answer = server.search(
        "metrics",
        between("@timestamp", within.start, within.end),
        size=0,
        track_total_hits=False,
        aggs={
            "metrics": {
                "filters": {"filters": {name: exists(f"{_PREFIX}{name}") for name in names}},
                "aggs": {"units": {"terms": {"field": "unit", "missing": "", "size": 100}}},
            }
        },
    )
    found = answer.get("aggregations", {"metrics": {"buckets": {}}})["metrics"]["buckets"]
    return sorted(
        (name, unit["key"]) for name, bucket in found.items() for unit in bucket["units"]["buckets"]
    )


def read_metrics(
    server: Server, name: str, within: TimeRange, *, service: str | None, points: int
) -> list[MetricSeries]:
    """The series of a metric; see :meth:`Store.metrics`.

    Gauges and sums that may fall are shown as they are, of a counter the rate per second, and of
    histograms and summaries the mean of what was observed between two points.
    """
    path = f"{_PREFIX}{name}"
    condition = all_of([exists(path), between("@timestamp", within.start - _BEFORE, within.end)])
    found: dict[str, _Series] = {}
    for hit in server.pages(
        "metrics",
        condition,
        most=_MOST_POINTS,
        source=["@timestamp", "start_timestamp", "unit", "attributes", "resource.attributes", path],
    ):
        source = source_of(hit)
        value = (source.get("metrics") or {}).get(name)
        attributes = source.get("attributes") or {}
        resource = (source.get("resource") or {}).get("attributes") or {}
        if value is None or (service is not None and resource.get("service.name", "") != service):
            continue
        key = json.dumps([source.get("unit"), resource, attributes], sort_keys=True)
        series = found.setdefault(
            key,
            _Series(
                source.get("unit") or "",
                str(resource.get("service.name", "")),
                str(resource.get("service.instance.id", "")),
                attributes,
            ),
        )
        series.points.append(
            (
                read_time(source.get("@timestamp")),
                read_time(source.get("start_timestamp")),
                value,
            )
        )
    counts = server.fields("metrics").is_counter(path)
    listed = [
        shown
        for series in found.values()
        if (shown := _shown(name, series, within, points, counts=counts)) is not None
    ]
    listed.sort(key=lambda series: (series.service, series.instance, str(series.attributes)))
    return listed


def read_newest(server: Server, names: Sequence[str], within: TimeRange) -> list[NewestPoint]:
    """The newest point of every series; see :meth:`Store.newest_points`."""
    paths = [f"{_PREFIX}{name}" for name in names]
    known = set(server.fields("metrics").leaves()).intersection(paths)
    if not known:
        return []
    found: dict[str, NewestPoint] = {}
    for hit in server.pages(
        "metrics",
        all_of(
            [
                any_of([exists(path) for path in known]),
                between("@timestamp", within.start, within.end),
            ]
        ),
        most=_MOST_POINTS,
        source=["@timestamp", "attributes", "resource.attributes", *known],
    ):
        source = source_of(hit)
        attributes = source.get("attributes") or {}
        resource = (source.get("resource") or {}).get("attributes") or {}
        time = read_time(source.get("@timestamp"))
        for name, value in (source.get("metrics") or {}).items():
            key = json.dumps([name, resource, attributes], sort_keys=True)
            before = found.get(key)
            if before is None or before.time <= time:
                found[key] = NewestPoint(
                    name=name,
                    service=str(resource.get("service.name", "")),
                    instance=str(resource.get("service.instance.id", "")),
                    attributes=attributes,
                    time=time,
                    value=value,
                )
    return list(found.values())


def _shown(
    name: str, series: _Series, within: TimeRange, points: int, *, counts: bool
) -> MetricSeries | None:
    first = series.points[0][2]
    if isinstance(first, Mapping):
        type = "histogram" if "counts" in first else "summary"
        drawn = _means(series.points)
    elif counts:
        type, drawn = "sum", _rates(series.points)
    else:
        type = "gauge"
        drawn = ((time, float(value), float(value)) for time, _, value in series.points)
    step = max((within.end - within.start) // max(points, 1), 1)
    steps: defaultdict[int, list[_Shown]] = defaultdict(list)
    for point in drawn:
        if within.start <= point[0] < within.end:
            steps[(point[0] - within.start) // step].append(point)
    if not steps:
        return None
    places = sorted(steps)
    return MetricSeries(
        name=name,
        unit=series.unit,
        type=type,
        service=series.service,
        instance=series.instance,
        attributes=series.attributes,
        times=[within.start + place * step for place in places],
        means=[sum(point[1] for point in steps[at]) / len(steps[at]) for at in places],
        maxima=[max(point[2] for point in steps[at]) for at in places],
    )


def _rates(points: Sequence[tuple[int, int, Any]]) -> Iterator[_Shown]:
    for (time_before, _, before), (time, _, value) in pairwise(points):
        if time > time_before:
            # A value that fell means that the counter began again from zero.
            rate = (value - (before if value >= before else 0)) * 1e9 / (time - time_before)
            yield time, rate, rate


def _means(points: Sequence[tuple[int, int, Any]]) -> Iterator[_Shown]:
    previous: tuple[int, float, int] | None = None
    for time, start, value in points:
        count, total = _observed(value)
        new, amount = count, total
        if previous is not None and previous[0] == start and count >= previous[2]:
            new, amount = count - previous[2], total - previous[1]
        previous = (start, total, count)
        if new > 0:
            yield time, amount / new, amount / new


def _observed(value: Any) -> tuple[int, float]:
    """How many observations, and their sum."""
    if not isinstance(value, Mapping):
        return 0, 0.0
    if "counts" in value:
        counts, values = value["counts"], value["values"]
        return sum(counts), sum(n * of for n, of in zip(counts, values, strict=False))
    return int(value.get("value_count") or 0), float(value.get("sum") or 0)
