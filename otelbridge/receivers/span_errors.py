"""Errors that stand only on spans, which become the log records that nobody sent.

An SDK notes an exception as an event of its span (``exception``, of the semantic conventions), and
many a program logs nothing of it. Groups of errors, their counts and alarms are over logs; so such
an event is stored as a log record as well, of its trace and span, unless the program sends one.
Programs with otelbridge log their errors, and know which of them are to be left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from otelbridge import schema
from otelbridge.error_groups import USER_KEYS, identify
from otelbridge.model import STATUS_ERROR, Attributes, Batch, LogRecord, Span, SpanEvent
from otelbridge.search.query import And, Exists, Match
from otelbridge.store.protocol import Store, StoreError, TimeRange
from otelbridge.tasks import end

# Logs and spans come by two queues of their sender: by then both have been sent.
PATIENCE_SECONDS: Final = 10.0
EVERY_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 3.0
# A flood of more is not followed; its spans are stored like any.
_MOST_WAITING: Final = 10_000
_MOST_CHARS: Final = 64 * 2**20
_MOST_LOGGED: Final = 1_000
# Stored by one commit.
_TRACES_AT_ONCE: Final = 100
_EVER: Final = TimeRange(0, 2**63 - 1)

_logger = logging.getLogger("otelbridge.span_errors")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An error that may yet be told by a log.

    Attributes:
        heard: the clock's time.
        size: characters of its traceback.
    """

    record: LogRecord
    heard: float
    size: int


class SpanErrors:
    """Stores the errors of spans that no log tells of.

    One exception passes through several spans and is noted on each; of a trace it is one error,
    by its type and message. Those that wait are lost where the process is killed.

    Args:
        store: open while this works.
        patience: seconds that a log is waited for.
        now: a clock that nobody sets, in seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        patience: float = PATIENCE_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._patience = patience
        self._now = now
        self._waiting: dict[bytes, _Waiting] = {}
        self._chars = 0
        self._looking: asyncio.Task[None] | None = None

    def heard(self, spans: Iterable[Span]) -> None:
        """Take note of spans that were stored."""
        for span in spans:
            if span.resource.get(schema.DISTRO_NAME) == schema.DISTRO:
                continue
            for event in span.events:
                if event.name == "exception" and event.attributes.get("exception.type"):
                    self._wait_for_log(span, event)

    def start(self) -> None:
        """Begin to look, in the loop that runs."""
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """Look once more at everything, and end."""
        if self._looking is not None:
            await end(self._looking)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.settle(all=True), _STOP_SECONDS)

    async def settle(self, *, all: bool = False) -> None:
        """Store what no log told of in time.

        Args:
            all: also what has not waited long enough.
        """
        before = self._now() - self._patience
        by_trace: defaultdict[bytes, list[LogRecord]] = defaultdict(list)
        for one in self._waiting.values():
            if (all or one.heard <= before) and one.record.trace_id is not None:
                by_trace[one.record.trace_id].append(one.record)
        traces = list(by_trace.items())
        for first in range(0, len(traces), _TRACES_AT_ONCE):
            some = traces[first : first + _TRACES_AT_ONCE]
            try:
                if missing := await asyncio.to_thread(self._missing, some):
                    await self._store.write(Batch(logs=missing))
            except StoreError as error:
                # The store says why on the Pipeline page; the next look tries again.
                _logger.debug("errors of spans wait: %s", error)
                return
            for _, records in some:
                for record in records:
                    if record.uid is not None:
                        self._chars -= self._waiting.pop(record.uid).size

    def _wait_for_log(self, span: Span, event: SpanEvent) -> None:
        record = _as_log(span, event)
        size = len(str(event.attributes.get("exception.stacktrace", "")))
        if record.uid is None or record.uid in self._waiting:
            return
        if len(self._waiting) < _MOST_WAITING and self._chars + size <= _MOST_CHARS:
            self._chars += size
            self._waiting[record.uid] = _Waiting(record, self._now(), size)

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.settle()
            except Exception:
                _logger.exception("errors of spans could not be looked at")

    def _missing(self, traces: Iterable[tuple[bytes, list[LogRecord]]]) -> list[LogRecord]:
        """Those that their traces' logs do not tell of, each with its fingerprint."""
        missing = []
        for trace_id, records in traces:
            query = And((Match("trace.id", trace_id.hex()), Exists("exception.type")))
            logged = [one.record for one in self._store.logs(query, _EVER, limit=_MOST_LOGGED)]
            missing += [record for record in records if not _is_told(record, logged)]
        identify(missing)
        return missing


def _as_log(span: Span, event: SpanEvent) -> LogRecord:
    attributes: Attributes = {
        **{key: span.attributes[key] for key in USER_KEYS if key in span.attributes},
        **event.attributes,
    }
    failed = span.status_code == STATUS_ERROR
    level = "ERROR" if failed else "WARNING"
    kind, message = _what(attributes)
    said = "\0".join([kind, message]).encode("utf-8", "replace")
    return LogRecord(
        time=event.time or span.time + span.duration,
        body=message or kind,
        attributes=attributes,
        resource=span.resource,
        scope=span.scope,
        severity_number=schema.SEVERITY_NUMBERS[level],
        severity_text=level,
        trace_id=span.trace_id,
        span_id=span.span_id,
        flags=span.flags,
        event_name=event.name,
        # Of the error, not of the span: sent again, or by an outer span, it is the same record.
        uid=hashlib.sha256(span.trace_id + said).digest()[:16],
    )


def _what(attributes: Attributes) -> tuple[str, str]:
    """Recognise an exception by type and message; some senders name its module, some do not."""
    kind = str(attributes.get("exception.type", "")).rpartition(".")[2]
    return kind, str(attributes.get("exception.message") or "")


def _is_told(record: LogRecord, logged: Iterable[LogRecord]) -> bool:
    """Tell whether a log of the trace is of the same error."""
    kind, message = _what(record.attributes)
    for other in logged:
        other_kind, other_message = _what(other.attributes)
        if other_kind == kind and (other.span_id == record.span_id or other_message == message):
            return True
    return False
