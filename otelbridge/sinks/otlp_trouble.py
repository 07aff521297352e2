"""What goes wrong while sending: overhearing it, understanding it, and saying it in one line."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

_logger = logging.getLogger("otelbridge.sinks.otlp")

# How often the program's log mentions a destination that does not take what it is sent.
REPORT_SECONDS: Final = 60.0

# OTLP specification, "Failures" under OTLP/gRPC: the codes after which a client may try again.
RETRYABLE_GRPC: Final = frozenset(
    {
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)

# An HTTP server's answer, a gRPC server's or client's, the HTTP exporter's own limit.
_TOO_LARGE: Final = re.compile(r"^HTTP 413|larger than max|exceeds max_request_size")

_said: ContextVar[list[logging.LogRecord] | None] = ContextVar("otelbridge_said", default=None)


@contextlib.contextmanager
def overheard() -> Iterator[list[logging.LogRecord]]:
    """Collect what is logged on this thread while telemetry is sent, instead of logging it."""
    records: list[logging.LogRecord] = []
    token = _said.set(records)
    try:
        yield records
    finally:
        _said.reset(token)


def overhear(record: logging.LogRecord) -> bool:
    """Take a record if it was made by sending telemetry.

    Returns:
        Whether it was, and nobody else is to be given it.
    """
    said = _said.get()
    if said is not None:
        said.append(record)
        return True
    # The SDK's own line for every queue that overflows; TroubleReport says it, with the count.
    return record.name == "opentelemetry.sdk._shared_internal" and str(record.msg).startswith(
        "Queue full"
    )


class _Unless(logging.Filter):
    """Another filter, which does not apply to what is overheard."""

    def __init__(self, other: Any) -> None:
        super().__init__()
        self.other = other

    def filter(self, record: logging.LogRecord) -> Any:
        if _said.get() is not None:
            return True
        passes = getattr(self.other, "filter", self.other)
        return passes(record)


def hear_everything() -> None:
    """Overhear the exporters' repetitions too; for when an exporter has been imported.

    Their loggers leave out a message that is like the one before, and with it the reason why a
    second attempt failed.
    """
    for name, logger in tuple(logging.root.manager.loggerDict.items()):
        if name.startswith("opentelemetry.exporter.otlp") and isinstance(logger, logging.Logger):
            logger.filters = [
                each if isinstance(each, _Unless) else _Unless(each) for each in logger.filters
            ]


@dataclass(frozen=True)
class Trouble:
    """Why something was not sent, and what may help.

    Attributes:
        reason: for the user, a few words.
        transient: whether trying again later may help.
        too_large: whether sending less at once may help.
    """

    reason: str
    transient: bool
    too_large: bool = False

    @classmethod
    def from_records(cls, records: list[logging.LogRecord]) -> Trouble:
        """Understand what a stock exporter logged: its result says only that it failed."""
        reason, transient = "", False
        for record in records:
            message, arguments = str(record.msg), record.args
            values = arguments if isinstance(arguments, tuple) else ()
            if message.startswith("Transient error"):
                reason, transient = _first_cause(values[0] if values else message), True
            elif message.startswith("Failed to export %s to %s, error code") and len(values) == 4:
                code = getattr(values[2], "name", str(values[2]))
                reason = f"{code}: {_first_cause(values[3])}"
                transient = code in RETRYABLE_GRPC
            elif message.startswith("Failed to export %s batch code") and len(values) == 3:
                status = f"HTTP {values[1]} " if values[1] else ""
                reason, transient = status + _first_cause(values[2]), False
                if values[1] in {401, 403}:
                    reason += "; the token goes into OTEL_EXPORTER_OTLP_HEADERS"
            elif message.startswith(("Failed to export %s batch due to", "Shutdown in progress")):
                reason, transient = reason or "no answer in time", True
            elif record.levelno >= logging.WARNING:
                reason, transient = reason or record.getMessage(), transient
        too_large = _TOO_LARGE.search(reason) is not None
        return cls(reason or "for an unknown reason", transient and not too_large, too_large)


class TroubleReport:
    """Says what goes wrong in the program's log, at most once a minute for all signals together."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what was said, in the child after a fork."""
        self._lock = threading.Lock()
        self._next = 0.0
        self._dropped: dict[str, int] = {}

    def waiting(self, endpoint: str, reason: str) -> None:
        """Say that records wait for a destination."""
        if self._may_speak():
            _logger.warning(
                "cannot send telemetry to %s: %s; it is kept in memory and tried again%s",
                endpoint,
                reason,
                self._lost(),
            )

    def dropped(self, signal: str, count: int, endpoint: str, reason: str) -> None:
        """Say that records were given up."""
        with self._lock:
            self._dropped[signal] = self._dropped.get(signal, 0) + count
        if self._may_speak():
            _logger.warning("telemetry was not taken by %s: %s%s", endpoint, reason, self._lost())

    def recovered(self, endpoint: str) -> None:
        """Say that a destination takes records again, if trouble was mentioned."""
        with self._lock:
            mentioned, self._next = self._next > 0, 0.0
        if mentioned:
            _logger.warning("telemetry reaches %s again%s", endpoint, self._lost())

    def _may_speak(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if now < self._next:
                return False
            self._next = now + REPORT_SECONDS
            return True

    def _lost(self) -> str:
        with self._lock:
            lost, self._dropped = self._dropped, {}
        if not lost:
            return ""
        return "; lost: " + ", ".join(f"{count} {signal}" for signal, count in lost.items())


def _first_cause(error: Any) -> str:
    """Find the operating system's words in an exception's or a message's long text."""
    text = str(error)
    found = re.search(r"\[Errno -?\d+\] ([^'\"()]+)", text) or re.search(
        r"(Connection refused|timed out|Name or service not known)", text
    )
    return found[1].strip() if found else text[:200]
