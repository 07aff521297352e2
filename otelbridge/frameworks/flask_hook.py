"""A span and the metrics for each of a Flask app's requests.

What comes of it is what OpenTelemetry's own Flask instrumentation makes, for a fraction of the
time: what is known of a request is collected once, variables are read when the app is instrumented
and not at each request, and nothing is worked out that nobody asked for. Only OpenTelemetry's
public API is used, so that whatever samplers, span processors, propagators and meter providers a
program has work as ever.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Final

import flask
from flask.globals import request_ctx
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import attach, detach, get_current
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.metrics import get_meter_provider
from opentelemetry.propagate import extract, get_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator as TraceContext,
)
from opentelemetry.util.http import parse_excluded_urls

from otelbridge.delivery.lean_span import LeanSpan, start_span
from otelbridge.frameworks.request_metrics import RequestMetrics
from otelbridge.frameworks.wsgi_attributes import (
    OTHER_METHOD,
    RequestAttributes,
    is_server_error,
    parse_status,
)
from otelbridge.meter_provider import OwnMeterProvider

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from otelbridge.frameworks.request_tally import RequestTally

_logger = logging.getLogger(__name__)

# The instrumentation whose spans and metrics these are.
SCOPE: Final = ("opentelemetry.instrumentation.flask", "0.66b1")
# Where that instrumentation keeps a request's span, for whoever looks for it there.
SPAN: Final = "opentelemetry-flask.span_key"
_REQUEST: Final = "otelbridge.request"


class TracedRequest:
    """What is known of one request while it is answered."""

    __slots__ = (
        "arrived",
        "ended",
        "excluded",
        "inner",
        "outer",
        "owner",
        "route",
        "serves",
        "span",
        "status",
        "timed",
    )

    def __init__(self, arrived: int | None) -> None:
        """Begin.

        Args:
            arrived: nanoseconds since 1970.
        """
        self.arrived = arrived
        self.ended = False
        self.excluded: bool | None = None
        self.timed = True
        self.serves = False
        self.span: Span | None = None
        self.status: tuple[int, str] | None = None
        self.route: str | None = None
        self.owner = 0
        self.inner: Token[Context] | None = None
        self.outer: Token[Context] | None = None


class FlaskHook:
    """Makes the spans and the metrics of one app's requests.

    Its :meth:`begin` and :meth:`end` are to be called by the app's first function before a request
    and its last at a request's teardown.
    """

    def __init__(
        self,
        app: flask.Flask,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
    ) -> None:
        """Wrap an app's ``wsgi_app``.

        Args:
            app: before its first request.
            tracer_provider: the global one by default.
            meter_provider: the global one by default.
        """
        self._attributes = RequestAttributes()
        self._metrics = _metrics(meter_provider, self._attributes)
        schema_url = self._attributes.conventions.schema_url
        self._tracer = trace.get_tracer(*SCOPE, tracer_provider, schema_url)
        # To make a URL that may be excluded takes its time: only where something is.
        listed = os.environ.get(
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS", os.environ.get("OTEL_PYTHON_EXCLUDED_URLS", "")
        )
        self._is_excluded = parse_excluded_urls(listed).url_disabled if listed else None
        self._app: Callable[[Any, Any], Any] = app.wsgi_app
        app.wsgi_app = self._answer  # type: ignore[method-assign]

    def begin(self) -> bool:
        """Start the current request's span.

        Returns:
            Whether there is one: an excluded URL has none.
        """
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        asked = context.request
        environ = asked.environ
        request: TracedRequest | None = environ.get(_REQUEST)
        if request is None or request.span is not None:
            # Somebody calls the app's functions without a server, as tests do.
            request = environ[_REQUEST] = TracedRequest(None)
        if self._excludes(request, asked):
            return False
        attributes = self._attributes.collect(environ)
        rule = asked.url_rule
        if rule is not None:
            attributes["http.route"] = rule.rule
        here = get_current()
        request.serves = trace.get_current_span(here) is trace.INVALID_SPAN
        if request.serves:
            # On top of what is there: fields that a program has bound for all it does.
            parent = _extract(environ, here)
            if parent is not here:
                request.outer = attach(parent)
        else:
            parent = here
        span = start_span(
            self._tracer,
            self._name(environ, rule),
            parent,
            SpanKind.SERVER if request.serves else SpanKind.INTERNAL,
            attributes,
            request.arrived,
        )
        if span.is_recording():
            if type(span) is not LeanSpan:
                kept = getattr(span, "attributes", None)
                if kept is None or len(kept) < len(attributes):
                    span.set_attributes(attributes)  # a sampler may leave them out
            if request.serves and self._attributes.request_headers is not None:
                span.set_attributes(self._attributes.request_headers(environ))
        request.span = environ[SPAN] = span
        request.owner = id(context)
        request.inner = attach(trace.set_span_in_context(span, parent))
        return True

    def fail(self) -> bool:
        """Note that an exception has ended the current request.

        Returns:
            Whether the server will answer 500, because Flask has not answered but passed it on.
        """
        request = self._current()
        if request is None or request.span is None or request.status is not None:
            return False
        if request.span.is_recording():
            self._set_status(request.span, 500)
        return True

    def end(self, error: BaseException | None) -> None:
        """End the span of the request that is torn down, if it is still open.

        Args:
            error: what ended the request and was not handled.
        """
        request = self._current()
        if request is not None:
            self._end(request, error)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        # An app may hand its environ on to another.
        above = environ.get(_REQUEST)
        request = environ[_REQUEST] = TracedRequest(time_ns())
        started = perf_counter()
        counted: Any = self._metrics.begin(environ)

        def respond(status: str, headers: Any, *args: Any, **kwargs: Any) -> Any:
            self._respond(request, status, headers)
            return start_response(status, headers, *args, **kwargs)

        try:
            answer = self._app(environ, respond)
        except BaseException as error:
            # Open still where a function at the request's teardown has failed.
            self._end(request, error)
            raise
        else:
            if request.timed:
                self._metrics.record(
                    counted, perf_counter() - started, request.status, request.route, request.span
                )
            return answer
        finally:
            self._metrics.end(counted)
            if above is not None:
                environ[_REQUEST] = above

    def _respond(self, request: TracedRequest, status: str, headers: Any) -> None:
        if not flask.has_request_context():
            request.timed = False  # somebody else's answer, between the server and the app
            return
        asked = request_ctx._get_current_object().request  # type: ignore[attr-defined]
        if self._excludes(request, asked):
            request.timed = False
            return
        request.timed = True
        rule = asked.url_rule
        request.route = None if rule is None else str(rule)
        propagator = get_global_response_propagator()  # type: ignore[no-untyped-call]
        if propagator is not None:
            propagator.inject(headers, setter=_append)
        span = request.span
        if span is None:
            return
        request.status = code, text = parse_status(status)
        if not span.is_recording():
            return
        if code >= 0:
            self._set_status(span, code)
        if is_server_error(code):
            if self._attributes.conventions.new:
                span.set_attribute("error.type", text)
            why = None if code >= 0 else f"Non-integer HTTP status: {text}"
            span.set_status(Status(StatusCode.ERROR, why))
        if request.serves and self._attributes.response_headers is not None:
            span.set_attributes(self._attributes.response_headers(headers))

    def _set_status(self, span: Span, code: int) -> None:
        if self._attributes.conventions.old:
            span.set_attribute("http.status_code", code)
        if self._attributes.conventions.new:
            span.set_attribute("http.response.status_code", code)

    def _current(self) -> TracedRequest | None:
        context = request_ctx._get_current_object()  # type: ignore[attr-defined]
        request: TracedRequest | None = context.request.environ.get(_REQUEST)
        # A copy of the request, made for another thread, is torn down too.
        return request if request is not None and request.owner == id(context) else None

    def _end(self, request: TracedRequest, error: BaseException | None) -> None:
        span = request.span
        if span is None or request.ended:
            return
        request.ended = True
        if request.inner is not None:
            detach(request.inner)
        try:
            if isinstance(error, Exception) and span.is_recording():
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        except Exception:
            # The error's own text may be what fails.
            _logger.debug("an exception could not be recorded", exc_info=True)
        finally:
            span.end()
            if request.outer is not None:
                detach(request.outer)

    def _excludes(self, request: TracedRequest, asked: flask.Request) -> bool:
        if self._is_excluded is None:
            return False
        if request.excluded is None:
            request.excluded = self._is_excluded(asked.url)
        return request.excluded

    def _name(self, environ: dict[str, Any], rule: Any) -> str:
        method = self._attributes.method(environ.get("REQUEST_METHOD", "").strip())
        if rule is not None:
            return f"{'HTTP' if method == OTHER_METHOD else method} {rule.rule}"
        if method == OTHER_METHOD:
            return "HTTP"
        path = environ.get("PATH_INFO", "").strip()
        return f"{method} {path}" if method and path else method


def _metrics(
    provider: MeterProvider | None, attributes: RequestAttributes
) -> RequestMetrics | RequestTally:
    provider = provider or get_meter_provider()
    if isinstance(provider, OwnMeterProvider):
        tally = provider.request_tally(SCOPE, attributes)
        if tally is not None:
            return tally
    return RequestMetrics(provider, SCOPE, attributes)


def _extract(environ: dict[str, Any], here: Context) -> Context:
    """Add to a context what a request's headers tell; the context itself if they tell nothing."""
    if "HTTP_TRACEPARENT" not in environ and "HTTP_BAGGAGE" not in environ:
        propagator = get_global_textmap()
        if type(propagator) is CompositePropagator:
            for each in propagator._propagators:
                if type(each) is not TraceContext and type(each) is not W3CBaggagePropagator:
                    break
            else:
                return here  # these two look for nothing else
    return extract(environ, here, _headers)


class _Headers(Getter[dict[str, Any]]):
    """Finds a request's headers in its WSGI environ."""

    def get(self, carrier: dict[str, Any], key: str) -> list[str] | None:
        """Return a header's values."""
        value = carrier.get(f"HTTP_{key.upper().replace('-', '_')}")
        return None if value is None else [value]

    def keys(self, carrier: dict[str, Any]) -> list[str]:
        """Return the names of all headers."""
        return [key[5:].lower().replace("_", "-") for key in carrier if key.startswith("HTTP_")]


class _Append(Setter[list[tuple[str, str]]]):
    """Adds headers to an answer."""

    def set(self, carrier: list[tuple[str, str]], key: str, value: str) -> None:
        """Add one."""
        carrier.append((key, value))


_headers: Final = _Headers()
_append: Final = _Append()
