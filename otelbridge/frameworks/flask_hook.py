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
from flask.globals import _cv_request
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.instrumentation.propagators import get_global_response_propagator
from opentelemetry.metrics import get_meter_provider
from opentelemetry.propagate import extract, get_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter, TextMapPropagator
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import (
    TraceContextTextMapPropagator as TraceContext,
)
from opentelemetry.util.http import parse_excluded_urls
from werkzeug.routing import Rule

from otelbridge.delivery.current_context import SPAN_KEY, attach, detach, get_current, span_in
from otelbridge.delivery.own_tracer import OwnTracer
from otelbridge.frameworks.flask_lines import RequestState
from otelbridge.frameworks.request_metrics import RequestMetrics
from otelbridge.frameworks.streams import InContext
from otelbridge.frameworks.wsgi_attributes import (
    METHODS,
    NO_SERVER_ERROR,
    OTHER_METHOD,
    RequestAttributes,
    parse_status,
)
from otelbridge.meter_provider import OwnMeterProvider

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from otelbridge.frameworks.flask_lines import RequestLines
    from otelbridge.frameworks.request_tally import RequestTally

_logger = logging.getLogger(__name__)

# The instrumentation whose spans and metrics these are.
SCOPE: Final = ("opentelemetry.instrumentation.flask", "0.66b1")
# Where that instrumentation keeps a request's span, for whoever looks for it there.
SPAN: Final = "opentelemetry-flask.span_key"
# An enumeration's members take long to find.
_INTERNAL: Final = SpanKind.INTERNAL
_SERVER: Final = SpanKind.SERVER
_REQUEST: Final = "otelbridge.request"
# Where Flask's context of a request has it.
_ATTRIBUTE: Final = "_otelbridge_request"


class TracedRequest(RequestState):
    """What is known of one request while it is answered.

    Attributes:
        arrived: nanoseconds since 1970; ``None`` for when its span starts.
    """

    # What nearly no request has.
    arrived: int | None = None
    excluded: bool | None = None
    inner: Token[Context]

    def __init__(self) -> None:
        """Begin."""
        self.ended = self.serves = False
        self.timed = True
        self.span: Span | None = None
        self.status: tuple[int, str] | None = None
        self.route: str | None = None
        self.outer: Token[Context] | None = None


