"""The stored document has the shape that the Collector's exporter writes, and reads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.elasticsearch.documents import log_document, span_documents, timestamp
from otelbridge.elasticsearch.metric_documents import metric_documents
from otelbridge.elasticsearch.reading import read_log, read_span, read_time
from otelbridge.model import LogRecord, MetricPoint, Scope, Span, SpanEvent

UID = bytes(range(16))


def test_a_log_has_the_names_of_the_otel_mapping() -> None:
    record = LogRecord(
        1721314113467654123,
        "refused",
        {"user": "алиса"},
        {"service.name": "pay"},
        Scope("shop.pay", "1"),
        severity_number=17,
        severity_text="ERROR",
        trace_id=b"\1" * 16,
        span_id=b"\2" * 8,
        uid=UID,
    )

    document = log_document(record, "default")

    assert document.stream == "logs-otelbridge.otel-default"
    assert document.id == UID.hex()
    assert document.source == {
        "@timestamp": "1721314113467.654123",
        "observed_timestamp": "0.000000",
        "data_stream": {"type": "logs", "dataset": "otelbridge.otel", "namespace": "default"},
        "severity_text": "ERROR",
        "severity_number": 17,
        "trace_id": "01" * 16,
        "span_id": "02" * 8,
        "attributes": {"user": "алиса", "log.record.uid": UID.hex()},
        "resource": {"attributes": {"service.name": "pay"}},
        "scope": {"name": "shop.pay", "version": "1"},
        "body": {"text": "refused"},
    }


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ({"a": 1}, {"structured": {"a": 1}}),
        ([{"a": 1}], {"structured": [{"a": 1}]}),
        ([1, "a"], {"structured": {"value": [1, "a"]}}),
        (5, {"text": 5}),
    ],
)
def test_a_body_that_is_no_text_is_structured(body: object, written: object) -> None:
    record = LogRecord(1, body, {}, {}, Scope())

    document = log_document(record, "x")

    assert document.source["body"] == written
    assert read_log(document.source).body == body


def test_what_directs_the_exporter_is_no_attribute_and_coordinates_are_one_point() -> None:
    attributes = {
        "elasticsearch.document_id": "x",
        "data_stream.dataset": "y",
        "geo.location.lat": 2.2,
        "geo.location.lon": 1.1,
        "a.geo.location.lat": 3.3,
        "unrelatedgeo.location.lat": 4.4,
    }

    document = log_document(LogRecord(1, None, attributes, {}, Scope()), "x")

    assert document.source["attributes"] == {
        "a.geo.location.lat": 3.3,
        "unrelatedgeo.location.lat": 4.4,
        "geo.location": [1.1, 2.2],
    }
    assert "body" not in document.source


def test_a_span_s_events_are_documents_among_the_logs() -> None:
    span = Span(
        1, 5, b"\1" * 16, b"\2" * 8, "GET", {}, {}, Scope(), kind=2, status_code=2,
        events=[SpanEvent(3, "exception", {"exception.type": "E"})],
    )  # fmt: skip

    own, event = span_documents(span, "x")

    assert (own.stream, own.id) == ("traces-otelbridge.otel-x", "01" * 16 + "02" * 8)
    assert (event.stream, event.id) == ("logs-otelbridge.otel-x", f"{own.id}-0")
    assert (own.source["kind"], own.source["status"]) == ("Server", {"code": "Error"})
    assert event.source["attributes"] == {"exception.type": "E", "event.name": "exception"}
    assert "observed_timestamp" not in event.source
    assert read_span(own.source, [event.source]) == span


def test_points_of_one_time_and_series_share_a_document() -> None:
    def point(name: str, value: float, **rest: object) -> MetricPoint:
        kind = str(rest.pop("type", "gauge"))
        return MetricPoint(5 * 10**6, name, kind, value, {"a": {"b": 1}}, {}, Scope(), **rest)  # type: ignore[arg-type]

    detail = {"bounds": [1.0, 2.0, 3.0], "bucket_counts": [1, 0, 3, 4]}
    documents = metric_documents(
        [
            point("whole", 1),
            point("rising", 1.5, type="sum", temporality=2, monotonic=True),
            point("took", 9.0, type="histogram", count=8, detail=detail),
            point("whole", 2),
        ],
        "x",
    )

    first, second = documents
    assert first.source["@timestamp"] == 5
    assert first.source["attributes"] == {"a": '{"b":1}'}
    assert first.source["metrics"] == {
        "whole": 1,
        "rising": 1.5,
        "took": {"counts": [1, 3, 4], "values": [0.5, 2.5, 3.0]},
    }
    assert first.dynamic_templates == {
        "metrics.whole": "gauge_long",
        "metrics.rising": "counter_double",
        "metrics.took": "histogram",
    }
    assert second.source["metrics"] == {"whole": 2}
    assert first.id != second.id


@given(st.integers(0, 2**63 - 1))
def test_a_time_is_read_as_it_was_written_by_us_and_by_the_exporter(time: int) -> None:
    # The exporter leaves the zeros before the nanoseconds out.
    assert read_time(timestamp(time)) == time
    assert read_time(f"{time // 10**6}.{time % 10**6}") == time


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T14:00:00.000000005Z", 1795183200000000005),
        ("2026-11-20T14:00:00Z", 1795183200000000000),
        (1795183200000, 1795183200000000000),
        ("soon", 0),
        (None, 0),
    ],
)
def test_other_forms_of_a_time_are_read_too(text: object, time: int) -> None:
    assert read_time(text) == time
