"""Asking the server: searches over one signal's data stream, and which fields it has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from otelbridge.elasticsearch.client import explain, is_starting
from otelbridge.elasticsearch.names import Type, data_stream
from otelbridge.search.query import Query
from otelbridge.store.elasticsearch.dsl import Dsl, all_of, between, none_of
from otelbridge.store.elasticsearch.kql import LOGS, compile_query
from otelbridge.store.elasticsearch.mapped import MappedFields
from otelbridge.store.protocol import Signal, StoreError, StoreUnavailableError, TimeRange

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

STREAMS: Final[dict[Signal, Type]] = {"logs": "logs", "spans": "traces"}

# The fields of an index change with the first record that brings a new one.
_FIELDS_SECONDS: Final = 2.0
# A data stream can be asked for before its first shard can answer.
_STARTING_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.05
# Elasticsearch gives no more at once.
MOST_HITS: Final = 10_000
# A condition on events is asked of the events first; so many spans can be named in a query.
_MOST_EVENTS: Final = 10_000
_MOST_NUMBERS: Final = 10_000
_NUMBER: Final = r"[+\-]?[0-9.][0-9.eE+\-]*"

Hit = dict[str, Any]


class Server:
    """One cluster and namespace."""

    def __init__(self, client: Elasticsearch, url: str, namespace: str) -> None:
        self.client = client
        self.url = url
        self.namespace = namespace
        self._fields: dict[Type, tuple[float, MappedFields]] = {}
        self._lock = threading.Lock()

    def search(self, type: Type, condition: Dsl, **options: Any) -> dict[str, Any]:
        """Search a signal's data stream; one that is not there yet is empty.

        Raises:
            StoreError: the server cannot answer; its text says why.
        """
        found: dict[str, Any] = self.ask(
            lambda: (
                self.client.search(
                    index=data_stream(type, self.namespace),
                    query=condition,
                    ignore_unavailable=True,
                    **options,
                ).body
            )
        )
        return found

    def ask(self, request: Callable[[], Any]) -> Any:
        """Do a request, again while a shard only starts; one clear line for what may go wrong.

        Raises:
            StoreUnavailableError: the server cannot answer now.
            StoreError: it never will, with nothing changed.
        """
        until = time.monotonic() + _STARTING_SECONDS
        while True:
            try:
                return request()
            except Exception as error:
                if not is_starting(error) or time.monotonic() > until:
                    found = explain(error, self.url)
                    kind = StoreUnavailableError if found.temporary else StoreError
                    raise kind(str(found)) from error
            time.sleep(_AGAIN_SECONDS)

    def fields(self, type: Type) -> MappedFields:
        """The fields of a signal's data stream, as they were at most a moment ago."""
        with self._lock:
            known = self._fields.get(type)
        now = time.monotonic()
        if known is not None and now - known[0] < _FIELDS_SECONDS:
            return known[1]
        answer = self.ask(
            lambda: (
                self.client.field_caps(
                    index=data_stream(type, self.namespace),
                    fields="*",
                    ignore_unavailable=True,
                    filters="-metadata",
                ).body
            )
        )
        found = MappedFields(answer["fields"])
        with self._lock:
            self._fields[type] = (now, found)
        return found

    def forget_fields(self) -> None:
        """Ask for the fields anew."""
        with self._lock:
            self._fields.clear()

    def matching(self, query: Query | None, signal: Signal, within: TimeRange) -> Dsl:
        """The condition for the records of a signal in a range that match."""
        type = STREAMS[signal]
        if query is None:
            compiled = compile_query(None, signal, MappedFields({}), _LookUps(self, type, within))
        else:
            compiled = compile_query(query, signal, self.fields(type), _LookUps(self, type, within))
        parts = [between("@timestamp", within.start, within.end), compiled]
        if signal == "logs":
            parts.insert(0, LOGS)
        return all_of(parts)

    def pages(self, type: Type, condition: Dsl, *, most: int, **options: Any) -> Iterator[Hit]:
        """All documents that meet a condition in time's order, ``most`` of them at most."""
        after: list[Any] | None = None
        left = most
        while left > 0:
            size = min(left, MOST_HITS)
            found = self.search(
                type,
                condition,
                size=size,
                sort=ASCENDING,
                search_after=after,
                track_total_hits=False,
                **options,
            )["hits"]["hits"]
            yield from found
            if len(found) < size:
                return
            after = found[-1]["sort"]
            left -= size


ASCENDING: Final = [{"@timestamp": {"order": "asc", "unmapped_type": "date_nanos"}}, "_seq_no"]
DESCENDING: Final = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date_nanos"}},
    {"_seq_no": "desc"},
]


class _LookUps:
    """Answers what a query needs to know, within its range."""

    def __init__(self, server: Server, type: Type, within: TimeRange) -> None:
        self._server = server
        self._type: Type = type
        self._within = within

    def spans_with_event(self, condition: Dsl) -> list[tuple[str, str]]:
        # An event may come long after its span began.
        events = all_of([EVENTS, between("@timestamp", self._within.start, 2**63 - 1), condition])
        found = self._server.search(
            "logs",
            events,
            size=MOST_HITS,
            source=["trace_id", "span_id"],
            sort=DESCENDING,
            track_total_hits=_MOST_EVENTS + 1,
        )["hits"]
        if found["total"]["value"] > _MOST_EVENTS:
            raise StoreError(
                f"more than {_MOST_EVENTS} events of spans match a part of this query; "
                "ask for a shorter time, or for something rarer"
            )
        sources = [hit["_source"] for hit in found["hits"]]
        pairs = [(source.get("trace_id", ""), source.get("span_id", "")) for source in sources]
        return list(dict.fromkeys(pairs))

    def event_fields(self) -> MappedFields:
        return self._server.fields("logs")

    def numbers(self, path: str) -> list[str]:
        counted = self._server.search(
            self._type,
            between("@timestamp", self._within.start, self._within.end),
            size=0,
            track_total_hits=False,
            aggs={
                "numbers": {"terms": {"field": path, "include": _NUMBER, "size": _MOST_NUMBERS + 1}}
            },
        )["aggregations"]["numbers"]["buckets"]
        if len(counted) > _MOST_NUMBERS:
            raise StoreError(
                f"{path} holds more than {_MOST_NUMBERS} different numbers that are indexed as "
                "text; ask for a shorter time"
            )
        return [bucket["key"] for bucket in counted]


EVENTS: Final[Dsl] = all_of(
    [none_of(LOGS), {"exists": {"field": "span_id"}}, {"exists": {"field": "trace_id"}}]
)


def source_of(hit: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of a hit."""
    found: Mapping[str, Any] = hit.get("_source") or {}
    return found
