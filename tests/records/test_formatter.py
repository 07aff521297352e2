"""The JSON line: its fields, the caller's, and python-json-logger's options."""

from __future__ import annotations

import json
import logging
import logging.config
import os
import sys
import threading
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

import otelbridge
from otelbridge.records.formatter import JsonFormatter
from otelbridge.records.uid import record_uid


@pytest.fixture(autouse=True, scope="module")
def _no_resource_variables():
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("OTEL_SERVICE_NAME", raising=False)
        environment.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
        yield


def make_record(message: object = "hello", *args, level=logging.INFO, **options):
    return logging.Logger("shop.orders").makeRecord(
        "shop.orders", level, "/srv/shop/orders.py", 12, message, args,
        options.pop("exc_info", None), "place", options.pop("extra", None),
        options.pop("sinfo", None),
    )  # fmt: skip


def line_of(record: logging.LogRecord, *args, **options) -> dict:
    return json.loads(JsonFormatter(*args, **options).format(record))


def test_the_fields_of_a_plain_record(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    record = make_record("order %s placed", "A1")

    line = line_of(record)

    moment = datetime.fromtimestamp(record.created, timezone.utc)
    assert line.pop("@timestamp") == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert line.pop("host.name")
    assert line == {
        "log.level": "INFO",
        "message": "order A1 placed",
        "ecs.version": "8.11.0",
        "service.name": "shop",
        "log.logger": "shop.orders",
        "log.origin.file.name": "/srv/shop/orders.py",
        "log.origin.file.line": 12,
        "log.origin.function": "place",
        "process.pid": os.getpid(),
        "process.thread.id": threading.get_ident(),
        "process.thread.name": "MainThread",
        "log.record.uid": record_uid(record),
    }


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
def test_the_level_has_pythons_name(level):
    assert line_of(make_record(level=getattr(logging, level)))["log.level"] == level


def test_extra_keys_stand_at_the_top_level_whatever_their_type():
    extra = {"user": "alice", "code": 42, "status": "success", "tags": {"a"}, "_own": None, 5: 6}

    line = line_of(make_record(extra=extra))

    assert {key: line[str(key)] for key in extra} == {**extra, "tags": ["a"]}


@pytest.mark.parametrize(
    "field",
    ["@timestamp", "log.level", "service.name", "log.record.uid", "process.pid", "event.sequence"],
)
def test_an_extra_key_named_like_a_field_is_kept_beside_it(field):
    record = make_record(extra={field: "mine", f"extra.{field}": "other"})
    plain = line_of(make_record())

    line = line_of(record)

    assert line[f"extra.{field}"] == "mine"
    assert line[f"extra.{field}#2"] == "other"
    assert type(line.get(field)) is type(plain.get(field))
    assert line.get(field) != "mine"


def test_a_trace_id_of_the_callers_is_taken_where_no_span_is_current():
    line = line_of(make_record(extra={"trace.id": "0af7651916cd43dd8448eb211c80319c"}))

    assert line["trace.id"] == "0af7651916cd43dd8448eb211c80319c"


def test_trace_and_span_id_are_those_of_the_current_span():
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        line = line_of(make_record(extra={"trace.id": "mine"}))

    assert line["trace.id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span.id"] == f"{span.get_span_context().span_id:016x}"
    assert line["extra.trace.id"] == "mine"
    assert "trace.id" not in line_of(make_record())


def test_the_trace_a_record_was_made_in_wins_over_the_one_it_is_written_in():
    record = make_record(extra={"otelTraceID": "a" * 32, "otelSpanID": "b" * 16})
    with TracerProvider().get_tracer("test").start_as_current_span("listener"):
        line = line_of(record)

    assert (line["trace.id"], line["span.id"]) == ("a" * 32, "b" * 16)
    assert "otelTraceID" not in line


def test_an_exception_has_type_message_and_stack():
    try:
        try:
            raise KeyError("k")
        except KeyError as error:
            raise ValueError("bad input") from error
    except ValueError:
        line = line_of(make_record(exc_info=sys.exc_info()))

    assert line["error.type"] == "ValueError"
    assert line["error.message"] == "bad input"
    assert "KeyError: 'k'" in line["error.stack_trace"]
    assert line["error.stack_trace"].endswith("ValueError: bad input")


def test_exception_logged_where_there_is_none_adds_nothing():
    assert "error.type" not in line_of(make_record(exc_info=(None, None, None)))


def test_a_stack_without_exception_has_the_semantic_conventions_name():
    assert line_of(make_record(sinfo="Stack:\n  a"))["code.stacktrace"] == "Stack:\n  a"


def test_a_dict_as_the_message_gives_its_keys_as_fields():
    line = line_of(make_record({"event": "paid", "user": "alice"}, extra={"user": "bob"}))

    assert line["event"] == "paid"
    assert (line["user"], line["user#2"]) == ("alice", "bob")
    assert line["message"] == "{'event': 'paid', 'user': 'alice'}"


def test_other_processes_and_threads_names_are_given():
    record = make_record()
    record.processName, record.threadName, record.process = "Worker-3", "pool_1", 77

    line = line_of(record)

    assert line["process.name"] == "Worker-3"
    assert line["process.thread.name"] == "pool_1"
    assert line["process.pid"] == 77


def test_a_record_that_knows_little_is_written_with_what_it_knows(monkeypatch):
    monkeypatch.setattr(logging, "logThreads", False)
    monkeypatch.setattr(logging, "logProcesses", False)

    line = line_of(logging.makeLogRecord({"msg": "from elsewhere", "levelname": "NOTICE"}))

    assert line["message"] == "from elsewhere"
    assert line["log.level"] == "NOTICE"
    assert line["process.pid"] == os.getpid()
    assert not [name for name in line if name.startswith(("log.origin", "process.thread"))]


@pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e30, -1e30, "noon", None])
def test_a_time_that_is_none_gives_way_to_now(created):
    record = make_record()
    record.created = created

    year = line_of(record)["@timestamp"][:4]

    assert year == str(datetime.now(timezone.utc).year)


