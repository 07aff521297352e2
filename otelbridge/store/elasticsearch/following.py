"""Following what becomes findable: whoever wrote it, this bridge or a Collector beside it.

Every index numbers its documents as they come. So a look at the largest number of each index says
whether there is something new, and what lies above the number seen last is it. That holds for
indices of one shard, which the templates make.
"""

from __future__ import annotations

from typing import Any, Final

from otelbridge.elasticsearch.names import Type
from otelbridge.store.elasticsearch.dsl import EVERYTHING, all_of, any_of, one_of
from otelbridge.store.elasticsearch.ids import id_of
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.server import DESCENDING, MOST_HITS, Server
from otelbridge.store.protocol import Arrivals

_MOST_INDICES: Final = 1_000


class Arriving:
    """Remembers how far each index has been read."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: dict[Type, dict[str, int]] = {}

    def look(self) -> Arrivals | None:
        """What has come since the last look; ``None`` for nothing, and the first time."""
        logs = self._ids("logs", LOGS)
        spans = self._ids("traces", EVERYTHING)
        points = self._advance("metrics")
        count = sum(last - first for first, last in points.values())
        if not logs and not spans and not count:
            return None
        return Arrivals(logs, spans, count)

    def _ids(self, type: Type, condition: dict[str, Any]) -> list[int]:
        new = self._advance(type)
        if not new:
            return []
        above = any_of(
            all_of([one_of("_index", [index]), {"range": {"_seq_no": {"gt": first, "lte": last}}}])
            for index, (first, last) in new.items()
        )
        found = self._server.search(
            type,
            all_of([above, condition]),
            size=MOST_HITS,
            sort=DESCENDING,
            source=False,
            track_total_hits=False,
        )
        return sorted(id_of(hit) for hit in found["hits"]["hits"])

    def _advance(self, type: Type) -> dict[str, tuple[int, int]]:
        """Of each index with something new the number seen last, and the largest now."""
        answer = self._server.search(
            type,
            EVERYTHING,
            size=0,
            track_total_hits=False,
            aggs={
                "indices": {
                    "terms": {"field": "_index", "size": _MOST_INDICES},
                    "aggs": {"last": {"max": {"field": "_seq_no"}}},
                }
            },
        )
        buckets = answer.get("aggregations", {"indices": {"buckets": []}})["indices"]["buckets"]
        now = {bucket["key"]: int(bucket["last"]["value"]) for bucket in buckets}
        seen, self._seen[type] = self._seen.get(type), now
        if seen is None:
            return {}
        return {
            index: (seen.get(index, -1), last)
            for index, last in now.items()
            if last > seen.get(index, -1)
        }
