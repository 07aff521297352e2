"""The metrics of HTTP servers, counted by ourselves.

An SDK's instrument sorts, checks and hashes the attributes of every measurement; here a request's
few texts are the key as they are, which takes a tenth of the time, and durations are counted many
at once, without a lock for each. What is read is the same, point for point.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from functools import reduce
from operator import add
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelbridge.delivery.lean_span import LeanSpan
from otelbridge.frameworks.request_metrics import (
    ACTIVE_REQUESTS,
    BUCKETS,
    REQUEST_DURATION,
    InFlight,
    RequestMetrics,
)
from otelbridge.frameworks.wsgi_attributes import is_server_error, version_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from otelbridge.frameworks.wsgi_attributes import RequestAttributes

_Answered: TypeAlias = tuple["tuple[int, str] | None", "str | None"]


# So many durations are counted together, which takes a tenth of the time.
_AT_ONCE: Final = 64


class _Series:
    """The durations of requests that are alike."""

    __slots__ = ("buckets", "exemplars", "largest", "least", "pending", "started", "total")

    def __init__(self) -> None:
        self.started = time_ns()
        # Seconds, when, and the ids of a sampled span; not yet among what follows.
        self.pending: list[tuple[float, int, SpanContext | None]] = []
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0
        self.least = float("inf")
        self.largest = float("-inf")
        # The last of each bucket since they were read.
        self.exemplars: dict[int, tuple[float, int, SpanContext]] = {}

    def count(self) -> None:
        """Count what is pending, with the lock held; more may come in meanwhile."""
        taken = self.pending[:]
        if not taken:
            return
        del self.pending[: len(taken)]
        durations = [max(one[0], 0.0) for one in taken]
        self.total = reduce(add, durations, self.total)
        durations.sort()
        self.least = min(self.least, durations[0])
        self.largest = max(self.largest, durations[-1])
        ends = [bisect_right(durations, bound) for bound in BUCKETS] + [len(durations)]
        begins = [0, *ends[:-1]]
        filled = {}
        for bucket, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            if end > begin:
                self.buckets[bucket] += end - begin
                filled[bucket] = True
        for one in reversed(taken):
            bucket = bisect_left(BUCKETS, one[0])
            if one[2] is not None and filled.pop(bucket, False):
                self.exemplars[bucket] = (max(one[0], 0.0), one[1], one[2])
            if not filled:
                break


class _Kind:
    """The requests of one method, scheme and protocol's version."""

    __slots__ = ("going", "method", "owner", "scheme", "series", "started", "version")

    def __init__(self, method: str, scheme: str, version: str, owner: threading.Lock) -> None:
        self.method, self.scheme, self.version = method, scheme, version
        self.owner = owner
        # One for each that is being answered: a list grows and shrinks without a lock.
        self.going: list[None] = []
        self.started = time_ns()
        self.series: dict[_Answered, _Series] = {}


