"""Starlette and FastAPI: a span for every request, its two log lines, and errors nobody caught.

Spans and request metrics are made by OpenTelemetry's own ASGI middleware. It is put around all
that an app does, so that error handlers, the answers of status 500 and what Starlette itself logs
are inside the span too; added as a middleware like others it would be further in.
"""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.errors import ServerErrorMiddleware

from otelbridge.errors.raised_in import note_raised_in, raised_in
from otelbridge.frameworks.apps import own_name
from otelbridge.frameworks.asgi_lifespan import tell_lifespan_errors
from otelbridge.frameworks.instrumentations import is_disabled
from otelbridge.frameworks.request_log import RequestLog
from otelbridge.frameworks.urls import redact_span
from otelbridge.frameworks.wiring import has_instrumentation, is_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otelbridge.frameworks.wiring import Wiring

_MARK: Final = "_otelbridge"
# In the scope of a request, which what is mounted in an app is given too.
_SEEN: Final = "otelbridge.seen"
_ROUTE: Final = "otelbridge.route"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_lock = threading.Lock()


def watch(wiring: Wiring) -> None:
    """Have every app that is called instrumented, whenever and however it was made."""
    answer = Starlette.__call__

    async def call(app: Starlette, scope: Scope, receive: Receive, send: Send) -> None:
        wiring.arrived()
        if _MARK not in app.__dict__:
            instrument_app(app, wiring)
        if scope["type"] == "lifespan":
            send = tell_lifespan_errors(send, _kind(app), wiring)
        await answer(app, scope, receive, send)

    Starlette.__call__ = call  # type: ignore[method-assign, assignment]


def watch_fastapi(wiring: Wiring) -> None:
    """Have FastAPI's apps instrumented before they look who makes their spans."""
    from fastapi.applications import FastAPI

    answer = FastAPI.__call__

    async def call(app: FastAPI, scope: Scope, receive: Receive, send: Send) -> None:
        if _MARK not in app.__dict__:
            instrument_app(app, wiring)
        await answer(app, scope, receive, send)

    FastAPI.__call__ = call  # type: ignore[method-assign, assignment]


def instrument_app(app: Starlette, wiring: Wiring) -> None:
    """Instrument one app that is about to be called; a second time does nothing."""
    with _lock:
        if _MARK in app.__dict__:
            return
        app.__dict__[_MARK] = True
        kind = _kind(app)
        if is_disabled(kind):
            return
        wiring.name_service(own_name(app))
        stack = app.middleware_stack
        if stack is None:
            stack = app.build_middleware_stack()
        app.middleware_stack = _surround(app, stack, kind, wiring)


def _kind(app: Starlette) -> str:
    """Return the name of an app's framework: of its instrumentation, its extra and its logger."""
    families = {base.__module__.partition(".")[0] for base in type(app).__mro__}
    return "fastapi" if "fastapi" in families else "starlette"


def _surround(app: Starlette, stack: ASGIApp, kind: str, wiring: Wiring) -> ASGIApp:
    errors = _Errors(stack, kind, wiring)
    if isinstance(stack, ServerErrorMiddleware):
        # Further in than what answers with 500, for with the answer the span ends.
        errors = _Errors(stack.app, kind, wiring)
        stack.app = errors
    else:
        stack = errors
    lines = RequestLog(kind, wiring.take, written=wiring.request_log)
    theirs = _find_spans(stack)
    if theirs is not None:
        theirs.app = _Requests(theirs.app, lines, None)
        return stack
    # Whoever wants to instrument the app as well is told so by this.
    app.__dict__["_is_instrumented_by_opentelemetry"] = True
    native = app.__dict__.get("_native_telemetry")
    if native is not None and not is_installed(kind):
        # FastAPI's own spans, and not its own records of what is reported here.
        native.config["logs"] = False
        return _Requests(stack, lines, None)
    make_spans = None
    if has_instrumentation(kind, {"fastapi": "FastAPI"}.get(kind, "Starlette")):
        make_spans = _span_maker(kind, wiring)
    return _Requests(stack, lines, make_spans)


def _find_spans(stack: ASGIApp) -> Any:
    """Return what the program itself has put into an app to make spans: upstream's, Starlette's."""
    layer: Any = stack
    while layer is not None:
        if type(layer).__name__ == "OpenTelemetryMiddleware":
            return layer
        layer = getattr(layer, "app", None)
    return None


