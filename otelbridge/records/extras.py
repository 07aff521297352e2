"""What the caller put into ``extra=`` of a logging call."""

from __future__ import annotations

import logging
from functools import lru_cache
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

# In characters of a name.
_MOST_REMEMBERED: Final = 100


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
    held = record.__dict__
    names = extra_names(tuple(held))
    given: dict[Any, Any] = {}
    if names is None:
        given.update((key, value) for key, value in held.items() if key not in _NOT_EXTRA)
    else:
        for name in names:
            given[name] = held[name]
    if type(record.msg) is not str:
        given = _joined(message_fields(record), given)
    scope = scope_fields(record)
    if scope:
        for key, value in scope.items():
            given.setdefault(key, value)
    return given


def _joined(message: dict[Any, Any], extra: dict[Any, Any]) -> dict[Any, Any]:
    for key, value in extra.items():
        message[f"{key}#2" if key in message else key] = value
    return message


# A program logs records of few kinds, each with the same attributes in the same order: to know them
# again takes half the time of looking for what is the caller's among them.
@lru_cache(maxsize=1024)
def extra_names(attributes: tuple[Any, ...]) -> tuple[str, ...] | None:
    """Return which of a record's attributes are keys of ``extra``.

    Args:
        attributes: all that stand on the record, in their order.

    Returns:
        ``None`` where a name is no plain text, or so long that it is not worth remembering.
    """
    # Of other types two may be equal and yet not the same, such as 1 and True.
    if any(type(name) is not str or len(name) > _MOST_REMEMBERED for name in attributes):
        return None
    return tuple(name for name in attributes if name not in _NOT_EXTRA)
