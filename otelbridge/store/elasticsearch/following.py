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
# Requests under way at once hold about so many documents.
_LOOKED_AT_AGAIN: Final = 2_000


class Arriving:
    """Remembers how far each index has been read."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: dict[Type, dict[str, _Seen]] = {}

    def look(self) -> Arrivals | None:
        """What has come since the last look; ``None`` for nothing, and the first time."""
        logs = self._ids("logs", LOGS)
        spans = self._ids("traces", EVERYTHING)
        points = self._advance("metrics")
        count = sum(seen.last - seen.before for seen in points.values())
        if not logs and not spans and not count:
            return None
        return Arrivals(logs, spans, count)

    def _ids(self, type: Type, condition: dict[str, Any]) -> list[int]:
        new = self._advance(type)
        if not new:
            return []
        above = any_of(
            all_of(
                [
                    one_of("_index", [index]),
                    {"range": {"_seq_no": {"gt": seen.floor, "lte": seen.last}}},
                ]
            )
            for index, seen in new.items()
        )
        found = self._server.search(
            type,
            all_of([above, condition]),
            size=MOST_HITS,
            sort=DESCENDING,
            source=False,
            track_total_hits=False,
        )
        return sorted(
            id_of(hit) for hit in found["hits"]["hits"] if new[hit["_index"]].is_new(hit["sort"][1])
        )

    def _advance(self, type: Type) -> dict[str, _Seen]:
        """The indices with something new."""
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
        known = self._seen.get(type)
        if known is None:
            self._seen[type] = {index: _Seen(last) for index, last in now.items()}
            return {}
        for index in known.keys() - now.keys():
            del known[index]
        return {
            index: seen
            for index, last in now.items()
            if (seen := known.setdefault(index, _Seen(-1))).advance(last)
        }


class _Seen:
    """How far one index has been read.

    Numbers are given before documents are indexed, by several threads: one may be found before
    another with a smaller number. So the last ones are looked at again.

    Attributes:
        floor: what is not above it has been told.
        before: the largest number of the look before.
        last: the largest number now.
    """

    def __init__(self, last: int) -> None:
        self.floor = self.before = self.last = last
        self._told: set[int] = set()
        self._again = False

    def advance(self, last: int) -> bool:
        """Go on to a number; returns whether there may be something new."""
        again, self._again = self._again, last > self.last
        if last <= self.last:
            self.before = self.last
            return again
        self.floor = max(self.floor, self.last - _LOOKED_AT_AGAIN)
        self._told = {number for number in self._told if number > self.floor}
        self.before, self.last = self.last, last
        return True

    def is_new(self, number: int) -> bool:
        """Whether a number has not been told yet; it has been from now on."""
        if number in self._told:
            return False
        self._told.add(number)
        return True