def _span_maker(kind: str, wiring: Wiring) -> Callable[[ASGIApp], ASGIApp]:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.util.http import get_excluded_urls

    _trace_background_tasks(wiring)
    # What names a span after its route is the one thing that each framework has of its own.
    name_span = import_module(f"opentelemetry.instrumentation.{kind}")._get_default_span_details

    def details(scope: Scope) -> tuple[str, dict[str, Any]]:
        try:
            name, attributes = name_span(scope)
        except Exception:
            # A kind of route that it does not know must not cost the request.
            name, attributes = str(scope.get("method", "")), {}
        scope[_ROUTE] = attributes.get("http.route")
        return name, attributes

    def make(app: ASGIApp) -> ASGIApp:
        made: ASGIApp = OpenTelemetryMiddleware(
            app,
            excluded_urls=get_excluded_urls(kind.upper()),
            default_span_details=details,
            tracer_provider=wiring.tracer_provider,
            meter_provider=wiring.meter_provider,
            # Each request would have two or three more spans, which tell nothing.
            exclude_spans=["receive", "send"],
        )
        return made

    return make


class _Seen:
    """Marks a request that is being answered.

    Attributes:
        error: what has been reported of it.
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Exception | None = None


class _Requests:
    """All that an app does for one request: in one span, between two lines."""

    def __init__(
        self,
        app: ASGIApp,
        lines: RequestLog,
        make_spans: Callable[[ASGIApp], ASGIApp] | None,
    ) -> None:
        self._inner = app
        self._lines = lines
        self._makes_spans = make_spans is not None
        # By this name FastAPI finds OpenTelemetry's middleware, and then makes no spans of its own.
        self.app = self._answer if make_spans is None else make_spans(self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # An app that is mounted in another is part of the same request.
        if scope["type"] == "lifespan" or _SEEN in scope:
            await self._inner(scope, receive, send)
            return
        scope[_SEEN] = _Seen()
        await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        excluded = self._makes_spans and _ROUTE not in scope
        if excluded or scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if scope.get("query_string"):
            redact_span(trace.get_current_span())
        lines = self._lines
        asked = lines.request(scope["method"], _url(scope), scope.get(_ROUTE))

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                lines.response(asked, message["status"])
            await send(message)

        try:
            await self._inner(scope, receive, send_noted)
        except Exception:
            lines.response(asked, 500)  # as the server will answer
            raise


class _Errors:
    """Reports what an app's own middlewares and handlers have let pass."""

    def __init__(self, app: ASGIApp, kind: str, wiring: Wiring) -> None:
        self.app = app
        self._kind = kind
        self._wiring = wiring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            if scope["type"] != "lifespan":
                self._report(scope, error)
            raise

    def _report(self, scope: Scope, error: Exception) -> None:
        errors = self._wiring.errors()
        seen = scope.get(_SEEN)
        if seen is not None and errors is not None and seen.error is not error:
            # Else a mounted app has reported it already.
            seen.error = error
            errors.forget_if_reported(error)
        span = trace.get_current_span()
        context = span.get_span_context()
        if span.is_recording() and raised_in(error) != context:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
            note_raised_in(error, context)
        if errors is not None:
            method = scope.get("method", "WEBSOCKET")
            said = f"Exception on {scope['path']} [{method}]"
            errors.report(error, logger=self._kind, said=said)


def _trace_background_tasks(wiring: Wiring) -> None:
    # OpenTelemetry's FastAPI instrumentation does so too, and knows by this name that it is done.
    if hasattr(BackgroundTask, "_otel_original_call"):
        return
    run = BackgroundTask.__call__
    tracer = trace.get_tracer(__name__, tracer_provider=wiring.tracer_provider)

    async def call(task: BackgroundTask) -> None:
        if not trace.get_current_span().get_span_context().is_valid:
            await run(task)
            return
        name = getattr(task.func, "__name__", type(task.func).__name__)
        with tracer.start_as_current_span(f"BackgroundTask {name}"):
            await run(task)

    BackgroundTask._otel_original_call = run  # type: ignore[attr-defined]
    BackgroundTask.__call__ = call  # type: ignore[method-assign, assignment]


def _url(scope: Scope) -> str:
    """Write the address that was asked for, with what is not allowed in one escaped."""
    scheme = scope.get("scheme", "http")
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    place = host.decode("latin-1")
    if not place and scope.get("server"):
        name, port = scope["server"]
        place = name if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{name}:{port}"
    raw_path = scope.get("raw_path")
    path = quote(scope["path"]) if not raw_path else raw_path.partition(b"?")[0].decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scheme}://{place}{path}{'?' if query else ''}{query}"
