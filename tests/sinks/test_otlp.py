"""The otlp sink: where it sends, what survives the way, what happens when nobody takes it."""

from __future__ import annotations

import enum
import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from typing import Any

import pytest
from otlp_receiver import OTLPReceiver

from otelbridge.capture import Capture
from otelbridge.delivery.limits import read_count, read_milliseconds
from otelbridge.schema import SEVERITY_NUMBERS
from otelbridge.settings import Settings, read_settings
from otelbridge.sinks.otlp_exporters import (
    accepts_connections,
    endpoint_of,
    headers_of,
    protocol_of,
)
from otelbridge.sinks.otlp_logging import OTLPHandler, severity_number
from otelbridge.sinks.otlp_trouble import overhear, overheard

PROTOCOLS = ["grpc", "http/protobuf", "http/json"]


@contextmanager
def sending(receiver: OTLPReceiver, protocol: str, **settings: Any) -> Iterator[logging.Logger]:
    """Make a logger whose records are sent; all have been when the block is left."""
    from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
    from opentelemetry.sdk.resources import Resource

    from otelbridge.delivery.assembly import make_delivery
    from otelbridge.delivery.processors import LogProcessor
    from otelbridge.sinks.otlp import OTLPDestination
    from otelbridge.sinks.otlp_trouble import TroubleReport

    options = read_settings(
        os.environ, otlp_protocol=protocol, otlp_endpoint=receiver.endpoint(protocol), **settings
    )
    destination = OTLPDestination("logs", options, TroubleReport())
    delivery = make_delivery("logs", destination, options, "otlp", lambda: "test", lambda: 1)
    provider = LoggerProvider(
        resource=Resource({"service.name": "test"}),
        shutdown_on_exit=False,
        log_record_limits=LogRecordLimits(max_log_record_attributes=LogRecordLimits.UNSET),
    )
    provider.add_log_record_processor(LogProcessor(delivery))
    handler = OTLPHandler(provider)
    logger = logging.getLogger(f"sending.{protocol}")
    logger.setLevel(1)
    logger.propagate = False
    logger.addHandler(handler)
    capture = Capture(overhear)
    capture.install([], logging.INFO)
    try:
        yield logger
        assert delivery.flush(20)
    finally:
        capture.remove()
        logger.removeHandler(handler)
        delivery.close()
        delivery.wait_closed(5)
        destination.close()


class Colour(enum.Enum):
    RED = "red"


class Opaque:
    def __str__(self) -> str:
        return "an opaque thing"


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)

