"""A line of JSON or text, to the log record that OTLP would have brought.

Reads our own lines (ECS names, see :mod:`otelbridge.schema`), ECS with nested objects, GELF, and
any JSON object that names its time, level and message in one of the usual ways. What has no place
of its own in a log record becomes an attribute: nothing is dropped.
"""

from __future__ import annotations

import re
from typing import Any, Final

from otelbridge import schema
from otelbridge.model import Attributes, LogRecord, Scope
from otelbridge.receivers.levels import SYSLOG, parse_level
from otelbridge.receivers.otlp_records import take_uid
from otelbridge.receivers.times import parse_time

_TIMES: Final = (schema.TIMESTAMP, "timestamp", "time", "ts", "datetime")
_LEVELS: Final = (schema.LOG_LEVEL, "level", "severity", "lvl", "levelname", "loglevel")
_MESSAGES: Final = ("msg", "short_message", "text", "log")
_LOGGERS: Final = (schema.LOG_LOGGER, "logger", "logger_name")
_TRACE_IDS: Final = (schema.TRACE_ID, "trace_id", "traceId", "traceid")
_SPAN_IDS: Final = (schema.SPAN_ID, "span_id", "spanId", "spanid")
# Names that generic lines use for what ECS calls otherwise.
_GENERIC: Final = {
    "service": schema.SERVICE_NAME,
    "host": schema.HOST_NAME,
    "hostname": schema.HOST_NAME,
    "exc_info": schema.ERROR_STACK_TRACE,
    "stack_trace": schema.ERROR_STACK_TRACE,
}

_TO_RESOURCE: Final = schema.LINE_TO_RESOURCE
_TO_ATTRIBUTE: Final = schema.LINE_TO_ATTRIBUTE

# Dotted names that nested ECS writes as objects, by their first word.
_NESTED: Final[dict[str, tuple[str, ...]]] = {}
for _name in (
    *schema.LINE_TO_DOCUMENT,
    *schema.LINE_TO_ATTRIBUTE,
    *schema.LINE_TO_RESOURCE,
    schema.ECS_VERSION_FIELD,
    schema.EVENT_SEQUENCE,
    schema.PROCESS_NAME,
):
    _root = _name.partition(".")[0]
    if _root != _name:
        _NESTED[_root] = (*_NESTED.get(_root, ()), _name)

_SYSLOG_PRIORITY = re.compile(r"<(\d{1,3})>")
# RFC 5424: version, time, host, app, process id, message id, structured data, message.
_SYSLOG_5424 = re.compile(
    r"1 (\S+) (\S+) (\S+) (\S+) (\S+) (-|(?:\[(?:[^\]\\]|\\.)*\])+)(?: (?:\ufeff)?(.*))?", re.DOTALL
)


def record_from_fields(fields: dict[str, Any], now: int) -> LogRecord:
    """Make a log record of a JSON object.

    Args:
        fields: the object; it is used up.
        now: nanoseconds since the epoch, for a line without a time that can be read.
    """
    for root in _NESTED.keys() & fields.keys():
        if type(fields[root]) is dict:
            _flatten(fields, root, _NESTED[root])
    ours = schema.ECS_VERSION_FIELD in fields
    fields.pop(schema.ECS_VERSION_FIELD, None)
    if not ours:
        _adopt_generic(fields)

    time = number = None
    text = ""
    for name in _TIMES[:1] if ours else _TIMES:
        if name in fields and (time := parse_time(fields[name])) is not None:
            del fields[name]
            break
    bunyan = not ours and "pid" in fields and isinstance(fields.get("level"), int)
    for name in _LEVELS[:1] if ours else _LEVELS:
        if name in fields and (level := parse_level(fields[name], bunyan=bunyan)) is not None:
            del fields[name]
            number, text = level
            break
    body = None
    if schema.MESSAGE in fields:
        body = fields.pop(schema.MESSAGE)
    elif not ours:
        body = _take_text(fields, _MESSAGES) or None
    logger = _take_text(fields, _LOGGERS[:1] if ours else _LOGGERS)
    trace_id = _take_id(fields, _TRACE_IDS[:1] if ours else _TRACE_IDS, 16)
    span_id = _take_id(fields, _SPAN_IDS[:1] if ours else _SPAN_IDS, 8)

    attributes: Attributes = {}
    resource: Attributes = {}
    for name, value in fields.items():
        if name in _TO_RESOURCE:
            resource[_TO_RESOURCE[name]] = value
        else:
            attributes[_TO_ATTRIBUTE.get(name, name)] = value
    return LogRecord(
        time=time or now,
        body=body,
        attributes=attributes,
        resource=resource,
        scope=Scope(logger),
        severity_number=number or 0,
        severity_text=text,
        trace_id=trace_id,
        span_id=span_id,
        uid=take_uid(attributes),
    )


