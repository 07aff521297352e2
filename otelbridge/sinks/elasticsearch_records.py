"""Log records and spans of OpenTelemetry's SDK as the plain records that documents are made of.

What comes out is what a receiver makes of the same record sent by OTLP.
"""

from __future__ import annotations

import math
import re
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes

from otelbridge.model import Attributes, Json, LogRecord, Scope, Span, SpanEvent, SpanLink
from otelbridge.schema import RECORD_UID

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

MAX_DEPTH: Final = 64
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")


def log_record(readable: ReadableLogRecord) -> LogRecord:
    """Turn a log record of the SDK into ours."""
    return log_records((readable,))[0]


def log_records(readables: Iterable[ReadableLogRecord]) -> list[LogRecord]:
    """Turn log records of the SDK into ours; resources and scopes they share stay shared."""
    origins = Origins()
    return [made_log(readable, origins) for readable in readables]


def span(readable: ReadableSpan) -> Span:
    """Turn an ended span of the SDK into ours."""
    return spans((readable,))[0]


def spans(readables: Iterable[ReadableSpan]) -> list[Span]:
    """Turn ended spans of the SDK into ours; resources and scopes they share stay shared."""
    origins = Origins()
    return [_span(readable, origins) for readable in readables]


class Origins:
    """Resources and scopes of the SDK as ours, each made once."""

    def __init__(self) -> None:
        # By what they were made of, which is kept so that its id remains its own.
        self._resources: dict[int, tuple[Resource, Attributes]] = {}
        self._scopes: dict[int, tuple[InstrumentationScope | None, Scope]] = {}

    def resource(self, resource: Resource) -> Attributes:
        """A resource's attributes."""
        found = self._resources.get(id(resource))
        if found is None:
            made = plain_attributes(resource.attributes)
            found = self._resources[id(resource)] = resource, made
        return found[1]

    def scope(self, scope: InstrumentationScope | None) -> Scope:
        """A scope."""
        found = self._scopes.get(id(scope))
        if found is None:
            found = self._scopes[id(scope)] = scope, _scope(scope)
        return found[1]


def made_log(readable: ReadableLogRecord, origins: Origins) -> LogRecord:
    """Turn a log record of the SDK into ours, with the resource and the scope of others."""
    record = readable.log_record
    attributes = plain_attributes(record.attributes)
    observed = record.observed_timestamp or time.time_ns()
    body = record.body
    return LogRecord(
        time=record.timestamp or observed,
        body=body if type(body) is str or body is None else _plain(body, 0),
        attributes=attributes,
        resource=origins.resource(readable.resource),
        scope=origins.scope(readable.instrumentation_scope),
        observed_time=observed,
        severity_number=0 if record.severity_number is None else record.severity_number.value,
        severity_text=record.severity_text or "",
        trace_id=record.trace_id.to_bytes(16, "big") if record.trace_id else None,
        span_id=record.span_id.to_bytes(8, "big") if record.span_id else None,
        flags=int(record.trace_flags or 0),
        event_name=record.event_name or "",
        uid=_take_uid(attributes),
    )


def _span(readable: ReadableSpan, origins: Origins) -> Span:
    context = readable.get_span_context()
    assert context is not None
    start = readable.start_time or 0
    status = readable.status
    return Span(
        time=start,
        duration=max((readable.end_time or start) - start, 0),
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        name=readable.name,
        attributes=plain_attributes(readable.attributes),
        resource=origins.resource(readable.resource),
        scope=origins.scope(readable.instrumentation_scope),
        parent_span_id=(
            readable.parent.span_id.to_bytes(8, "big")
            if readable.parent is not None and readable.parent.span_id
            else None
        ),
        # The SDK counts from INTERNAL, OTLP from "unspecified".
        kind=readable.kind.value + 1,
        status_code=status.status_code.value,
        status_message=status.description or "",
        events=[
            SpanEvent(event.timestamp, event.name, plain_attributes(event.attributes))
            for event in readable.events
        ],
        links=[
            SpanLink(
                link.context.trace_id.to_bytes(16, "big"),
                link.context.span_id.to_bytes(8, "big"),
                plain_attributes(link.attributes),
            )
            for link in readable.links
        ],
        flags=int(context.trace_flags),
        trace_state=context.trace_state.to_header(),
    )


def plain_attributes(attributes: Mapping[str, Any] | None) -> Attributes:
    """Turn attributes into plain JSON data."""
    if not attributes:
        return {}
    # The SDK's own mapping is slow to walk through, taking a lock each time; its copy is a dict.
    copied = attributes.copy() if isinstance(attributes, BoundedAttributes) else attributes
    return {key: value if type(value) is str else _plain(value, 0) for key, value in copied.items()}


def _plain(value: Any, depth: int) -> Json:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        # OTLP's integers have 64 bits.
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, (Mapping, Sequence)):
        if depth >= MAX_DEPTH:
            return f"…[cut: nested deeper than {MAX_DEPTH} levels]"
        if isinstance(value, Mapping):
            return {str(key): _plain(member, depth + 1) for key, member in value.items()}
        return [_plain(member, depth + 1) for member in value]
    return str(value)


def _scope(scope: InstrumentationScope | None) -> Scope:
    if scope is None:
        return Scope()
    return Scope(scope.name or "", scope.version or "", plain_attributes(scope.attributes))


def _take_uid(attributes: Attributes) -> bytes | None:
    """Find the record's unique id; a UUID leaves the attributes, another text stays there."""
    text = attributes.get(RECORD_UID)
    if not isinstance(text, str) or not text:
        return None
    if _UUID.fullmatch(text):
        del attributes[RECORD_UID]
        return bytes.fromhex(text.replace("-", ""))
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()
