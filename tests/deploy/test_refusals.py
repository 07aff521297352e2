"""What Elasticsearch refuses of what comes through the Collector is kept; the rest is stored."""

from __future__ import annotations

import gzip
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from otelbridge.elasticsearch.names import ARRIVAL_DELAY, data_stream, failures
from tests.deploy.stored import Stored
from tests.elasticsearch_gate import Answer, Gate
from tests.testbed.collector_process import Collector
from tests.testbed.fixtures import wait_until

SECOND = 10**9


@pytest.fixture(scope="module")
def stored(elasticsearch: Elasticsearch) -> Iterator[Stored]:
    """What one namespace holds for all of these tests, each with a service of its own."""
    namespace = f"refusals{time.time_ns()}"
    yield Stored(elasticsearch, namespace)
    elasticsearch.options(ignore_status=404).indices.delete_data_stream(name=f"*-{namespace}")


@pytest.fixture(scope="module")
def running(
    elasticsearch_url: str, stored: Stored, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Collector]:
    """One Collector for all of these tests."""
    environ = {
        "ELASTICSEARCH_URL": elasticsearch_url,
        "OTELBRIDGE_ELASTICSEARCH_NAMESPACE": stored.namespace,
    }
    one = Collector(tmp_path_factory.mktemp("refusals"), environ=environ).start()
    yield one
    one.discard()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    return f"service of {request.node.name}"


def of(service: str) -> dict[str, str]:
    return {"resource__attributes__service__name": service}


