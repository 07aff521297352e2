"""How large a document is on disk, by the way it is indexed.

The same documents are stored under the project's templates, and under ones that index as the
templates which Elasticsearch brings for OpenTelemetry do: every text as one keyword, no words but
those of the message.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from elasticsearch import Elasticsearch

from benchmarks.batches import Ids, templates
from otelbridge.elasticsearch import names
from otelbridge.elasticsearch.bulk import write_documents
from otelbridge.elasticsearch.bulk_body import documents_of, logs_body, spans_body
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions, index_templates
from otelbridge.receivers.otlp import decode_logs_protobuf, decode_traces_protobuf

_SECOND = 1_000_000_000
_BATCH = 500
# Of 2026-11-21; only so that documents of two runs are the same.
_START = 1_795_200_000 * _SECOND

LOGSDB = {"index.mode": "logsdb"}
# What a basic licence allows: the document is kept as it came, too.
LOGSDB_STORED = {**LOGSDB, "index.mapping.source.mode": "stored"}


def bodies(signal: str, count: int) -> Iterator[tuple[int, bytes]]:
    """Requests of a signal's records, of 1,000 records a second, as bulk bodies for a namespace."""
    ids = Ids(77)
    made = templates(signal, _BATCH, text=False)
    for first in range(0, count, _BATCH):
        yield (
            first,
            made[first // _BATCH % len(made)].fill(
                ids, first, lambda number: _START + number * _SECOND // 1000, spans=signal != "logs"
            ),
        )


def store(client: Elasticsearch, url: str, signal: str, namespace: str, count: int) -> None:
    """Store that many records of a signal."""
    for _, request in bodies(signal, count):
        if signal == "logs":
            body = logs_body(decode_logs_protobuf(request).batch.logs, namespace, time.time_ns())
        else:
            body = spans_body(
                decode_traces_protobuf(request).batch.spans, namespace, time.time_ns()
            )
        outcome = write_documents(client, documents_of(body), url=url, namespace=namespace)
        if outcome.refused or outcome.error:
            raise RuntimeError(str(outcome.error or outcome.refused[0].reason))


def weigh(client: Elasticsearch, stream: str) -> tuple[int, int]:
    """Merge a data stream into one segment; returns its documents and its bytes on disk."""
    client.indices.flush(index=stream)
    client.options(request_timeout=600).indices.forcemerge(index=stream, max_num_segments=1)
    client.indices.flush(index=stream, force=True)
    client.indices.refresh(index=stream)
    total = client.indices.stats(index=stream, metric="docs,store")["_all"]["primaries"]
    return int(total["docs"]["count"]), int(total["store"]["size_in_bytes"])


def ways(signal: str) -> dict[str, dict[str, Any]]:
    """Index templates by what they are, without their patterns."""
    options = TemplateOptions(86_400, without=MAY_LACK)
    name = names.LOGS_TEMPLATE if signal == "logs" else names.TRACES_TEMPLATE
    ours = index_templates(options)[name]
    found = {
        "ours": ours,
        "ours, logsdb, source stored": _with(ours, LOGSDB_STORED),
        "ours, logsdb, source synthetic": _with(ours, LOGSDB),
        "as the stock templates": _stock(signal, {"index.codec": "best_compression"}),
    }
    if signal == "logs":
        found |= {
            "as the stock templates, logsdb, source stored": _stock(signal, LOGSDB_STORED),
            "as the stock templates, logsdb, source synthetic": _stock(signal, LOGSDB),
        }
    return found


def install(client: Elasticsearch, signal: str, namespace: str, template: dict[str, Any]) -> None:
    """Have a namespace's data stream follow a template."""
    stream = names.data_stream("logs" if signal == "logs" else "traces", namespace)
    body = {**template, "index_patterns": [stream], "priority": 400}
    client.perform_request(
        "PUT",
        f"/_index_template/{stream}",
        headers={"content-type": "application/json", "accept": "application/json"},
        body=body,
    )


def _with(template: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    inner = template["template"]
    return {
        **template,
        "template": {**inner, "settings": {**inner.get("settings", {}), **settings}},
    }


def _stock(signal: str, settings: dict[str, Any]) -> dict[str, Any]:
    """As the templates ``logs-otel@template`` and ``traces-otel@template`` of Elasticsearch 9.

    Written with the types that the core has: a ``match_only_text`` is a text of which only the
    documents of a word are kept, which is what that type keeps, too.
    """
    keyword = {"type": "keyword", "ignore_above": 1024}
    words = {"type": "text", "index_options": "docs", "norms": False}
    passed = {"type": "passthrough", "dynamic": True}
    named = {**keyword, "fields": {"text": words}}
    mappings: dict[str, Any] = {
        "date_detection": False,
        "dynamic": False,
        "dynamic_templates": [
            {
                "objects": {
                    "path_match": ["resource.attributes.*", "scope.attributes.*", "attributes.*"],
                    "match_mapping_type": "object",
                    "mapping": {"type": "flattened"},
                }
            },
            {"messages": {"path_match": ["*.message"], "mapping": words}},
            {
                "names": {
                    "path_match": ["*.name", "*file.path", "*user_agent.original", "*url.full"],
                    "mapping": named,
                }
            },
            {"texts": {"match_mapping_type": "string", "mapping": keyword}},
        ],
        "properties": {
            "@timestamp": {"type": "date_nanos"},
            "data_stream": {"properties": dict.fromkeys(("type", "dataset", "namespace"), keyword)},
            "attributes": {**passed, "priority": 20},
            "scope": {
                "properties": {
                    "name": keyword,
                    "version": keyword,
                    "attributes": {**passed, "priority": 30},
                }
            },
            "resource": {"properties": {"attributes": {**passed, "priority": 40}}},
            "trace_id": keyword,
            "span_id": keyword,
            "observed_timestamp": {"type": "date_nanos"},
            "severity_number": {"type": "byte"},
            "severity_text": keyword,
            "event_name": keyword,
            "body": {"properties": {"text": words, "structured": {"type": "flattened"}}},
        },
    }
    if signal != "logs":
        mappings["properties"] |= {
            "parent_span_id": keyword,
            "trace_state": keyword,
            "name": keyword,
            "kind": keyword,
            "duration": {"type": "long"},
            "links": {"properties": {"trace_id": keyword, "span_id": keyword}},
            "status": {"properties": {"message": keyword, "code": keyword}},
        }
    settings = {"index.mapping.ignore_malformed": True, "index.number_of_replicas": 0, **settings}
    return {"data_stream": {}, "template": {"mappings": mappings, "settings": settings}}
