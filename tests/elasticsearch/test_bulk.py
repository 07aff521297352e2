"""Writing in bulk: what becomes of each document, and none is lost or tried for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch import Elasticsearch
from elasticsearch_gate import Answer, Gate, busy

from otelbridge.elasticsearch.bulk import Outcome, write_documents
from otelbridge.elasticsearch.bulk_body import document_lines, documents_of
from otelbridge.elasticsearch.client import make_client
from otelbridge.elasticsearch.documents import Document, timestamp
from otelbridge.elasticsearch.install import install_templates
from otelbridge.elasticsearch.names import data_stream, dead_letters, failures, refused
from otelbridge.elasticsearch.templates import MAY_LACK, TemplateOptions
from otelbridge.settings import read_settings


@pytest.fixture
def namespace(elasticsearch_url: str) -> Iterator[str]:
    own = f"bulk.{uuid4().hex}"
    yield own
    with Elasticsearch(elasticsearch_url) as client:
        client.options(ignore_status=404).indices.delete_data_stream(name=f"*-{own}")


@pytest.fixture
def gate(elasticsearch_url: str) -> Iterator[Gate]:
    with Gate(elasticsearch_url) as gate:
        yield gate


@pytest.fixture
def client(gate: Gate) -> Iterator[Elasticsearch]:
    client = make_client(read_settings({}, elasticsearch_url=gate.address))
    list(install_templates(client, gate.address, TemplateOptions(86400, without=MAY_LACK)))
    yield client
    client.close()


def document(namespace: str, id: str, **attributes: Any) -> Document:
    source = {
        "@timestamp": timestamp(1_700_000_000_123_456_789),
        "data_stream": {"type": "logs", "dataset": "otelbridge.otel", "namespace": namespace},
        "attributes": attributes,
    }
    return Document(data_stream("logs", namespace), id, source)


def write(client: Elasticsearch, namespace: str, *documents: Document, **more: Any) -> Outcome:
    return write_documents(client, documents, url="http://es", namespace=namespace, **more)


def found(client: Elasticsearch, stream: str) -> dict[str, dict[str, Any]]:
    client.indices.refresh(index=stream)
    hits = client.search(index=stream, size=1000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def test_documents_are_stored_as_they_are(client: Elasticsearch, namespace: str) -> None:
    sent = document(namespace, "one", user="алиса", n=5, f=5.0, none=None)
    outcome = write(client, namespace, sent)
    assert (outcome.stored, outcome.later, outcome.error) == (1, [], None)
    assert found(client, sent.stream) == {"one": sent.source}


def test_documents_that_are_written_already_fare_the_same(
    client: Elasticsearch, namespace: str
) -> None:
    first = document(namespace, "first", code=500)
    assert write(client, namespace, first).stored == 1
    strict = {"attributes.size": {"type": "integer", "ignore_malformed": False}}
    client.indices.put_mapping(index=first.stream, properties=strict)
    more = document(namespace, "refused", size="large"), document(namespace, "stored", size=2)
    body = b"".join(line for one in (first, *more) for line in document_lines(one))
    outcome = write(client, namespace, *documents_of(body))
    assert (outcome.stored, outcome.duplicates, outcome.later) == (1, 1, [])
    (refusal,) = outcome.refused
    assert (refusal.document.id, refusal.document.stream) == ("refused", first.stream)
    assert found(client, first.stream) == {"first": first.source, "stored": more[1].source}


def test_a_resend_stores_nothing_twice(client: Elasticsearch, namespace: str) -> None:
    documents = [document(namespace, str(number)) for number in range(3)]
    assert write(client, namespace, *documents).stored == 3
    again = write(client, namespace, *documents, document(namespace, "new"))
    assert (again.stored, again.duplicates, again.refused) == (1, 3, [])
    assert len(found(client, documents[0].stream)) == 4


def test_a_refused_document_becomes_a_dead_letter_and_the_others_are_stored(
    client: Elasticsearch, namespace: str
) -> None:
    first = document(namespace, "first", code=500)
    assert write(client, namespace, first).stored == 1
    # As somebody may have who wants this field to be a number and nothing else.
    strict = {"attributes.size": {"type": "integer", "ignore_malformed": False}}
    client.indices.put_mapping(index=first.stream, properties=strict)
    conflicting = document(namespace, "conflict", size="large")
    outcome = write(client, namespace, conflicting, document(namespace, "fine", size=404))
    assert (outcome.stored, len(outcome.refused), outcome.later) == (1, 1, [])
    assert found(client, first.stream).keys() == {"first", "fine"}
    (refusal,) = outcome.refused
    assert refusal.kept == failures(first.stream)
    assert refusal.type == "document_parsing_exception"
    assert "size" in refusal.reason
    (kept,) = found(client, failures(first.stream)).values()
    assert kept["error"]["type"] == refusal.type
    assert kept["document"]["id"] == "conflict"
    assert kept["document"]["source"] == conflicting.source


def test_what_a_server_without_failure_stores_refuses_becomes_a_dead_letter(
    client: Elasticsearch, namespace: str
) -> None:
    fine = document(namespace, "fine")
    assert write(client, namespace, fine).stored == 1
    _switch_failure_store(client, fine.stream, on=False)
    broken = document(namespace, "broken", **{"": "a field without a name"})
    (refusal,) = write(client, namespace, broken).refused
    assert refusal.kept == ""
    letter = found(client, dead_letters(namespace))["broken"]
    assert letter["error"]["type"] == "document_parsing_exception"
    assert "Field name cannot be an empty string" in letter["error"]["message"]
    assert letter["document"] == {"index": fine.stream, "id": "broken"}
    assert json.loads(letter["original"]) == broken.source


@pytest.mark.parametrize("kept_by", ["the server", "us"])
def test_what_was_refused_is_found_by_the_words_of_its_reason_wherever_it_is_kept(
    client: Elasticsearch, namespace: str, kept_by: str
) -> None:
    broken = document(namespace, "broken")
    write(client, namespace, document(namespace, "fine"))
    _switch_failure_store(client, broken.stream, on=kept_by == "the server")
    broken.source["@timestamp"] = "yesterday"
    assert len(write(client, namespace, broken).refused) == 1
    client.indices.refresh(index=refused(namespace), ignore_unavailable=True)
    hits = client.search(
        index=refused(namespace),
        ignore_unavailable=True,
        query={"match": {"error.message": "yesterday"}},
    )
    assert hits["hits"]["total"]["value"] == 1


def _switch_failure_store(client: Elasticsearch, stream: str, *, on: bool) -> None:
    client.perform_request(
        "PUT",
        f"/_data_stream/{stream}/_options",
        headers={"content-type": "application/json", "accept": "application/json"},
        body={"failure_store": {"enabled": on}},
    )


def test_a_number_that_comes_as_text_later_loses_nothing(
    client: Elasticsearch, namespace: str
) -> None:
    values: list[Any] = [500, "E42", {"major": 5}, [1, "two"], True]
    documents = [
        document(namespace, str(number), code=value) for number, value in enumerate(values)
    ]
    outcome = write(client, namespace, *documents)
    assert (outcome.stored, outcome.refused) == (5, [])
    stored = found(client, documents[0].stream)
    assert [stored[one.id or ""]["attributes"]["code"] for one in documents] == values


def test_ten_thousand_new_fields_are_one_document(client: Elasticsearch, namespace: str) -> None:
    wide = document(namespace, "wide", **{f"key_{number}": number for number in range(10_000)})
    outcome = write(client, namespace, wide, document(namespace, "next", late="found"))
    assert (outcome.stored, outcome.refused) == (2, [])
    stored = found(client, wide.stream)
    assert stored["wide"] == wide.source
    assert stored["next"]["attributes"] == {"late": "found"}


def test_a_busy_server_is_told_from_a_refusal(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    gate.answer = busy
    sent = document(namespace, "later")
    outcome = write(client, namespace, sent)
    assert (outcome.later, outcome.refused) == ([sent], [])
    assert outcome.error is not None
    assert outcome.error.temporary


def test_a_request_that_is_too_much_for_a_busy_server_is_sent_in_parts(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    sizes = []

    def takes_little(lines: list[dict[str, Any]]) -> Answer:
        sizes.append(len(json.dumps(lines)))
        return busy(lines) if sizes[-1] > 1_500_000 else None

    gate.answer = takes_little
    documents = [document(namespace, str(number), text="x" * 50_000) for number in range(100)]
    outcome = write(client, namespace, *documents)
    assert (outcome.stored, outcome.later, outcome.error) == (100, [], None)
    assert sizes[0] > 5_000_000
    assert all(size < 1_500_000 for size in sizes[3:4])
    assert len(found(client, documents[0].stream)) == 100


def test_a_server_that_takes_nothing_is_not_asked_with_ever_smaller_requests(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    gate.answer = busy
    documents = [document(namespace, str(number), text="x" * 50_000) for number in range(100)]
    outcome = write(client, namespace, *documents)
    assert outcome.later == documents
    assert len(gate.times) == 4


@pytest.mark.parametrize(
    ("status", "type", "temporary", "words"),
    [
        (429, "es_rejected_execution_exception", True, "no room"),
        (503, "unavailable_shards_exception", True, "no room"),
        (403, "cluster_block_exception", True, "no room"),
        (403, "security_exception", False, "does not allow"),
        (404, "index_not_found_exception", False, "run `otelbridge setup`"),
    ],
)
def test_what_is_not_a_documents_fault_is_kept_for_later(
    client: Elasticsearch,
    gate: Gate,
    namespace: str,
    status: int,
    type: str,
    temporary: bool,
    words: str,
) -> None:
    def one_of_two(lines: list[dict[str, Any]]) -> Answer:
        refused = {"status": status, "error": {"type": type, "reason": "because"}}
        return 200, {"errors": True, "items": [{"create": {"status": 201}}, {"create": refused}]}

    gate.answer = one_of_two
    documents = [document(namespace, "taken"), document(namespace, "kept")]
    outcome = write(client, namespace, *documents)
    assert (outcome.stored, outcome.later, outcome.refused) == (1, documents[1:], [])
    assert outcome.error is not None
    assert outcome.error.temporary is temporary
    assert words in str(outcome.error)


def test_large_batches_are_several_requests(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    documents = [document(namespace, str(number), text="x" * 1000) for number in range(20)]
    assert write(client, namespace, *documents, max_bytes=5000).stored == 20
    assert 5 <= len(gate.times) <= 10
    assert len(found(client, documents[0].stream)) == 20


def test_a_document_too_large_for_the_server_takes_no_other_with_it(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    def limited(lines: list[dict[str, Any]]) -> Answer:
        return (413, {}) if len(json.dumps(lines)) > 5000 and "original" not in lines[1] else None

    gate.answer = limited
    large = document(namespace, "large", text="x" * 10_000)
    documents = [*(document(namespace, str(number)) for number in range(6)), large]
    outcome = write(client, namespace, *documents)
    assert outcome.stored == 6
    assert [refusal.document for refusal in outcome.refused] == [large]
    letter = found(client, dead_letters(namespace))["large"]
    assert letter["error"]["message"] == "larger than the server takes"
    assert json.loads(letter["original"]) == large.source


def test_a_refused_dead_letter_is_lost_and_said_so(
    client: Elasticsearch, gate: Gate, namespace: str
) -> None:
    def refuse(lines: list[dict[str, Any]]) -> Answer:
        error = {"type": "document_parsing_exception", "reason": "never"}
        refused = {"create": {"status": 400, "error": error}}
        return 200, {"errors": True, "items": [refused] * (len(lines) // 2)}

    gate.answer = refuse
    outcome = write(client, namespace, document(namespace, "a"))
    assert (outcome.stored, outcome.later, outcome.error) == (0, [], None)
    assert [refusal.reason for refusal in outcome.lost] == ["never"]
    assert len(gate.times) == 2


def test_a_server_that_is_not_there_leaves_everything_for_later(namespace: str) -> None:
    client = make_client(read_settings({}, elasticsearch_url="http://127.0.0.1:9"))
    documents = [document(namespace, str(number), text="x" * 100) for number in range(9)]
    outcome = write(client, namespace, *documents, max_bytes=500)
    assert outcome.later == documents
    assert outcome.error is not None
    assert "cannot be reached" in str(outcome.error)
    client.close()


def test_text_that_is_no_unicode_takes_no_other_with_it(
    client: Elasticsearch, namespace: str
) -> None:
    documents = [document(namespace, "odd", text="\ud800"), document(namespace, "fine")]
    outcome = write(client, namespace, *documents)
    assert outcome.stored + len(outcome.refused) == 2
    assert "fine" in found(client, documents[0].stream)