VALUES: dict[str, tuple[Any, Any]] = {
    "text": ("naïve 日本", "naïve 日本"),
    "empty": ("", ""),
    "integer": (-5, -5),
    "largest": (2**63 - 1, 2**63 - 1),
    "huge": (2**80, str(2**80)),
    "float": (1.5, 1.5),
    "nan": (math.nan, "NaN"),
    "infinity": (-math.inf, "-Infinity"),
    "true": (True, True),
    "none": (None, None),
    "bytes": (b"abc", "abc"),
    "list": ([1, "two", None, 3.5], [1, "two", None, 3.5]),
    "empty list": ([], []),
    "empty object": ({}, {}),
    "nested": ({"a": [{"b": {"c": [[]]}}]}, {"a": [{"b": {"c": [[]]}}]}),
    "unnamed": ({"": 1}, {'""': 1}),
    "keys": ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
    "set": ({7}, [7]),
    "date": (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02T00:00:00+00:00"),
    "enum": (Colour.RED, "red"),
    "object": (Opaque(), "an opaque thing"),
    "error": (ValueError("wrong"), "ValueError: wrong"),
    "circle": (CIRCLE, ["…[circular]"]),
    "surrogate": ("\ud800", "\\ud800"),
    "nul": ("a\0b", "a\0b"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_extra_value_arrives_by_every_protocol(
    protocol: str, otlp_receiver: OTLPReceiver
) -> None:
    extra = {key: given for key, (given, _) in VALUES.items()}
    with sending(otlp_receiver, protocol) as logger:
        logger.info("values", extra={**extra, "hostile": Hostile(), "": "no name"})
    attributes = otlp_receiver.log("values").attributes
    assert {key: attributes[key] for key in VALUES} == {
        key: expected for key, (_, expected) in VALUES.items()
    }
    assert "Hostile" in attributes["hostile"]
    assert attributes['""'] == "no name"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_record_arrives_complete(protocol: str, otlp_receiver: OTLPReceiver) -> None:
    with sending(otlp_receiver, protocol) as logger:
        try:
            raise KeyError("missing")
        except KeyError:
            logger.exception("failed for %s", "alice", extra={"user": "alice"}, stack_info=True)
    received = otlp_receiver.log("failed for alice")
    assert received.scope == logger.name
    assert received.item.severity_text == "ERROR"
    assert received.item.severity_number == 17
    assert received.item.time_unix_nano <= received.item.observed_time_unix_nano
    attributes = received.attributes
    assert attributes["user"] == "alice"
    assert attributes["code.file.path"] == __file__
    assert attributes["code.function.name"] == "test_a_record_arrives_complete"
    assert isinstance(attributes["code.line.number"], int)
    assert attributes["thread.name"] == threading.current_thread().name
    assert attributes["thread.id"] == threading.get_ident()
    assert attributes["exception.type"] == "KeyError"
    assert attributes["exception.message"] == "'missing'"
    assert attributes["exception.stacktrace"].startswith("Traceback (most recent call last):")
    assert "Stack (most recent call last)" in attributes["code.stacktrace"]
    assert len(attributes["log.record.uid"]) == 32


def test_the_five_levels_and_those_in_between_have_their_numbers() -> None:
    for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        assert severity_number(getattr(logging, name)) == SEVERITY_NUMBERS[name]
    assert severity_number(logging.NOTSET) == 0
    assert severity_number(5) in range(1, 5)
    assert severity_number(25) in range(9, 13)
    assert severity_number(10_000) == 24
    numbers = [severity_number(level) for level in range(200)]
    assert numbers == sorted(numbers)


def test_a_level_of_the_programs_own_keeps_its_name(otlp_receiver: OTLPReceiver) -> None:
    logging.addLevelName(25, "NOTICE")
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.log(25, "noticed")
    assert otlp_receiver.log("noticed").item.severity_text == "NOTICE"


def test_an_extra_key_that_is_ours_is_kept_beside_it(otlp_receiver: OTLPReceiver) -> None:
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.info("both", extra={"thread.name": "theirs", "code.line.number": -1})
    attributes = otlp_receiver.log("both").attributes
    assert attributes["extra.thread.name"] == "theirs"
    assert attributes["thread.name"] == threading.current_thread().name
    assert attributes["extra.code.line.number"] == -1


def test_a_message_that_cannot_be_formatted_arrives_with_its_arguments(
    otlp_receiver: OTLPReceiver,
) -> None:
    with sending(otlp_receiver, "http/protobuf") as logger:
        [handler] = [each for each in logger.handlers if isinstance(each, OTLPHandler)]
        arguments = ("%d apples", ("many",), None)
        handler.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 1, *arguments))
    [log] = otlp_receiver.logs
    assert "%d apples" in log.item.body.string_value
    assert "many" in log.item.body.string_value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers_reach_the_destination(protocol: str, otlp_receiver: OTLPReceiver) -> None:
    with sending(
        otlp_receiver, protocol, otlp_headers="Authorization=Bearer%20abc,x-tenant=7"
    ) as logger:
        logger.info("with headers")
    otlp_receiver.log("with headers")
    assert otlp_receiver.headers[-1]["authorization"] == "Bearer abc"
    assert otlp_receiver.headers[-1]["x-tenant"] == "7"


@pytest.mark.parametrize("compression", ["none", "gzip", "", "brotli"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_value_of_the_compression_variable_delivers(
    protocol: str,
    compression: str,
    otlp_receiver: OTLPReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    with sending(otlp_receiver, protocol) as logger:
        logger.info("however it is packed")
    otlp_receiver.log("however it is packed")


def options(**settings: Any) -> Settings:
    return read_settings({}, **settings)


@pytest.mark.parametrize(
    ("settings", "environ", "signal", "expected"),
    [
        ({}, {}, "logs", "http://127.0.0.1:4318/v1/logs"),
        ({"otlp_protocol": "grpc"}, {}, "logs", "http://127.0.0.1:4317"),
        ({"otlp_endpoint": "http://c:1/"}, {}, "traces", "http://c:1/v1/traces"),
        ({"otlp_endpoint": "http://c:1/otlp"}, {}, "metrics", "http://c:1/otlp/v1/metrics"),
        ({"otlp_endpoint": "c:1"}, {}, "logs", "http://c:1/v1/logs"),
        ({"otlp_endpoint": "http://c:1", "otlp_protocol": "grpc"}, {}, "logs", "http://c:1"),
        (
            {"otlp_endpoint": "http://c:1"},
            {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l:2/in"},
            "logs",
            "http://l:2/in",
        ),
        (
            {"otlp_endpoint": "http://c:1"},
            {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://l:2/in"},
            "traces",
            "http://c:1/v1/traces",
        ),
    ],
)
def test_endpoints_follow_the_specification(
    settings: dict[str, str],
    environ: dict[str, str],
    signal: Any,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    given = options(**settings)
    assert endpoint_of(signal, given, protocol_of(signal, given)) == expected


def test_a_signals_own_protocol_and_headers_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=1")
    given = options(otlp_protocol="http/json", otlp_headers="b=2")
    assert protocol_of("traces", given) == "grpc"
    assert protocol_of("logs", given) == "http/json"
    assert headers_of("traces", given) == {"a": "1"}
    assert headers_of("logs", given) == {"b": "2"}


def test_a_destination_that_is_busy_gets_the_batch_until_it_takes_it(
    otlp_receiver: OTLPReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    otlp_receiver.status = 503
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.info("patient")
        while len(otlp_receiver.headers) < 3:
            threading.Event().wait(0.01)
        otlp_receiver.status = 200
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["patient"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_destination_that_is_away_gets_the_batch_when_it_is_back(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    with OTLPReceiver() as gone:
        ports = {"http_port": gone.http_port, "grpc_port": gone.grpc_port}
    back = OTLPReceiver(**ports)
    with ExitStack() as context, sending(back, protocol) as logger:
        for number in range(3):
            logger.info("away %d", number)
            threading.Event().wait(1.0)
        context.enter_context(back)
    bodies = [log.item.body.string_value for log in back.logs]
    assert bodies == ["away 0", "away 1", "away 2"]


def test_what_nobody_may_send_is_kept_until_somebody_may(
    otlp_receiver: OTLPReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    otlp_receiver.status = 401
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.info("without the token")
        otlp_receiver.wait_for(lambda it: it.headers)
        otlp_receiver.status = 200
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["without the token"]
    first, second = ours(caplog)
    assert first.startswith(
        f"cannot send telemetry to {otlp_receiver.http}/v1/logs: HTTP 401 Unauthorized"
    )
    assert "OTEL_EXPORTER_OTLP_HEADERS" in first
    assert second == f"telemetry reaches {otlp_receiver.http}/v1/logs again"


def test_what_will_never_be_taken_is_given_up_and_named_with_its_reason(
    otlp_receiver: OTLPReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    otlp_receiver.status = 400
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.info("refused")
    otlp_receiver.status = 200
    with sending(otlp_receiver, "http/protobuf") as logger:
        logger.info("taken")
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["taken"]
    assert ours(caplog) == [
        (
            f"telemetry was not taken by {otlp_receiver.http}/v1/logs: HTTP 400 Bad Request; "
            "lost: 1 logs"
        )
    ]


def ours(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "otelbridge" in record.name]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_record_too_large_for_the_destination_does_not_take_the_others_with_it(
    protocol: str, otlp_receiver: OTLPReceiver
) -> None:
    otlp_receiver.max_bytes = 1_000_000
    with sending(otlp_receiver, protocol) as logger:
        for number in range(20):
            logger.info("small %d", number)
        # More than gRPC's own limit of 4 MB.
        logger.info("large", extra={f"part{number}": "x" * 500_000 for number in range(10)})
        for number in range(20, 40):
            logger.info("small %d", number)
    bodies = [log.item.body.string_value for log in otlp_receiver.logs]
    assert sorted(bodies) == sorted(f"small {number}" for number in range(40))


def test_only_what_sending_itself_logs_is_overheard() -> None:
    record = logging.makeLogRecord({"name": "urllib3.connectionpool", "msg": "anything"})
    destructor = logging.makeLogRecord({"name": "shop", "msg": "the collector came by"})
    assert not overhear(record)
    with overheard() as said:
        assert overhear(record)
        assert not overhear(destructor)
    assert said == [record]
    assert not overhear(record)


def test_a_port_that_nobody_listens_on_is_told_from_one_that_is(
    otlp_receiver: OTLPReceiver,
) -> None:
    assert accepts_connections(otlp_receiver.http, "http/protobuf", 1.0)
    assert accepts_connections(otlp_receiver.grpc, "grpc", 1.0)
    assert not accepts_connections("http://127.0.0.1:9/v1/logs", "http/protobuf", 1.0)
    assert accepts_connections("unix:///run/collector.sock", "grpc", 1.0)


def test_the_queues_numbers_are_the_standard_variables(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BLRP_SCHEDULE_DELAY", "1500")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "many")
    assert read_milliseconds("OTEL_BLRP_SCHEDULE_DELAY") == 1.5
    assert read_milliseconds("OTEL_BSP_SCHEDULE_DELAY") is None
    assert read_count("OTEL_BLRP_MAX_QUEUE_SIZE", 7) == 7
    [record] = caplog.records
    assert record.getMessage() == (
        "OTEL_BLRP_MAX_QUEUE_SIZE is 'many'; allowed: a number above 0; 7 is used"
    )