def record_from_text(text: str, now: int, host: str) -> LogRecord:
    """Make a log record of a line that is no JSON; a syslog header is understood.

    Args:
        now: nanoseconds since the epoch.
        host: where the line came from.
    """
    record = LogRecord(now, text.rstrip("\r\n\0"), {}, {"host.name": host}, Scope())
    match = _SYSLOG_PRIORITY.match(text)
    if match is None or int(match[1]) > 191:
        return record
    facility, severity = divmod(int(match[1]), 8)
    record.severity_number = SYSLOG[severity]
    record.severity_text = schema.severity_name(record.severity_number)
    record.attributes["syslog.facility"] = facility
    rest: str = record.body[match.end() :]
    record.body = rest
    header = _SYSLOG_5424.fullmatch(rest)
    if header is not None:
        time, sender, app, process, message_id, data, message = header.groups()
        record.time = parse_time(time) or now
        record.body = message or ""
        for attributes, name, value in (
            (record.resource, "host.name", sender),
            (record.resource, "service.name", app),
            (record.resource, "process.pid", int(process) if process.isdecimal() else process),
            (record.attributes, "syslog.msgid", message_id),
            (record.attributes, "syslog.structured_data", data),
        ):
            if value != "-":
                attributes[name] = value
    return record


def _flatten(fields: dict[str, Any], root: str, names: tuple[str, ...]) -> None:
    """Take the known fields out of a nested object; the rest of it stays as it is."""
    for name in names:
        if name in fields:
            continue
        holder = fields[root]
        *path, leaf = name.split(".")[1:]
        for step in path:
            holder = holder.get(step) if type(holder) is dict else None
        if type(holder) is dict and leaf in holder and type(holder[leaf]) is not dict:
            fields[name] = holder.pop(leaf)
    _drop_empty(fields, root)


def _drop_empty(holder: dict[str, Any], key: str) -> None:
    held = holder[key]
    for inner in [name for name, value in held.items() if type(value) is dict]:
        _drop_empty(held, inner)
    if not held:
        del holder[key]


def _adopt_generic(fields: dict[str, Any]) -> None:
    if "short_message" in fields and "version" in fields:
        # GELF 1.1: the sender's own fields begin with an underscore.
        fields.pop("version")
        for name in [name for name in fields if name.startswith("_") and len(name) > 1]:
            fields.setdefault(name[1:], fields.pop(name))
    for generic, name in _GENERIC.items():
        if isinstance(fields.get(generic), str) and name not in fields:
            fields[name] = fields.pop(generic)


def _take_text(fields: dict[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        if isinstance(fields.get(name), str):
            text: str = fields.pop(name)
            return text
    return ""


def _take_id(fields: dict[str, Any], names: tuple[str, ...], size: int) -> bytes | None:
    """Take an id; one of the wrong length stays an attribute."""
    for name in names:
        value = fields.get(name)
        if not isinstance(value, str) or len(value) != 2 * size:
            continue
        try:
            id = bytes.fromhex(value)
        except ValueError:
            continue
        if len(id) == size:
            del fields[name]
            return id if any(id) else None
    return None
