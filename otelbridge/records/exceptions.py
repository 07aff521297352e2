"""An exception as text: its type, its message, and the whole of its traceback."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Any, Final, NamedTuple

from otelbridge.records.values import DEFAULT_MAX_CHARS, plain_text, text_of, type_name

# Where the texts are kept on a LogRecord, so that several sinks write one traceback once.
EXCEPTION_ATTRIBUTE: Final = "_otelbridge_exception"


class ExceptionFields(NamedTuple):
    """What is written of an exception.

    Attributes:
        type: the qualified name, such as ``ValueError`` or ``shop.orders.Declined``; empty where
            only a traceback's text is left of it.
        message: ``str(exception)``.
        stack_trace: the traceback as Python prints it, with causes, contexts, groups and notes.
    """

    type: str
    message: str
    stack_trace: str


def record_exception(
    record: logging.LogRecord, max_chars: int = DEFAULT_MAX_CHARS
) -> ExceptionFields | None:
    """Describe the exception a log record carries.

    Args:
        record: any log record.
        max_chars: the longest text of message and of traceback each.

    Returns:
        ``None`` where the record carries none.
    """
    known = record.__dict__.get(EXCEPTION_ATTRIBUTE)
    if known is not None and known[0] == max_chars:
        return ExceptionFields(*known[1:])
    described = exception_fields(record.exc_info, max_chars)
    if described is None and record.exc_text:
        # A record that came through a queue or a socket has its traceback as text only.
        described = ExceptionFields("", "", cut_middle(text_of(record.exc_text), max_chars))
    if described is not None:
        # A plain tuple, so that a record pickled to another program can be read there.
        record.__dict__[EXCEPTION_ATTRIBUTE] = (max_chars, *described)
    return described


def exception_fields(exc_info: Any, max_chars: int = DEFAULT_MAX_CHARS) -> ExceptionFields | None:
    """Describe an exception; never raises, in time linear in the text's length.

    Args:
        exc_info: an exception, or what ``sys.exc_info()`` returns.
        max_chars: the longest text of message and of traceback each.

    Returns:
        ``None`` for anything that holds no exception.
    """
    exception: Any = exc_info[1] if isinstance(exc_info, tuple) and len(exc_info) == 3 else exc_info
    if not isinstance(exception, BaseException):
        return None
    frames = exc_info[2] if isinstance(exc_info, tuple) else exception.__traceback__
    return ExceptionFields(
        type_name(type(exception)),
        plain_text(text_of(exception), max_chars),
        cut_middle(_stack_trace(exception, frames), max_chars),
    )


def cut_middle(text: str, max_chars: int) -> str:
    """Cut a text to ``max_chars`` by leaving out its middle, with a mark in its place.

    Of a traceback the first lines say where the call came from and the last ones what happened.
    """
    if len(text) > max_chars:
        head = max(max_chars, 0) // 2
        tail = max(max_chars, 0) - head
        text = f"{text[:head]}\n…[cut: {len(text)} characters]…\n{text[len(text) - tail :]}"
    return plain_text(text, len(text))


def _stack_trace(exception: BaseException, frames: TracebackType | None) -> str:
    try:
        lines = traceback.format_exception(type(exception), exception, frames)
    except Exception as error:
        # An exception class may have attributes of its own that raise when they are read.
        lines = _frames_only(frames)
        lines.append(f"{type_name(type(exception))}: {text_of(exception)}\n")
        lines.append(f"…[its causes could not be written: {type(error).__name__}]\n")
    return "".join(lines).rstrip("\n")


def _frames_only(frames: TracebackType | None) -> list[str]:
    try:
        return ["Traceback (most recent call last):\n", *traceback.format_tb(frames)]
    except Exception:
        return []
