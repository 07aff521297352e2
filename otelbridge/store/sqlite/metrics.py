"""Reading metrics, thinned without losing their peaks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from otelbridge.store.protocol import MetricSeries, NewestPoint, TimeRange
from otelbridge.store.sqlite.attribute_sets import SetReader
from otelbridge.store.sqlite.json_text import loads

_CUMULATIVE = 2


def read_names(connection: sqlite3.Connection, within: TimeRange) -> list[tuple[str, str]]:
    """Names and units of the metrics with a point in the range."""
    return connection.execute(
        "SELECT DISTINCT s.name, s.unit FROM series AS s WHERE EXISTS (SELECT 1 FROM points AS p"
        " WHERE p.series = s.id AND p.time >= ? AND p.time < ?) ORDER BY s.name, s.unit",
        (within.start, within.end),
    ).fetchall()


def read_metrics(
    connection: sqlite3.Connection,
    sets: SetReader,
    name: str,
    within: TimeRange,
    service: str | None,
    points: int,
) -> list[MetricSeries]:
    """The series of a metric; see :meth:`Store.metrics`.

    Gauges and sums that may fall are shown as they are. Of a cumulative sum that only grows it is
    the rate per second that is shown, of a delta sum its amount, and of histograms and summaries
    the mean of what was observed between two points, with the largest observation where the
    sender says it.
    """
    rows = connection.execute(
        "SELECT id, unit, type, temporality, monotonic, resource, attributes FROM series"
        " WHERE name = ?",
        (name,),
    ).fetchall()
    known = sets.load(connection, {row[5] for row in rows})
    step = max((within.end - within.start) // max(points, 1), 1)
    found = []
    for id, unit, type, temporality, monotonic, resource, attributes in rows:
        of = known[resource]
        if service is not None and (of.service or "") != service:
            continue
        cumulative = temporality == _CUMULATIVE
        asked = {"series": id, "start": within.start, "end": within.end, "step": step}
        first, last = connection.execute(_LIFE, asked).fetchone()
        if first is None:
            continue
        if type in ("histogram", "exponential_histogram", "summary"):
            sql = _OBSERVATIONS_SINCE if cumulative or type == "summary" else _OBSERVATIONS
            thinned = connection.execute(_THINNED.format(sql), asked).fetchall()
        elif type == "sum" and cumulative and monotonic:
            thinned = connection.execute(_THINNED.format(_RATE), asked).fetchall()
        else:
            thinned = [
                (at, *map(float, said.split()))
                for at, said in connection.execute(
                    _THINNED_VALUES,
                    # Each restart leaves a series, which lives for a small part of the range.
                    {**asked, "first": first - (first - within.start) % step, "last": last},
                )
                if said is not None
            ]
        if not thinned:
            continue
        found.append(
            MetricSeries(
                name=name,
                unit=unit,
                type=type,
                service=of.service or "",
                instance=of.instance or "",
                attributes=loads(attributes),
                times=[row[0] for row in thinned],
                means=[row[1] for row in thinned],
                maxima=[row[2] for row in thinned],
            )
        )
    found.sort(key=lambda series: (series.service, series.instance, str(series.attributes)))
    return found


def read_newest(
    connection: sqlite3.Connection, sets: SetReader, names: Sequence[str], within: TimeRange
) -> list[NewestPoint]:
    """The newest point of every series; see :meth:`Store.newest_points`."""
    rows = connection.execute(
        "SELECT s.name, s.resource, s.attributes, p.time, p.value FROM series AS s"
        " JOIN points AS p ON p.series = s.id AND p.time = (SELECT max(time) FROM points"
        " WHERE series = s.id AND time >= ? AND time < ?)"
        f" WHERE s.name IN ({', '.join('?' * len(names))}) AND p.value IS NOT NULL",
        (within.start, within.end, *names),
    ).fetchall()
    known = sets.load(connection, {row[1] for row in rows})
    return [
        NewestPoint(
            name=name,
            service=known[resource].service or "",
            instance=known[resource].instance or "",
            attributes=loads(attributes),
            time=time,
            value=value,
        )
        for name, resource, attributes, time, value in rows
    ]


# When a series begins and ends within a range: two look-ups, since one question for both would read
# all of it.
_LIFE = """
    SELECT (SELECT min(time) FROM points WHERE series = :series AND time >= :start AND time < :end),
        (SELECT max(time) FROM points WHERE series = :series AND time >= :start AND time < :end)
"""
# Values as they are, a look at each step: no point is sorted, so that a week of readings every five
# seconds takes a hundredth of a second. A subquery gives one value; 17 digits are all there are.
_THINNED_VALUES = """
    WITH RECURSIVE steps(at) AS (
        SELECT :first UNION ALL SELECT at + :step FROM steps WHERE at + :step <= :last
    )
    SELECT at, (
        SELECT CASE WHEN count(value) THEN printf('%!.17g %!.17g', avg(value), max(value)) END
        FROM points WHERE series = :series AND time >= at AND time < min(at + :step, :end)
    ) FROM steps
"""
# Each gives (time, value, largest) of every point; _THINNED makes steps of them.
_OBSERVATIONS = """
    SELECT time, value / count AS value, coalesce(json_extract(detail, '$.max'), value / count)
    AS largest FROM points
    WHERE series = :series AND time >= :start AND time < :end AND count > 0
"""
# The point before the range gives the first one within it something to differ from; what began
# within the range began from nothing.
_WITH_PREVIOUS = """
    SELECT time, value, count, detail, earlier, coalesce(earlier, began) AS time_before,
        iif(earlier IS NULL, iif(began IS NULL, NULL, 0), value_earlier) AS value_before,
        iif(earlier IS NULL, iif(began IS NULL, NULL, 0), count_earlier) AS count_before
    FROM (
        SELECT *, CASE WHEN earlier IS NULL THEN (
            SELECT start_time FROM (SELECT json_extract(detail, '$.start_time') AS start_time)
            WHERE start_time >= :start AND start_time < time) END AS began
        FROM (
            SELECT time, value, count, detail,
                lag(time) OVER (ORDER BY time) AS earlier,
                lag(value) OVER (ORDER BY time) AS value_earlier,
                lag(count) OVER (ORDER BY time) AS count_earlier
            FROM points
            WHERE series = :series AND time < :end AND time >= coalesce(
                (SELECT max(time) FROM points WHERE series = :series AND time < :start), :start)
        )
    )
"""
# A value that fell means that the counter began again from zero.
_RATE = f"""
    SELECT time, rate AS value, rate AS largest FROM (
        SELECT time, (value - iif(value >= value_before, value_before, 0)) * 1e9
            / (time - time_before) AS rate
        FROM ({_WITH_PREVIOUS}) WHERE value_before IS NOT NULL
    ) WHERE time >= :start
"""
_OBSERVATIONS_SINCE = f"""
    SELECT time, mean AS value, mean AS largest FROM (
        SELECT time, iif(count >= count_before, (value - value_before) / (count - count_before),
            value / count) AS mean
        FROM ({_WITH_PREVIOUS}) WHERE count_before IS NOT NULL AND count > 0
            AND count <> count_before
    ) WHERE time >= :start
"""
_THINNED = """
    SELECT :start + (time - :start) / :step * :step, avg(value), max(largest)
    FROM ({}) WHERE value IS NOT NULL GROUP BY 1 ORDER BY 1
"""
