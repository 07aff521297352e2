"""How late a record is stands in its document, and nothing else in it changes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.elasticsearch.arrival import PATIENCE, put_right
from otelbridge.elasticsearch.bulk_body import document_lines, logs_body, spans_body
from otelbridge.elasticsearch.documents import Document
from otelbridge.elasticsearch.metric_documents import metric_documents
from otelbridge.elasticsearch.names import ARRIVAL_DELAY
from otelbridge.model import LogRecord, MetricPoint, Scope, Span, SpanEvent, SpanLink

NOW = 1_800_000_000 * 10**9
SECOND = 10**9
# Texts that look like the places where a document is changed.
TEXTS = st.text(max_size=6) | st.sampled_from(
    [
        f'"attributes":{{"{ARRIVAL_DELAY}":1.5,',
        '"links":[',
        '"duration":7,',
        '"resource":{',
        "attributes",
        "resource",
    ]
)
VALUES = st.recursive(
    TEXTS | st.integers(-5, 5) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
ATTRIBUTES = st.dictionaries(TEXTS | st.just(ARRIVAL_DELAY), VALUES, max_size=3)
SCOPES = st.builds(Scope, TEXTS, TEXTS, ATTRIBUTES)
AGES = st.integers(-(10**12), 10**15)
WAITS = st.integers(-(10**12), 10**13)


def lines_of(body: bytes) -> list[bytes]:
    return body.splitlines(keepends=True)


def first(lines: Any) -> dict[str, Any]:
    return dict(orjson.loads(lines[1]))


def assert_only_delayed(told: bytes, untold: bytes, age: int, wait: int) -> None:
    """Hold a body to the one that tells no delay: when it is written, and after a wait."""
    written = lines_of(told)
    for lines, seconds, abs in (
        (written, age / SECOND, 1e-6),
        (put_right(written, NOW + wait), (age + wait) / SECOND, PATIENCE + 1e-6),
    ):
        found, expected = first(lines), first(lines_of(untold))
        assert found["attributes"].pop(ARRIVAL_DELAY) == pytest.approx(seconds, rel=0, abs=abs)
        attributes = expected.get("attributes", {})
        attributes.pop(ARRIVAL_DELAY, None)
        assert found.pop("attributes") == attributes
        expected.pop("attributes", None)
        assert found == expected
        assert lines[2:] == lines_of(untold)[2:]


@given(AGES, WAITS, ATTRIBUTES, ATTRIBUTES, SCOPES, VALUES, TEXTS)
def test_a_log_tells_the_seconds_since_it_was_made(
    age: int, wait: int, attributes: Any, resource: Any, scope: Scope, body: Any, name: str
) -> None:
    record = LogRecord(
        NOW - age, body, attributes, resource, scope, severity_text=name, event_name=name
    )
    assert_only_delayed(logs_body([record], "x", NOW), logs_body([record], "x"), age, wait)


@given(AGES, WAITS, st.integers(0, 10**12), ATTRIBUTES, ATTRIBUTES, SCOPES, TEXTS)
def test_a_span_tells_the_seconds_since_it_ended(
    age: int, wait: int, duration: int, attributes: Any, linked: Any, scope: Scope, name: str
) -> None:
    span = Span(
        NOW - age - duration, duration, b"t" * 16, b"s" * 8, name, attributes, linked, scope,
        links=[SpanLink(b"t" * 16, b"s" * 8, linked)], trace_state=name,
        events=[SpanEvent(NOW, name, linked)],
    )  # fmt: skip
    assert_only_delayed(spans_body([span], "x", NOW), spans_body([span], "x"), age, wait)


@pytest.mark.parametrize("wait", [0, 10 * SECOND, -10 * SECOND])
def test_each_of_many_that_waited_tells_its_own_delay(wait: int) -> None:
    ages = [7 * SECOND, 5 * SECOND, 0]
    records = [LogRecord(NOW - age, "b", {"n": age}, {}, Scope()) for age in ages]
    lines = put_right(lines_of(logs_body(records, "x", NOW)), NOW + wait)
    delays = [orjson.loads(line)["attributes"][ARRIVAL_DELAY] for line in lines[1::2]]
    assert delays == [(age + wait) / SECOND for age in ages]


def test_a_delay_that_the_program_set_gives_way() -> None:
    record = LogRecord(NOW - SECOND, "b", {"a": 1, ARRIVAL_DELAY: "7"}, {}, Scope())
    found = first(lines_of(logs_body([record], "x", NOW)))
    assert found["attributes"] == {ARRIVAL_DELAY: 1.0, "a": 1}


def test_metrics_events_and_dead_letters_are_left_as_they_are() -> None:
    point = MetricPoint(NOW, "m", "gauge", 1.0, {}, {}, Scope())
    (metric,) = metric_documents([point], "x")
    letter = Document("logs-otelbridge.deadletter-x", "i", {"@timestamp": "1.000000", "a": 1})
    events = [SpanEvent(NOW, "e", {"a": 1})]
    span = Span(NOW, 1, b"t" * 16, b"s" * 8, "n", {}, {}, Scope(), events=events)
    others = [*document_lines(metric), *document_lines(letter)]
    others += lines_of(spans_body([span], "x", NOW))[2:]
    assert put_right(others, NOW + 60 * SECOND) == others
