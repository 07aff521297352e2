"""What every store can do, and the shapes of its answers.

Writing is asynchronous and answers after the commit. Reading is plain and blocking, safe from any
thread: callers on an event loop run it in a worker thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from otelbridge.model import Attributes, Batch, LogRecord, Span
from otelbridge.search.query import Query

Signal = Literal["logs", "spans"]


class StoreError(Exception):
    """The store cannot do this; its text is one line for the user."""


class StoreUnavailableError(StoreError):
    """Nothing was stored; sending the same again later may succeed.

    Attributes:
        retry_after: seconds to wait before trying again.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From ``start`` (included) to ``end`` (excluded), nanoseconds since the epoch."""

    start: int
    end: int


@dataclass(slots=True)
class StoredLog:
    """A log record and its place; ``id`` orders records by time and marks a page's end."""

    id: int
    record: LogRecord


@dataclass(slots=True)
class StoredSpan:
    id: int
    span: Span


@dataclass(frozen=True, slots=True)
class HistogramBar:
    """Records by severity name (``ERROR``, ..., ``""``) from ``start`` on, for one step."""

    start: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars without gaps over a range; ``step`` in nanoseconds."""

    step: int
    bars: list[HistogramBar]
    total: int


@dataclass(frozen=True, slots=True)
class Facet:
    """A field's most frequent values, with their counts.

    Attributes:
        sampled: 0 where every matching record was counted, else how many of the newest were.
    """

    field: str
    values: list[tuple[str, int]]
    sampled: int = 0


@dataclass(slots=True)
class ErrorGroup:
    """Records that are the same error (:mod:`otelbridge.error_groups`): those in a range.

    ``first_seen`` and ``last_seen`` (nanoseconds) are over all that is kept, and the texts are of
    the newest record in the range, ``sample`` (an id). Services, releases (``service.version``)
    and users come with how many of the records name them, the most frequent first.

    Attributes:
        where: the place in the program, as ``shop/orders.py:12 in pay``; empty where not known.
        user_count: how many different users; ``users`` lists some of them.
        series: the count, a value a step.
    """

    fingerprint: str
    type: str
    message: str
    where: str
    count: int
    first_seen: int
    last_seen: int
    sample: int
    services: list[tuple[str, int]] = field(default_factory=list)
    releases: list[tuple[str, int]] = field(default_factory=list)
    users: list[tuple[str, int]] = field(default_factory=list)
    user_count: int = 0
    series: list[int] = field(default_factory=list)


@dataclass(slots=True)
class TraceSummary:
    """A trace in a list. ``time`` and ``duration`` are the root span's where it has arrived."""

    id: int
    trace_id: bytes
    time: int
    duration: int
    name: str
    service: str
    services: list[str]
    spans: int
    errors: int
    status_code: int
    http_status: int | None


@dataclass(slots=True)
class Trace:
    """All that is known of a trace: spans and logs, each in time's order."""

    trace_id: bytes
    spans: list[StoredSpan]
    logs: list[StoredLog]


@dataclass(slots=True)
class ServiceSummary:
    """A service over a range.

    ``requests``, ``errors`` and the percentiles (nanoseconds, ``None`` without requests) are of
    its entry spans: server and consumer spans, and roots. ``error_logs`` are those that
    :data:`~otelbridge.error_groups.ERROR_RECORDS` finds. The series have one value a step.
    """

    name: str
    requests: int
    errors: int
    p50: int | None
    p95: int | None
    p99: int | None
    logs: int
    error_logs: int
    last_seen: int
    instances: int
    rate_series: list[int] = field(default_factory=list)
    error_series: list[int] = field(default_factory=list)
    p50_series: list[int | None] = field(default_factory=list)
    p95_series: list[int | None] = field(default_factory=list)
    p99_series: list[int | None] = field(default_factory=list)


@dataclass(slots=True)
class MetricSeries:
    """One series over a range: times (ns), and of each step its mean and largest value."""

    name: str
    unit: str
    type: str
    service: str
    instance: str
    attributes: Attributes
    times: list[int]
    means: list[float | None]
    maxima: list[float | None]


@dataclass(frozen=True, slots=True)
class NewestPoint:
    """The newest point of one series, as it was sent."""

    name: str
    service: str
    instance: str
    attributes: Attributes
    time: int
    value: float


