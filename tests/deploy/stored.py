"""What a namespace of Elasticsearch holds, in a form that documents can be compared in."""

from __future__ import annotations

from typing import Any

from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.names import OF_THE_ROAD, Type, data_stream
from tests.testbed.fixtures import wait_until


class Stored:
    """The documents of one namespace."""

    def __init__(self, client: Elasticsearch, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def documents(self, type: Type = "logs", **where: Any) -> dict[str, dict[str, Any]]:
        """Every document by its id, but for those of the Collector itself.

        Args:
            where: exact values of fields, their dots written as two underscores.
        """
        stream = data_stream(type, self.namespace)
        # Not there yet, or its shards are not.
        options = self.client.options(ignore_status=[404, 503], max_retries=0)
        options.indices.refresh(index=stream)
        query = {
            "bool": {
                "filter": [
                    {"term": {name.replace("__", "."): value}} for name, value in where.items()
                ],
                "must_not": [{"term": {"resource.attributes.service.name": "otel-collector"}}],
            }
        }
        answer = options.search(index=stream, size=10_000, query=query)
        return {hit["_id"]: hit["_source"] for hit in answer.get("hits", {}).get("hits", [])}

    def wait_for(
        self, count: int, type: Type = "logs", seconds: float = 60, **where: Any
    ) -> dict[str, dict[str, Any]]:
        """Wait for as many documents, and return them; more are a failure as well."""
        found: dict[str, dict[str, Any]] = {}

        def complete() -> bool:
            nonlocal found
            found = self.documents(type, **where)
            return len(found) >= count

        wait_until(complete, f"{count} documents of {type}", seconds)
        assert len(found) == count
        return found


def nanoseconds(written: str) -> int:
    """Read a time the way Elasticsearch reads it: ``milliseconds.fraction``."""
    milliseconds, _, fraction = written.partition(".")
    return int(milliseconds) * 10**6 + int(fraction[:6].ljust(6, "0") or 0)


def as_stored(time: int) -> int:
    """Tell the time that a document has which the Collector wrote; see ``transform/documents``."""
    return time - time % 10**6 if time % 10**6 < 10**5 else time


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """Reduce a document to what must be the same by every road.

    When a record was observed and how late it came are not: that is the road's own business. An
    object without members says as much as none.
    """
    shown = {key: value for key, value in document.items() if key != "observed_timestamp"}
    attributes = shown.get("attributes", {})
    shown["attributes"] = {k: v for k, v in attributes.items() if k not in OF_THE_ROAD}
    shown["@timestamp"] = as_stored(nanoseconds(shown["@timestamp"]))
    for holder in (shown, shown.get("resource", {}), shown.get("scope", {})):
        if holder.get("attributes") == {}:
            del holder["attributes"]
    return shown