class FlaskHook:
    """Makes the spans, the metrics and the lines of one app's requests.

    Its :meth:`begin`, :meth:`answer` and :meth:`end` are to be called by the app as the first
    function before a request, the last after it and the last at its teardown.
    """

    def __init__(
        self,
        app: flask.Flask,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        lines: RequestLines,
    ) -> None:
        """Wrap an app's ``wsgi_app``.

        Args:
            app: before its first request.
            tracer_provider: the global one by default.
            meter_provider: the global one by default.
            lines: writes the app's lines.
        """
        self._lines = lines
        self._attributes = RequestAttributes()
        self._metrics = _metrics(meter_provider, self._attributes)
        conventions = self._attributes.conventions
        self._status_names = ["http.status_code"] if conventions.old else []
        if conventions.new:
            self._status_names.append("http.response.status_code")
        schema_url = conventions.schema_url
        tracer = self._tracer = trace.get_tracer(*SCOPE, tracer_provider, schema_url)
        self._start_lean = tracer.start_lean if type(tracer) is OwnTracer else None
        self._collect = self._attributes.collect
        self._request_headers = self._attributes.request_headers
        self._response_headers = self._attributes.response_headers
        # To make a URL that may be excluded takes its time: only where something is.
        listed = os.environ.get(
            "OTEL_PYTHON_FLASK_EXCLUDED_URLS", os.environ.get("OTEL_PYTHON_EXCLUDED_URLS", "")
        )
        self._is_excluded = parse_excluded_urls(listed).url_disabled if listed else None
        # A propagator that looks for two headers only.
        self._propagator: TextMapPropagator | None = None
        self._app: Callable[[Any, Any], Any] = app.wsgi_app
        app.wsgi_app = self._answer  # type: ignore[method-assign]

    def begin(self) -> None:
        """Start the current request's span, unless its URL is excluded."""
        context = _cv_request.get()
        asked = context.request
        environ = asked.environ
        request: TracedRequest | None = environ.get(_REQUEST)
        if request is None or request.span is not None:
            # Somebody calls the app's functions without a server, as tests do.
            request = environ[_REQUEST] = TracedRequest()
        if self._is_excluded and self._excludes(request, asked):
            return
        attributes = self._collect(environ)
        rule = asked.url_rule
        if rule is None:
            name = self._name(environ, rule)
        else:
            route = attributes["http.route"] = rule.rule
            method = environ.get("REQUEST_METHOD")
            name = f"{method} {route}" if method in METHODS else self._name(environ, rule)
        parent = get_current()
        above = span_in(parent)
        kind = _INTERNAL
        if above is None:
            request.serves, kind = True, _SERVER
            if (
                "HTTP_TRACEPARENT" in environ
                or "HTTP_BAGGAGE" in environ
                or get_global_textmap() is not self._propagator
            ):
                # On top of what is there: fields that a program has bound for all it does.
                told = self._extract(environ, parent)
                if told is not parent:
                    parent, above = told, span_in(told)
                    request.outer = attach(parent)
        span: Span | None = None
        if self._start_lean is not None:
            span = self._start_lean(name, parent, above, kind, attributes, request.arrived)
        if span is None:
            span = self._start(name, parent, kind, attributes, request.arrived)
        if self._request_headers is not None and request.serves and span.is_recording():
            span.set_attributes(self._request_headers(environ))
        request.span = environ[SPAN] = span
        # A copy of the context, which is made for another thread and torn down too, has it not.
        setattr(context, _ATTRIBUTE, request)
        request.inner = attach(Context({**parent, SPAN_KEY: span}))
        if self._lines.written:
            self._lines.begin(request, asked)

    def answer(self, response: flask.Response) -> flask.Response:
        """Write of the answer, and have what is streamed of it made in the request's trace."""
        request = getattr(_cv_request.get(), _ATTRIBUTE, None)
        if request is not None:
            if self._lines.written:
                self._lines.answer(request, response.status, response.status_code)
            request.answered = True
            if type(response.response) is not list:
                keep_current(response)
        return response

    def end(self, error: BaseException | None) -> None:
        """End the span of the request that is torn down, if it is still open.

        Args:
            error: what ended the request and was not handled.
        """
        request = getattr(_cv_request.get(), _ATTRIBUTE, None)
        if request is None:
            return
        if error is None:
            self._end(request, None)
            return
        try:
            # Flask has not answered but passed it on; the server will answer 500.
            passed_on = request.status is None
            if passed_on and request.span.is_recording():
                for name in self._status_names:
                    request.span.set_attribute(name, 500)
            self._lines.fail(request, error, passed_on=passed_on)
        finally:
            self._end(request, error)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        # An app may hand its environ on to another.
        above = environ.get(_REQUEST)
        request = environ[_REQUEST] = TracedRequest()
        request.arrived = time_ns()
        started = perf_counter()
        counted: Any = self._metrics.begin(environ)

        def respond(status: str, headers: Any, *args: Any, **kwargs: Any) -> Any:
            self._respond(request, status, headers)
            return start_response(status, headers, *args, **kwargs)

        timed = False
        try:
            answer = self._app(environ, respond)
            timed = request.timed
            return answer
        except BaseException as error:
            # Open still where a function at the request's teardown has failed.
            self._end(request, error)
            raise
        finally:
            if timed:
                self._metrics.record(
                    counted, perf_counter() - started, request.status, request.route, request.span
                )
            else:
                self._metrics.end(counted)
            if above is not None:
                environ[_REQUEST] = above

    def _respond(self, request: TracedRequest, status: str, headers: Any) -> None:
        context = _cv_request.get(None)
        if context is None or (self._is_excluded and self._excludes(request, context.request)):
            # The former is somebody else's answer, between the server and the app.
            request.timed = False
            return
        request.timed = True
        rule = context.request.url_rule
        if rule is not None:
            request.route = rule.rule if type(rule) is Rule else str(rule)
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
            for name in self._status_names:
                span.set_attribute(name, code)
        if code not in NO_SERVER_ERROR:
            if self._attributes.conventions.new:
                span.set_attribute("error.type", text)
            why = None if code >= 0 else f"Non-integer HTTP status: {text}"
            span.set_status(Status(StatusCode.ERROR, why))
        if self._response_headers is not None and request.serves:
            span.set_attributes(self._response_headers(headers))

    def _extract(self, environ: dict[str, Any], here: Context) -> Context:
        """Add to a context what a request's headers tell; it is the same if they tell nothing."""
        propagator = get_global_textmap()
        if type(propagator) is CompositePropagator:
            kinds = set(map(type, propagator._propagators))
            if kinds <= {TraceContext, W3CBaggagePropagator}:
                self._propagator = propagator  # which looks for nothing else
        return extract(environ, here, _headers)

    def _start(
        self,
        name: str,
        parent: Context,
        kind: SpanKind,
        attributes: dict[str, Any],
        start_time: int | None,
    ) -> Span:
        """Start a span by whatever tracer there is."""
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=start_time)
        if span.is_recording():
            kept = getattr(span, "attributes", None)
            if kept is None or len(kept) < len(attributes):
                span.set_attributes(attributes)  # a sampler may leave them out
        return span

    def _end(self, request: TracedRequest, error: BaseException | None) -> None:
        span = request.span
        if span is None or request.ended:
            return
        request.ended = True
        detach(request.inner)
        try:
            if error is not None:
                _note_error(span, error)
        finally:
            span.end()
            if request.outer is not None:
                detach(request.outer)

    def _excludes(self, request: TracedRequest, asked: flask.Request) -> bool:
        if request.excluded is None:
            request.excluded = bool(self._is_excluded and self._is_excluded(asked.url))
        return request.excluded

    def _name(self, environ: dict[str, Any], rule: Any) -> str:
        method = self._attributes.method(environ.get("REQUEST_METHOD", "").strip())
        if rule is not None:
            return f"{'HTTP' if method == OTHER_METHOD else method} {rule.rule}"
        if method == OTHER_METHOD:
            return "HTTP"
        path = environ.get("PATH_INFO", "").strip()
        return f"{method} {path}" if method and path else method


def keep_current(response: flask.Response) -> None:
    """Have a streamed response's parts made in the context that is current now."""
    if response.is_streamed and not response.direct_passthrough:
        response.response = InContext(iter(response.response), get_current())


def _note_error(span: Span, error: BaseException) -> None:
    try:
        if isinstance(error, Exception) and span.is_recording():
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
    except Exception:
        # The error's own text may be what fails.
        _logger.debug("an exception could not be recorded", exc_info=True)


def _metrics(
    provider: MeterProvider | None, attributes: RequestAttributes
) -> RequestMetrics | RequestTally:
    provider = provider or get_meter_provider()
    if isinstance(provider, OwnMeterProvider):
        tally = provider.request_tally(SCOPE, attributes)
        if tally is not None:
            return tally
    return RequestMetrics(provider, SCOPE, attributes)


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
