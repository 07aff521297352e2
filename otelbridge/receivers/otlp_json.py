"""Logs and traces out of OTLP/JSON requests, parsed by orjson."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otelbridge.model import Attributes, Scope, SpanEvent, SpanLink
from otelbridge.receivers.decoded import Decoded, DecodeError
from otelbridge.receivers.otlp_json_fields import (
    FieldError,
    Message,
    any_value,
    attributes,
    enum,
    flags,
    identifier,
    message,
    messages,
    scope,
    text,
    unsigned,
)
from otelbridge.receivers.otlp_records import add_event, add_link, add_log, add_span

_SEVERITIES = dict(SeverityNumber.items())
_KINDS = dict(SpanMessage.SpanKind.items())
_STATUS_CODES = dict(Status.StatusCode.items())

AddRecord = Callable[[Decoded, Message, Attributes, Scope, int], None]


def parse(body: bytes, groups: str) -> list[Message]:
    """Parse a request and return its resource groups.

    Args:
        groups: the request's one field, such as ``resourceLogs``.

    Raises:
        DecodeError: it is no JSON, or not a request of this kind.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DecodeError("invalid_json", f"the body is not valid JSON: {error}") from None
    if type(request) is not dict:
        raise DecodeError("invalid_json", "the body is not a JSON object")
    if _snake(groups) in request:
        request = _camel_keys(request)
    try:
        return messages(request.get(groups), groups)
    except FieldError as error:
        raise DecodeError("invalid_json", f"{error}") from None


def read_groups(
    groups: list[Message],
    scopes: str,
    records: str,
    what: str,
    decoded: Decoded,
    now: int,
    add: AddRecord,
) -> None:
    """Walk a request down to its records; what is wrong with one leaves the others alone.

    Args:
        scopes, records: the fields that lead there, such as ``scopeLogs`` and ``logRecords``.
        what: a record's name in a message to the sender.
    """
    for group in groups:
        try:
            resource = attributes(message(group.get("resource"), "resource").get("attributes"))
            scoped_groups = messages(group.get(scopes), scopes)
        except FieldError as error:
            decoded.reject("invalid_field", f"resource: {error}", _count(group, scopes, records))
            continue
        for scoped in scoped_groups:
            try:
                in_scope = scope(scoped.get("scope"))
                found = messages(scoped.get(records), records)
            except FieldError as error:
                decoded.reject("invalid_field", f"scope: {error}", _length(scoped.get(records)))
                continue
            for record in found:
                try:
                    add(decoded, record, resource, in_scope, now)
                except FieldError as error:  # noqa: PERF203 - one bad record must not end the walk
                    decoded.reject("invalid_field", f"{what}: {error}")


def read_logs(body: bytes, decoded: Decoded, now: int) -> None:
    """Add every log record of a request."""
    groups = parse(body, "resourceLogs")
    read_groups(groups, "scopeLogs", "logRecords", "log record", decoded, now, _add_log)


def read_spans(body: bytes, decoded: Decoded, now: int) -> None:
    """Add every span of a request."""
    groups = parse(body, "resourceSpans")
    read_groups(groups, "scopeSpans", "spans", "span", decoded, now, _add_span)


def _add_log(
    decoded: Decoded, record: Message, resource: Attributes, in_scope: Scope, now: int
) -> None:
    get = record.get
    add_log(
        decoded,
        unsigned(get("timeUnixNano"), "timeUnixNano"),
        unsigned(get("observedTimeUnixNano"), "observedTimeUnixNano"),
        enum(get("severityNumber"), _SEVERITIES, "severityNumber"),
        text(get("severityText"), "severityText"),
        any_value(get("body")),
        attributes(get("attributes")),
        identifier(get("traceId"), "traceId"),
        identifier(get("spanId"), "spanId"),
        flags(get("flags")),
        text(get("eventName"), "eventName"),
        resource,
        in_scope,
        now,
    )


def _add_span(
    decoded: Decoded, span: Message, resource: Attributes, in_scope: Scope, now: int
) -> None:
    get = span.get
    events: list[SpanEvent] = []
    for event in messages(get("events"), "events"):
        add_event(
            decoded,
            events,
            unsigned(event.get("timeUnixNano"), "timeUnixNano"),
            text(event.get("name"), "name"),
            attributes(event.get("attributes")),
        )
    links: list[SpanLink] = []
    for link in messages(get("links"), "links"):
        add_link(
            decoded,
            links,
            identifier(link.get("traceId"), "traceId"),
            identifier(link.get("spanId"), "spanId"),
            attributes(link.get("attributes")),
        )
    status = message(get("status"), "status")
    add_span(
        decoded,
        unsigned(get("startTimeUnixNano"), "startTimeUnixNano"),
        unsigned(get("endTimeUnixNano"), "endTimeUnixNano"),
        identifier(get("traceId"), "traceId"),
        identifier(get("spanId"), "spanId"),
        identifier(get("parentSpanId"), "parentSpanId"),
        text(get("name"), "name"),
        enum(get("kind"), _KINDS, "kind"),
        enum(status.get("code"), _STATUS_CODES, "status.code"),
        text(status.get("message"), "status.message"),
        attributes(get("attributes")),
        events,
        links,
        flags(get("flags")),
        text(get("traceState"), "traceState"),
        resource,
        in_scope,
        now,
    )


def _length(value: Any) -> int:
    return len(value) if type(value) is list and value else 1


def _count(group: Message, scopes: str, records: str) -> int:
    scoped = group.get(scopes)
    if type(scoped) is not list:
        return 1
    return max(sum(_length(one.get(records)) for one in scoped if type(one) is dict), 1)


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda match: "_" + match[1].lower(), name)


def _camel_keys(request: Message) -> Message:
    """Rename ``snake_case`` fields, which protobuf's own JSON parser takes as well.

    Every key in OTLP/JSON is a field's name, never a user's, so all of them can be renamed.
    """
    renamed: Message = {}
    # A stack instead of recursion: a hostile body may be deeper than Python's own stack.
    pending: list[tuple[Any, Any]] = [(request, renamed)]
    while pending:
        source, target = pending.pop()
        if type(source) is list:
            for value in source:
                target.append(_emptied(value))
                pending.append((value, target[-1]))
        elif type(source) is dict:
            for key, value in source.items():
                name = re.sub("_([a-z])", lambda match: match[1].upper(), key)
                target[name] = _emptied(value)
                pending.append((value, target[name]))
    return renamed


def _emptied(value: Any) -> Any:
    return type(value)() if type(value) in {dict, list} else value
