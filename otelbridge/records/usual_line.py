"""The line of a usual record, put together of what was written before and the little that was not.

Which line of the program records come from, and which thread, is the same in thousands, and half of
what is written of each. A usual record tells of no error, and what its caller gave are texts and
numbers by names that need no change. All others are left to the formatter, which writes the same
line of a usual one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, TypeVar
from weakref import WeakSet

import orjson

from otelbridge.records.extras import extra_names
from otelbridge.records.redaction import is_secret, may_hold_secret, when_names_change
from otelbridge.records.scope_fields import scope_fields
from otelbridge.records.trace import trace_ids
from otelbridge.records.uid import record_uid
from otelbridge.schema import (
    ECS_VERSION_FIELD,
    LOG_LEVEL,
    MESSAGE,
    PROCESS_PID,
    RECORD_UID,
    SPAN_ID,
    TIMESTAMP,
    TRACE_ID,
)

# Of call sites, threads and sets of names each. A server may have a thread for each request.
_MOST_REMEMBERED: Final = 1024

_TWO_63: Final = 2**63

_UNKNOWN: Final[Any] = object()

_site_of = itemgetter("name", "pathname", "lineno", "funcName")
_thread_of = itemgetter("process", "processName", "thread", "threadName")

Fields = Callable[[logging.LogRecord], dict[str, Any]]
T = TypeVar("T")


class UsualLines:
    """Writes the lines of one formatter's usual records."""

    def __init__(
        self, site_fields: Fields, thread_fields: Fields, is_usual: Callable[[str], bool]
    ) -> None:
        """Remember nothing yet.

        Args:
            site_fields: what all records of one line of the program have; ``ecs.version`` first.
            thread_fields: what all records of one thread have; ``process.pid`` first.
            is_usual: tells whether a caller's field stands on a line by its own name, as it is.
        """
        self._site_fields = site_fields
        self._thread_fields = thread_fields
        self._is_usual = is_usual
        self._sites: dict[Any, orjson.Fragment] = {}
        self._threads: dict[Any, orjson.Fragment] = {}
        self._names: dict[Any, tuple[str, ...] | None] = {}
        _all.add(self)

    def write(self, record: logging.LogRecord, timestamp: str, max_chars: int) -> str | None:
        """Write a record's line.

        Args:
            record: any log record.
            timestamp: when it was made, as the line has it.
            max_chars: the longest text of one value.

        Returns:
            ``None`` where the record is not a usual one.
        """
        level = record.levelname
        if record.exc_info or record.exc_text or record.stack_info or type(level) is not str:
            return None
        held: Mapping[str, Any] = record.__dict__
        scope = scope_fields(record)
        if scope:
            if not held.keys().isdisjoint(scope):
                return None
            held = {**held, **scope}
        attributes = tuple(held)
        try:
            names = self._names.get(attributes, _UNKNOWN)
            if names is _UNKNOWN:
                names = self._usual_names(attributes, scope)
            if names is None or issubclass(type(record.msg), dict):
                return None
            # Equal numbers are written alike, even if one of them is ``True``.
            site, thread = _site_of(held), _thread_of(held)
            line: dict[str, Any] = {
                TIMESTAMP: timestamp,
                LOG_LEVEL: level,
                MESSAGE: "",
                ECS_VERSION_FIELD: self._sites.get(site) or self._write_site(site, record),
                PROCESS_PID: self._threads.get(thread) or self._write_thread(thread, record),
            }
            ids = trace_ids(record)
            if ids is not None:
                line[TRACE_ID], line[SPAN_ID] = ids
            line[RECORD_UID] = record_uid(record)
            texts = []
            for name in names:
                value = line[name] = held[name]
                kind = type(value)
                if kind is str:
                    texts.append(value)
                elif kind is int:
                    if not -_TWO_63 <= value < _TWO_63:
                        return None
                elif kind is float:
                    if value - value != 0.0:  # infinite, or no number
                        return None
                elif kind is not bool and value is not None:
                    return None
            message = line[MESSAGE] = record.getMessage()
            texts.append(message)
            text = "\n".join(texts)
            if len(text) > max_chars or type(message) is not str or may_hold_secret(text):
                return None
            written = orjson.dumps(line).decode()
        except Exception:
            # Made by hand, or with a text that is no Unicode, or an argument that has no text.
            return None
        record.message = message
        return written

    def forget_names(self) -> None:
        """Ask anew which names are usual, since others may be secret now."""
        self._names.clear()

    def _usual_names(
        self, attributes: tuple[Any, ...], scope: Mapping[str, Any]
    ) -> tuple[str, ...] | None:
        names = extra_names(attributes)
        # A field of the scope may be named like an attribute of records.
        if (
            names is not None
            and scope.keys() <= set(names)
            and all(self._is_usual(name) and not is_secret(name) for name in names)
        ):
            return _remember(self._names, attributes, names)
        return _remember(self._names, attributes, None)

    def _write_site(self, key: Any, record: logging.LogRecord) -> orjson.Fragment:
        return _remember(self._sites, key, _part(self._site_fields(record)))

    def _write_thread(self, key: Any, record: logging.LogRecord) -> orjson.Fragment:
        part = _part(self._thread_fields(record))
        # Without its own number of the process a record has that of the one that writes it.
        return _remember(self._threads, key, part) if record.process else part


def _part(fields: dict[str, Any]) -> orjson.Fragment:
    """Write fields as they stand on a line, from the first one's value on."""
    first = orjson.dumps(next(iter(fields)))
    return orjson.Fragment(orjson.dumps(fields)[len(first) + 2 : -1])


def _remember(known: dict[Any, T], key: Any, value: T) -> T:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[key] = value
    return value


_all: WeakSet[UsualLines] = WeakSet()


def _forget_names() -> None:
    for lines in list(_all):
        lines.forget_names()


when_names_change(_forget_names)
