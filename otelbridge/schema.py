"""The names of fields, once: JSON line, OTLP record and stored document.

A record has one shape in each of three places. On a JSON line it uses the Elastic Common
Schema's logging names; in OTLP and in the store it uses OpenTelemetry's. This module is the only
place that knows both, so that ``log.level`` typed in a query, ``severity_text`` in a stored
document and ``"log.level"`` on a line are one thing.

Sources: ECS logging specification, OpenTelemetry logs data model (``docs/specs/otel/logs``),
OpenTelemetry semantic conventions 1.37.
"""

from __future__ import annotations

from typing import Final

ECS_VERSION: Final = "8.11.0"

# --- names on a JSON line (ECS) ---------------------------------------------------------------
TIMESTAMP: Final = "@timestamp"
LOG_LEVEL: Final = "log.level"
MESSAGE: Final = "message"
ECS_VERSION_FIELD: Final = "ecs.version"
LOG_LOGGER: Final = "log.logger"
ORIGIN_FILE: Final = "log.origin.file.name"
ORIGIN_LINE: Final = "log.origin.file.line"
ORIGIN_FUNCTION: Final = "log.origin.function"
ERROR_TYPE: Final = "error.type"
ERROR_MESSAGE: Final = "error.message"
ERROR_STACK_TRACE: Final = "error.stack_trace"
PROCESS_PID: Final = "process.pid"
PROCESS_NAME: Final = "process.name"
THREAD_ID: Final = "process.thread.id"
THREAD_NAME: Final = "process.thread.name"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_ENVIRONMENT: Final = "service.environment"
SERVICE_NODE_NAME: Final = "service.node.name"
HOST_NAME: Final = "host.name"
TRACE_ID: Final = "trace.id"
SPAN_ID: Final = "span.id"
EVENT_SEQUENCE: Final = "event.sequence"

# The semantic conventions' name for a record's unique id; the same in every shape.
RECORD_UID: Final = "log.record.uid"

# --- JSON line field -> OTLP attribute, where the two differ ------------------------------------
# Log attributes.
LINE_TO_ATTRIBUTE: Final[dict[str, str]] = {
    ERROR_TYPE: "exception.type",
    ERROR_MESSAGE: "exception.message",
    ERROR_STACK_TRACE: "exception.stacktrace",
    ORIGIN_FILE: "code.file.path",
    ORIGIN_LINE: "code.line.number",
    ORIGIN_FUNCTION: "code.function.name",
    THREAD_ID: "thread.id",
    THREAD_NAME: "thread.name",
}
# Resource attributes.
LINE_TO_RESOURCE: Final[dict[str, str]] = {
    SERVICE_NAME: "service.name",
    SERVICE_VERSION: "service.version",
    SERVICE_ENVIRONMENT: "deployment.environment.name",
    SERVICE_NODE_NAME: "service.instance.id",
    HOST_NAME: "host.name",
    PROCESS_PID: "process.pid",
}
# Fields of the record itself: JSON line name -> stored document name.
LINE_TO_DOCUMENT: Final[dict[str, str]] = {
    TIMESTAMP: "@timestamp",
    LOG_LEVEL: "severity_text",
    MESSAGE: "body.text",
    LOG_LOGGER: "scope.name",
    TRACE_ID: "trace_id",
    SPAN_ID: "span_id",
}

# Attributes that repeat for every record of one call site; a store keeps each set once.
ORIGIN_ATTRIBUTES: Final = frozenset(
    {"code.file.path", "code.line.number", "code.function.name", "thread.id", "thread.name"}
)

# --- an error, beyond exception.* -----------------------------------------------------------------
# The same for every occurrence of one error: what groups are made by.
FINGERPRINT: Final = "otelbridge.fingerprint"
# The traceback with the program's own frames only, where that is shorter; and in one line.
TRACEBACK_CLEAN: Final = "otelbridge.traceback.clean"
TRACEBACK_MINIMAL: Final = "otelbridge.traceback.minimal"
# Local variables of the own frames: [{"frame": "...", "variables": {"name": "text"}}].
ERROR_VARIABLES: Final = "otelbridge.variables"
# True where nobody caught the exception.
UNCAUGHT: Final = "otelbridge.uncaught"

