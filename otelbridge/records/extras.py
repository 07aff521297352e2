"""What the caller put into ``extra=`` of a logging call."""

from __future__ import annotations

import logging
from typing import Any, Final

from otelbridge.records.exceptions import EXCEPTION_ATTRIBUTE
from otelbridge.records.scope_fields import FIELDS_ATTRIBUTE, scope_fields
from otelbridge.records.uid import UID_ATTRIBUTE

# Marks a record that this process, or one before it, has handed to the sinks.
TAKEN_ATTRIBUTE: Final = "_otelbridge_taken"

# The name of the event that a record stands for, if it stands for one.
EVENT_ATTRIBUTE: Final = "_otelbridge_event"

# ``message`` and ``asctime`` are set by formatters. ``taskName`` is among the rest from Python
# 3.12 on; before that it is the caller's own.
STANDARD_ATTRIBUTES: Final = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime"}
)

# Set by this package.
OWN_ATTRIBUTES: Final = frozenset(
    {UID_ATTRIBUTE, EXCEPTION_ATTRIBUTE, EVENT_ATTRIBUTE, FIELDS_ATTRIBUTE, TAKEN_ATTRIBUTE}
)

# Those, and what OpenTelemetry's logging instrumentation sets, which repeats trace.id and span.id.
INTERNAL_ATTRIBUTES: Final = OWN_ATTRIBUTES | frozenset(
    {
        "otelTraceID",
        "otelSpanID",
        "otelTraceSampled",
        "otelServiceName",
    }
)

_NOT_EXTRA = STANDARD_ATTRIBUTES | INTERNAL_ATTRIBUTES


def message_fields(record: logging.LogRecord) -> dict[Any, Any]:
    """Return a copy of the ``dict`` that was logged as the message; empty for any other message."""
    # By type(): isinstance() asks a proxy for its class, which may raise.
    message: Any = record.msg
    return dict(dict.items(message)) if issubclass(type(message), dict) else {}


def extra_fields(record: logging.LogRecord) -> dict[Any, Any]:
    """Return the caller's ``extra`` keys of a record, with their values as they are.

    Keys are whatever the caller used, most often text; :func:`otelbridge.records.values.json_key`
    makes text of any other. Keys that begin with an underscore are the caller's too. The keys of a
    ``dict`` that was logged as the message count among them; an ``extra`` key that is one of them
    is called ``<key>#2``. The fields of the scope that the record was logged in come last, and only
    those whose names are not taken.
    """
    given = _given_fields(record)
    for key, value in scope_fields(record).items():
        given.setdefault(key, value)
    return given


def _given_fields(record: logging.LogRecord) -> dict[Any, Any]:
    extra = {key: value for key, value in record.__dict__.items() if key not in _NOT_EXTRA}
    message = message_fields(record)
    if message:
        for key, value in extra.items():
            message[f"{key}#2" if key in message else key] = value
        return message
    return extra
