"""A log record as text for people: one line, and a traceback below it."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

import orjson

from otelbridge.records.exceptions import record_exception
from otelbridge.records.extras import extra_fields, message_fields
from otelbridge.records.message import message_text
from otelbridge.records.redaction import redact_text, redact_value
from otelbridge.records.trace import trace_ids
from otelbridge.records.values import json_key, json_value

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_LOGGER = "\x1b[34m"
_KEY = "\x1b[36m"
_ERROR = "\x1b[31m"
_LEVELS = (
    (logging.CRITICAL, "\x1b[1;41;97m"),
    (logging.ERROR, "\x1b[1;31m"),
    (logging.WARNING, "\x1b[33m"),
    (logging.INFO, "\x1b[32m"),
    (0, _DIM),
)

# Enough to tell the traces on a screen apart, and to find one by its start.
_TRACE_CHARS = 8

# Written as they are, these could move the cursor, retitle the window or hide text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Values that need no quotes to be told apart from what follows them.
_BARE = re.compile(r"[^\s\"'=\[\]{}]+")


class TextFormatter(logging.Formatter):
    """Formats a record as time, level, logger, message, ``key=value`` of each extra, and trace.

    Args:
        colour: whether to use a terminal's colours.
        max_chars: the longest text of message, traceback and each value, in characters.
    """

    def __init__(self, colour: bool = False, max_chars: int = 16 * 1024) -> None:
        super().__init__()
        self._colour = colour
        self._max_chars = max_chars

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; what was passed to the logging call cannot make this raise."""
        paint = self._paint
        level = next(colour for least, colour in _LEVELS if record.levelno >= least)
        message = message_fields(record)
        parts = [
            paint(_DIM, self._time(record)),
            paint(level, f"{record.levelname:<8}"),
            paint(_LOGGER, _visible(record.name)),
            _visible(redact_text(message_text(record, self._max_chars))),
        ]
        parts += [
            f"{paint(_KEY, _visible(json_key(key)))}={_visible(self._value(json_key(key), value))}"
            for key, value in extra_fields(record).items()
            if key not in message
        ]
        ids = trace_ids(record)
        if ids is not None:
            parts.append(paint(_DIM, f"trace={ids[0][:_TRACE_CHARS]}"))
        text = " ".join(parts)
        exception = record_exception(record, self._max_chars)
        if exception is not None:
            frames, _, last = redact_text(exception.stack_trace).rpartition("\n")
            text += f"\n{_visible(frames)}\n{paint(_ERROR, _visible(last))}"
        if record.stack_info:
            text += f"\n{_visible(record.stack_info)}"
        return text

    def _time(self, record: logging.LogRecord) -> str:
        try:
            second = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
            return f"{second}.{int(record.msecs):03d}"
        except (TypeError, ValueError, OverflowError, OSError):
            # A record built by hand may hold any time.
            return json_key(record.created)

    def _value(self, name: str, value: Any) -> str:
        plain = redact_value(name, json_value(value, self._max_chars))
        if type(plain) is str and _BARE.fullmatch(plain):
            return plain
        return orjson.dumps(plain).decode()

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