# What the resource of our own senders calls what they run.
DISTRO_NAME: Final = "telemetry.distro.name"
DISTRO: Final = "otelbridge"

# --- the life of a process -----------------------------------------------------------------------
# Names of events (a log record's event name). OpenTelemetry has none for a process; see
# docs/architecture.md for when each is sent and what it carries.
PROCESS_START: Final = "otelbridge.process.start"
PROCESS_HEARTBEAT: Final = "otelbridge.process.heartbeat"
PROCESS_END: Final = "otelbridge.process.end"
PROCESS_EVENTS: Final = frozenset({PROCESS_START, PROCESS_HEARTBEAT, PROCESS_END})
LIFECYCLE_SCOPE: Final = "otelbridge.lifecycle"
LIFECYCLE_VERSION: Final = 1
# Their attributes; process.exit.code is the semantic conventions'.
LIFECYCLE_VERSION_KEY: Final = "otelbridge.lifecycle.version"
HEARTBEAT_INTERVAL: Final = "otelbridge.process.heartbeat.interval"
PROCESS_UPTIME: Final = "otelbridge.process.uptime"
PROCESS_ERRORS: Final = "otelbridge.process.errors"
PROCESS_EXCLUDED: Final = "otelbridge.process.errors.excluded"
PROCESS_START_TIME: Final = "otelbridge.process.start_time"
PROCESS_SINKS: Final = "otelbridge.process.sinks"
PROCESS_AUTHORS: Final = "otelbridge.process.authors"
PROCESS_SIGNAL: Final = "otelbridge.process.exit.signal"
PROCESS_OUTCOME: Final = "otelbridge.process.outcome"
EXIT_CODE: Final = "process.exit.code"
LAST_ERROR_TYPE: Final = "otelbridge.process.last_error.type"
LAST_ERROR_MESSAGE: Final = "otelbridge.process.last_error.message"
LAST_ERROR_FINGERPRINT: Final = "otelbridge.process.last_error.fingerprint"
LAST_ERROR_UID: Final = "otelbridge.process.last_error.uid"

# --- severities ---------------------------------------------------------------------------------
# OpenTelemetry logs data model, "Mapping of SeverityNumber": the first number of each range.
SEVERITY_NUMBERS: Final[dict[str, int]] = {
    "TRACE": 1,
    "DEBUG": 5,
    "INFO": 9,
    "WARN": 13,
    "WARNING": 13,
    "ERROR": 17,
    "FATAL": 21,
    "CRITICAL": 21,
}


def severity_name(number: int) -> str:
    """Name a severity number as Python's logging does.

    Args:
        number: 1 to 24, or 0 where the sender gave none.

    Returns:
        ``TRACE``, ``DEBUG``, ``INFO``, ``WARNING``, ``ERROR``, ``CRITICAL``, or ``""`` for 0.
    """
    if number <= 0:
        return ""
    names = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    return names[min((number - 1) // 4, 5)]


# --- a UDP line longer than one datagram --------------------------------------------------------
# Each part is a JSON object of its own, so that a receiver that knows nothing of parts still
# shows something readable. ``data`` of parts 1..n, joined in order, is the line.
PART_ID: Final = "otelbridge.part.id"
PART_NUMBER: Final = "otelbridge.part.number"
PART_COUNT: Final = "otelbridge.part.count"
PART_DATA: Final = "otelbridge.part.data"

# --- the audit trail ----------------------------------------------------------------------------
# The last members of each line, in this order; the first only where an unfinished line precedes.
AUDIT_TORN: Final = "otelbridge.audit.torn"
AUDIT_SEQUENCE: Final = "otelbridge.audit.sequence"
AUDIT_PREVIOUS: Final = "otelbridge.audit.previous"
AUDIT_HASH: Final = "otelbridge.audit.hash"