@dataclass(slots=True)
class StoreStats:
    """What the Pipeline page shows of the store.

    Attributes:
        refusing: why nothing can be stored now, in one line; empty while it can.
    """

    logs: int
    spans: int
    points: int
    bytes: int
    oldest: int | None
    newest: int | None
    duplicates: int
    expired: int
    pending: int
    retention_seconds: float
    retention_bytes: int
    location: str
    refusing: str = ""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What one commit brought: ids of the rows it added.

    Attributes:
        duplicates: records that were there already; they are not among the others.
    """

    logs: Sequence[int]
    spans: Sequence[int]
    points: int
    duplicates: int = 0


class Following(Protocol):
    """What :meth:`Store.arrivals` gives: to be iterated in the loop it was made in."""

    def __aiter__(self) -> AsyncIterator[Arrivals]:
        """Iterate over what came, until the store closes."""

    async def __anext__(self) -> Arrivals:
        """What came since the last time; waits for it."""

    async def begun(self) -> None:
        """Wait until nothing escapes that can be found from then on."""


class Store(Protocol):
    """An engine that keeps records. ``query`` is ``None`` for everything."""

    async def open(self) -> None:
        """Open or create it and bring it to this version; raises :class:`StoreError`."""

    async def close(self) -> None:
        """Commit what was accepted and close."""

    async def write(self, batch: Batch) -> Arrivals:
        """Store a batch; returns once it is committed.

        Raises:
            StoreUnavailableError: nothing of it was stored (full disk, lock, queue full).
        """

    def arrivals(self) -> Following:
        """Follow commits as they happen; a slow follower gets several merged into one."""

    def logs(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
        after: int | None = None,
        ids: Sequence[int] | None = None,
    ) -> list[StoredLog]:
        """The newest matching logs, newest first.

        Args:
            before: only records with a smaller id (the next page).
            after: only records with a larger id.
            ids: only these records (the live tail).
        """

    def log(self, id: int) -> StoredLog | None:
        """One record."""

    def log_histogram(self, query: Query | None, within: TimeRange, bars: int = 60) -> Histogram:
        """Counts over time by severity; ``step`` is a round duration giving about ``bars`` bars."""

    def log_facets(
        self, query: Query | None, within: TimeRange, fields: Sequence[str], *, size: int = 10
    ) -> list[Facet]:
        """Top values of each field among matching records."""

    def count_logs(self, query: Query | None, within: TimeRange) -> int:
        """How many logs match."""

    def error_groups(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        fingerprint: str | None = None,
        limit: int = 500,
        steps: int = 30,
    ) -> list[ErrorGroup]:
        """The groups of the errors that match, the one seen last in the range first.

        Args:
            fingerprint: only this group.
            limit: of more groups, those seen last; Elasticsearch gives 500 at most.
        """

    def field_names(self, signal: Signal) -> list[str]:
        """Every field name a query may use: the built-in ones and the attributes seen."""

    def field_values(
        self, signal: Signal, field: str, prefix: str = "", limit: int = 20
    ) -> list[str]:
        """Recent values of a field that begin with ``prefix``, most frequent first."""

    def traces(
        self,
        query: Query | None,
        within: TimeRange,
        *,
        limit: int = 100,
        before: int | None = None,
    ) -> list[TraceSummary]:
        """The newest traces with a span that matches, the one that began last first."""

    def trace(self, trace_id: bytes) -> Trace | None:
        """A whole trace, with its logs."""

    def services(self, within: TimeRange, steps: int = 30) -> list[ServiceSummary]:
        """Every service seen in the range, by name."""

    def metric_names(self, within: TimeRange) -> list[tuple[str, str]]:
        """Names and units of the metrics seen in the range."""

    def metrics(
        self,
        name: str,
        within: TimeRange,
        *,
        service: str | None = None,
        points: int = 300,
    ) -> list[MetricSeries]:
        """The series of one metric, thinned to about ``points`` steps."""

    def newest_points(self, names: Sequence[str], within: TimeRange) -> list[NewestPoint]:
        """The newest point in the range of every series of these metrics."""

    def stats(self) -> StoreStats:
        """Counts, sizes and limits."""
