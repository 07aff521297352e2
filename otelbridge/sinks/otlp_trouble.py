"""What goes wrong while sending: overhearing it, and saying it in one line."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Final

_logger = logging.getLogger("otelbridge.sinks.otlp")

# How often the program's log mentions a destination that does not take what it is sent.
REPORT_SECONDS: Final = 60.0

# Whose records, made while telemetry is sent, are about that. Others may be made then too: the
# garbage collector runs the program's destructors on whichever thread comes by.
_SENDING: Final = frozenset(
    {
        "opentelemetry",
        "otelbridge",
        "urllib3",
        "requests",
        "grpc",
        "charset_normalizer",
        "chardet",
        "py",  # py.warnings
        "elastic_transport",
        "elasticsearch",
        # What sessions and credentials of a user's own are made with.
        "azure",
        "boto3",
        "botocore",
        "google",
        "oauthlib",
        "requests_oauthlib",
    }
)

_said: ContextVar[list[logging.LogRecord] | None] = ContextVar("otelbridge_said", default=None)


@contextlib.contextmanager
def overheard() -> Iterator[list[logging.LogRecord]]:
    """Collect what libraries log on this thread while they send, instead of logging it."""
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
    if said is not None and record.name.partition(".")[0] in _SENDING:
        said.append(record)
        return True
    # The SDK's own line for every queue that overflows; TroubleReport says it, with the count.
    return record.name == "opentelemetry.sdk._shared_internal" and str(record.msg).startswith(
        "Queue full"
    )


class TroubleReport:
    """Says what goes wrong in the program's log, at most once a minute for all signals together."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what was said, in the child after a fork."""
        self._lock = threading.RLock()
        self._next = 0.0
        self._dropped: dict[str, int] = {}

    def waiting(self, endpoint: str, reason: str) -> None:
        """Say that records wait for a destination."""
        if self._may_speak():
            _logger.warning(
                "cannot send telemetry to %s: %s; it is kept and tried again%s",
                endpoint,
                reason,
                self._lost(),
            )

    def trouble(self, reason: str) -> None:
        """Say that the place where records are kept cannot be used, or can again."""
        _logger.warning("%s", reason)

    def ended(self, kept: dict[str, int], folder: Path | None) -> None:
        """Say at the end what was not sent.

        Args:
            kept: how many records of each signal are on disk.
            folder: where.
        """
        if any(kept.values()):
            _logger.warning(
                "kept on disk and sent next time: %s (%s)%s", _listed(kept), folder, self._lost()
            )
            return
        lost = self._lost()
        if lost:
            _logger.warning("telemetry ended before all was sent%s", lost)

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
        return f"; lost: {_listed(lost)}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {signal}" for signal, count in counts.items() if count)
