"""The metrics of HTTP servers, counted by ourselves.

An SDK's instrument sorts, checks and hashes the attributes of every measurement; here a request's
few texts are the key as they are, which takes a tenth of the time. What is read is the same, point
for point.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeAlias

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

from otelbridge.frameworks.request_metrics import (
    ACTIVE_REQUESTS,
    BUCKETS,
    REQUEST_DURATION,
    InFlight,
    RequestMetrics,
)
from otelbridge.frameworks.wsgi_attributes import is_server_error, protocol_version

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otelbridge.frameworks.wsgi_attributes import RequestAttributes

# Method and scheme; and with them the protocol's version.
_Active: TypeAlias = tuple[str, str]
_Counted: TypeAlias = tuple[_Active, str]
_Answered: TypeAlias = tuple[_Counted, "tuple[int, str] | None", "str | None"]


class _Series:
    """The durations of requests that are alike."""

    __slots__ = ("buckets", "exemplars", "largest", "least", "started", "total")

    def __init__(self) -> None:
        self.started = time_ns()
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0
        self.least = float("inf")
        self.largest = float("-inf")
        # The last of each bucket since they were read: seconds, when, and its span.
        self.exemplars: dict[int, tuple[float, int, Span]] = {}


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
        self._lock = threading.Lock()
        self._active: dict[_Active, int] = {}
        self._started: dict[_Active, int] = {}
        self._series: dict[_Answered, _Series] = {}

    def retire(self, instruments: RequestMetrics) -> None:
        """Leave all requests from now on to instruments, for somebody else reads them too."""
        self._instruments = instruments

    def begin(self, environ: dict[str, Any]) -> _Counted | InFlight:
        """Count a request that has come in."""
        if self._instruments is not None:
            return self._instruments.begin(environ)
        method = self._method(environ.get("REQUEST_METHOD", ""))
        active = (method, environ.get("wsgi.url_scheme", ""))
        with self._lock:
            if active in self._active:
                self._active[active] += 1
            else:
                self._active[active] = 1
                self._started[active] = time_ns()
        return active, protocol_version(environ)

    def end(self, request: _Counted | InFlight) -> None:
        """Count a request that is done with, whatever came of it."""
        if isinstance(request, InFlight):
            request.metrics.end(request)
            return
        with self._lock:
            # One that was there before this process was forked is not counted here.
            if self._active.get(request[0], 0) > 0:
                self._active[request[0]] -= 1

    def record(
        self,
        request: _Counted | InFlight,
        seconds: float,
        status: tuple[int, str] | None,
        route: str | None,
        span: Span | None,
    ) -> None:
        """Record how long an answer took.

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
        seconds = max(seconds, 0.0)
        key = (request, status, route)
        bucket = bisect_left(BUCKETS, seconds)
        exemplified = span is not None and span.get_span_context().trace_flags.sampled
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series()
            series.buckets[bucket] += 1
            series.total += seconds
            if seconds < series.least:
                series.least = seconds
            if seconds > series.largest:
                series.largest = seconds
            if exemplified:
                series.exemplars[bucket] = (seconds, time_ns(), span)  # type: ignore[assignment]

    def read(self) -> ScopeMetrics | None:
        """Return what has been counted since the beginning; ``None`` if nothing has."""
        now = time_ns()
        with self._lock:
            active = [
                NumberDataPoint(_active_attributes(key), self._started[key], now, count)
                for key, count in self._active.items()
            ]
            durations = [_point(key, series, now) for key, series in self._series.items()]
        cumulative = AggregationTemporality.CUMULATIVE
        metrics = []
        if active:
            metrics.append(
                _metric(ACTIVE_REQUESTS, Sum(active, cumulative, is_monotonic=False)),
            )
        if durations:
            metrics.append(_metric(REQUEST_DURATION, Histogram(durations, cumulative)))
        return ScopeMetrics(self._scope, metrics, self._schema_url) if metrics else None


def _metric(described: tuple[str, str, str], data: Sum | Histogram) -> Metric:
    name, unit, description = described
    return Metric(name, description, unit, data)


def _active_attributes(active: _Active) -> dict[str, Any]:
    method, scheme = active
    known = {"http.request.method": method, "url.scheme": scheme}
    return {name: value for name, value in known.items() if value}


def _point(key: _Answered, series: _Series, now: int) -> HistogramDataPoint:
    (active, version), status, route = key
    attributes = _active_attributes(active)
    if version:
        attributes["network.protocol.version"] = version
    if status is not None:
        if status[0] >= 0:
            attributes["http.response.status_code"] = status[0]
        if is_server_error(status[0]):
            attributes["error.type"] = status[1]
    if route is not None:
        attributes["http.route"] = route
    taken, series.exemplars = series.exemplars, {}
    exemplars = []
    for _, (seconds, when, span) in sorted(taken.items()):
        ids = span.get_span_context()
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
