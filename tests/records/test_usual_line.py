"""Usual records are written quickly, and as all others are."""

from __future__ import annotations

import copy
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

import otelbridge
from otelbridge.records import usual_line
from otelbridge.records.formatter import JsonFormatter
from otelbridge.records.redaction import redact_also
from otelbridge.records.uid import record_uid

RESOURCE = {"service.name": "shop", "service.version": "1.2"}


class Slow(JsonFormatter):
    """Of another class, and so with nothing prepared."""


def make_record(
    message: object = "order %s placed", args: tuple = ("A1",), **attributes
) -> logging.LogRecord:
    record = logging.LogRecord(
        "shop.orders", logging.INFO, "/srv/shop/orders.py", 12, message, args, None, "place"
    )
    record.__dict__.update(attributes)
    return record


def both(record: logging.LogRecord, **options) -> tuple[str, str]:
    record_uid(record)
    quick = JsonFormatter(resource=RESOURCE, **options)
    slow = Slow(resource=RESOURCE, **options)
    return quick.format(copy.copy(record)), slow.format(copy.copy(record))


names = st.one_of(
    st.sampled_from(
        [
            *("user", "code", "status", "card_token", "password", "message", "error", "user.name"),
            *("log.level", "log", "service.name", "service", "trace.id", "host", "url.full", ""),
            *(
                "event.sequence",
                "event.dataset",
                "code.stacktrace",
                "größe",
                "message.id",
                "@timestamp",
            ),
            *("ecs.version", "process.pid", "otelTraceID", "process.thread", "x" * 101, "taskName"),
        ]
    ),
    st.text(max_size=4),
)
values = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["password=hunter2", "4111 1111 1111 1111", "token: x", "\ud800", "ü" * 70, "x" * 65, "\n"]
    ),
    st.integers(),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1]),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=5),
    st.lists(st.integers(), max_size=2),
)


@settings(deadline=None, max_examples=400)
@given(
    extra=st.dictionaries(names, values, max_size=5),
    scope=st.dictionaries(names, st.text(max_size=10), max_size=2),
    message=st.one_of(st.text(max_size=40), st.sampled_from(["%s", "%d", {"a": 1}, 7, None])),
    args=st.one_of(st.just(()), st.tuples(values)),
)
def test_every_record_has_the_line_it_would_have_without_preparation(extra, scope, message, args):
    record = make_record(message, args)
    for name, value in extra.items():
        record.__dict__.setdefault(name, value)
    with otelbridge.fields(**scope):
        quick, slow = both(record, max_chars=64)

    assert quick == slow


@pytest.mark.parametrize(
    "attributes",
    [
        {"levelname": "NOTICE"},
        {"levelname": 20},
        {"pathname": ""},
        {"pathname": None},
        {"pathname": "/srv/\udcff.py"},
        {"lineno": [1]},
        {"funcName": None},
        {"process": None},
        {"process": 7, "processName": "Worker-1"},
        {"thread": None},
        {"threadName": None},
        {"name": "ü.\udcff"},
        {"created": 1.9999999},
        {"created": -1.5},
        {"created": float("nan")},
        {"created": 2_000_000_000.25},
        {"stack_info": "Stack:"},
        {"exc_text": "Traceback: ..."},
        {"otelTraceID": "0" * 32, "otelSpanID": "1" * 16},
    ],
    ids=str,
)
def test_also_one_with_other_attributes_than_usual(attributes, monkeypatch):
    monkeypatch.setattr("otelbridge.records.formatter.time.time", lambda: 1_800_000_000.5)
    quick, slow = both(make_record(user="alice", **attributes))

    assert quick == slow


def test_also_one_that_is_logged_in_a_span():
    with TracerProvider().get_tracer("test").start_as_current_span("work"):
        quick, slow = both(make_record(user="alice"))

    assert quick == slow
    assert '"trace.id"' in quick


def test_a_usual_record_needs_no_other_way():
    record = make_record(user="alice", code=200, share=0.5, paid=True, note=None)
    lines = JsonFormatter()._usual

    assert lines.write(record, "2026-11-22T03:00:00.000000Z", 100) is not None


def test_threads_and_call_sites_without_end_are_forgotten_again(monkeypatch):
    monkeypatch.setattr(usual_line, "_MOST_REMEMBERED", 4)
    quick, slow = JsonFormatter(), Slow()

    for number in range(30):
        record = make_record(lineno=number, thread=number, **{f"key{number}": number})
        record_uid(record)
        assert quick.format(copy.copy(record)) == slow.format(record)


def test_a_name_that_becomes_a_secrets_is_masked_from_then_on():
    formatter = JsonFormatter()
    assert "alice" in formatter.format(make_record(customer="alice"))

    redact_also("customer")
    try:
        assert "alice" not in formatter.format(make_record(customer="alice"))
    finally:
        redact_also()


def test_what_is_asked_of_the_formatter_later_is_done():
    formatter = JsonFormatter()
    formatter.format(make_record(user="alice"))

    formatter.static_fields["shard"] = 7
    formatter.rename_fields["user"] = "customer"

    line = formatter.format(make_record(user="alice"))
    assert '"shard":7' in line
    assert '"customer":"alice"' in line


def test_another_resource_is_told_from_then_on():
    formatter = JsonFormatter(resource={"service.name": "shop"})
    formatter.format(make_record())

    formatter.set_resource({"service.name": "cart"})

    assert '"service.name":"cart"' in formatter.format(make_record())
