"""The saved objects as tests read them, and the search that Kibana makes of a Lens panel.

What a panel asks is written in its columns; each becomes an aggregation as Kibana's reference says
what the operation is: the buckets lie within one another in the columns' order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from otelbridge.kibana.install import objects_file
from otelbridge.search import parse
from otelbridge.search.query import And, Compare, Exists, Match

MISSING = "__missing__"
COUNTED = "___records___"
BUCKETS = ("terms", "date_histogram")
MINUTE = 60_000


@dataclass(frozen=True)
class Panel:
    """A Lens panel: what it counts, of which data view's documents."""

    dashboard: str
    id: str
    title: str
    data_view: str
    kql: str
    columns: dict[str, dict[str, Any]]

    @property
    def buckets(self) -> list[tuple[str, dict[str, Any]]]:
        return [(i, c) for i, c in self.columns.items() if c["operationType"] in BUCKETS]

    @property
    def metrics(self) -> list[tuple[str, dict[str, Any]]]:
        return [(i, c) for i, c in self.columns.items() if c["operationType"] not in BUCKETS]

    def search(self) -> dict[str, Any]:
        """The body of the search."""
        body: dict[str, Any] = {
            "size": 0,
            "track_total_hits": True,
            "query": kql_query(self.kql),
            "aggs": {i: _metric(column) for i, column in self.metrics if not _counts(column)},
        }
        for i, column in reversed(self.buckets):
            # What buckets are ordered by is worked out in each of them.
            by = column["params"].get("orderBy", {}).get("columnId")
            ordering = {i: _metric(c) for i, c in self.metrics if i == by and not _counts(c)}
            body["aggs"] = {i: {**self._bucket(column), "aggs": body["aggs"] | ordering}}
        return body

    def _bucket(self, column: dict[str, Any]) -> dict[str, Any]:
        field, params = column["sourceField"], column["params"]
        if column["operationType"] == "date_histogram":
            # Kibana chooses the interval by the time range.
            return {"date_histogram": {"field": field, "fixed_interval": "1m", "min_doc_count": 1}}
        by = params["orderBy"]["columnId"]
        counts = _counts(self.columns[by])
        percentile = _percentile(self.columns[by])
        path = "_count" if counts else by if percentile is None else f"{by}.{percentile}"
        terms = {
            "field": field,
            "size": params["size"],
            "order": {path: params["orderDirection"]},
            **({"missing": MISSING} if params["missingBucket"] else {}),
        }
        return {"terms": terms}

    def rows(self, answer: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
        """What the panel shows: of each combination of buckets, every metric's value."""
        total = {"doc_count": answer["hits"]["total"]["value"], **answer.get("aggregations", {})}
        return dict(self._rows((), total, [i for i, _ in self.buckets]))

    def _rows(self, key: tuple[Any, ...], bucket: dict[str, Any], left: list[str]) -> Iterator[Any]:
        if left:
            for inner in bucket[left[0]]["buckets"]:
                yield from self._rows((*key, inner["key"]), inner, left[1:])
            return
        yield key, {i: _value(bucket, i, column) for i, column in self.metrics}


def _counts(column: dict[str, Any]) -> bool:
    return bool(column["operationType"] == "count")


def _percentile(column: dict[str, Any]) -> float | None:
    if column["operationType"] == "median":
        return 50
    return column["params"].get("percentile") if column["operationType"] == "percentile" else None


def _metric(column: dict[str, Any]) -> dict[str, Any]:
    field = {"field": column["sourceField"]}
    percentile = _percentile(column)
    if percentile is not None:
        return {"percentiles": {**field, "percents": [percentile]}}
    operation = column["operationType"]
    name = {"unique_count": "cardinality", "average": "avg"}.get(operation, operation)
    return {name: field}


def _value(bucket: dict[str, Any], id: str, column: dict[str, Any]) -> Any:
    if column["operationType"] == "count":
        return bucket["doc_count"]
    if _percentile(column) is not None:
        (value,) = bucket[id]["values"].values()
        return value
    return bucket[id]["value"]


def kql_query(text: str) -> dict[str, Any]:
    """The forms of KQL that the panels use, as Kibana translates them."""
    tree = parse(text)
    return {"match_all": {}} if tree is None else _clause(tree)


def _clause(tree: Any) -> dict[str, Any]:
    match tree:
        case And(parts):
            return {"bool": {"filter": [_clause(part) for part in parts]}}
        case Exists(field):
            return {"exists": {"field": field}}
        case Compare(field, operator, value):
            names = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
            return {"range": {field: {names[operator]: value}}}
        case Match():
            return {"match": {tree.field: tree.value}}
    raise AssertionError(f"no panel is expected to ask {tree}")


def saved_objects() -> list[dict[str, Any]]:
    """Every object, as it is shipped."""
    return [json.loads(line) for line in objects_file().read_text().splitlines()]


def of_type(type: str) -> list[dict[str, Any]]:
    return [one for one in saved_objects() if one["type"] == type]


def indices() -> dict[str, str]:
    """The indices of each data view, by its id."""
    return {view["id"]: view["attributes"]["title"] for view in of_type("index-pattern")}


def panels() -> list[Panel]:
    """Every Lens panel of every dashboard."""
    found = []
    for dashboard in of_type("dashboard"):
        for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
            if panel["type"] != "lens":
                continue
            attributes = panel["embeddableConfig"]["attributes"]
            state = attributes["state"]
            (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
            (view,) = {one["id"] for one in attributes["references"]}
            assert state["filters"] == []
            found.append(
                Panel(
                    dashboard["id"],
                    panel["panelIndex"],
                    attributes["title"],
                    view,
                    state["query"]["query"],
                    {i: layer["columns"][i] for i in layer["columnOrder"]},
                )
            )
    return found


def controls(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands above a dashboard, to narrow it."""
    group = dashboard["attributes"]["controlGroupInput"]
    return list(json.loads(group["panelsJSON"]).values())
