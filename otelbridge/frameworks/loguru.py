"""loguru's messages as log records."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from otelbridge.capture import installed
from otelbridge.records.scope_fields import add_scope_fields
from otelbridge.records.streams import leave_to_logging
from otelbridge.records.values import json_key, json_value

if TYPE_CHECKING:
    from loguru import Message


# Whoever asks for the sink is about to add it.
leave_to_logging("loguru")


def loguru_sink(message: Message) -> None:
    """Send a message of loguru's to the sinks.

    A sink, for ``logger.add``; the level given there is the lowest that is sent. Nothing is sent
    before ``otelbridge.instrument``.
    """
    capture = installed()
    if capture is None:
        return
    given: Any = message.record
    # A program may hand logging's records on to loguru; such a one was taken on its way there.
    handed_on = capture.record_in_hand()
    if handed_on is not None and _text(handed_on) == given["message"]:
        return
    capture.take(_record(given))


def _record(given: Any) -> logging.LogRecord:
    exception = given["exception"]
    record = logging.LogRecord(
        str(given["name"]),
        given["level"].no,
        given["file"].path,
        given["line"],
        given["message"],
        None,
        None if exception is None else tuple(exception),
        given["function"],
    )
    record.levelname = given["level"].name
    record.created = given["time"].timestamp()
    record.msecs = given["time"].microsecond // 1000
    # Those of the caller, should loguru hand its messages to a thread of its own.
    record.thread, record.threadName = given["thread"].id, given["thread"].name
    record.process, record.processName = given["process"].id, given["process"].name
    add_scope_fields(
        record,
        {json_key(key): json_value(value, sys.maxsize) for key, value in given["extra"].items()},
    )
    return record


def _text(record: logging.LogRecord) -> str | None:
    try:
        return record.getMessage()
    except Exception:
        return None  # a message that does not fit its arguments; loguru was given another
