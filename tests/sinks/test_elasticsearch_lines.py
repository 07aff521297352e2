"""A record's lines of a bulk request are the same, whether written in one step or in several."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otelbridge.delivery.processors import LogProcessor
from otelbridge.delivery.taken_record import TakenRecord
from otelbridge.elasticsearch.bulk_body import logs_body
from otelbridge.pipeline import log_limits
from otelbridge.records.uid import UID_ATTRIBUTE
from otelbridge.sinks import elasticsearch_lines
from otelbridge.sinks.elasticsearch_lines import written_logs
from otelbridge.sinks.elasticsearch_records import log_records
from otelbridge.sinks.otlp_logging import OTLPHandler

NOW = 2_000_000_000_123_456_789


class Kept:
    """A delivery that only keeps."""

    takes_encoded = False

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.put = self.records.append


def taken(*logged: logging.LogRecord) -> list[TakenRecord]:
    kept: Any = Kept()
    provider = LoggerProvider(
        resource=Resource({"service.name": "shop"}),
        shutdown_on_exit=False,
        log_record_limits=log_limits(),
    )
    provider.add_log_record_processor(LogProcessor(kept))
    handler = OTLPHandler(provider)
    for record in logged:
        handler.handle(record)
    assert all(type(record) is TakenRecord for record in kept.records)
    return kept.records


def make_record(message: str = "order placed", **attributes) -> logging.LogRecord:
    record = logging.LogRecord("shop", logging.INFO, "/srv/shop.py", 7, message, (), None, "place")
    record.__dict__.update(attributes)
    return record


def in_steps(records: list[Any]) -> bytes:
    return logs_body(log_records(records), "test", NOW)


NAMES = st.one_of(
    st.sampled_from(
        [
            *("user", "code.file.path", "log.record.uid", "event.name", "elasticsearch.index"),
            *(
                "data_stream.type",
                "geo.location.lat",
                "a.geo.location.lon",
                "otelbridge.arrival_delay",
            ),
            *("thread.id", "exception.type", "", "größe"),
        ]
    ),
    st.text(min_size=1, max_size=4),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.dictionaries(NAMES, VALUES, max_size=4)), max_size=3
    )
)
def test_any_records(logged):
    records = []
    for message, extra in logged:
        record = make_record("%s")
        record.args = (message,)
        for name, value in extra.items():
            record.__dict__.setdefault(name, value)
        records.append(record)
    made = taken(*records)

    assert written_logs(made, "test", NOW) == in_steps(made)


@pytest.mark.parametrize(
    "attributes",
    [
        {"levelno": 0, "levelname": ""},
        {"levelno": 27},
        {"created": 0.0},
        {"created": -1.5},
        {"created": 4_000_000_000.0},
        {"msg": {"event": "paid"}},
        {"pathname": None, "lineno": None, "funcName": None, "thread": None, "threadName": None},
        {"pathname": "/srv/\udcff.py"},
        {"stack_info": "Stack:"},
        {UID_ATTRIBUTE: "0199ABCDEF0170008000000000000001"},
        {UID_ATTRIBUTE: "somebody else's"},
        {UID_ATTRIBUTE: "x" * 32},
        {"_otelbridge_event": "otelbridge.process.start"},
    ],
    ids=str,
)
def test_records_with_unusual_attributes(attributes):
    made = taken(make_record(user="alice", **attributes))

    assert written_logs(made, "test", NOW) == in_steps(made)


def test_records_of_errors():
    try:
        raise ValueError("too much")
    except ValueError:
        made = taken(make_record(user="alice", exc_info=sys.exc_info()), make_record())

    assert written_logs(made, "test", NOW) == in_steps(made)


def test_records_of_a_span():
    with TracerProvider().get_tracer("test").start_as_current_span("work"):
        made = taken(make_record(user="alice"))

    body = written_logs(made, "test", NOW)
    assert body == in_steps(made)
    assert "span_id" in orjson.loads(body.splitlines()[1])


def test_a_usual_record_is_written_in_one_step(monkeypatch):
    made = taken(make_record(user="alice", code=200), make_record(order={"id": 7}))
    expected = in_steps(made)
    monkeypatch.setattr(elasticsearch_lines, "made_log", None)

    assert written_logs(made, "test", NOW) == expected
