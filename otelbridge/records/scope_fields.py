"""Fields that hold for everything logged in a scope, such as a request, as a record carries them.

:func:`otelbridge.fields` says which hold. Until somebody uses it, nothing is looked up here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from otelbridge.records.exception_notes import noted

# Where they are kept on a LogRecord: once it has them, no other thread's are added. They survive
# copying and pickling, since their values are plain data.
FIELDS_ATTRIBUTE: Final = "_otelbridge_fields"
# Where those that held when it was raised are kept on an exception.
RAISED_WITH: Final = "_otelbridge_fields"

_NONE: Final[Mapping[str, Any]] = {}


class _Scope:
    """What tells which fields hold here and now, once there may be any."""

    current: Callable[[], Mapping[str, Any]] | None = None


def look_up_by(current: Callable[[], Mapping[str, Any]]) -> None:
    """Ask ``current`` for the fields that hold, from now on."""
    _Scope.current = current


def fields_in_use() -> bool:
    """Tell whether anybody has put fields on a scope in this process."""
    return _Scope.current is not None


def scope_fields(record: logging.LogRecord) -> Mapping[str, Any]:
    """Return the fields of the scope in which a record was logged, as plain data.

    The first call decides: it is made in the thread that logs. Where the record tells of an
    exception, the fields of the scope that it was raised in are among them, and win.
    """
    known: Mapping[str, Any] | None = record.__dict__.get(FIELDS_ATTRIBUTE)
    if known is not None:
        return known
    if _Scope.current is None:
        return _NONE
    found = record.__dict__[FIELDS_ATTRIBUTE] = _holding(_Scope.current(), record)
    return found


def add_scope_fields(record: logging.LogRecord, own: Mapping[str, Any]) -> None:
    """Give a record fields whatever their names, and those of the scope that are not among them.

    Unlike ``extra``, these may be named as an attribute of log records is, such as ``name``.
    """
    record.__dict__[FIELDS_ATTRIBUTE] = {**scope_fields(record), **own}


def _holding(fields: Mapping[str, Any], record: logging.LogRecord) -> Mapping[str, Any]:
    exception = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    raised_with = None if exception is None else noted(exception, RAISED_WITH)
    return {**fields, **raised_with} if raised_with else fields
