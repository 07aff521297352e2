"""structlog, by itself and through logging: each event arrives once, with its fields."""

from __future__ import annotations

import re

import pytest
from otlp_receiver import OTLPReceiver, Received
from programs import finish

ALONE = """
import logging, sys
import otelbridge, structlog
otelbridge.instrument(service_name="shop")
structlog.configure(
    processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level,
                otelbridge.structlog_processor, structlog.processors.JSONRenderer()],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
)
log = structlog.get_logger().bind(user="alice")
"""
STDLIB = """
import logging, sys
import otelbridge, structlog
from structlog import stdlib
otelbridge.instrument(service_name="shop")
shared = [structlog.contextvars.merge_contextvars, stdlib.add_logger_name, stdlib.add_log_level,
          stdlib.PositionalArgumentsFormatter(), structlog.processors.StackInfoRenderer(),
          otelbridge.structlog_processor]
handler = logging.StreamHandler(sys.stderr)
renderers = {
    "JSON in a message": [structlog.processors.format_exc_info,
                          structlog.processors.JSONRenderer()],
    "ProcessorFormatter": [stdlib.ProcessorFormatter.wrap_for_formatter],
    "keywords of logging": [lambda logger, name, event: {k: v for k, v in event.items()
                                                         if k not in ("name", "level", "logger")},
                            stdlib.render_to_log_kwargs],
}
kind = KIND
if kind == "ProcessorFormatter":
    handler.setFormatter(stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processor=structlog.processors.JSONRenderer()))
logging.basicConfig(handlers=[handler], level="INFO")
structlog.configure(
    processors=shared + renderers[kind], logger_factory=stdlib.LoggerFactory(),
    wrapper_class=stdlib.BoundLogger, cache_logger_on_first_use=True,
)
log = structlog.get_logger("shop.orders").bind(user="alice")
"""
SPEAK = """
def place():
    log.info("paid", name="tea", amount=3, password="hunter2")  # line PAID
    log.debug("detail")
    logging.getLogger("shop.orders").warning("plain %s", 1)
    log.warning("low")
    with structlog.contextvars.bound_contextvars(request="r1"), otelbridge.fields(scope=1):
        try:
            {}["A1"]
        except KeyError:
            log.exception("failed")
    log.critical("gone")

place()
"""
KINDS = ["JSON in a message", "ProcessorFormatter", "keywords of logging"]


def environ_of(receiver: OTLPReceiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",  # on a busy machine
    }


def program_of(kind: str) -> str:
    start = ALONE if kind == "alone" else STDLIB.replace("KIND", repr(kind))
    return start + SPEAK


def fields(log: Received) -> dict:
    names = ("user", "name", "amount", "password", "request", "scope", "exception.type")
    return {name: log.attributes[name] for name in names if name in log.attributes}


@pytest.mark.parametrize("kind", ["alone", *KINDS])
def test_each_event_arrives_once_with_its_fields_and_prints_what_it_prints(
    kind: str, otlp_receiver: OTLPReceiver
) -> None:
    program = program_of(kind)
    ended = finish(program, 150, **environ_of(otlp_receiver))
    alone = finish(program, 150, OTEL_SDK_DISABLED="true")

    assert (ended.out, ended.err) == (alone.out, alone.err)
    name = "__main__" if kind == "alone" else "shop.orders"
    logs = otlp_receiver.logs
    assert sorted(log.item.body.string_value for log in logs) == sorted(
        ["paid", "plain 1", "low", "failed", "gone", *(["detail"] if kind == "alone" else [])]
    )
    by_message = {log.item.body.string_value: log for log in logs}
    assert {message: fields(log) for message, log in by_message.items() if message != "detail"} == {
        "paid": {"user": "alice", "name": "tea", "amount": 3, "password": "***"},
        "plain 1": {},
        "low": {"user": "alice"},
        "failed": {"user": "alice", "request": "r1", "scope": 1, "exception.type": "KeyError"},
        "gone": {"user": "alice"},
    }
    levels = {message: log.item.severity_text for message, log in by_message.items()}
    assert levels["paid"] == "INFO"
    assert levels["low"] == "WARNING"
    assert levels["failed"] == "ERROR"
    assert levels["gone"] == "CRITICAL"
    paid = by_message["paid"]
    assert paid.scope == name
    assert paid.attributes["code.function.name"] == "place"
    lines = program.splitlines()
    assert "# line PAID" in lines[paid.attributes["code.line.number"] - 1]
    assert by_message["failed"].attributes["exception.message"] == "'A1'"