@given(st.floats(-(2**31), 2**33))
def test_timestamps_are_rounded_as_datetime_rounds(created):
    record = make_record()
    record.created = created

    moment = datetime.fromtimestamp(created, timezone.utc)
    assert line_of(record)["@timestamp"] == moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    ("created", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1.5, "1969-12-31T23:59:58.500000Z"),
        (1.9999999, "1970-01-01T00:00:02.000000Z"),
        (1700000000.123457, "2023-11-14T22:13:20.123457Z"),
        (10_413_792_000, "2300-01-01T00:00:00.000000Z"),
    ],
)
def test_timestamps_have_microseconds_and_are_utc(created, text):
    record = make_record()
    record.created = created

    assert line_of(record)["@timestamp"] == text


def test_names_that_are_not_valid_utf8_are_written_so_that_they_show():
    record = make_record("hello \udc80", extra={"k\udc80": 1})
    record.name = record.pathname = "shop\udcff"

    line = line_of(record)

    assert line["message"] == "hello \\udc80"
    assert (line["log.logger"], line["log.origin.file.name"]) == ("shop\\udcff", "shop\\udcff")
    assert line["k\\udc80"] == 1


def test_long_values_messages_and_traces_are_cut_with_a_mark():
    error = ValueError("e" * 1000)
    record = make_record("m" * 1000, extra={"v": "v" * 1000}, exc_info=(type(error), error, None))

    line = line_of(record, max_chars=100)

    for field in ("message", "v", "error.message"):
        assert line[field].endswith("…[cut: 1000 characters]")
    assert "…[cut: 1012 characters]…" in line["error.stack_trace"]


class TestService:
    def test_comes_from_the_resource_variables(self, monkeypatch):
        monkeypatch.setenv(
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=web,service.version=1.2,deployment.environment.name=prod,"
            "service.instance.id=i-1,host.name=box,team=pay%20ments,broken,process.pid=1",
        )

        line = line_of(make_record())

        assert line["service.name"] == "web"
        assert line["service.version"] == "1.2"
        assert line["service.environment"] == "prod"
        assert line["service.node.name"] == "i-1"
        assert line["host.name"] == "box"
        assert line["team"] == "pay ments"
        assert line["process.pid"] == os.getpid()

    def test_the_variable_for_the_name_wins_over_the_one_for_all(self, monkeypatch):
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=web")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")

        assert line_of(make_record())["service.name"] == "shop"

    def test_arguments_win_over_the_resource_and_that_over_the_variables(self, monkeypatch):
        monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
        resource = {"service.name": "given", "service.version": "1", "telemetry.sdk.name": "x"}

        line = line_of(make_record(), resource=resource, service_version="2")

        assert line["service.name"] == "given"
        assert line["service.version"] == "2"
        assert "telemetry.sdk.name" not in line

    def test_is_the_scripts_name_where_nobody_named_it(self, monkeypatch):
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
        monkeypatch.setattr(sys, "argv", ["/srv/orders.py"])

        assert line_of(make_record())["service.name"] == "orders"

    def test_is_text_and_takes_no_place_that_is_the_records(self, monkeypatch):
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "message=m,log.level=l,ecs.version=1")

        line = line_of(make_record(), resource={"service.version": 2})

        assert (line["message"], line["log.level"]) == ("hello", "INFO")
        assert (line["resource.message"], line["resource.log.level"]) == ("m", "l")
        assert line["ecs.version"] == "8.11.0"
        assert line["service.version"] == "2"

    def test_can_change_as_after_a_fork(self):
        formatter = JsonFormatter(resource={"service.instance.id": "parent"})
        formatter.set_resource({"service.instance.id": "child"})

        assert json.loads(formatter.format(make_record()))["service.node.name"] == "child"


