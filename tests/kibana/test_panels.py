"""What every panel asks of Elasticsearch is what a count of the documents themselves says.

``pytest tests/kibana/test_panels.py -s -k shows`` prints of every panel what it asks, and the first
of its rows beside what they must be.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from otelbridge.elasticsearch.bulk import write_documents
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.names import failures
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from tests.kibana import shop
from tests.kibana.lens import (
    COUNTED,
    MINUTE,
    MISSING,
    Panel,
    controls,
    indices,
    of_type,
    panels,
)

# What each query of a panel means, said without any query language.
MEANING: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda one: True,
    "observed_timestamp: *": lambda one: "observed_timestamp" in one,
    "observed_timestamp: * and severity_number >= 17": (
        lambda one: "observed_timestamp" in one and one["severity_number"] >= 17
    ),
    "attributes.otelbridge.udp.datagrams: *": (
        lambda one: "otelbridge.udp.datagrams" in one["attributes"]
    ),
    "metrics.otelbridge.delivery.dropped > 0": (
        lambda one: one["metrics"].get("otelbridge.delivery.dropped", 0) > 0
    ),
    **{
        f"metrics.{name}: *": lambda one, name=name: name in one["metrics"]
        for name in (
            "process.cpu.utilization",
            "process.memory.usage",
            "process.thread.count",
            "otelbridge.delivery.waiting",
            "otelbridge.delivery.spool.size",
            "otelcol_receiver_accepted_log_records",
            "otelcol_exporter_queue_size",
            "otelcol.elasticsearch.docs.processed",
        )
    },
    "kind: Server": lambda one: one["kind"] == "Server",
    "kind: Server and status.code: Error": (
        lambda one: one["kind"] == "Server" and one["status"].get("code") == "Error"
    ),
}
NUMBERS = {"long", "double", "byte", "integer", "float"}
TYPES = {
    "percentile": NUMBERS,
    "median": NUMBERS,
    "average": NUMBERS,
    "max": NUMBERS,
    "min": NUMBERS,
    "sum": NUMBERS,
    "unique_count": {"keyword"} | NUMBERS,
    "terms": {"keyword"} | NUMBERS,
    "date_histogram": {"date_nanos", "date"},
}


class Shop:
    """The documents, and the server that has them."""

    def __init__(self, client: Elasticsearch, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.documents = shop.documents(namespace)
        self.refused = shop.refused(namespace)

    def index(self, data_view: str) -> str:
        """What a data view shows of this shop alone."""
        return indices()[data_view].replace("*", self.namespace)

    def sources(self, data_view: str) -> list[dict[str, Any]]:
        shown = self.index(data_view).split(",")
        return [
            *(one.source for one in self.documents if one.stream in shown),
            # As Elasticsearch itself tells of them.
            *(
                {
                    "error": {"type": "document_parsing_exception"},
                    "document": {"index": one.stream, "id": one.id},
                }
                for one in self.refused
                if failures(one.stream) in shown
            ),
        ]

    def fields(self, data_view: str, names: list[str]) -> dict[str, dict[str, Any]]:
        answer = self.client.field_caps(
            index=self.index(data_view), fields=names, ignore_unavailable=True
        )
        return answer.body["fields"]


@pytest.fixture(scope="module")
def stored(elasticsearch_url: str) -> Iterator[Shop]:
    """The shop's documents, all of them stored, in a namespace of their own."""
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        options = TemplateOptions(retention=86_400 * 365, without=MAY_LACK)
        list(install_templates(client, elasticsearch_url, options))
        one = Shop(client, f"test{uuid.uuid4().hex[:12]}")
        outcome = write_documents(
            client,
            [*one.documents, *one.refused],
            url=elasticsearch_url,
            namespace=one.namespace,
        )
        assert (outcome.stored, outcome.error) == (len(one.documents), None)
        assert len(outcome.refused) == len(one.refused)
        client.indices.refresh(index=f"*-{one.namespace}")
        client.indices.refresh(index=f"*-{one.namespace}::failures")
        yield one
        client.indices.delete_data_stream(name=f"*-{one.namespace}")


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.id)
def test_a_panel_shows_what_was_sent(stored: Shop, panel: Panel):
    answer = stored.client.search(
        index=stored.index(panel.data_view), ignore_unavailable=True, **panel.search()
    ).body
    shown = panel.rows(answer)
    sent = expected(panel, stored.sources(panel.data_view))
    assert sent, "nothing was sent that this panel could show"
    limited = top(panel, sent)
    print(f"\n{panel.dashboard} / {panel.title}: {panel.data_view}, {panel.kql or 'everything'}")
    for key in list(shown)[:2]:
        for id, column in panel.metrics:
            wanted = said(column, sent[key][id])
            print(f"    {column['label']} {key or ''}: expected {wanted}, got {shown[key][id]}")
    print(f"    rows: expected {len(limited)}, got {len(shown)}")
    assert len(shown) == len(limited)
    for key, values in shown.items():
        for id, column in panel.metrics:
            assert_measured(column, values[id], sent[key][id])
    if len(limited) < len(sent):
        # Of the many, those that the panel puts first.
        id = panel.buckets[-1][1]["params"]["orderBy"]["columnId"]
        assert sorted((values[id] for values in shown.values()), reverse=True) == limited


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel.id)
def test_a_panels_fields_are_there_and_of_the_right_type(stored: Shop, panel: Panel):
    used = {
        (column["sourceField"], column["operationType"])
        for column in panel.columns.values()
        if column["sourceField"] != COUNTED
    }
    found = stored.fields(panel.data_view, [field for field, _ in used] or ["@timestamp"])
    for field, operation in used:
        assert found[field].keys() <= TYPES[operation], field
        assert all(type["aggregatable"] for type in found[field].values()), field


