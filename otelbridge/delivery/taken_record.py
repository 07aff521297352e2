"""A log record as our handler takes it, put together only where somebody asks for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import LogRecord
from opentelemetry.context import Context

from otelbridge.schema import RECORD_UID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LogRecordLimits
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext

NO_CONTEXT: Final = Context()


class Origin:
    """Which line of the program, and which thread, records come from: few, and often the same.

    Attributes:
        attributes: as records have them.
        written: the same, as the one who encodes them has kept it.
    """

    __slots__ = ("attributes", "written")

    def __init__(self, attributes: dict[str, Any]) -> None:
        """Keep attributes that are plain data."""
        self.attributes = attributes
        self.written: bytes | None = None


class TakenRecord:
    """What the SDK's ``ReadableLogRecord`` is, with all values captured and nothing built of them.

    Attributes:
        timestamp: nanoseconds since 1970, as ``observed_timestamp``.
        span_context: of the span that was current.
        extras: the caller's attributes, as plain data.
        uid: its ``log.record.uid``.
        origin: its call site and thread.
        told: what else is an attribute: of its exception, for instance.
    """

    __slots__ = (
        "_log_record",
        "body",
        "event_name",
        "extras",
        "instrumentation_scope",
        "limits",
        "observed_timestamp",
        "origin",
        "resource",
        "severity_number",
        "severity_text",
        "span_context",
        "timestamp",
        "told",
        "uid",
    )

    # Of the SDK's class: none is ever left out here.
    dropped_attributes: Final = 0

    instrumentation_scope: InstrumentationScope | None
    limits: LogRecordLimits | None
    resource: Resource

    def __init__(
        self,
        timestamp: int,
        observed_timestamp: int,
        span_context: SpanContext,
        severity_number: SeverityNumber,
        severity_text: str,
        body: str,
        extras: dict[str, Any],
        uid: str,
        origin: Origin,
        told: dict[str, Any],
        event_name: str | None,
    ) -> None:
        """Keep what was captured; whose it is is said by whoever hands it over."""
        self.timestamp = timestamp
        self.observed_timestamp = observed_timestamp
        self.span_context = span_context
        self.severity_number = severity_number
        self.severity_text = severity_text
        self.body = body
        self.extras = extras
        self.uid = uid
        self.origin = origin
        self.told = told
        self.event_name = event_name
        self._log_record: LogRecord | None = None

    @property
    def log_record(self) -> LogRecord:
        """The record as OpenTelemetry's API has it, without its context; one and the same."""
        if self._log_record is None:
            made = LogRecord(
                timestamp=self.timestamp,
                observed_timestamp=self.observed_timestamp,
                severity_text=self.severity_text,
                severity_number=self.severity_number,
                body=self.body,
                attributes=self.attributes(),
                event_name=self.event_name,
            )
            made.context = NO_CONTEXT
            made.trace_id = self.span_context.trace_id
            made.span_id = self.span_context.span_id
            made.trace_flags = self.span_context.trace_flags
            self._log_record = made
        return self._log_record

    def attributes(self) -> dict[str, Any]:
        """Return all attributes; a caller's that is named like one of ours is kept beside it."""
        attributes = dict(self.extras)
        own: Mapping[str, Any] = {RECORD_UID: self.uid, **self.origin.attributes, **self.told}
        for key, value in own.items():
            if key in attributes:
                attributes[f"extra.{key}"] = attributes[key]
            attributes[key] = value
        return attributes

    def clashes(self) -> bool:
        """Tell whether a caller's attribute is named like one of ours."""
        extras = self.extras
        return bool(extras) and not (
            RECORD_UID not in extras
            and extras.keys().isdisjoint(self.origin.attributes)
            and (not self.told or extras.keys().isdisjoint(self.told))
        )
