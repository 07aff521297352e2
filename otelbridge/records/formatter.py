"""A log record as one line of JSON with the Elastic Common Schema's field names."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

import orjson
from pythonjsonlogger.orjson import OrjsonFormatter, orjson_default

from otelbridge.records.exceptions import record_exception
from otelbridge.records.extras import INTERNAL_ATTRIBUTES, STANDARD_ATTRIBUTES, message_fields
from otelbridge.records.message import message_text
from otelbridge.records.redaction import redact_text, redact_value
from otelbridge.records.scope_fields import scope_fields
from otelbridge.records.service import service_fields
from otelbridge.records.trace import trace_ids
from otelbridge.records.uid import record_uid
from otelbridge.records.usual_line import UsualLines
from otelbridge.records.values import DEFAULT_MAX_CHARS, free_key, json_key, json_value
from otelbridge.schema import (
    ECS_VERSION,
    ECS_VERSION_FIELD,
    ERROR_MESSAGE,
    ERROR_STACK_TRACE,
    ERROR_TYPE,
    EVENT_SEQUENCE,
    HOST_NAME,
    LOG_LEVEL,
    LOG_LOGGER,
    MESSAGE,
    ORIGIN_FILE,
    ORIGIN_FUNCTION,
    ORIGIN_LINE,
    PROCESS_NAME,
    PROCESS_PID,
    RECORD_UID,
    SERVICE_ENVIRONMENT,
    SERVICE_NAME,
    SERVICE_NODE_NAME,
    SERVICE_VERSION,
    SPAN_ID,
    THREAD_ID,
    THREAD_NAME,
    TIMESTAMP,
    TRACE_ID,
)

# ECS has no field for a stack without an error; this is the semantic conventions' name.
STACK = "code.stacktrace"

# Text by ECS. Where the line has none of its own the caller may give one, as text too.
_TEXT_FIELDS = frozenset(
    {
        ERROR_TYPE,
        ERROR_MESSAGE,
        ERROR_STACK_TRACE,
        PROCESS_NAME,
        SERVICE_VERSION,
        SERVICE_ENVIRONMENT,
        SERVICE_NODE_NAME,
        SPAN_ID,
        TRACE_ID,
        "transaction.id",
        "event.dataset",
    }
)


def _outer_names(names: Iterable[str]) -> frozenset[str]:
    """Return what dotted names stand in where dots are read as nesting: ``a`` and ``a.b``."""
    return frozenset(
        name[:place] for name in names for place, char in enumerate(name) if char == "."
    )


# Objects by ECS, whether or not a line has all of their fields: a value of that name would be an
# object in one document and a text in the next.
_OBJECTS = _outer_names(
    (
        *_TEXT_FIELDS - {"event.dataset", "transaction.id"},
        ECS_VERSION_FIELD,
        HOST_NAME,
        LOG_LEVEL,
        ORIGIN_FILE,
        PROCESS_PID,
        RECORD_UID,
        SERVICE_NAME,
        THREAD_ID,
    )
)

# All that a line may have of its own, besides those of the service.
_OWN_FIELDS = frozenset(
    {
        *(TIMESTAMP, LOG_LEVEL, MESSAGE, ECS_VERSION_FIELD, LOG_LOGGER, RECORD_UID, STACK),
        *(ORIGIN_FILE, ORIGIN_LINE, ORIGIN_FUNCTION, THREAD_ID, THREAD_NAME),
        *(PROCESS_PID, PROCESS_NAME, TRACE_ID, SPAN_ID),
        *(ERROR_TYPE, ERROR_MESSAGE, ERROR_STACK_TRACE),
    }
)


class JsonFormatter(OrjsonFormatter):
    """Formats a record as one JSON object that passes the ECS logging specification's check.

    ``@timestamp``, ``log.level`` and ``message`` come first. ``trace.id`` and ``span.id`` are
    there whenever an OpenTelemetry span is current, ``error.*`` whenever there is an exception,
    and every key of ``extra`` (or of a ``dict`` logged as the message) stands at the top level,
    its value as :func:`otelbridge.records.values.json_value` writes it. The fields of
    :func:`otelbridge.fields` stand there too, where the record has none of that name.

    An ``extra`` key that is the name of one of these fields never replaces it: it is written as
    ``extra.<key>``, such as ``extra.log.level``. So is one that could not stand beside them where
    dots are read as nesting, such as ``error`` or ``message.id``. ``event.sequence`` counts as such
    a name, since the UDP handler adds it.

    Args:
        args: ``fmt``, ``datefmt`` and ``style`` as python-json-logger takes them; a format such
            as ``%(levelname)s %(module)s`` adds these attributes under their own names.
        resource: OpenTelemetry resource attributes for the ``service.*`` and ``host.name`` fields;
            by default those of ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES``.
        service_name: ``service.name``; wins over ``resource``, as do the next three.
        service_version: ``service.version``.
        service_environment: ``service.environment``, such as ``production``.
        service_node_name: ``service.node.name``; must differ between processes.
        max_chars: the longest text of one value, in characters; the rest is cut with a mark.
        json_default: asked first for the text or data of what JSON has no type for; what it
            raises is ignored.
        options: python-json-logger's own: ``rename_fields``, ``static_fields``, ``defaults``,
            ``timestamp``, ``reserved_attrs``, ``exc_info_as_array``, ``json_indent`` and so on.
            ``rename_fields`` renames the fields of the line too; ``static_fields`` replace them.
    """

    def __init__(
        self,
        *args: Any,
        resource: Mapping[str, Any] | None = None,
        service_name: str | None = None,
        service_version: str | None = None,
        service_environment: str | None = None,
        service_node_name: str | None = None,
        max_chars: int = DEFAULT_MAX_CHARS,
        json_default: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("reserved_attrs", STANDARD_ATTRIBUTES)
        super().__init__(*args, json_default=json_default or orjson_default, **options)
        self.max_chars = max_chars
        self._given_default = json_default
        self._given_fields = {
            SERVICE_NAME: service_name,
            SERVICE_VERSION: service_version,
            SERVICE_ENVIRONMENT: service_environment,
            SERVICE_NODE_NAME: service_node_name,
        }
        self._not_extra = self._skip_fields | INTERNAL_ATTRIBUTES
        # Whether a line differs from that of a formatter that nothing was asked of: a class of the
        # user's may write it otherwise. The message is there in any case.
        self._asked = (
            type(self) is not JsonFormatter
            or self._skip_fields != STANDARD_ATTRIBUTES
            or bool(set(self._required_fields) - {"message"})
        )
        self._not_wanted = self._skip_fields - STANDARD_ATTRIBUTES
        self._second = (0, "1970-01-01T00:00:00")
        self.set_resource(resource)

    def set_resource(self, resource: Mapping[str, Any] | None) -> None:
        """Take other resource attributes from now on, as a forked process must."""
        given = {name: value for name, value in self._given_fields.items() if value is not None}
        self._service = {
            name: json_value(value, self.max_chars)
            for name, value in {**service_fields(resource), **given}.items()
        }
        self._objects = _OBJECTS | _outer_names(self._service)
        self._usual = UsualLines(self._site_fields, self._thread_fields, self._is_usual)
        self._own = _OWN_FIELDS | self._service.keys()

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; what was passed to the logging call cannot make this raise."""
        if not (
            self._asked
            or self.static_fields
            or self.rename_fields
            or self.defaults
            or self.timestamp
            or self.prefix
            or self.json_indent
        ):
            line = self._usual.write(record, self._timestamp(record.created), self.max_chars)
            if line is not None:
                return line
        record.message = message_text(record, self.max_chars)
        if "asctime" in self._required_fields:
            record.asctime = self.formatTime(record, self.datefmt)
        log_data: dict[str, Any] = {}
        self.add_fields(log_data, record, message_fields(record))
        return self.serialize_log_record(self.process_log_record(log_data))

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Put the line's fields, the configured ones and the caller's into ``log_data``."""
        line = self._own_fields(record)
        if self.timestamp:
            field = self.timestamp if isinstance(self.timestamp, str) else "timestamp"
            line[field] = line[TIMESTAMP]
        own = frozenset(line)
        for field, value in self.defaults.items():
            line.setdefault(field, self._value(value))
        scope = scope_fields(record)
        for field in self._required_fields:
            if field not in own:
                line[field] = self._value(record.__dict__.get(field, scope.get(field)))
        for field, value in self.static_fields.items():
            line[field] = self._value(value)
        skip = self._not_extra
        given = [item for item in record.__dict__.items() if item[0] not in skip]
        if given or message_dict or scope:
            given = [*message_dict.items(), *given]
            if scope:
                taken = {key for key, _ in given} | self._not_wanted
                given += [item for item in scope.items() if item[0] not in taken]
            self._add_given(line, own, given)
        if self.rename_fields:
            line = {self._get_rename(field): value for field, value in line.items()}
            if self.rename_fields_keep_missing:
                for field in self.rename_fields.values():
                    line.setdefault(field, None)
        log_data.update(line)

    def jsonify_log_record(self, log_data: dict[str, Any]) -> str:
        """Write ``log_data``, also where a subclass has put into it what orjson refuses."""
        try:
            return super().jsonify_log_record(log_data)
        except TypeError:
            return super().jsonify_log_record(json_value(log_data, sys.maxsize))

    def _own_fields(self, record: logging.LogRecord) -> dict[str, Any]:
        line: dict[str, Any] = {
            TIMESTAMP: self._timestamp(record.created),
            LOG_LEVEL: str(record.levelname),
            MESSAGE: redact_text(record.message),
            **self._site_fields(record),
            **self._thread_fields(record),
        }
        ids = trace_ids(record)
        if ids is not None:
            line[TRACE_ID], line[SPAN_ID] = ids
        if record.exc_info or record.exc_text:
            self._add_exception(line, record)
        if record.stack_info:
            line[STACK] = self._lines(redact_text(record.stack_info), self.stack_info_as_array)
        line[RECORD_UID] = record_uid(record)
        return line

    def _site_fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            ECS_VERSION_FIELD: ECS_VERSION,
            **self._service,
            LOG_LOGGER: record.name,
        }
        if record.pathname:
            fields[ORIGIN_FILE] = record.pathname
            fields[ORIGIN_LINE] = record.lineno
            if record.funcName:
                fields[ORIGIN_FUNCTION] = record.funcName
        return fields

    @staticmethod
    def _thread_fields(record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {PROCESS_PID: record.process or os.getpid()}
        # The main process is called MainProcess everywhere; only other names tell anything.
        if record.processName and record.processName != "MainProcess":
            fields[PROCESS_NAME] = record.processName
        if record.thread is not None:
            fields[THREAD_ID] = record.thread
            fields[THREAD_NAME] = record.threadName
        return fields

    def _add_exception(self, line: dict[str, Any], record: logging.LogRecord) -> None:
        exception = record_exception(record, self.max_chars)
        if exception is None:
            return
        if exception.type:
            line[ERROR_TYPE] = exception.type
            line[ERROR_MESSAGE] = redact_text(exception.message)
        line[ERROR_STACK_TRACE] = self._lines(
            redact_text(exception.stack_trace), self.exc_info_as_array
        )
        line.update(redact_value("", exception.attributes()))

    def _add_given(
        self, line: dict[str, Any], own: frozenset[str], given: Iterable[tuple[Any, Any]]
    ) -> None:
        added: dict[str, Any] = {}
        repeats: dict[str, int] = {}
        for key, value in given:
            name = json_key(key)
            if self._clashes(name, own):
                name = f"extra.{name}"
            if name in added:
                name = free_key(name, added, repeats)
            written = redact_value(json_key(key), self._value(value))
            if name in _TEXT_FIELDS and type(written) is not str:
                written = orjson.dumps(written).decode()
            added[name] = written
        line.update(added)

    def _clashes(self, name: str, own: frozenset[str]) -> bool:
        """Tell whether a caller's field cannot be called so beside the line's own."""
        if name in own or name == EVENT_SEQUENCE or name in self._objects:
            return True
        # What people search for as ``code`` is found by that name, also beside ``code.stacktrace``
        # of the few records that have it.
        return "." in name and not own.isdisjoint(_outer_names((name,)))

    def _is_usual(self, name: str) -> bool:
        """Tell whether a caller's field stands on every line by this name, whatever its value."""
        return name.isascii() and name not in _TEXT_FIELDS and not self._clashes(name, self._own)

    def _value(self, value: Any) -> Any:
        return json_value(value, self.max_chars, self._given_default)

    @staticmethod
    def _lines(text: str, as_array: bool) -> str | list[str]:
        return text.splitlines() if as_array else text

    def _timestamp(self, created: float) -> str:
        known, text = self._second
        try:
            since = created - known
            if 0 <= since < 1 and (fraction := round(since * 1_000_000)) < 1_000_000:
                return f"{text}.{fraction:06d}Z"
            second = math.floor(created)
            fraction = round((created - second) * 1_000_000)
            if fraction == 1_000_000:
                second, fraction = second + 1, 0
            if second != known:
                text = f"{datetime.fromtimestamp(second, timezone.utc):%Y-%m-%dT%H:%M:%S}"
                self._second = (second, text)
        except (TypeError, ValueError, OverflowError, OSError):
            # A record built by hand may hold any time; now is nearer than none.
            return self._timestamp(time.time())
        return f"{text}.{fraction:06d}Z"
