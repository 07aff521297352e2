"""A record's message, whatever was passed to the logging call."""

from __future__ import annotations

import logging
from typing import Any

from otelbridge.records.values import DEFAULT_MAX_CHARS, plain_text, text_of


def message_text(record: logging.LogRecord, max_chars: int = DEFAULT_MAX_CHARS) -> str:
    """Return a record's formatted message; never raises and never comes back empty-handed.

    Where an argument's ``str()`` raises, a mark stands in its place. Where message and arguments
    do not fit together, the message is written as it is, and after it what went wrong and the
    arguments.

    Args:
        record: any log record.
        max_chars: the longest text; the rest is cut with a visible mark.
    """
    try:
        message = record.getMessage()
        if type(message) is not str:
            message = str.__str__(message)
    except Exception:
        message = _repaired(record)
    return plain_text(message, max_chars)


def _repaired(record: logging.LogRecord) -> str:
    template, arguments = text_of(record.msg), _printable(record.args)
    if not arguments:
        return template
    try:
        return str(template % arguments)
    except Exception as error:
        reason = f"{type(error).__name__}: {text_of(error)}"
        return f"{template} …[not formatted: {reason}; arguments: {text_of(arguments)}]"


class _Printable:
    """Stands in for an argument whose own text cannot be had."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _printable(arguments: Any) -> Any:
    if isinstance(arguments, dict):
        return {key: _printable_argument(value) for key, value in arguments.items()}
    if isinstance(arguments, tuple):
        return tuple(map(_printable_argument, arguments))
    return arguments


def _printable_argument(argument: Any) -> Any:
    try:
        str(argument), repr(argument)
    except Exception:
        return _Printable(text_of(argument))
    return argument