def send(collector: Collector, service: str, *records: dict[str, Any], **resource: Any) -> None:
    """Send log records by OTLP/HTTP, in one request."""
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add()
    logs.resource.attributes.extend(_pairs(resource | {"service.name": service}))
    scope = logs.scope_logs.add()
    scope.scope.name = "tests"
    for record in records:
        given = dict(record)
        log = scope.log_records.add()
        log.time_unix_nano = given.pop("time", time.time_ns())
        log.observed_time_unix_nano = time.time_ns()
        log.body.string_value = given.pop("body", "")
        scope.scope.attributes.extend(_pairs(given.pop("scope", {})))
        log.attributes.extend(_pairs(given))
    data = gzip.compress(request.SerializeToString())
    post = urllib.request.Request(
        f"http://127.0.0.1:{collector.http}/v1/logs",
        data,
        {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
    )
    with urllib.request.urlopen(post, timeout=60) as answer:
        assert answer.status == 200


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(string_value=value)


def kept(stored: Stored, service: str) -> list[dict[str, Any]]:
    """What Elasticsearch refused of a service's logs, with its reasons."""
    place = failures(data_stream("logs", stored.namespace))
    client = stored.client.options(ignore_status=404)
    client.indices.refresh(index=place)
    answer = client.search(index=place, size=1000, ignore_unavailable=True)
    letters = [hit["_source"] for hit in answer["hits"]["hits"]]
    return [
        letter
        for letter in letters
        if letter["document"]["source"]["resource"]["attributes"]["service.name"] == service
    ]


# What no template can make room for, and the words of the reason.
REFUSED = {
    "a field without a name": ({"": 1}, "cannot be an empty string"),
    "a field named by spaces": ({"  ": 1}, "only whitespace"),
    "a field whose name is 40,000 characters long": ({"k" * 40_000: "v"}, "immense term"),
    "a time after the year 2262": ({"time": 2**63 + 10**18}, "failed to parse field [@timestamp]"),
}


def test_what_is_refused_is_kept_with_its_reason_and_the_rest_is_stored(
    running: Collector, stored: Stored, service: str
):
    refused = [
        {"log.record.uid": f"{number:032x}", "body": name, **attributes}
        for number, (name, (attributes, _)) in enumerate(REFUSED.items())
    ]
    send(running, service, {"body": "before"}, *refused, {"body": "after"})
    wait_until(lambda: len(kept(stored, service)) >= len(REFUSED), "what is refused")
    found = stored.wait_for(2, **of(service)).values()
    assert {doc["body"]["text"] for doc in found} == {"before", "after"}
    letters = {int(letter["document"]["id"], 16): letter for letter in kept(stored, service)}
    for number, (name, (_, words)) in enumerate(REFUSED.items()):
        assert letters[number]["document"]["source"]["body"] == {"text": name}
        assert words in letters[number]["error"]["message"]
    assert "failed to index" not in running.log.read_text()


# Pairs of which the second might not fit what the first made of the field, and what is large.
FITTING: dict[str, list[dict[str, Any]]] = {
    "a number, then a text": [{"code": 17}, {"code": "E17"}],
    "a text, then an object": [{"user": "alice"}, {"user": {"name": "alice"}}],
    "an object, then a text": [{"item": {"id": 1}}, {"item": "tea"}],
    "an object, then a number": [{"size": {"x": 1}}, {"size": 5}],
    "a name, then names below it": [{"a": 1}, {"a.b": 2}],
    "10,000 fields": [{f"key_{number}": number for number in range(10_000)}, {"late": 1}],
    "a value of 8 MB": [{"page": "x" * 8_000_000}],
    "an id of 40,000 characters": [{"log.record.uid": "u" * 40_000}],
}


@pytest.mark.parametrize("name", FITTING)
def test_what_might_not_fit_is_stored_complete(
    running: Collector, stored: Stored, service: str, name: str
):
    records = FITTING[name]
    for number, record in enumerate(records):
        send(running, service, {**record, "number": number})
        documents = stored.wait_for(number + 1, **of(service))
    found = {doc["attributes"].pop("number"): doc["attributes"] for doc in documents.values()}
    for attributes in found.values():
        del attributes[ARRIVAL_DELAY]
    assert found == dict(enumerate(records))
    assert kept(stored, service) == []


@pytest.mark.parametrize("where", ["record", "scope", "resource"])
def test_senders_do_not_direct_where_to_and_how_documents_are_written(
    running: Collector, stored: Stored, elasticsearch: Elasticsearch, service: str, where: str
):
    directions = {
        "elasticsearch.index": "somewhere-else",
        "elasticsearch.document_id": "mine",
        "elasticsearch.ingest_pipeline": "none",
        "elastic.mapping.mode": "nonsense",
        "data_stream.dataset": "theirs",
        "data_stream.namespace": "theirs",
    }
    if where == "resource":
        send(running, service, {"body": "directed"}, {"body": "other"}, **directions)
    else:
        given = directions if where == "record" else {"scope": directions}
        send(running, service, {"body": "directed", **given}, {"body": "other"})
    found = stored.wait_for(2, **of(service))
    assert {doc["body"]["text"] for doc in found.values()} == {"directed", "other"}
    assert "mine" not in found
    assert not elasticsearch.indices.exists(index="somewhere-else")


def test_a_request_that_is_too_large_for_a_proxy_waits_until_it_is_taken(
    collector: Callable[..., Collector], elasticsearch_url: str, stored: Stored, service: str
):
    limited = True

    def limit(lines: list[dict[str, Any]]) -> Answer:
        large = any("large" in str(line.get("body", "")) for line in lines)
        return (413, {"error": "too large"}) if limited and large else None

    with Gate(elasticsearch_url, answer=limit) as gate:
        running = collector(
            ELASTICSEARCH_URL=gate.address, OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace
        )
        send(running, service, {"body": "large"})
        wait_until(lambda: len(gate.times) >= 2, "it is tried again")
        assert stored.documents(**of(service)) == {}
        limited = False
        (document,) = stored.wait_for(1, seconds=60, **of(service)).values()
    assert document["body"]["text"] == "large"


def test_how_late_a_record_came_is_kept_with_it(running: Collector, stored: Stored, service: str):
    now = time.time_ns()
    send(running, service, {"body": "an hour", "time": now - 3600 * SECOND}, {"body": "at once"})
    late = {
        doc["body"]["text"]: doc["attributes"][ARRIVAL_DELAY]
        for doc in stored.wait_for(2, **of(service)).values()
    }
    assert 3600 <= late["an hour"] < 3660
    assert 0 <= late["at once"] < 60


def test_the_collectors_own_counters_tell_what_was_refused(
    running: Collector, stored: Stored, elasticsearch: Elasticsearch, service: str
):
    send(running, service, {"": "refused"})
    stream = data_stream("metrics", stored.namespace)
    found: dict[str, Any] = {}

    def told() -> bool:
        nonlocal found
        client = elasticsearch.options(ignore_status=[404, 503], max_retries=0)
        client.indices.refresh(index=stream)
        query = {"term": {"attributes.outcome": "failure_store"}}
        answer = client.search(index=stream, query=query)
        hits = answer.get("hits", {}).get("hits", [])
        found = hits[0]["_source"] if hits else {}
        return bool(found)

    wait_until(told, "the Collector's counters", 40)
    assert found["metrics"]["otelcol.elasticsearch.docs.processed"] >= 1
