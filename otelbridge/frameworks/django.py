"""Django: a span for every request, its two log lines, and errors nobody caught.

Spans and request metrics are made by OpenTelemetry's own Django middleware. It is not put among
the program's middlewares, but around all of them, where Django logs ``Not Found: /path`` too; and
it keeps no thread for a request to an asynchronous view, as a middleware that is synchronous does.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.base import BaseHandler
from django.core.signals import got_request_exception
from django.http import HttpResponse
from opentelemetry import trace
from opentelemetry.context import get_current

from otelbridge.errors.raised_in import note_raised_in
from otelbridge.frameworks.request_log import Asked, RequestLog
from otelbridge.frameworks.streams import InContext, in_context
from otelbridge.frameworks.urls import redact_span
from otelbridge.frameworks.wiring import Wiring, has_instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

# Where Django itself logs what it answers with 400 and above.
_LOGGER: Final = "django.request"
_ERROR: Final = "_otelbridge_error"
# What the span of a request tells whose client went away before there was an answer.
_CLIENT_GONE: Final = 499


class Middleware:
    """Starts telemetry, as an entry of ``MIDDLEWARE``; Django then leaves it out.

    The same as calling :func:`otelbridge.instrument` in ``settings.py``.
    """

    sync_capable = async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        """Start, unless started."""
        from otelbridge.telemetry import instrument

        instrument()
        raise MiddlewareNotUsed


def watch(wiring: Wiring) -> None:
    """Instrument every request that Django answers from now on, sync and async."""
    requests = _Requests(wiring)
    answer, answer_async = BaseHandler.get_response, BaseHandler.get_response_async

    def get_response(handler: BaseHandler, request: HttpRequest) -> HttpResponseBase:
        begun = requests.begin(request)
        try:
            response = answer(handler, request)
        except BaseException as error:
            requests.give_up(begun, error)
            raise
        return requests.end(begun, response)

    async def get_response_async(handler: BaseHandler, request: HttpRequest) -> HttpResponseBase:
        begun = requests.begin(request)
        try:
            response = await answer_async(handler, request)
        except BaseException as error:
            requests.give_up(begun, error)
            raise
        return requests.end(begun, response)

    BaseHandler.get_response = get_response
    BaseHandler.get_response_async = get_response_async
    got_request_exception.connect(_remember_error, weak=False)
    package, dot, _ = os.environ.get("DJANGO_SETTINGS_MODULE", "").partition(".")
    wiring.name_service(package if dot else "")


class _Begun:
    """A request that is being answered."""

    __slots__ = ("asked", "request", "traced")

    def __init__(self, request: HttpRequest, asked: Asked | None, traced: bool) -> None:
        self.request = request
        self.asked = asked
        self.traced = traced


class _Requests:
    """All that is done about requests; nothing of it may cost an answer."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._lines = RequestLog(_LOGGER, wiring.take, written=wiring.request_log)
        self._lock = threading.Lock()
        self._ready = False
        # OpenTelemetry's middleware, if there is one.
        self._spans: Any = None

    def begin(self, request: HttpRequest) -> _Begun:
        self._wiring.arrived()
        if not self._ready:
            with self._lock:
                if not self._ready:
                    self._spans = _make_spans(self._wiring)
                    self._ready = True
        excluded = traced = False
        if self._spans is not None:
            # It raises for hosts that are not allowed, which Django may never look at.
            with suppress(Exception):
                self._spans.process_request(request)
                traced = self._spans._environ_activation_key in request.META
                excluded = not traced
        if traced and request.META.get("QUERY_STRING"):
            redact_span(trace.get_current_span())
        asked = None if excluded else self._lines.request(request.method or "", _url(request))
        return _Begun(request, asked, traced)

    def end(self, begun: _Begun, response: HttpResponseBase) -> HttpResponseBase:
        request = begun.request
        error = request.__dict__.pop(_ERROR, None)
        if error is not None and not logging.getLogger(_LOGGER).isEnabledFor(logging.ERROR):
            self._report(begun, error)  # else Django has logged it
        if begun.asked is not None:
            route = getattr(request.resolver_match, "route", None)
            self._lines.response(begun.asked, response.status_code, route)
        if begun.traced:
            context = get_current()
            self._end_span(request, response, error)
            _stream_in(context, response)
        return response

    def give_up(self, begun: _Begun, error: BaseException) -> None:
        """See to a request that Django answers with an exception."""
        request = begun.request
        status_code = _CLIENT_GONE
        if isinstance(error, Exception):  # as DEBUG_PROPAGATE_EXCEPTIONS has it
            status_code = 500
            self._report(begun, error)
            if begun.asked is not None:
                route = getattr(request.resolver_match, "route", None)
                self._lines.response(begun.asked, status_code, route)
        if begun.traced:
            told = error if isinstance(error, Exception) else None
            self._end_span(request, HttpResponse(status=status_code), told)

    def _end_span(
        self, request: HttpRequest, response: HttpResponseBase, error: Exception | None
    ) -> None:
        with suppress(Exception):
            # As middlewares are asked: about the view, its error, and the answer.
            self._spans.process_view(request, None)
            if error is not None:
                self._spans.process_exception(request, error)
            self._spans.process_response(request, response)

    def _report(self, begun: _Begun, error: Exception) -> None:
        errors = self._wiring.errors()
        if errors is None:
            return
        errors.forget_if_reported(error)
        if begun.traced:  # the end of the span tells it there
            note_raised_in(error, trace.get_current_span().get_span_context())
        said = f"Internal Server Error: {begun.request.path}"
        errors.report(error, logger=_LOGGER, said=said)


def _make_spans(wiring: Wiring) -> Any:
    """Set up OpenTelemetry's middleware, and keep it from answering requests by itself."""
    if not has_instrumentation("django", "Django"):
        return None
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.django.middleware.otel_middleware import _DjangoMiddleware

    instrumentor = DjangoInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        middlewares = settings.MIDDLEWARE
        settings.MIDDLEWARE = list(middlewares)
        try:
            instrumentor.instrument(
                skip_dep_check=True,
                tracer_provider=wiring.tracer_provider,
                meter_provider=wiring.meter_provider,
            )
        finally:
            settings.MIDDLEWARE = middlewares
    # Where the program has listed it, it would begin a second span in each request.
    middleware: Any = _DjangoMiddleware
    middleware.__call__ = lambda self, request: self.get_response(request)
    is_on = middleware._tracer is not None
    return middleware(lambda request: HttpResponse()) if is_on else None


def _remember_error(request: HttpRequest | None = None, **_: Any) -> None:
    error = sys.exc_info()[1]
    if request is not None and isinstance(error, Exception):
        request.__dict__[_ERROR] = error


def _stream_in(context: Any, response: Any) -> None:
    # A file is left to the server, which may have the system send it.
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        return
    parts = response.streaming_content
    if getattr(response, "is_async", False):
        response.streaming_content = in_context(aiter(parts), context)
    else:
        response.streaming_content = InContext(iter(parts), context)


def _url(request: HttpRequest) -> str:
    try:
        return str(request.build_absolute_uri())
    except Exception:
        # A host that is not allowed.
        host = request.META.get("HTTP_HOST", "")
        return f"{request.scheme}://{host}{request.get_full_path()}"
