"""Messages of programs without OpenTelemetry as the records that one with it would have sent."""

from __future__ import annotations

import secrets
from datetime import datetime, timezone
from typing import Any, Final

from otelbridge import schema
from otelbridge.model import Attributes, Batch, LogRecord, MetricPoint, Scope
from otelbridge.receivers.announced.announcement import Announcement
from otelbridge.receivers.announced.callers import Caller
from otelbridge.receivers.announced.exception_text import raised_by
from otelbridge.receivers.levels import parse_level

_SECOND: Final = 10**9
_LONGEST_MESSAGE: Final = 500
_EVENTS: Final = {
    "start": schema.PROCESS_START,
    "heartbeat": schema.PROCESS_HEARTBEAT,
    "end": schema.PROCESS_END,
}
_LEVELS: Final = {"heartbeat": "DEBUG", "start": "INFO", "end": "INFO"}
_BAD_ENDS: Final = {"crashed": "CRITICAL", "failed": "ERROR"}


def records_of(said: Announcement, caller: Caller, uptime: float, now: int) -> Batch:
    """Make a message's records.

    Args:
        caller: whose it is; it has learned of the message.
        uptime: of the caller, in seconds.
        now: nanoseconds since the epoch, for a message that does not say when.
    """
    time = said.time or now
    resource = _resource(caller)
    record = (
        _error(said, resource, time)
        if said.event == "error"
        else _life(said, caller, resource, uptime, time)
    )
    points = [
        MetricPoint(
            time=time,
            name=reading.name,
            type="gauge",
            value=reading.value,
            attributes={"state": reading.state} if reading.state else {},
            resource=resource,
            scope=Scope(schema.LIFECYCLE_SCOPE),
            unit=reading.unit,
        )
        for reading in said.readings
    ]
    return Batch(logs=[record], points=points)


def complete(said: Announcement) -> None:
    """Read from an error's traceback what the message does not say itself."""
    if said.traceback and not (said.type and said.message):
        raised = raised_by(said.traceback)
        said.type = said.type or raised.type
        said.message = said.message or raised.message


def last_error(record: LogRecord) -> Attributes:
    """Write what lifecycle events say of an error's record."""
    said = record.attributes
    found = {
        schema.LAST_ERROR_TYPE: said.get("exception.type"),
        schema.LAST_ERROR_MESSAGE: str(said.get("exception.message", ""))[:_LONGEST_MESSAGE],
        schema.LAST_ERROR_FINGERPRINT: said.get(schema.FINGERPRINT),
        schema.LAST_ERROR_UID: record.uid.hex() if record.uid else None,
    }
    return {name: value for name, value in found.items() if value}


def _life(
    said: Announcement, caller: Caller, resource: Attributes, uptime: float, time: int
) -> LogRecord:
    started = datetime.fromtimestamp(caller.started / _SECOND, timezone.utc)
    attributes: Attributes = {
        schema.LIFECYCLE_VERSION_KEY: schema.LIFECYCLE_VERSION,
        schema.HEARTBEAT_INTERVAL: caller.interval,
        schema.PROCESS_START_TIME: started.isoformat(timespec="milliseconds"),
        schema.PROCESS_UPTIME: round(uptime, 3),
        schema.PROCESS_ERRORS: caller.errors,
        schema.PROCESS_SINKS: list(caller.sinks),
        schema.PROCESS_AUTHORS: list(caller.authors),
    }
    attributes.update(caller.last_error)
    who = f"process {caller.pid or caller.name or caller.instance}"
    body = f"{who} has started" if said.event == "start" else f"{who} is running"
    if said.event == "end":
        attributes[schema.PROCESS_OUTCOME] = said.outcome
        how = said.outcome
        if said.signal:
            attributes[schema.PROCESS_SIGNAL] = said.signal
            how += f" by {said.signal}"
        if said.exit_code is not None:
            attributes[schema.EXIT_CODE] = said.exit_code
            how += "" if said.signal else f", exit code {said.exit_code}"
        body = f"{who} has ended: {how}"
    level = _BAD_ENDS.get(said.outcome) or _LEVELS[said.event]
    return _record(
        time, body, attributes, resource, schema.LIFECYCLE_SCOPE, level, _EVENTS[said.event]
    )


def _error(said: Announcement, resource: Attributes, time: int) -> LogRecord:
    attributes: Attributes = {name: value for name, value in said.rest.items() if value is not None}
    for name, value in (
        ("exception.type", said.type),
        ("exception.message", said.message),
        ("exception.stacktrace", said.traceback),
    ):
        if value:
            attributes[name] = value
    body = said.message or said.type or said.traceback
    logger = said.logger or said.project
    return _record(time, body, attributes, resource, logger, said.level, "")


def _record(
    time: int,
    body: str,
    attributes: Attributes,
    resource: Attributes,
    logger: str,
    level: str,
    event: str,
) -> LogRecord:
    number, text = parse_level(level) or (0, level)
    return LogRecord(
        time=time,
        body=body,
        attributes=attributes,
        resource=resource,
        scope=Scope(logger),
        observed_time=time,
        severity_number=number,
        severity_text=text,
        event_name=event,
        # The moment first, as in UUIDs of version 7, so that ids made together lie together.
        uid=(time // 10**6).to_bytes(6, "big") + secrets.token_bytes(10),
    )


def _resource(caller: Caller) -> Attributes:
    found: dict[str, Any] = {
        "service.name": caller.project.name,
        "service.namespace": caller.project.namespace,
        "deployment.environment.name": caller.project.environment,
        "service.instance.id": caller.instance,
        "service.version": caller.version,
        "host.name": caller.host,
        "process.pid": caller.pid,
        "telemetry.sdk.name": caller.sender,
    }
    return {name: value for name, value in found.items() if value not in ("", None)}
