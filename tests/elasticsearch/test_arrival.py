"""How late a record is stands in its document, and nothing else in it changes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.elasticsearch.arrival import stamp
from otelbridge.elasticsearch.bulk_body import document_lines
from otelbridge.elasticsearch.documents import Document, log_document, span_documents
from otelbridge.elasticsearch.metric_documents import metric_documents
from otelbridge.elasticsearch.names import ARRIVAL_DELAY
from otelbridge.model import LogRecord, MetricPoint, Scope, Span, SpanEvent, SpanLink

NOW = 1_800_000_000 * 10**9
# Texts that look like the places where a document is changed.
TEXTS = st.text(max_size=6) | st.sampled_from(
    ['"attributes":{', '"links":[', '"kind":"x","duration":7', '"resource":{', "attributes"]
)
VALUES = st.recursive(
    TEXTS | st.integers(-5, 5) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
ATTRIBUTES = st.dictionaries(TEXTS, VALUES, max_size=3)
SCOPES = st.builds(Scope, TEXTS, TEXTS, ATTRIBUTES)
AGES = st.integers(-(10**12), 10**15)


def stamped(document: Document) -> dict[str, Any]:
    return dict(orjson.loads(stamp(*document_lines(document), NOW)))


def assert_only_delayed(document: Document, seconds: float) -> None:
    found = stamped(document)
    assert found["attributes"].pop(ARRIVAL_DELAY) == pytest.approx(seconds, abs=1e-6)
    if not found["attributes"]:
        del found["attributes"]
    expected = orjson.loads(orjson.dumps(document.source))
    if not expected.get("attributes", True):
        del expected["attributes"]
    assert found == expected


@given(AGES, ATTRIBUTES, ATTRIBUTES, SCOPES, VALUES, TEXTS)
def test_a_log_tells_the_seconds_since_it_was_made(
    age: int, attributes: Any, resource: Any, scope: Scope, body: Any, name: str
) -> None:
    record = LogRecord(
        NOW - age, body, attributes, resource, scope, severity_text=name, event_name=name
    )
    assert_only_delayed(log_document(record, "x"), age / 1e9)


@given(AGES, st.integers(0, 10**12), ATTRIBUTES, ATTRIBUTES, SCOPES, TEXTS)
def test_a_span_tells_the_seconds_since_it_ended(
    age: int, duration: int, attributes: Any, linked: Any, scope: Scope, name: str
) -> None:
    span = Span(
        NOW - age - duration, duration, b"t" * 16, b"s" * 8, name, attributes, linked, scope,
        links=[SpanLink(b"t" * 16, b"s" * 8, linked)], trace_state=name,
        events=[SpanEvent(NOW, name, linked)],
    )  # fmt: skip
    own, _ = span_documents(span, "x")
    assert_only_delayed(own, age / 1e9)


def test_an_attribute_of_that_name_is_left_as_it_is() -> None:
    record = LogRecord(NOW, "b", {ARRIVAL_DELAY: 7}, {}, Scope())
    assert stamped(log_document(record, "x"))["attributes"] == {ARRIVAL_DELAY: 7}


def test_metrics_events_and_dead_letters_are_left_as_they_are() -> None:
    point = MetricPoint(NOW, "m", "gauge", 1.0, {}, {}, Scope())
    (metric,) = metric_documents([point], "x")
    letter = Document("logs-otelbridge.deadletter-x", "i", {"@timestamp": "1.000000", "a": 1})
    events = [SpanEvent(NOW, "e", {"a": 1})]
    span = Span(NOW, 1, b"t" * 16, b"s" * 8, "n", {}, {}, Scope(), events=events)
    for document in (metric, letter, span_documents(span, "x")[1]):
        action, line = document_lines(document)
        assert stamp(action, line, NOW) == line
