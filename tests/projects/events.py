"""Lifecycle events as a process sends them."""

from __future__ import annotations

import secrets
from typing import Any

from otelbridge import schema
from otelbridge.model import LogRecord, Scope

# 2026-11-21 12:00:00 UTC.
NOON = 1_795_262_400.0
SECOND = 10**9


def event(
    name: str,
    *,
    at: float = 0.0,
    uptime: float | None = None,
    instance: str = "one",
    project: str = "shop",
    host: str = "alpha",
    interval: float = 30.0,
    clock: float = 0.0,
    resource: dict[str, Any] | None = None,
    **attributes: Any,
) -> LogRecord:
    """An event of a process that began at noon.

    Args:
        at: seconds after noon.
        uptime: seconds; as long as since noon by default.
        clock: how far the sender's clock is off, in seconds.
        attributes: with ``__`` for dots.
    """
    said = {
        schema.LIFECYCLE_VERSION_KEY: 1,
        schema.HEARTBEAT_INTERVAL: interval,
        schema.PROCESS_UPTIME: at if uptime is None else uptime,
    }
    return LogRecord(
        time=int((NOON + at + clock) * SECOND),
        body=name,
        attributes={**said, **{key.replace("__", "."): v for key, v in attributes.items()}},
        resource={
            "service.name": project,
            "service.instance.id": instance,
            "host.name": host,
            "process.pid": 7,
            **(resource or {}),
        },
        scope=Scope(schema.LIFECYCLE_SCOPE),
        severity_number=9,
        event_name=name,
        uid=secrets.token_bytes(16),
    )


def start(**values: Any) -> LogRecord:
    return event(schema.PROCESS_START, **values)


def beat(at: float, **values: Any) -> LogRecord:
    return event(schema.PROCESS_HEARTBEAT, at=at, **values)


def end(outcome: str = "completed", **values: Any) -> LogRecord:
    return event(
        schema.PROCESS_END, **{schema.PROCESS_OUTCOME.replace(".", "__"): outcome, **values}
    )


def last_words(at: float, *, instance: str = "one", logger: str = "sys.excepthook") -> LogRecord:
    """The record of an error that nobody caught."""
    record = event("", at=at, instance=instance)
    record.event_name = ""
    record.attributes = {"exception.type": "KeyError"}
    record.scope = Scope(logger)
    record.severity_number = 21
    return record
