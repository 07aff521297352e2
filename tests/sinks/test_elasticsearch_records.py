"""What the elasticsearch sink makes of a record is what a receiver makes of it sent by OTLP."""

from __future__ import annotations

import logging
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from otelbridge.elasticsearch.bulk_body import documents_of
from otelbridge.receivers.decoded import Decoded
from otelbridge.receivers.otlp_protobuf import read_logs, read_spans
from otelbridge.settings import read_settings
from otelbridge.sinks.elasticsearch import ElasticsearchDestination
from otelbridge.sinks.elasticsearch_records import log_record, span
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.sinks.otlp_trouble import TroubleReport

RESOURCE = Resource({"service.name": "shop", "process.pid": 7})

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def logged(message: str, extra: dict[str, Any], level: int = logging.INFO) -> Any:
    """Log one record; returns it as the SDK has it."""
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    record = logging.LogRecord("a.logger", level, __file__, 1, message, (), None)
    record.__dict__.update(extra)
    OTLPHandler(provider).emit(record)
    return kept.get_finished_logs()[0]


@given(st.text(max_size=30), st.dictionaries(st.text(min_size=1, max_size=8), VALUES, max_size=4))
def test_any_log_record_is_what_otlp_would_carry(message: str, extra: dict[str, Any]) -> None:
    given_names = {f"x_{key}": value for key, value in extra.items()}
    readable = logged(message, given_names)
    decoded = Decoded()
    read_logs(encode_logs([readable]), decoded, 0)
    assert [log_record(readable)] == decoded.batch.logs


def test_an_exception_and_a_custom_level_are_kept() -> None:
    record = log_record(logged("gone", {"user": "алиса"}, level=35))
    assert (record.severity_text, record.severity_number) == ("Level 35", 15)
    assert record.uid is not None
    assert record.attributes["user"] == "алиса"
    assert record.scope.name == "a.logger"
    assert record.resource == {"service.name": "shop", "process.pid": 7}


def test_a_span_is_what_otlp_would_carry() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("a.library", "1.2", attributes={"scoped": True})
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER) as outer:
        links = [Link(outer.get_span_context(), {"why": "retry"})]
        with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, links=links) as inner:
            inner.set_attribute("numbers", [1, 2])
            inner.set_attribute("ratio", math.nan)
            inner.add_event("tried", {"attempt": 2})
            inner.set_status(Status(StatusCode.ERROR, "no answer"))
    decoded = Decoded()
    read_spans(encode_spans(kept.get_finished_spans()), decoded, 0)
    ours = [span(readable) for readable in kept.get_finished_spans()]
    for one in [*ours, *decoded.batch.spans]:
        one.flags = 0  # on the wire they say, too, whether the parent was remote
    assert ours == decoded.batch.spans
    assert [one.name for one in ours] == ["inner", "outer"]


@given(st.integers(2, 9))
def test_a_body_is_halved_between_two_documents(count: int) -> None:
    destination = ElasticsearchDestination("logs", read_settings({}), TroubleReport())
    body = destination.encode([logged(f"n {number}", {}) for number in range(count)])
    first, second = map(documents_of, destination._split(body))
    assert [len(first), len(second)] == [count // 2, count - count // 2]
    assert [*first, *second] == list(documents_of(body))