class TestOptions:
    def test_a_format_adds_attributes_under_their_own_names(self):
        line = line_of(make_record(), "%(levelname)s %(module)s %(message)s %(asctime)s")

        assert (line["levelname"], line["module"]) == ("INFO", "orders")
        assert line["asctime"]
        assert line["message"] == "hello"

    def test_static_fields_are_added_and_win(self):
        line = line_of(
            make_record(extra={"team": "mine"}),
            static_fields={"service.name": "static", "region": "eu"},
            defaults={"team": "none", "tier": "free", "message": "no"},
        )

        assert (line["service.name"], line["region"]) == ("static", "eu")
        assert (line["team"], line["tier"]) == ("mine", "free")
        assert line["message"] == "hello"

    def test_fields_of_the_line_and_extras_can_be_renamed(self):
        line = line_of(
            make_record(extra={"user": "alice"}),
            rename_fields={"message": "msg", "user": "user.name", "absent": "gone"},
        )

        assert (line["msg"], line["user.name"]) == ("hello", "alice")
        assert not {"message", "user", "gone"} & line.keys()

    def test_renamed_fields_that_are_missing_can_be_kept(self):
        line = line_of(
            make_record(), rename_fields={"absent": "gone"}, rename_fields_keep_missing=True
        )

        assert line["gone"] is None

    def test_a_timestamp_field_of_another_name_can_be_added(self):
        line = line_of(make_record(), timestamp="time")

        assert line["time"] == line["@timestamp"]

    def test_reserved_attributes_can_be_chosen(self):
        line = line_of(make_record(extra={"user": "a"}), reserved_attrs=["msg", "user"])

        assert line["levelno"] == 20
        assert "user" not in line

    def test_stacks_can_be_arrays_of_lines(self):
        record = make_record(sinfo="Stack:\n  a", exc_info=(ValueError, ValueError("x"), None))

        line = line_of(record, exc_info_as_array=True, stack_info_as_array=True)

        assert line["error.stack_trace"] == ["ValueError: x"]
        assert line["code.stacktrace"] == ["Stack:", "  a"]

    def test_a_default_function_is_asked_first(self):
        class Money:
            pass

        def default(value):
            return {"amount": 5} if isinstance(value, Money) else value.nothing

        line = line_of(make_record(extra={"price": Money(), "set": {1}}), json_default=default)

        assert line["price"] == {"amount": 5}
        assert line["set"] == [1]

    def test_a_prefix_stands_before_the_line(self):
        text = JsonFormatter(prefix="@cee:").format(make_record())

        assert text.startswith('@cee:{"@timestamp":')

    def test_lines_can_be_indented(self):
        assert JsonFormatter(json_indent=True).format(make_record()).startswith('{\n  "@timestamp"')

    def test_a_subclass_may_put_anything_into_the_line(self):
        class Own(JsonFormatter):
            def process_log_record(self, log_data):
                log_data["bad"] = "\ud800"
                log_data["object"] = object
                return log_data

        line = json.loads(Own().format(make_record()))

        assert (line["bad"], line["object"]) == ("\\ud800", "object")


def test_works_from_dict_config(capsys):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "short": {"class": "otelbridge.JsonFormatter"},
                "full": {
                    "()": "otelbridge.JsonFormatter",
                    "service_name": "shop",
                    "static_fields": {"region": "eu"},
                },
            },
            "handlers": {
                "a": {"class": "logging.StreamHandler", "formatter": "short"},
                "b": {"class": "logging.StreamHandler", "formatter": "full"},
            },
            "loggers": {"test.dictconfig": {"handlers": ["a", "b"], "propagate": False}},
        }
    )
    logging.getLogger("test.dictconfig").warning("low stock", extra={"code": 7})

    short, full = map(json.loads, capsys.readouterr().err.splitlines())
    assert (short["message"], short["code"]) == ("low stock", 7)
    assert (full["service.name"], full["region"]) == ("shop", "eu")
    assert short["log.record.uid"] == full["log.record.uid"]


def test_is_a_formatter_of_python_json_logger():
    from pythonjsonlogger.orjson import OrjsonFormatter

    assert issubclass(otelbridge.JsonFormatter, OrjsonFormatter)
