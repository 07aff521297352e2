"""Lines of every kind become the log record that OTLP would have brought."""

from __future__ import annotations

import pytest

from otelbridge.model import LogRecord, Scope
from otelbridge.receivers.levels import parse_level
from otelbridge.receivers.lines import record_from_fields, record_from_text

NOW = 1_800_000_000 * 10**9
TRACE, SPAN = "0123456789abcdef0123456789abcdef", "0123456789abcdef"


def test_our_own_line_is_stored_as_otlp_would_store_it():
    line = {
        "@timestamp": "2026-01-01T00:00:00.123456Z",
        "log.level": "ERROR",
        "message": "payment declined",
        "ecs.version": "8.11.0",
        "service.name": "shop",
        "service.version": "1.2",
        "service.environment": "production",
        "service.node.name": "node-1",
        "host.name": "web-1",
        "log.logger": "shop.payments",
        "log.origin.file.name": "/app/pay.py",
        "log.origin.file.line": 17,
        "log.origin.function": "pay",
        "process.pid": 42,
        "process.thread.id": 7,
        "process.thread.name": "MainThread",
        "trace.id": TRACE,
        "span.id": SPAN,
        "error.type": "ValueError",
        "error.message": "no money",
        "error.stack_trace": "Traceback ...",
        "log.record.uid": "0197c5b0abcd7000800000000000abcd",
        "user": "alice",
        "nested": {"a": [1, None]},
        "level": "kept: ours has log.level",
        "trace_id": "kept too",
    }
    assert record_from_fields(line, NOW) == LogRecord(
        time=1_767_225_600_123_456_000,
        body="payment declined",
        severity_number=17,
        severity_text="ERROR",
        scope=Scope("shop.payments"),
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        uid=bytes.fromhex("0197c5b0abcd7000800000000000abcd"),
        resource={
            "service.name": "shop",
            "service.version": "1.2",
            "deployment.environment.name": "production",
            "service.instance.id": "node-1",
            "host.name": "web-1",
            "process.pid": 42,
        },
        attributes={
            "code.file.path": "/app/pay.py",
            "code.line.number": 17,
            "code.function.name": "pay",
            "thread.id": 7,
            "thread.name": "MainThread",
            "exception.type": "ValueError",
            "exception.message": "no money",
            "exception.stacktrace": "Traceback ...",
            "user": "alice",
            "nested": {"a": [1, None]},
            "level": "kept: ours has log.level",
            "trace_id": "kept too",
        },
    )


def test_nested_ecs_is_the_same_as_dotted():
    nested = {
        "@timestamp": "2026-01-01T00:00:00Z",
        "message": "x",
        "ecs": {"version": "8.11.0"},
        "log": {"level": "warn", "logger": "a.b", "origin": {"file": {"name": "f", "line": 1}}},
        "trace": {"id": TRACE},
        "error": {"type": "E", "code": "17"},
        "service": {"name": "shop", "node": {"name": "n"}},
        "user": {"id": 7},
    }
    record = record_from_fields(nested, NOW)
    assert (record.severity_number, record.severity_text) == (13, "warn")
    assert record.scope.name == "a.b"
    assert record.trace_id == bytes.fromhex(TRACE)
    assert record.resource == {"service.name": "shop", "service.instance.id": "n"}
    assert record.attributes == {
        "code.file.path": "f",
        "code.line.number": 1,
        "exception.type": "E",
        "error": {"code": "17"},
        "user": {"id": 7},
    }


def test_gelf():
    record = record_from_fields(
        {
            "version": "1.1",
            "host": "web-1",
            "short_message": "A short message",
            "full_message": "Backtrace here",
            "timestamp": 1767225600.25,
            "level": 3,
            "facility": "shop",
            "_user": "alice",
        },
        NOW,
    )
    assert record.body == "A short message"
    assert record.time == 1_767_225_600_250_000_000
    assert (record.severity_number, record.severity_text) == (17, "ERROR")
    assert record.resource == {"host.name": "web-1"}
    assert record.attributes == {
        "full_message": "Backtrace here",
        "facility": "shop",
        "user": "alice",
    }


@pytest.mark.parametrize("time", ["time", "timestamp", "ts", "@timestamp"])
@pytest.mark.parametrize("level", ["level", "severity", "lvl"])
@pytest.mark.parametrize("message", ["message", "msg", "text"])
def test_any_objects_usual_names_are_understood(time, level, message):
    record = record_from_fields({time: 1767225600, level: "error", message: "x", "a": 1}, NOW)
    assert record.time == 1_767_225_600 * 10**9
    assert (record.severity_number, record.severity_text) == (17, "error")
    assert (record.body, record.attributes) == ("x", {"a": 1})


def test_generic_trace_ids_are_understood():
    record = record_from_fields({"traceId": TRACE.upper(), "span_id": SPAN}, NOW)
    assert (record.trace_id, record.span_id) == (bytes.fromhex(TRACE), bytes.fromhex(SPAN))


def test_what_cannot_be_read_stays_an_attribute():
    given = {"time": "soon", "level": {"x": 1}, "trace_id": "17", "span.id": "zz" * 8, "msg": 5}
    record = record_from_fields(dict(given), NOW)
    assert record.time == NOW
    assert record.attributes == given
    assert (record.trace_id, record.span_id, record.body) == (None, None, None)


def test_an_object_without_a_message_keeps_its_fields():
    record = record_from_fields({"temperature": 21.5}, NOW)
    assert (record.body, record.attributes) == (None, {"temperature": 21.5})


@pytest.mark.parametrize(
    ("level", "bunyan", "number", "text"),
    [
        ("INFO", False, 9, "INFO"),
        ("warning", False, 13, "warning"),
        ("Critical", False, 21, "Critical"),
        ("notice", False, 10, "notice"),
        ("3", False, 17, "ERROR"),
        (0, False, 21, "CRITICAL"),
        (7, False, 5, "DEBUG"),
        (30, False, 13, "WARNING"),
        (30, True, 9, "INFO"),
        ("SUCCESS", False, 0, "SUCCESS"),
        ("Level 25", False, 11, "Level 25"),
    ],
)
def test_levels_by_name_and_by_number(level, bunyan, number, text):
    assert parse_level(level, bunyan=bunyan) == (number, text)


def test_pino_numbers_are_told_from_pythons():
    record = record_from_fields({"level": 30, "pid": 7, "hostname": "h", "msg": "x"}, NOW)
    assert (record.severity_number, record.resource) == (9, {"host.name": "h"})


def test_plain_text_is_the_message():
    record = record_from_text("Traceback:\n  x\n", NOW, "10.0.0.1")
    assert (record.body, record.time) == ("Traceback:\n  x", NOW)
    assert record.resource == {"host.name": "10.0.0.1"}


def test_a_syslog_priority_is_the_level():
    record = record_from_text("<11>app: broken\0", NOW, "h")
    assert (record.body, record.severity_number) == ("app: broken", 17)
    assert record.attributes == {"syslog.facility": 1}


def test_a_syslog_header_is_read():
    line = '<165>1 2026-01-01T00:00:00.003Z web-1 shop 42 ID47 [a@1 k="v\\]"] \ufeffhello there'
    record = record_from_text(line, NOW, "h")
    assert record.time == 1_767_225_600_003_000_000
    assert (record.body, record.severity_number) == ("hello there", 10)
    assert record.resource == {"host.name": "web-1", "service.name": "shop", "process.pid": 42}
    assert record.attributes == {
        "syslog.facility": 20,
        "syslog.msgid": "ID47",
        "syslog.structured_data": '[a@1 k="v\\]"]',
    }
