"""loguru: each message arrives once, with what was bound to it."""

from __future__ import annotations

import re

from otlp_receiver import OTLPReceiver
from programs import finish

START = """
import logging, sys, threading
import otelbridge
from loguru import logger
otelbridge.instrument(service_name="shop")
logger.remove()
logger.add(sys.stderr, format="{level} {name}:{function}:{line} {message} {extra}", diagnose=False)
logger.add(otelbridge.loguru_sink, level="TRACE")
"""
SPEAK = """
logger.level("NOTICE", no=23)
def place():
    logger.bind(user="alice", name="tea", password="hunter2").info("paid {}", 3)  # line PAID
    logger.trace("traced")
    logger.debug("detail")
    logger.success("done")
    logger.log("NOTICE", "noted")
    logger.log(37, "numbered")
    logger.warning("low")
    logger.critical("gone")
    with logger.contextualize(request="r1"), otelbridge.fields(scope=1):
        try:
            {}["A1"]
        except KeyError:
            logger.exception("failed")
    logger.opt(depth=1).info("of the caller")
    thread = threading.Thread(target=logger.info, args=("in a thread",), name="worker")
    thread.start()
    thread.join()

place()
"""
INTERCEPT = """
class Intercept(logging.Handler):
    def emit(self, record):
        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())
        logger.info("handed on")

logging.basicConfig(handlers=[Intercept()], level=0)
logging.getLogger("shop").error("plain %s", 1, extra={"order": 7})
"""
PROPAGATE = """
class Propagate(logging.Handler):
    def emit(self, record):
        logging.getLogger(record.name).handle(record)

logger.remove()
logger.add(Propagate(), format="{message}")
logger.warning("low")
"""


def environ_of(receiver: OTLPReceiver) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http,
        "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",  # on a busy machine
    }


def test_each_message_arrives_once_with_what_is_bound_and_prints_what_it_prints(
    otlp_receiver: OTLPReceiver,
) -> None:
    program = START + SPEAK
    ended = finish(program, 150, **environ_of(otlp_receiver))
    alone = finish(program, 150, OTEL_SDK_DISABLED="true")

    assert (ended.out, ended.err) == (alone.out, alone.err)
    logs = {log.item.body.string_value: log for log in otlp_receiver.logs}
    assert len(otlp_receiver.logs) == len(logs)
    levels = {
        name: (log.item.severity_number, log.item.severity_text) for name, log in logs.items()
    }
    assert levels == {
        "paid 3": (9, "INFO"),
        "traced": (3, "TRACE"),
        "detail": (5, "DEBUG"),
        "done": (11, "SUCCESS"),
        "noted": (10, "NOTICE"),
        "numbered": (15, "Level 37"),
        "low": (13, "WARNING"),
        "gone": (21, "CRITICAL"),
        "failed": (17, "ERROR"),
        "of the caller": (9, "INFO"),
        "in a thread": (9, "INFO"),
    }
    paid = logs["paid 3"]
    assert paid.scope == "__main__"
    assert {"user": "alice", "name": "tea", "password": "***"}.items() <= paid.attributes.items()
    assert paid.attributes["code.function.name"] == "place"
    assert "# line PAID" in program.splitlines()[paid.attributes["code.line.number"] - 1]
    failed = logs["failed"].attributes
    assert {"request": "r1", "scope": 1, "exception.type": "KeyError"}.items() <= failed.items()
    assert failed["exception.message"] == "'A1'"
    assert logs["of the caller"].attributes["code.function.name"] == "<module>"
    assert logs["in a thread"].attributes["thread.name"] == "worker"


def test_records_that_are_handed_on_to_loguru_arrive_once(otlp_receiver: OTLPReceiver) -> None:
    finish(START + INTERCEPT, 150, **environ_of(otlp_receiver))
    logs = {log.item.body.string_value: log for log in otlp_receiver.logs}
    assert sorted(log.item.body.string_value for log in otlp_receiver.logs) == [
        "handed on",
        "plain 1",
    ]
    assert (logs["plain 1"].scope, logs["plain 1"].attributes["order"]) == ("shop", 7)


def test_messages_that_loguru_hands_to_logging_need_no_sink(otlp_receiver: OTLPReceiver) -> None:
    finish(START + PROPAGATE, 150, **environ_of(otlp_receiver))
    assert [log.item.body.string_value for log in otlp_receiver.logs] == ["low"]


def test_messages_of_a_thread_of_loguru_keep_their_callers(otlp_receiver: OTLPReceiver) -> None:
    program = re.sub(r'level="TRACE"', "enqueue=True", START) + (
        "def work():\n    logger.bind(user='alice').warning('low')\n"
        "thread = threading.Thread(target=work, name='worker'); thread.start(); thread.join()\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logger.exception('failed')\n"
        "logger.complete()\n"
    )
    finish(program, 150, **environ_of(otlp_receiver))
    logs = {log.item.body.string_value: log.attributes for log in otlp_receiver.logs}
    assert logs.keys() == {"low", "failed"}
    assert logs["low"]["thread.name"] == "worker"
    assert logs["low"]["code.function.name"] == "work"
    assert logs["failed"]["exception.type"] == "ZeroDivisionError"


def test_output_that_is_captured_is_not_sent_a_second_time(otlp_receiver: OTLPReceiver) -> None:
    program = START + "logger.info('paid'); logger.info('again'); print('printed')"
    finish(program, 150, **environ_of(otlp_receiver), OTELBRIDGE_CAPTURE_OUTPUT="true")
    messages = [log.item.body.string_value for log in otlp_receiver.logs]
    assert sorted(messages) == ["again", "paid", "printed"]


def test_the_sink_does_nothing_where_nothing_is_instrumented() -> None:
    program = re.sub("otelbridge.instrument.*", "", START) + "logger.info('paid')"
    assert finish(program).err == "INFO __main__:<module>:9 paid {}\n"
