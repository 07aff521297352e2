"""A log record as the page shows it: one line of a list, or its whole content."""

from __future__ import annotations

from dataclasses import dataclass

from otelbridge.error_groups import group_of
from otelbridge.model import Attributes
from otelbridge.schema import (
    ERROR_VARIABLES,
    ORIGIN_ATTRIBUTES,
    RECORD_UID,
    TRACEBACK_CLEAN,
    TRACEBACK_MINIMAL,
    severity_name,
)
from otelbridge.store.protocol import StoredLog
from otelbridge.traceback_text import Part, own_stretches, parse_traceback, shortened
from otelbridge.web.fields import (
    EXCEPTION_ATTRIBUTES,
    Field,
    body_text,
    fields_of,
    glance,
    value_text,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: int
    time: int
    level: str
    service: str
    message: str
    glance: list[Field]
    trace_id: str
    exception: str


@dataclass(frozen=True, slots=True)
class FrameVariables:
    """The local variables of one frame: names and texts."""

    frame: str
    values: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Panel:
    """A record's whole content."""

    row: Row
    body: str
    attributes: list[Field]
    origin: list[Field]
    resource: list[Field]
    logger: str
    uid: str
    severity: str
    span_id: str
    event_name: str
    observed: int
    exception_type: str
    exception_message: str
    stacktrace: str
    traceback: list[Part]
    stretches: list[tuple[str, bool]]
    variables: list[FrameVariables]
    group: str


def level_of(stored: StoredLog) -> str:
    """A record's level by Python's names; what the sender wrote where there is no number."""
    record = stored.record
    return severity_name(record.severity_number) or record.severity_text.upper()


def make_row(stored: StoredLog) -> Row:
    record = stored.record
    message = body_text(stored)
    return Row(
        id=stored.id,
        time=record.time,
        level=level_of(stored),
        service=str(record.resource.get("service.name", "")),
        message=message,
        glance=glance(record.attributes, message),
        trace_id=record.trace_id.hex() if record.trace_id else "",
        exception=str(record.attributes.get("exception.type", "")),
    )


def make_panel(stored: StoredLog) -> Panel:
    record = stored.record
    stacktrace = shortened(str(record.attributes.get("exception.stacktrace", "")))
    clean = own_frames(record.attributes)
    own = {
        name: value
        for name, value in record.attributes.items()
        if name not in ORIGIN_ATTRIBUTES and name not in EXCEPTION_ATTRIBUTES and name != RECORD_UID
    }
    origin = {
        name: record.attributes[name]
        for name in sorted(ORIGIN_ATTRIBUTES)
        if name in record.attributes
    }
    return Panel(
        row=make_row(stored),
        body=body_text(stored),
        attributes=fields_of(own),
        origin=fields_of(origin),
        resource=fields_of(record.resource),
        logger=record.scope.name,
        uid=str(record.attributes.get(RECORD_UID, "")),
        severity=record.severity_text or severity_name(record.severity_number),
        span_id=record.span_id.hex() if record.span_id else "",
        event_name=record.event_name,
        observed=record.observed_time if record.observed_time != record.time else 0,
        exception_type=str(record.attributes.get("exception.type", "")),
        exception_message=shortened(str(record.attributes.get("exception.message", ""))),
        stacktrace=stacktrace,
        traceback=parse_traceback(stacktrace, clean) if stacktrace else [],
        stretches=own_stretches(stacktrace, clean),
        variables=variables_of(record.attributes),
        group=group_of(record.attributes) or "",
    )


def own_frames(attributes: Attributes) -> str | None:
    """The traceback with the program's own frames only, where the sender told them apart."""
    clean = attributes.get(TRACEBACK_CLEAN)
    if isinstance(clean, str):
        return clean
    # Where there are no others, the sender leaves the short form out.
    whole = attributes.get("exception.stacktrace")
    return whole if TRACEBACK_MINIMAL in attributes and isinstance(whole, str) else None


def variables_of(attributes: Attributes) -> list[FrameVariables]:
    """Local variables as they were recorded, of the frame that raised first."""
    found = []
    recorded = attributes.get(ERROR_VARIABLES)
    # Whoever sends may write anything under this name.
    for frame in recorded if isinstance(recorded, list) else ():
        if isinstance(frame, dict) and isinstance(frame.get("variables"), dict):
            values = [(name, value_text(value)) for name, value in frame["variables"].items()]
            found.append(FrameVariables(value_text(frame.get("frame", "")), values))
    return found[::-1]