def test_levels_stacks_and_callers_of_every_method(otlp_receiver: OTLPReceiver) -> None:
    program = (
        ALONE
        + """
import asyncio
class Logger(structlog.make_filtering_bound_logger(0)):
    def success(self, event, **fields):
        return self._proxy_to_logger("success", event, **fields)
    def trace(self, event, **fields):
        return self._proxy_to_logger("trace", event, **fields)
class Printer(structlog.PrintLogger):
    trace = success = structlog.PrintLogger.info
log = structlog.wrap_logger(Printer(sys.stderr), wrapper_class=Logger)
log.trace("traced"); log.success("done"); log.msg("said"); log.fatal("fatal"); log.log(30, "thirty")
log.info("stack", stack_info=True)
log.error("given", exc_info=ValueError("oh"))
log.info({"not": "a text"}); log.info("odd", value=object, **{"a b": 1})
async def main():
    await log.ainfo("later")
asyncio.run(main())
def drop(*_):
    raise structlog.DropEvent
structlog.configure(processors=[drop, otelbridge.structlog_processor])
structlog.get_logger().info("dropped")
"""
    )
    finish(program, 150, **environ_of(otlp_receiver))
    logs = {log.item.body.string_value: log for log in otlp_receiver.logs}
    levels = {
        name: (log.item.severity_number, log.item.severity_text) for name, log in logs.items()
    }
    assert levels == {
        "traced": (3, "TRACE"),
        "done": (11, "SUCCESS"),
        "said": (9, "INFO"),
        "fatal": (21, "CRITICAL"),
        "thirty": (13, "WARNING"),
        "stack": (9, "INFO"),
        "given": (17, "ERROR"),
        "{'not': 'a text'}": (9, "INFO"),
        "odd": (9, "INFO"),
        "later": (9, "INFO"),
    }
    assert "in <module>" in logs["stack"].attributes["code.stacktrace"]
    assert logs["given"].attributes["exception.message"] == "oh"
    assert logs["later"].attributes["code.function.name"] == "main"
    assert logs["odd"].attributes["a b"] == 1
    assert logs["odd"].attributes["value"] == "object"


@pytest.mark.parametrize("renderer", ["format_exc_info", "dict_tracebacks"])
def test_an_exception_that_was_rendered_before_is_still_one(
    renderer: str, otlp_receiver: OTLPReceiver
) -> None:
    program = f"""
import otelbridge, structlog
otelbridge.instrument(service_name="shop")
structlog.configure(processors=[
    structlog.processors.{renderer}, otelbridge.structlog_processor,
    structlog.processors.JSONRenderer()])
try:
    raise ValueError("oh")
except ValueError:
    structlog.get_logger().exception("failed")
"""
    finish(program, 150, **environ_of(otlp_receiver))
    [log] = otlp_receiver.logs
    assert log.attributes["exception.type"] == "ValueError"
    assert log.attributes["exception.message"] == "oh"
    assert "exception" not in log.attributes


def test_what_logging_refuses_is_not_taken_for_what_comes_next(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = STDLIB.replace("KIND", "'JSON in a message'") + (
        "log.debug('refused', secret_of_its_own=1)\nlogging.getLogger('shop.orders').info('next')\n"
    )
    finish(program, 150, **environ_of(otlp_receiver))
    [log] = otlp_receiver.logs
    assert log.item.body.string_value == "next"
    assert "secret_of_its_own" not in log.attributes


def test_output_that_is_captured_is_not_sent_a_second_time(otlp_receiver: OTLPReceiver) -> None:
    program = ALONE + "log.info('paid'); print('printed')"
    finish(program, 150, **environ_of(otlp_receiver), OTELBRIDGE_CAPTURE_OUTPUT="true")
    messages = [log.item.body.string_value for log in otlp_receiver.logs]
    assert sorted(messages) == ["paid", "printed"]


def test_the_processor_does_nothing_where_nothing_is_instrumented() -> None:
    program = re.sub("otelbridge.instrument.*", "", ALONE) + "log.info('paid')"
    assert finish(program).err == '{"user": "alice", "event": "paid", "level": "info"}\n'
