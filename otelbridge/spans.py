"""A span around a piece of work: a script's run, a function, what a generator does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Final, TypeVar, overload

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.util.types import AttributeValue

from otelbridge.records.exception_notes import note, noted
from otelbridge.records.values import text_of, type_name

F = TypeVar("F", bound=Callable[..., Any])

_RECORDED: Final = "_otelbridge_recorded"
_SCOPE: Final = "otelbridge.spans"
# How a generator says that it has no more.
_ENDS: Final = (StopIteration, StopAsyncIteration)
# OpenTelemetry's name for the function that a span is of.
_FUNCTION: Final = "code.function.name"


@overload
def span(function: F, /) -> F: ...
@overload
def span(
    name: str | None = None, /, attributes: Mapping[str, AttributeValue] | None = None
) -> WorkSpan: ...
def span(
    name: str | Callable[..., Any] | None = None,
    /,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Any:
    """Make a span of a block or of each call of a function.

        with otelbridge.span("nightly import"):
            ...

        @otelbridge.span
        def load(path): ...

    Decorates functions, coroutine functions, and generator functions of both kinds, whose span
    lasts from the first item to the end and is current only while they work. An exception that
    leaves nested spans is recorded in the innermost one. An exit with a code other than 0 marks
    the span as failed; it and every exception go on as if there were no span.

    Args:
        name: the span's; by default the function's qualified name.
        attributes: of the span.

    Returns:
        The decorated function; given a name or nothing, what decorates one, and is a context
        manager if it has a name. Its ``with`` gives OpenTelemetry's ``Span``.
    """
    if callable(name):
        return WorkSpan(None, {})(name)
    return WorkSpan(name, dict(attributes or {}))


class WorkSpan:
    """What :func:`span` returns: a decorator, and a context manager that may be used again."""

    def __init__(self, name: str | None, attributes: dict[str, AttributeValue]) -> None:
        """Prepare; a span begins with each ``with`` and each call."""
        self._name = name
        self._attributes = attributes
        self._entered: list[_Current] = []

    def __enter__(self) -> Span:
        """Begin a span and make it the current one.

        Raises:
            ValueError: it has no name.
        """
        if self._name is None:
            raise ValueError("a span needs a name: with otelbridge.span('nightly import')")
        entered = _Current(self._begin(self._name))
        self._entered.append(entered)
        return entered.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, frames: Any) -> None:
        """End the span."""
        current = trace.get_current_span()
        # Several threads may be in here, each in its own; and something may have left another
        # span current.
        mine = (each for each in reversed(self._entered) if each.span is current)
        entered = next(mine, self._entered[-1])
        self._entered.remove(entered)
        entered.__exit__(kind, error, frames)

    def __call__(self, function: F) -> F:
        """Decorate a function."""
        wrapped: Any = functools.wraps(function)(self._wrapper(function))
        return wrapped  # type: ignore[no-any-return]

    def _begin(self, name: str, function: str | None = None) -> Span:
        attributes = {} if function is None else {_FUNCTION: function}
        tracer = trace.get_tracer(_SCOPE)
        return tracer.start_span(name, attributes={**attributes, **self._attributes})

    def _wrapper(self, function: Callable[..., Any]) -> Callable[..., Any]:
        full_name = f"{function.__module__}.{function.__qualname__}"
        begin = functools.partial(self._begin, self._name or function.__qualname__, full_name)
        if inspect.isasyncgenfunction(function):
            return _async_generator(function, begin)
        if inspect.isgeneratorfunction(function):
            return _generator(function, begin)
        if inspect.iscoroutinefunction(function):

            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with _Current(begin()):
                    return await function(*args, **kwargs)

            return call_later

        def call(*args: Any, **kwargs: Any) -> Any:
            with _Current(begin()):
                return function(*args, **kwargs)

        return call


class _Current:
    """Makes a span current for a while, and notes on it what is raised meanwhile."""

    def __init__(self, span: Span, *, ends: bool = True) -> None:
        """Prepare to make ``span`` current, and to end it afterwards if it ``ends`` with that."""
        self.span = span
        self._ends = ends
        self._token: Any = None

    def __enter__(self) -> Span:
        self._token = attach(set_span_in_context(self.span))
        return self.span

    def __exit__(self, kind: Any, error: BaseException | None, frames: Any) -> None:
        detach(self._token)
        if error is not None and (self._ends or not isinstance(error, _ENDS)):
            _note_error(self.span, error)
        if self._ends:
            self.span.end()


def _note_error(begun: Span, error: BaseException) -> None:
    # Imported here: what is decorated may be part of a program that sends no telemetry.
    from otelbridge.errors.raised_in import raised_in

    if isinstance(error, SystemExit):
        if error.code is not None and error.code != 0:
            begun.set_status(Status(StatusCode.ERROR, f"exit: {text_of(error)}"))
    elif isinstance(error, Exception):
        if noted(error, _RECORDED) is None and raised_in(error) is None:
            begun.record_exception(error)
            note(error, _RECORDED, True)
        described = f"{type_name(type(error))}: {text_of(error)}"
        begun.set_status(Status(StatusCode.ERROR, described))


def _generator(
    function: Callable[..., Any], begin: Callable[[], Span]
) -> Callable[..., Generator[Any, Any, Any]]:
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        begun = begin()
        try:
            inner = function(*args, **kwargs)
            step = functools.partial(next, inner)
            while True:
                try:
                    with _Current(begun, ends=False):
                        item = step()
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield item
                except GeneratorExit:
                    with _Current(begun, ends=False):
                        inner.close()
                    raise
                except BaseException as thrown:
                    step = functools.partial(inner.throw, thrown)
                else:
                    step = functools.partial(inner.send, sent)
        finally:
            begun.end()

    return generate


def _async_generator(
    function: Callable[..., Any], begin: Callable[[], Span]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        begun = begin()
        try:
            inner = function(*args, **kwargs)
            step = inner.__anext__
            while True:
                try:
                    with _Current(begun, ends=False):
                        item = await step()
                except StopAsyncIteration:
                    return
                try:
                    sent = yield item
                except GeneratorExit:
                    with _Current(begun, ends=False):
                        await inner.aclose()
                    raise
                except BaseException as thrown:
                    step = functools.partial(inner.athrow, thrown)
                else:
                    step = functools.partial(inner.asend, sent)
        finally:
            begun.end()

    return generate
