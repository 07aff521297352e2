"""Log records and spans as they are sent: without secrets, wherever one was put."""

from __future__ import annotations

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from otelbridge.delivery.redacted import redact_records

SECRET = "hunter2-correct.horse"
PLACES = {
    "password": SECRET,
    "text": f"Authorization: Bearer {SECRET}",
    "nested": {"deep": [{"api_key": SECRET}, f"token={SECRET}"]},
    "list": [f"https://app:{SECRET}@db/", "fine"],
    "http.request.header.cookie": [f"id={SECRET}"],
    "number": 7,
}


def make_log(body, attributes):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("test").emit(LogRecord(body=body, attributes=attributes))
    (readable,) = exporter.get_finished_logs()
    return readable


def make_span(secret: str) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    link = Link(SpanContext(1, 2, is_remote=True), {"token": secret})
    span = provider.get_tracer("test").start_span(
        f"GET /?password={secret}", attributes={"password": secret, "n": 1}, links=[link]
    )
    span.add_event("tried", {"secret": secret, "user": "alice"})
    span.record_exception(ValueError(f"cannot sign in with password={secret}"))
    span.set_status(Status(StatusCode.ERROR, f"password={secret}"))
    span.end()
    (finished,) = exporter.get_finished_spans()
    return finished


@pytest.mark.parametrize("body", [f"password={SECRET}", {"login": {"password": SECRET}}])
def test_a_log_record_is_sent_without_its_secrets(body):
    readable = make_log(body, PLACES)

    (redacted,) = redact_records("logs", [readable])

    sent = encode_logs([redacted]).SerializeToString()
    assert SECRET.encode() not in sent
    assert b"fine" in sent
    assert list(redacted.log_record.attributes) == list(PLACES)
    assert redacted.log_record.attributes["number"] == 7
    assert readable.log_record.attributes["password"] == SECRET


def test_a_span_is_sent_without_its_secrets():
    span = make_span(SECRET)

    (redacted,) = redact_records("traces", [span])

    sent = encode_spans([redacted]).SerializeToString()
    assert SECRET.encode() not in sent
    for kept in (b"tried", b"alice", b"cannot sign in with password=***", b"GET /?password=***"):
        assert kept in sent
    assert span.attributes["password"] == SECRET
    assert span.status.description == f"password={SECRET}"


def test_what_holds_no_secret_goes_on_as_it_is():
    log, span = make_log("order 7", {"user": "alice"}), make_span("")

    assert redact_records("logs", [log])[0] is log
    assert redact_records("traces", [span])[0] is span


def test_nothing_but_the_secrets_changes():
    log = make_log(f"password={SECRET}", {"user": "alice", "token": SECRET})
    expected = make_log("password=***", {"user": "alice", "token": "***"})
    expected.log_record.observed_timestamp = log.log_record.observed_timestamp
    span = make_span(SECRET)

    assert encode_logs(redact_records("logs", [log])) == encode_logs([expected])
    (redacted,) = redact_records("traces", [span])
    assert (redacted.context, redacted.parent) == (span.context, span.parent)
    assert (redacted.start_time, redacted.end_time) == (span.start_time, span.end_time)
    assert [(event.name, event.timestamp) for event in redacted.events] == [
        (event.name, event.timestamp) for event in span.events
    ]
    assert [link.context for link in redacted.links] == [link.context for link in span.links]


def test_what_the_limits_dropped_is_still_told():
    span = make_span(SECRET)
    span._attributes.dropped, span._events.dropped = 3, 2

    (redacted,) = redact_records("traces", [span])

    assert (redacted.dropped_attributes, redacted.dropped_events) == (3, 2)
