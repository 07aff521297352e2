"""A record as the text a handler writes, whatever its formatter does."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable

from otelbridge.records.exceptions import record_exception
from otelbridge.records.message import message_text


def record_line(format: Callable[[logging.LogRecord], str], record: logging.LogRecord) -> str:
    """Format a record; never raises and never loses the record.

    A formatter of the standard library raises where an argument's ``str()`` does or where message
    and arguments do not fit. The record is then formatted again with a message that says so.

    Args:
        format: a handler's ``format``.
        record: what was logged.
    """
    try:
        return format(record)
    except Exception as error:
        repaired = copy.copy(record)
        repaired.msg, repaired.args = message_text(record), None
        exception = record_exception(record)
        repaired.exc_info = None
        repaired.exc_text = exception.stack_trace if exception else None
        try:
            return format(repaired)
        except Exception:
            reason = f"…[formatter failed: {type(error).__name__}]"
            lines = [f"{record.levelname} {record.name} {repaired.msg} {reason}"]
            return "\n".join([*lines, repaired.exc_text] if repaired.exc_text else lines)
