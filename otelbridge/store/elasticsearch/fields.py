"""Fields by the names that a query uses: their top values, and what completion suggests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.templates import AS_TEXT
from otelbridge.search.fields import Field, built_in_names, resolve
from otelbridge.search.query import Query
from otelbridge.store.elasticsearch.dsl import Dsl, none_of
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.mapped import MappedFields
from otelbridge.store.elasticsearch.server import STREAMS, Server
from otelbridge.store.protocol import Facet, Signal, TimeRange

# A longer value is no use as a choice.
_LONGEST_VALUE: Final = 256
_PREFIXES: Final = ("attributes.", "resource.attributes.")


def read_facets(
    server: Server, query: Query | None, within: TimeRange, fields: Sequence[str], size: int
) -> list[Facet]:
    """Count the values of ``fields``; see :meth:`Store.log_facets`."""
    if not fields:
        return []
    mapped = server.fields("logs")
    aggregations = {
        str(number): _top(resolve(name, "logs"), mapped, size) for number, name in enumerate(fields)
    }
    answer = server.search(
        "logs",
        server.matching(query, "logs", within),
        size=0,
        track_total_hits=False,
        aggs={key: found for key, found in aggregations.items() if found is not None},
    )
    found = answer.get("aggregations", {})
    return [
        Facet(name, _values(resolve(name, "logs"), found.get(str(number)))[:size])
        for number, name in enumerate(fields)
    ]


def read_names(server: Server, signal: Signal) -> list[str]:
    """The built-in names and those of the attributes that are indexed."""
    mapped = server.fields(STREAMS[signal])
    seen = {
        path.removeprefix(prefix)
        for path in mapped.leaves()
        for prefix in _PREFIXES
        if path.startswith(prefix)
    }
    return sorted({*built_in_names(signal), *seen})


def read_values(server: Server, signal: Signal, field: str, prefix: str, limit: int) -> list[str]:
    """Values of a field, most frequent first; see :meth:`Store.field_values`."""
    type = STREAMS[signal]
    resolved = resolve(field, signal)
    # Every character in either case: a pattern of terms knows no other way.
    letters = (
        f"[{re.escape(c.lower())}{re.escape(c.upper())}]" if c.isalpha() else re.escape(c)
        for c in prefix
    )
    include = "".join(letters) + ".*" if prefix else None
    named = resolved.kind in {"level", "span_kind", "status"}
    found = _top(resolved, server.fields(type), limit, None if named else include)
    if found is None:
        return []
    answer = server.search(
        type,
        LOGS if signal == "logs" else {"match_all": {}},
        size=0,
        track_total_hits=False,
        aggs={"values": found},
    )
    values = _values(resolved, answer.get("aggregations", {}).get("values"))
    lowered = prefix.lower()
    return [
        value
        for value, _ in values
        if len(value) <= _LONGEST_VALUE and value.lower().startswith(lowered)
    ][:limit]


def _top(field: Field, mapped: MappedFields, size: int, include: str | None = None) -> Dsl | None:
    """An aggregation of a field's most frequent values; ``None`` for one that has none."""
    if field.kind == "level":
        return {
            "terms": {"field": "severity_text", "size": size, "missing": ""},
            "aggs": {"numbers": {"terms": {"field": "severity_number", "missing": 0, "size": 256}}},
        }
    places = [path for key in field.keys for path in _paths(field, key)]
    for place in places:
        for path in (f"{place}.{AS_TEXT}", place):
            if mapped.is_keyword(path):
                terms: Dsl = {"terms": {"field": path, "size": size}}
                if include is not None:
                    terms["terms"]["include"] = include
                return _own_first(terms, field, places, mapped)
    return None


def _own_first(terms: Dsl, field: Field, places: Sequence[str], mapped: MappedFields) -> Dsl:
    if field.location != "any_attribute" or len(places) < 2:
        return terms
    own, inherited = places
    has_own = [path for path in (own, f"{own}.{AS_TEXT}") if mapped.is_keyword(path)]
    has_inherited = [
        path for path in (inherited, f"{inherited}.{AS_TEXT}") if mapped.is_keyword(path)
    ]
    if not has_own or not has_inherited:
        return terms
    # Where a record has the attribute, its resource's of the same name is not shown.
    rest = {**terms["terms"], "field": has_inherited[-1]}
    return {
        "filters": {
            "filters": {
                "own": {"exists": {"field": has_own[0]}},
                "inherited": none_of({"exists": {"field": has_own[0]}}),
            }
        },
        "aggs": {"own": terms, "inherited": {"terms": rest}},
    }


def _paths(field: Field, key: str) -> list[str]:
    if field.location == "any_attribute":
        return [f"attributes.{key}", f"resource.attributes.{key}"]
    if field.location in {"attribute", "attribute_or_event"}:
        return [f"attributes.{key}"]
    if field.location == "resource":
        return [f"resource.attributes.{key}"]
    if field.location == "scope":
        return [f"scope.{key}"]
    if field.location == "column":
        return [f"attributes.{key}" if key == schema.RECORD_UID else key]
    return []


def _values(field: Field, answer: Any) -> list[tuple[str, int]]:
    if answer is None:
        return []
    counts: dict[str, int] = {}
    if field.kind == "level":
        for bucket in answer["buckets"]:
            for number in bucket["numbers"]["buckets"]:
                name = bucket["key"] or schema.severity_name(int(number["key"]))
                if name:
                    counts[name] = counts.get(name, 0) + number["doc_count"]
    elif isinstance(answer["buckets"], dict):
        for place, bucket in answer["buckets"].items():
            for value in bucket[place]["buckets"]:
                counts[value["key"]] = counts.get(value["key"], 0) + value["doc_count"]
    else:
        for bucket in answer["buckets"]:
            value = str(bucket["key"])
            if field.kind in {"span_kind", "status"}:
                value = value.lower()
            counts[value] = counts.get(value, 0) + bucket["doc_count"]
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
