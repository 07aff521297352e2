"""Reading logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.reading import read_log
from otelbridge.search.query import Query
from otelbridge.store.elasticsearch.dsl import Dsl, all_of, any_of, between, one_of
from otelbridge.store.elasticsearch.ids import id_of, microsecond_of
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.server import (
    DESCENDING,
    MOST_HITS,
    STREAMS,
    Hit,
    Server,
    source_of,
)
from otelbridge.store.protocol import Histogram, HistogramBar, Signal, StoredLog, TimeRange
from otelbridge.store.sqlite.histogram import step_for

_ALL_TIME: Final = TimeRange(0, 2**63 - 1)
# More than are asked for, so that those of the last microsecond are most often among them.
_MARGIN: Final = 20
# Ids asked for in one search.
_IDS_AT_ONCE: Final = 500


def read_logs(
    server: Server,
    query: Query | None,
    within: TimeRange,
    *,
    limit: int,
    before: int | None = None,
    after: int | None = None,
    ids: Sequence[int] | None = None,
) -> list[StoredLog]:
    """The newest matching logs, newest first; see :meth:`Store.logs`."""
    if ids is not None:
        return _by_ids(server, query, within, ids, limit, before, after)
    start, end = within.start, within.end
    if after is not None:
        start = max(start, microsecond_of(after)[0])
    if before is not None:
        end = min(end, microsecond_of(before)[1])
    hits = newest(server, "logs", query, TimeRange(start, end), limit, before=before, after=after)
    return [StoredLog(id_of(hit), read_log(source_of(hit))) for hit in hits]


def newest(
    server: Server,
    signal: Signal,
    query: Query | None,
    within: TimeRange,
    limit: int,
    *,
    before: int | None = None,
    after: int | None = None,
) -> list[Hit]:
    """The hits with the largest ids in a range, the largest first.

    Elasticsearch sorts by time and ``_seq_no``, which within one microsecond is not the ids'
    order: of every microsecond all records are read before some of them are left out.
    """
    if limit <= 0:
        return []
    condition = server.matching(query, signal, within)
    type = STREAMS[signal]

    def wanted(found: list[Hit]) -> list[Hit]:
        return [
            hit
            for hit in found
            if (before is None or id_of(hit) < before) and (after is None or id_of(hit) > after)
        ]

    size = min(limit + _MARGIN, MOST_HITS)
    last: list[Any] | None = None
    kept: list[Hit] = []
    while True:
        found = server.search(
            type,
            condition,
            size=size,
            sort=DESCENDING,
            search_after=last,
            track_total_hits=False,
        )["hits"]["hits"]
        kept += wanted(found)
        done = len(found) < size
        if not done:
            last = found[-1]["sort"]
            complete = [hit for hit in kept if hit["sort"][0] // 1000 > last[0] // 1000]
            done = len(complete) >= limit
            kept_enough = complete if done else kept
        else:
            kept_enough = kept
        if done:
            return sorted(kept_enough, key=id_of, reverse=True)[:limit]
        size = MOST_HITS


def _by_ids(
    server: Server,
    query: Query | None,
    within: TimeRange,
    ids: Sequence[int],
    limit: int,
    before: int | None,
    after: int | None,
) -> list[StoredLog]:
    wanted = sorted(
        (
            id
            for id in set(ids)
            if (before is None or id < before) and (after is None or id > after)
        ),
        reverse=True,
    )
    condition = server.matching(query, "logs", within)
    found: list[StoredLog] = []
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        if len(found) >= limit:
            break
        part = wanted[start : start + _IDS_AT_ONCE]
        hits = _hits_of(server, all_of([condition, _at(part)]))
        chosen = set(part)
        found += [
            StoredLog(id_of(hit), read_log(source_of(hit))) for hit in hits if id_of(hit) in chosen
        ]
    found.sort(key=lambda stored: stored.id, reverse=True)
    return found[:limit]


def _at(ids: Sequence[int]) -> Dsl:
    """Records of the microseconds of these ids."""
    times = sorted({microsecond_of(id) for id in ids})
    spans: list[list[int]] = []
    for first, end in times:
        if spans and spans[-1][1] == first:
            spans[-1][1] = end
        else:
            spans.append([first, end])
    return any_of(between("@timestamp", first, end) for first, end in spans)


def _hits_of(server: Server, condition: Dsl) -> list[Hit]:
    return list(server.pages("logs", condition, most=MOST_HITS))


def read_log_of(server: Server, id: int) -> StoredLog | None:
    """One log."""
    for hit in _hits_of(server, all_of([LOGS, _at([id])])):
        if id_of(hit) == id:
            return StoredLog(id, read_log(source_of(hit)))
    return None


def read_trace_logs(server: Server, trace_id: bytes, limit: int) -> list[StoredLog]:
    """The logs of a trace in time's order, the first ``limit`` of them."""
    condition = all_of([LOGS, one_of("trace_id", [trace_id.hex()])])
    hits = server.pages("logs", condition, most=limit)
    return [StoredLog(id_of(hit), read_log(source_of(hit))) for hit in hits]


def count(server: Server, query: Query | None, within: TimeRange) -> int:
    """How many logs match."""
    answer = server.search(
        "logs", server.matching(query, "logs", within), size=0, track_total_hits=True
    )
    return int(answer["hits"]["total"]["value"])


def read_histogram(server: Server, query: Query | None, within: TimeRange, bars: int) -> Histogram:
    """Count logs by severity name; see :meth:`Store.log_histogram`."""
    first, end = within.start // 1000, -(-within.end // 1000)
    if end <= first:
        return Histogram(step_for(0, bars) * 1000, [], 0)
    # Elasticsearch counts by milliseconds.
    step = max(step_for(end - first, bars), 1000)
    answer = server.search(
        "logs",
        server.matching(query, "logs", within),
        size=0,
        track_total_hits=False,
        aggs={
            "bars": {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": f"{step // 1000}ms",
                    "min_doc_count": 1,
                },
                "aggs": {
                    "levels": {"terms": {"field": "severity_number", "missing": 0, "size": 256}}
                },
            }
        },
    )
    counted: dict[int, Counter[str]] = {}
    total = 0
    for bucket in answer.get("aggregations", {"bars": {"buckets": []}})["bars"]["buckets"]:
        counts = counted.setdefault(bucket["key"] * 1000 // step, Counter())
        for level in bucket["levels"]["buckets"]:
            counts[schema.severity_name(int(level["key"]))] += level["doc_count"]
            total += level["doc_count"]
    return Histogram(
        step * 1000,
        [
            HistogramBar(place * step * 1000, dict(counted.get(place, {})))
            for place in range(first // step, -(-end // step))
        ],
        total,
    )