@pytest.mark.parametrize("search", of_type("search"), ids=lambda search: search["id"])
def test_a_saved_searchs_columns_are_there(stored: Shop, search: dict[str, Any]):
    (view,) = [one["id"] for one in search["references"]]
    columns = set(search["attributes"]["columns"])
    assert columns <= stored.fields(view, sorted(columns)).keys()


@pytest.mark.parametrize("dashboard", of_type("dashboard"), ids=lambda one: one["id"])
def test_what_a_dashboard_is_narrowed_by_is_in_all_its_panels(
    stored: Shop, dashboard: dict[str, Any]
):
    asked = [control["explicitInput"] for control in controls(dashboard)]
    names = [one["fieldName"] for one in asked if "fieldName" in one]
    assert len(names) == 2
    views = {one.data_view for one in panels() if one.dashboard == dashboard["id"]}
    # A refused document is not taken apart, so nothing is known of its service.
    for view in views - {"otelbridge-deadletters"}:
        found = stored.fields(view, names)
        assert [set(found[name]) for name in names] == [{"keyword"}] * 2


# --- the count ----------------------------------------------------------------------------------


def expected(panel: Panel, sources: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Of each combination of buckets, the values that each metric is of."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for source in filter(MEANING[panel.kql], sources):
        key = tuple(bucket(column, source) for _, column in panel.buckets)
        if None not in key:
            groups[key].append(source)
    return {
        key: {
            id: [value for one in group if (value := measured(column, one)) is not None]
            for id, column in panel.metrics
        }
        for key, group in groups.items()
    }


def measured(column: dict[str, Any], source: dict[str, Any]) -> Any:
    return 1 if column["operationType"] == "count" else value(source, column["sourceField"])


def bucket(column: dict[str, Any], source: dict[str, Any]) -> Any:
    found = value(source, column["sourceField"])
    if column["operationType"] == "date_histogram":
        # Milliseconds, a point, and what is below them.
        return int(str(found).split(".")[0]) // MINUTE * MINUTE
    return MISSING if found is None and column["params"]["missingBucket"] else found


def value(source: Any, path: str) -> Any:
    """What lies at a path, of which any part may itself hold points."""
    if not isinstance(source, dict):
        return None
    if path in source:
        return source[path]
    for key, inner in source.items():
        if path.startswith(f"{key}.") and (found := value(inner, path[len(key) + 1 :])) is not None:
            return found
    return None


def top(panel: Panel, sent: dict[tuple[Any, ...], dict[str, Any]]) -> list[Any]:
    """What is shown of all: the first so many, by the metric that the panel sorts by."""
    if len(panel.buckets) != 1 or panel.buckets[0][1]["operationType"] != "terms":
        return list(sent)
    params = panel.buckets[0][1]["params"]
    if len(sent) <= params["size"]:
        return list(sent)
    by = params["orderBy"]["columnId"]
    of = {"count": len, "max": max}[panel.columns[by]["operationType"]]
    return sorted((of(values[by]) for values in sent.values()), reverse=True)[: params["size"]]


def said(column: dict[str, Any], values: list[Any]) -> str:
    """The value that a metric must have, for reading."""
    operation = column["operationType"]
    if operation == "average":
        return f"{sum(values) / len(values):g}"
    plain = {"count": len, "max": max, "min": min, "sum": sum}
    if operation in plain:
        return f"{plain[operation](values)}"
    if operation == "unique_count":
        return f"{len(set(values))}"
    place = int(column["params"].get("percentile", 50) / 100 * (len(values) - 1))
    return f"about {sorted(values)[place]}"


def assert_measured(column: dict[str, Any], shown: Any, values: list[Any]) -> None:
    operation = column["operationType"]
    if operation == "count":
        assert shown == len(values)
    elif operation == "unique_count":
        assert shown == len(set(values))
    elif operation in {"min", "max", "sum"}:
        assert shown == pytest.approx({"min": min, "max": max, "sum": sum}[operation](values))
    elif operation == "average":
        assert shown == pytest.approx(sum(values) / len(values))
    else:
        share = column["params"].get("percentile", 50) / 100
        # Between its neighbours: how to divide what lies between them is the server's choice.
        ranked, place = sorted(values), share * (len(values) - 1)
        below, above = max(0, int(place) - 1), min(len(values) - 1, int(place) + 2)
        assert ranked[below] <= shown <= ranked[above]


def test_every_query_of_a_panel_has_a_meaning():
    assert {panel.kql for panel in panels()} == MEANING.keys()
