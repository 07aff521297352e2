"""Flask: a span for every request, and two log lines that tell what was asked and answered.

Spans and the request metrics are made by our own hook (:mod:`otelbridge.frameworks.flask_hook`), or
by OpenTelemetry's own Flask instrumentation where that is asked for or has been put to work before.
This module puts either where it belongs (first in, last out, so that everything a program does
during a request happens inside its span), keeps secrets in queries out of its attributes, and has

    Request GET http://127.0.0.1:5000/orders?token=***
    Response 200 OK

written through the app's own logger, at INFO, exactly once each for every request, whatever its
end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import flask
from opentelemetry import trace

from otelbridge.frameworks.flask_hook import SPAN, FlaskHook, keep_current
from otelbridge.frameworks.flask_lines import RequestLines, RequestState
from otelbridge.frameworks.urls import redact_span

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_MARK: Final = "otelbridge"
_STATE: Final = "otelbridge.lines"

_lock = threading.Lock()


def instrument_app(
    app: flask.Flask,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    request_log: bool = True,
    report: Callable[[logging.LogRecord], None] | None = None,
    hook: Literal["own", "upstream"] = "own",
) -> None:
    """Instrument one app; a second time does nothing.

    Args:
        app: the app, before its first request.
        tracer_provider: the global one by default.
        meter_provider: the global one by default.
        request_log: whether to write the two lines. The response's carries
            ``http.server.request.duration``, in seconds, as the metric of that name does.
        report: is given what the app's logger is not: the ERROR record of an exception that Flask
            passes on to the server without logging it, as it does in debug mode, and the two lines
            where ``dictConfig`` has silenced that logger.
        hook: what makes spans and metrics: ours, or OpenTelemetry's instrumentation. An app that
            the latter has been applied to before is left to it.
    """
    with _lock:
        if app.extensions.get(_MARK):
            return
        app.extensions[_MARK] = True
        lines = RequestLines(app, request_log, report)
        if getattr(app, "_is_instrumented_by_opentelemetry", False):
            _follow_upstream(app, lines)
        elif hook == "upstream":
            _instrument_by_upstream(app, tracer_provider, meter_provider)
            _follow_upstream(app, lines)
        else:
            _instrument_by_ours(app, tracer_provider, meter_provider, lines)


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


def _instrument_by_ours(
    app: flask.Flask,
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
    lines: RequestLines,
) -> None:
    # By the names under which OpenTelemetry's instrumentation finds what it is to take away again,
    # and that it has nothing to add.
    marked: Any = app
    marked._original_wsgi_app = app.wsgi_app
    marked._is_instrumented_by_opentelemetry = True
    hook = FlaskHook(app, tracer_provider, meter_provider, lines)
    begin, answer, end = hook.begin, hook.answer, hook.end
    as_it_is = app.ensure_sync

    def ensure_sync(func: Callable[..., Any]) -> Callable[..., Any]:
        # Flask asks for every function at every call, which takes longer than these do.
        if func is begin or func is answer or func is end:
            return func
        return as_it_is(func)

    marked.ensure_sync = ensure_sync
    marked._before_request, marked._teardown_request = begin, end
    # Flask calls before_request functions in order, the other two kinds in reverse order: ours see
    # the request first, and the response that all others have finished with.
    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request_funcs.setdefault(None, []).insert(0, answer)
    app.teardown_request_funcs.setdefault(None, []).insert(0, end)


def _instrument_by_upstream(
    app: flask.Flask,
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
) -> None:
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]
        app,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        enable_commenter=False,
    )
    _move_to_front(app.before_request_funcs, getattr(app, "_before_request", None))
    _move_to_front(app.teardown_request_funcs, getattr(app, "_teardown_request", None))


def _follow_upstream(app: flask.Flask, lines: RequestLines) -> None:
    def before_request() -> None:
        request = flask.request
        if SPAN not in request.environ:
            return  # of an excluded URL
        if request.query_string:
            redact_span(trace.get_current_span())
        state = request.environ[_STATE] = RequestState()
        lines.begin(state, request)

    def after_request(response: flask.Response) -> flask.Response:
        state: RequestState | None = flask.request.environ.get(_STATE)
        if state is not None:
            lines.answer(state, response.status, response.status_code)
            keep_current(response)
        return response

    def teardown_request(error: BaseException | None) -> None:
        state: RequestState | None = flask.request.environ.get(_STATE)
        if error is not None and state is not None and not state.answered:
            trace.get_current_span().set_attribute("http.response.status_code", 500)
            lines.fail(state, error, passed_on=True)

    # Just after the span's start and just before its end.
    hooks = app.before_request_funcs.setdefault(None, [])
    hooks.insert(_position(hooks, getattr(app, "_before_request", None)), before_request)
    app.after_request_funcs.setdefault(None, []).insert(0, after_request)
    ends = app.teardown_request_funcs.setdefault(None, [])
    ends.insert(_position(ends, getattr(app, "_teardown_request", None)), teardown_request)


def _move_to_front(hooks: dict[Any, list[Any]], hook: Any) -> None:
    registered = hooks.get(None, [])
    if hook in registered:
        registered.remove(hook)
        registered.insert(0, hook)


def _position(hooks: list[Any], hook: Any) -> int:
    return hooks.index(hook) + 1 if hook in hooks else 0