class RequestTally:
    """Counts and times requests, by the stable conventions; what :class:`RequestMetrics` is."""

    def __init__(self, scope: tuple[str, str], attributes: RequestAttributes) -> None:
        """Begin with nothing.

        Args:
            scope: the instrumentation scope's name and version.
            attributes: tells what is known of a request.
        """
        self._method = attributes.method
        self._schema_url = attributes.conventions.schema_url
        self._scope = InstrumentationScope(*scope, self._schema_url)
        self._instruments: RequestMetrics | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget everything: this process has just been forked."""
        for kind in list(getattr(self, "_kinds", {}).values()):
            kind.series = {}  # of requests that go on here
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, str, str], _Kind] = {}
        # The same by what a server says, where that is what is counted.
        self._said: dict[tuple[str, str, str], _Kind] = {}

    def retire(self, instruments: RequestMetrics) -> None:
        """Leave all requests from now on to instruments, for somebody else reads them too."""
        self._instruments = instruments

    def begin(self, environ: dict[str, Any]) -> _Kind | InFlight:
        """Count a request that has come in."""
        if self._instruments is not None:
            return self._instruments.begin(environ)
        get = environ.get
        said = (get("REQUEST_METHOD", ""), get("wsgi.url_scheme", ""), get("SERVER_PROTOCOL", ""))
        kind = self._said.get(said) or self._kind(said)
        kind.going.append(None)
        return kind

    def end(self, request: _Kind | InFlight) -> None:
        """Count a request that is done with, and whose answer is not timed."""
        if isinstance(request, InFlight):
            request.metrics.end(request)
        else:
            request.going.pop()  # of one before a fork, nobody reads it any more

    def record(
        self,
        request: _Kind | InFlight,
        seconds: float,
        status: tuple[int, str] | None,
        route: str | None,
        span: Span | None,
    ) -> None:
        """Count a request that is done with, and record how long its answer took.

        Args:
            request: what :meth:`begin` returned.
            seconds: from the request's arrival to the app's return.
            status: the answer's code, as a number (``-1`` for none) and as text, where known.
            route: the matched one.
            span: whose ids an exemplar is given, if it is sampled.
        """
        if isinstance(request, InFlight):
            request.metrics.record(request, seconds, status, route, span)
            return
        request.going.pop()
        series = request.series.get((status, route))
        if series is None:
            series = self._series(request, (status, route))
        pending = series.pending
        ids = span._context if type(span) is LeanSpan else _ids(span)
        pending.append((seconds, time_ns(), ids))
        if len(pending) >= _AT_ONCE:
            with self._lock:
                series.count()

    def _series(self, kind: _Kind, answered: _Answered) -> _Series:
        with self._lock:
            if kind.owner is not self._lock:
                # This process has been forked meanwhile.
                kind = self._kind_of(kind.method, kind.scheme, kind.version)
            return kind.series.setdefault(answered, _Series())

    def _kind(self, said: tuple[str, str, str]) -> _Kind:
        method, scheme, protocol = said
        known, version = self._method(method), version_of(protocol)
        with self._lock:
            kind = self._kind_of(known, scheme, version)
            # Clients write methods of their own, which are not to fill the memory.
            if known == method and f"HTTP/{version}" == protocol:
                self._said[said] = kind
        return kind

    def _kind_of(self, method: str, scheme: str, version: str) -> _Kind:
        """Return the kind of a request, with the lock held."""
        key = (method, scheme, version)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(method, scheme, version, self._lock)
        return kind

    def read(self) -> ScopeMetrics | None:
        """Return what has been counted since the beginning; ``None`` if nothing has."""
        now = time_ns()
        with self._lock:
            kinds = list(self._kinds.values())
            active = _active_points(kinds, now)
            durations = [
                _point(kind, answered, series, now)
                for kind in kinds
                for answered, series in kind.series.items()
            ]
        cumulative = AggregationTemporality.CUMULATIVE
        metrics = []
        if active:
            metrics.append(
                _metric(ACTIVE_REQUESTS, Sum(active, cumulative, is_monotonic=False)),
            )
        if durations:
            metrics.append(_metric(REQUEST_DURATION, Histogram(durations, cumulative)))
        return ScopeMetrics(self._scope, metrics, self._schema_url) if metrics else None


def _ids(span: Span | None) -> SpanContext | None:
    """Return the ids of a span, if it is sampled."""
    context = None if span is None else span.get_span_context()
    return context if context is not None and context.trace_flags.sampled else None


def _metric(described: tuple[str, str, str], data: Sum | Histogram) -> Metric:
    name, unit, description = described
    return Metric(name, description, unit, data)


def _active_points(kinds: list[_Kind], now: int) -> list[NumberDataPoint]:
    """Add up those of all versions."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for kind in kinds:
        started, count = counts.get((kind.method, kind.scheme), (kind.started, 0))
        counts[kind.method, kind.scheme] = min(started, kind.started), count + len(kind.going)
    return [
        NumberDataPoint(_active_attributes(*key), started, now, count)
        for key, (started, count) in counts.items()
    ]


def _active_attributes(method: str, scheme: str) -> dict[str, Any]:
    known = {"http.request.method": method, "url.scheme": scheme}
    return {name: value for name, value in known.items() if value}


def _point(kind: _Kind, answered: _Answered, series: _Series, now: int) -> HistogramDataPoint:
    series.count()
    status, route = answered
    attributes = _active_attributes(kind.method, kind.scheme)
    if kind.version:
        attributes["network.protocol.version"] = kind.version
    if status is not None:
        if status[0] >= 0:
            attributes["http.response.status_code"] = status[0]
        if is_server_error(status[0]):
            attributes["error.type"] = status[1]
    if route is not None:
        attributes["http.route"] = route
    taken, series.exemplars = series.exemplars, {}
    exemplars = []
    for _, (seconds, when, ids) in sorted(taken.items()):
        exemplars.append(Exemplar({}, seconds, when, ids.span_id, ids.trace_id))
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=series.started,
        time_unix_nano=now,
        count=sum(series.buckets),
        sum=series.total,
        bucket_counts=tuple(series.buckets),
        explicit_bounds=BUCKETS,
        min=series.least,
        max=series.largest,
        exemplars=exemplars,
    )
