"""The body of a bulk request holds the documents of its records, byte for byte."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.elasticsearch.bulk_body import (
    document_lines,
    documents_of,
    logs_body,
    spans_body,
)
from otelbridge.elasticsearch.documents import log_document, span_documents
from otelbridge.model import LogRecord, Scope, Span, SpanEvent, SpanLink

# Characters that JSON escapes, lone surrogates, and numbers beyond 64 bits among them.
TEXTS = st.text(st.characters(codec=None), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(
    TEXTS
    | st.sampled_from(
        ["event.name", "geo.location.lat", "geo.location.lon", "elasticsearch.document_id"]
    ),
    VALUES,
    max_size=5,
)
SCOPES = st.builds(Scope, TEXTS, TEXTS, ATTRIBUTES)
TIMES = st.integers(0, 2**63 - 1)
TRACE_IDS = st.binary(min_size=16, max_size=16)
SPAN_IDS = st.binary(min_size=8, max_size=8)
NAMESPACES = st.sampled_from(["default", "my_shop.eu"])


@st.composite
def logs(draw: st.DrawFn) -> list[LogRecord]:
    """Records of which some share their resource and scope."""
    resources = draw(st.lists(ATTRIBUTES, min_size=1, max_size=2))
    scopes = draw(st.lists(SCOPES, min_size=1, max_size=2))
    record = st.builds(
        LogRecord,
        time=TIMES,
        body=VALUES,
        attributes=ATTRIBUTES,
        resource=st.sampled_from(resources),
        scope=st.sampled_from(scopes),
        observed_time=TIMES,
        severity_number=st.integers(0, 24),
        severity_text=TEXTS,
        trace_id=st.none() | TRACE_IDS,
        span_id=st.none() | SPAN_IDS,
        event_name=TEXTS,
        uid=st.none() | TRACE_IDS,
    )
    return draw(st.lists(record, max_size=4))


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Spans of which some share their resource and scope."""
    resources = draw(st.lists(ATTRIBUTES, min_size=1, max_size=2))
    scopes = draw(st.lists(SCOPES, min_size=1, max_size=2))
    span = st.builds(
        Span,
        time=TIMES,
        duration=TIMES,
        trace_id=TRACE_IDS,
        span_id=SPAN_IDS,
        name=TEXTS,
        attributes=ATTRIBUTES,
        resource=st.sampled_from(resources),
        scope=st.sampled_from(scopes),
        parent_span_id=st.none() | SPAN_IDS,
        kind=st.integers(0, 6),
        status_code=st.integers(0, 3),
        status_message=TEXTS,
        events=st.lists(st.builds(SpanEvent, TIMES, TEXTS, ATTRIBUTES), max_size=2),
        links=st.lists(st.builds(SpanLink, TRACE_IDS, SPAN_IDS, ATTRIBUTES), max_size=2),
        trace_state=TEXTS,
    )
    return draw(st.lists(span, max_size=3))


@given(logs(), NAMESPACES)
def test_logs_are_written_as_their_documents(records: list[LogRecord], namespace: str) -> None:
    documents = [log_document(record, namespace) for record in records]
    lines = [line for document in documents for line in document_lines(document)]
    assert logs_body(records, namespace) == b"".join(lines)


@given(spans(), NAMESPACES)
def test_spans_are_written_as_their_documents(given_spans: list[Span], namespace: str) -> None:
    documents = [one for span in given_spans for one in span_documents(span, namespace)]
    lines = [line for document in documents for line in document_lines(document)]
    assert spans_body(given_spans, namespace) == b"".join(lines)


@given(st.lists(logs(), max_size=2), spans())
def test_a_body_comes_apart_into_its_documents(
    batches: list[list[LogRecord]], given_spans: list[Span]
) -> None:
    body = b"".join(logs_body(batch, "x") for batch in batches) + spans_body(given_spans, "x")
    documents = [log_document(record, "x") for batch in batches for record in batch]
    documents += [one for span in given_spans for one in span_documents(span, "x")]
    apart = documents_of(body)
    assert [(one.stream, one.id) for one in apart] == [(one.stream, one.id) for one in documents]
    assert b"".join(line for one in apart for line in document_lines(one)) == body


def test_each_document_is_two_lines_whatever_it_holds() -> None:
    hard: dict[str, Any] = {"a": "line\nbreak\r\u2028\x85", "b": "\udc80", "c": 2**70}
    records = [LogRecord(1, "x\ny", dict([item]), hard, Scope()) for item in hard.items()]
    lines = logs_body(records, "default").split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines[::2]] == [
        {"create": {"_index": "logs-otelbridge.otel-default"}}
    ] * 3
    assert [json.loads(line)["attributes"] for line in lines[1::2]] == [
        dict([item]) for item in hard.items()
    ]


def test_a_resource_that_lives_no_longer_than_its_record_is_not_taken_for_another() -> None:
    def records() -> Any:
        for number in range(50):
            # Freed at once, so that the next may lie at the same place.
            yield LogRecord(number, None, {}, {"number": number}, Scope(str(number)))

    sources = [json.loads(line) for line in logs_body(records(), "x").splitlines()[1::2]]
    assert [one["resource"]["attributes"]["number"] for one in sources] == list(range(50))
    assert [one["scope"]["name"] for one in sources] == [str(number) for number in range(50)]


def test_no_records_are_no_lines() -> None:
    assert logs_body([], "x") == spans_body([], "x") == b""
