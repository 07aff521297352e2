"""The metrics of HTTP servers: requests being answered, and how long answers took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.metrics import get_meter

from otelbridge.frameworks.wsgi_attributes import (
    is_server_error,
    port_number,
    protocol_version,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span

    from otelbridge.frameworks.wsgi_attributes import RequestAttributes

# Of the semantic conventions for HTTP metrics; seconds.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
# Name, unit and description.
ACTIVE_REQUESTS: Final = (
    "http.server.active_requests",
    "{request}",
    "Number of active HTTP server requests.",
)
REQUEST_DURATION: Final = (
    "http.server.request.duration",
    "s",
    "Duration of HTTP server requests.",
)
_ACTIVE_BEFORE_STABLE: Final = (
    "http.server.active_requests",
    "requests",
    "Measures the number of concurrent HTTP requests that are currently in-flight.",
)
_DURATION_BEFORE_STABLE: Final = (
    "http.server.duration",
    "ms",
    "Measures the duration of inbound HTTP requests.",
)


class InFlight:
    """A request between its beginning and its end, as its metrics know it."""

    __slots__ = ("active", "before_stable", "metrics", "stable")

    def __init__(
        self,
        metrics: RequestMetrics,
        active: dict[str, Any],
        stable: dict[str, Any],
        before_stable: dict[str, Any],
    ) -> None:
        """Keep the attributes of the counter, and of the two durations."""
        self.metrics = metrics
        self.active, self.stable, self.before_stable = active, stable, before_stable


class RequestMetrics:
    """Counts and times requests with a meter provider's instruments."""

    def __init__(
        self,
        provider: MeterProvider | None,
        scope: tuple[str, str],
        attributes: RequestAttributes,
    ) -> None:
        """Make the instruments.

        Args:
            provider: the global one by default.
            scope: the instrumentation scope's name and version.
            attributes: tells what is known of a request.
        """
        conventions = attributes.conventions
        self._method = attributes.method
        meter = get_meter(*scope, provider, conventions.schema_url)
        self._milliseconds: Histogram | None = None
        self._seconds: Histogram | None = None
        if conventions.old:
            self._milliseconds = meter.create_histogram(*_DURATION_BEFORE_STABLE)
        if conventions.new:
            self._seconds = meter.create_histogram(
                *REQUEST_DURATION, explicit_bucket_boundaries_advisory=BUCKETS
            )
        self._active = meter.create_up_down_counter(
            *(ACTIVE_REQUESTS if conventions.new else _ACTIVE_BEFORE_STABLE)
        )

    def begin(self, environ: dict[str, Any]) -> InFlight:
        """Count a request that has come in."""
        method = self._method(environ.get("REQUEST_METHOD", ""))
        scheme = environ.get("wsgi.url_scheme")
        version = protocol_version(environ)
        active: dict[str, Any] = {}
        stable: dict[str, Any] = {}
        before_stable: dict[str, Any] = {}
        if self._milliseconds is not None:
            host = environ.get("HTTP_HOST")
            active = _known(
                {
                    "http.method": method,
                    "http.scheme": scheme,
                    "http.host": host,
                    "http.flavor": version,
                }
            )
            active["http.server_name"] = environ.get("SERVER_NAME")
            port = port_number(environ.get("SERVER_PORT"))
            before_stable = {**active, **_known({"net.host.name": host, "net.host.port": port})}
        if self._seconds is not None:
            counted = _known({"http.request.method": method, "url.scheme": scheme})
            stable = {**counted, **_known({"network.protocol.version": version})}
            active.update(counted)
        self._active.add(1, active)
        return InFlight(self, active, stable, before_stable)

    def end(self, request: InFlight) -> None:
        """Count a request that is done with, and whose answer is not timed."""
        self._active.add(-1, request.active)

    def record(
        self,
        request: InFlight,
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
            span: whose ids an exemplar is given.
        """
        context = trace.set_span_in_context(span)  # type: ignore[arg-type]
        if self._milliseconds is not None:
            attributes = request.before_stable
            if status is not None and status[0] >= 0:
                attributes["http.status_code"] = status[0]
            if route is not None:
                attributes["http.target"] = route
            self._milliseconds.record(max(round(seconds * 1000), 0), attributes, context=context)
        if self._seconds is not None:
            attributes = request.stable
            if status is not None:
                if status[0] >= 0:
                    attributes["http.response.status_code"] = status[0]
                if is_server_error(status[0]):
                    attributes["error.type"] = status[1]
            if route is not None:
                attributes["http.route"] = route
            self._seconds.record(max(seconds, 0), attributes, context=context)
        self.end(request)


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value}
