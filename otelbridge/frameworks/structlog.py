"""structlog's events as log records, with their fields, whichever way structlog prints them.

A logger of structlog's that writes by itself is heard by its processor alone. Where structlog hands
its events to ``logging``, a record comes by there as well, with the rendered text for a message and
often without fields: the record that the processor has made then takes its place.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from types import FrameType
from typing import Any, Final, TypeVar

from otelbridge.capture import Capture, installed
from otelbridge.records.scope_fields import add_scope_fields
from otelbridge.records.streams import leave_to_logging
from otelbridge.records.uid import UID_ATTRIBUTE, record_uid
from otelbridge.records.values import json_key, json_value

Event = TypeVar("Event", bound=MutableMapping[str, Any])

# Names of methods that are no names of levels in logging.
_LEVELS: Final = {
    "trace": 5,
    "msg": logging.INFO,
    "success": 25,
    "notice": 25,
    "warn": logging.WARNING,
    "err": logging.ERROR,
    "exception": logging.ERROR,
    "failure": logging.ERROR,
    "fatal": logging.CRITICAL,
    "alert": logging.CRITICAL,
    "emergency": logging.CRITICAL,
}
# What a record has places of its own for.
_NOT_FIELDS: Final = frozenset({"event", "level", "logger", "positional_args"})
# How far up the stack structlog is looked for.
_NEAR: Final = 20

# Whoever asks for the processor is about to configure it.
leave_to_logging("structlog")

# What this thread's structlog is about to hand to logging.
_thread = threading.local()


def structlog_processor(logger: Any, method_name: str, event_dict: Event) -> Event:
    """Send an event of structlog's to the sinks, and pass it on as it is.

    A processor, for ``structlog.configure``: before the renderer, and before ``format_exc_info``
    or ``dict_tracebacks`` where there is one. Nothing is sent before ``otelbridge.instrument``.
    """
    capture = installed()
    # What ProcessorFormatter passes is a record of logging's on its way out, and was taken.
    if capture is not None and "_record" not in event_dict:
        try:
            _take(capture, logger, method_name, dict(event_dict))
        except Exception:
            # Fields of a kind that cannot be read; the program that logs them goes on.
            capture.failed(logging.LogRecord("structlog", 0, "", 0, "", None, None))
    return event_dict


def _take(capture: Capture, logger: Any, method: str, event: dict[str, Any]) -> None:
    frame = _caller()
    record = _record(logger, method, event, frame)
    if isinstance(logger, logging.Logger):
        _thread.coming = record
        capture.translate = _translated
    else:
        capture.take(record)


def _record(logger: Any, method: str, event: dict[str, Any], frame: FrameType) -> logging.LogRecord:
    level, level_name = _level(method, event)
    given = event.get("logger", getattr(logger, "name", None))
    name = given if isinstance(given, str) else str(frame.f_globals.get("__name__"))
    exc_info = _take_exception(event)
    record = logging.LogRecord(
        name,
        level,
        frame.f_code.co_filename,
        frame.f_lineno,
        event.get("event", ""),
        event.get("positional_args", ()),
        exc_info if isinstance(exc_info, tuple) else None,
        frame.f_code.co_name,
        _take_stack(event, frame),
    )
    record.levelname = level_name
    if isinstance(exc_info, str):
        record.exc_text = exc_info
    add_scope_fields(
        record,
        {
            json_key(key): json_value(value, sys.maxsize)
            for key, value in event.items()
            if key not in _NOT_FIELDS
        },
    )
    return record


def _level(method: str, event: dict[str, Any]) -> tuple[int, str]:
    """Tell a level's number and name by the method that was called."""
    known = logging.getLevelName(method.upper())
    number = known if isinstance(known, int) else _LEVELS.get(method, event.get("level_number"))
    if not isinstance(number, int) or number <= 0:
        number = logging.INFO
    name = logging.getLevelName(number)
    return number, method.upper() if name == f"Level {number}" else name


def _take_exception(event: dict[str, Any]) -> Any:
    """Take an event's exception from among its fields.

    Returns:
        Three values as of ``sys.exc_info()``; a text, where it has been rendered and the exception
        is not the one that is being handled; ``None`` if there is none.
    """
    given = event.pop("exc_info", None)
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if given:
        return given if isinstance(given, tuple) else sys.exc_info()
    rendered = event.get("exception")
    handled = sys.exc_info()
    if not rendered or not isinstance(rendered, (str, list)):
        return None
    if handled[0] is not None and handled[0].__name__ in str(rendered):
        del event["exception"]
        return handled
    return event.pop("exception") if isinstance(rendered, str) else None


def _take_stack(event: dict[str, Any], frame: FrameType) -> str | None:
    if event.pop("stack_info", None):
        return "Stack (most recent call last):\n" + "".join(traceback.format_stack(frame)).rstrip()
    return event.pop("stack") if isinstance(event.get("stack"), str) else None


def _caller() -> FrameType:
    """Return the frame of the program that called structlog."""
    contexts = sys.modules.get("structlog.contextvars")
    # Where its asynchronous methods hand the work to another thread, structlog notes the caller.
    noted = getattr(contexts, "_ASYNC_CALLING_STACK", None)
    frame: FrameType = sys._getframe() if noted is None else noted.get(sys._getframe())
    while frame.f_back is not None and _is_of(frame, ("structlog", "otelbridge")):
        frame = frame.f_back
    return frame


def _is_of(frame: FrameType, packages: tuple[str, ...]) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in packages


def _translated(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record that the processor made of the event that a record of logging's renders."""
    made: logging.LogRecord | None = getattr(_thread, "coming", None)
    if made is None:
        return record
    _thread.coming = None
    # It may never have come: logging's level was above it, or a later processor dropped it.
    if not _from_structlog():
        return record
    made.name, made.levelno, made.levelname = record.name, record.levelno, record.levelname
    made.created, made.msecs = record.created, record.msecs
    # The program's own handlers may write it by a formatter of ours: one record, one id.
    made.__dict__[UID_ATTRIBUTE] = record_uid(record)
    return made


def _from_structlog() -> bool:
    frame: FrameType | None = sys._getframe()
    for _ in range(_NEAR):
        if frame is None:
            return False
        if _is_of(frame, ("structlog",)):
            return True
        frame = frame.f_back
    return False
