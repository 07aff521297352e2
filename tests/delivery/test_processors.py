"""Records on the short way from our logging handler are those of the SDK's own way."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, LogRecordProcessor
from opentelemetry.sdk._logs._internal import _disable_logger_configurator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otelbridge.delivery.processors import LogProcessor
from otelbridge.delivery.queue import EncodedRecords
from otelbridge.delivery.redacted import redact_records
from otelbridge.sinks.otlp_logging import OTLPHandler
from otelbridge.sinks.otlp_request import RequestEncoder

UNLIMITED = LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET)


class Kept:
    """Stands for a delivery: keeps what it is given."""

    def __init__(self, takes_encoded: bool = False) -> None:
        self.takes_encoded = takes_encoded
        self.records: list[Any] = []

    def put(self, record: Any) -> None:
        self.records.append(record)

    def put_encoded(self, written: bytes, scope: Any, resource: Any) -> None:
        records = EncodedRecords(scope, resource)
        records.body += written
        self.records.append(records)


class Listener(LogRecordProcessor):
    """A processor of the program's own."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.records.append(log_record)

    def shutdown(self) -> None:
        """Have nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


def make_handler(
    *processors: Any, takes_encoded: bool = False, **given_settings: Any
) -> tuple[OTLPHandler, Kept]:
    kept: Any = Kept(takes_encoded)
    provider = LoggerProvider(
        resource=Resource({"service.name": "shop"}),
        shutdown_on_exit=False,
        **{"log_record_limits": UNLIMITED, **given_settings},
    )
    for processor in (LogProcessor(kept), *processors):
        provider.add_log_record_processor(processor)
    return OTLPHandler(provider), kept


def make_record(extra: Any = None, **fields: Any) -> logging.LogRecord:
    record = logging.LogRecord("shop", 20, "/app.py", 7, "order %s", ("x",), None, "pay")
    record.__dict__.update(extra or {})
    record.__dict__.update(fields)
    return record


def sent(kept: Kept) -> bytes:
    for record in kept.records:
        record.log_record.observed_timestamp = 1
    return bytes(encode_logs(kept.records).SerializeToString())


def encoded(kept: Kept) -> ExportLogsServiceRequest:
    """What would be sent, but for the moment at which each was taken."""
    first = kept.records[0]
    records = [first] if type(first) is EncodedRecords else redact_records("logs", kept.records)
    request = ExportLogsServiceRequest.FromString(
        RequestEncoder("logs", encode_logs).encode(records)
    )
    for scope in request.resource_logs[0].scope_logs:
        for record in scope.log_records:
            record.observed_time_unix_nano = 1
    return request


def assert_same_on_all_ways(record: logging.LogRecord) -> None:
    (short, kept), (long, kept_too) = make_handler(), make_handler(Listener())
    at_once, encoded_at_once = make_handler(takes_encoded=True)
    short.handle(record)
    long.handle(record)
    at_once.handle(record)
    assert len(kept.records) == len(kept_too.records) == 1
    assert type(kept.records[0].log_record.attributes) is dict
    expected = sent(kept_too)
    kept.records[0].observed_timestamp = 1
    assert sent(kept) == expected
    # Of what was captured, without the SDK's record that is made of it.
    assert RequestEncoder("logs", encode_logs).encode(kept.records) == expected
    masked, masked_too = (redact_records("logs", each.records) for each in (kept, kept_too))
    assert RequestEncoder("logs", encode_logs).encode(masked) == bytes(
        encode_logs(masked_too).SerializeToString()
    )
    assert encoded(encoded_at_once) == encoded(kept)


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(), max_size=9),
        st.binary(max_size=9),
        st.sampled_from([Path("a"), object, {1, 2}, 1j, ValueError("no")]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.none() | st.integers() | st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.text(max_size=9).map("x.".__add__) | st.just(""), ANYTHING, max_size=4))
def test_whatever_extra_holds(extra):
    assert_same_on_all_ways(make_record(extra))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pathname": Path("/app.py")},
        {"pathname": "/caf\udce9.py"},
        {"lineno": "7", "funcName": None, "thread": None},
        {"threadName": ["a", object]},
        {"lineno": 2**70},
        {"levelname": "NOTICE", "levelno": 25},
        {"stack_info": "Stack"},
        {"code.file.path": "mine"},
        {"log.record.uid": "mine", "user": "alice"},
        {"exception.type": "mine"},
        {"lineno": True},
        {"lineno": 1},
        {"lineno": 1.0},
        {"pathname": ["a"]},
        {"thread": 2**40, "threadName": "Thread-1 (serve)"},
        {"token": "abc", "count": 3},
        {"note": "password=abc", "user": "alice"},
        {"msg": "card 4111 1111 1111 1111 of %s"},
        {"_otelbridge_event": "order.paid"},
    ],
)
def test_a_record_made_by_hand(fields):
    assert_same_on_all_ways(make_record(fields))


def test_a_record_of_a_span_and_an_exception():
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")
    with tracer.start_as_current_span("pay") as span:
        try:
            raise ValueError("no")
        except ValueError as error:
            record = make_record(exc_info=(type(error), error, error.__traceback__))
        assert_same_on_all_ways(record)
        handler, kept = make_handler()
        handler.handle(record)
    assert kept.records[0].log_record.span_id == span.get_span_context().span_id
    # It may hold on to much, and is not sent.
    assert not kept.records[0].log_record.context


def test_what_is_logged_does_not_change_afterwards():
    handler, kept = make_handler()
    basket = {"items": [1]}
    handler.handle(make_record({"basket": basket}))
    basket["items"].append(2)

    assert kept.records[0].log_record.attributes["basket"] == {"items": [1]}


def test_a_processor_that_the_program_adds_later_hears_what_is_logged():
    handler, kept = make_handler()
    handler.handle(make_record())
    listener = Listener()
    handler._provider.add_log_record_processor(listener)
    handler.handle(make_record())

    assert (len(kept.records), len(listener.records)) == (2, 1)


def test_every_delivery_gets_a_record():
    other: Any = Kept()
    handler, kept = make_handler(LogProcessor(other))
    handler.handle(make_record())

    assert len(kept.records) == len(other.records) == 1


@pytest.mark.parametrize(
    ("limits", "attributes"),
    [
        ({"max_log_record_attributes": 2}, {"thread.id": 1, "thread.name": "main"}),
        ({"max_log_record_attribute_length": 2}, {"code.file.path": "/a", "thread.name": "ma"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Log record attributes were dropped")
def test_limits_hold(limits, attributes):
    handler, kept = make_handler(log_record_limits=LogRecordLimits(**limits))
    handler.handle(make_record(thread=1, threadName="main"))

    found = kept.records[0].log_record.attributes
    assert {key: found[key] for key in attributes} == attributes
    assert len(found) <= limits.get("max_log_record_attributes", 100)


def test_a_logger_that_is_switched_off_hands_nothing_over():
    handler, kept = make_handler(_logger_configurator=_disable_logger_configurator)
    handler.handle(make_record())

    assert kept.records == []


PLAIN = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=150))


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.text(max_size=9).map("x.".__add__), PLAIN, max_size=4), st.text())
def test_whatever_is_plain(extra, message):
    assert_same_on_all_ways(make_record(extra, msg=message.replace("%", ""), args=()))


def test_what_is_plain_is_encoded_at_once():
    handler, kept = make_handler(takes_encoded=True)
    handler.handle(make_record({"user": "alice", "count": 3, "share": 0.5, "paid": True}))
    (taken,) = kept.records

    assert b"order x" in taken.body
    assert taken.instrumentation_scope.name == "shop"
    assert taken.resource.attributes["service.name"] == "shop"


@pytest.mark.parametrize(
    "fields",
    [
        {"msg": "card 4111 1111 1111 1111 of %s"},
        {"token": "abc"},
        {"msg": "x" * 5_000, "args": ()},
        {"basket": [1]},
        {"share": float("nan")},
        {"stack_info": "Stack"},
        {"msg": "%s %s"},
        {"msg": {"user": "alice"}, "args": ()},
        {"log.record.uid": "mine"},
    ],
)
def test_what_has_to_be_looked_into_is_left_to_another_thread(fields):
    handler, kept = make_handler(takes_encoded=True)
    handler.handle(make_record(fields))

    assert kept.records[0].log_record.body
