"""Flask: a span for every request, and two log lines that tell what was asked and answered.

Spans and the request metrics are made by OpenTelemetry's own Flask instrumentation. This module
puts it where it belongs (first in, last out, so that everything a program does during a request
happens inside its span), keeps secrets in queries out of its attributes, and writes

    Request GET http://127.0.0.1:5000/orders?token=***
    Response 200 OK

through the app's own logger, at INFO, exactly once each for every request, whatever its end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import flask
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.instrumentation.flask import FlaskInstrumentor

from otelbridge.frameworks.urls import redact_span, redact_url

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_STATE: Final = "otelbridge.request"
_MARK: Final = "otelbridge"
# Set by OpenTelemetry's instrumentation on requests that have a span; those whose URL is excluded
# (OTEL_PYTHON_FLASK_EXCLUDED_URLS) have none.
_SPAN: Final = "opentelemetry-flask.span_key"
_INTERNAL_ERROR: Final = f"500 {HTTPStatus.INTERNAL_SERVER_ERROR.phrase.upper()}"

_lock = threading.Lock()


class RequestState:
    """What is known of one request between its two lines."""

    __slots__ = ("answered", "fields", "started")

    def __init__(self, request: flask.Request) -> None:
        """Start the clock."""
        self.started = perf_counter()
        self.answered = False
        self.fields: dict[str, Any] = {
            "http.request.method": request.method,
            "url.full": redact_url(request.url),
        }
        if request.url_rule is not None:
            self.fields["http.route"] = request.url_rule.rule


def instrument_app(
    app: flask.Flask,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    request_log: bool = True,
    report: Callable[[logging.LogRecord], None] | None = None,
) -> None:
    """Instrument one app; a second time does nothing.

    Args:
        app: the app, before its first request.
        tracer_provider: the global one by default.
        meter_provider: the global one by default.
        request_log: whether to write the two lines. The response's carries
            ``http.server.request.duration``, in seconds, as the metric of that name does.
        report: is given the ERROR record of an exception that Flask passes on to the server
            without logging it, as it does in debug mode.
    """
    with _lock:
        if app.extensions.get(_MARK):
            return
        app.extensions[_MARK] = True
        if not getattr(app, "_is_instrumented_by_opentelemetry", False):
            FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]
                app,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
                enable_commenter=False,
            )
            _move_to_front(app.before_request_funcs, getattr(app, "_before_request", None))
            _move_to_front(app.teardown_request_funcs, getattr(app, "_teardown_request", None))
        _add_request_lines(app, request_log, report)


def instrument_every_app(
    prepare: Callable[[flask.Flask], None], arrived: Callable[[], None]
) -> None:
    """Have every app that answers a request instrumented, whenever and however it was made.

    Args:
        prepare: is given each app before its first request.
        arrived: is called before every request.
    """
    answer = flask.Flask.__call__

    def call(app: flask.Flask, environ: Any, start_response: Any) -> Any:
        arrived()
        if _MARK not in app.extensions:
            prepare(app)
        return answer(app, environ, start_response)

    flask.Flask.__call__ = call  # type: ignore[method-assign, assignment]


def writes_to_console(handler: logging.Handler | None) -> bool:
    """Tell whether a handler is one that writes for a program that has none of its own."""
    return (
        handler in (logging.lastResort, flask.logging.default_handler)
        or type(handler).__module__ == "werkzeug._internal"
    )


def _add_request_lines(
    app: flask.Flask, request_log: bool, report: Callable[[logging.LogRecord], None] | None
) -> None:
    def before_request() -> None:
        request = flask.request
        if _SPAN not in request.environ:
            return
        state = request.environ[_STATE] = RequestState(request)
        if request.query_string:
            redact_span(trace.get_current_span())
        if request_log:
            app.logger.info(
                "Request %s %s", request.method, state.fields["url.full"], extra=state.fields
            )

    def after_request(response: flask.Response) -> flask.Response:
        answer(response.status, response.status_code)
        traced = _STATE in flask.request.environ
        if traced and response.is_streamed and not response.direct_passthrough:
            response.response = _InContext(iter(response.response), get_current())
        return response

    def teardown_request(error: BaseException | None) -> None:
        state: RequestState | None = flask.request.environ.get(_STATE)
        if error is None or state is None or state.answered:
            return
        # Flask passes the exception on (debug, PROPAGATE_EXCEPTIONS): the server will answer 500.
        trace.get_current_span().set_attribute("http.response.status_code", 500)
        if report is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
            report(_exception_record(app, error))
        answer(_INTERNAL_ERROR, 500)

    def answer(status: str, status_code: int) -> None:
        state: RequestState | None = flask.request.environ.get(_STATE)
        if state is None or state.answered:
            return
        state.answered = True
        if request_log:
            fields = {
                **state.fields,
                "http.response.status_code": status_code,
                "http.server.request.duration": round(perf_counter() - state.started, 6),
            }
            app.logger.info("Response %s", status, extra=fields)

    # Flask calls before_request functions in order, the other two kinds in reverse order. Ours
    # follow the span's start at once, see the response that all others have finished with, and
    # come just before the span's end.
    hooks = app.before_request_funcs.setdefault(None, [])
    hooks.insert(_position(hooks, getattr(app, "_before_request", None)), before_request)
    app.after_request_funcs.setdefault(None, []).insert(0, after_request)
    ends = app.teardown_request_funcs.setdefault(None, [])
    ends.insert(_position(ends, getattr(app, "_teardown_request", None)), teardown_request)


class _InContext:
    """A streamed response whose parts are made in the request's trace, though its span has ended.

    Flask tears a request down before the server asks for the response's parts.
    """

    def __init__(self, parts: Iterator[Any], context: Context) -> None:
        self._parts, self._context = parts, context

    def __iter__(self) -> _InContext:
        return self

    def __next__(self) -> Any:
        with self._attached():
            return next(self._parts)

    def close(self) -> None:
        close = getattr(self._parts, "close", None)
        if close is not None:
            with self._attached():
                close()

    @contextmanager
    def _attached(self) -> Iterator[None]:
        span = trace.get_current_span(self._context)
        if trace.get_current_span() is span:
            # Flask before 3.1 keeps a request with stream_with_context until its last part, and
            # tears it down, context and all, while that is made: nothing may be put back then.
            yield
            return
        token = attach(self._context)
        try:
            yield
        finally:
            detach(token)


def _exception_record(app: flask.Flask, error: BaseException) -> logging.LogRecord:
    """Make the record that Flask writes of an exception it answers with 500 itself."""
    return app.logger.makeRecord(
        app.logger.name,
        logging.ERROR,
        flask.app.__file__,
        0,
        "Exception on %s [%s]",
        (flask.request.path, flask.request.method),
        (type(error), error, error.__traceback__),
        "log_exception",
    )


def _move_to_front(hooks: dict[Any, list[Any]], hook: Any) -> None:
    registered = hooks.get(None, [])
    if hook in registered:
        registered.remove(hook)
        registered.insert(0, hook)


def _position(hooks: list[Any], hook: Any) -> int:
    return hooks.index(hook) + 1 if hook in hooks else 0
