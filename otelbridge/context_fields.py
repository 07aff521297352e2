"""Fields for everything that happens in a scope: a request, a job, a block of code."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from opentelemetry.context import attach, get_current, get_value, set_value
from opentelemetry.trace import get_current_span

from otelbridge.imports import when_imported
from otelbridge.records.exception_notes import note
from otelbridge.records.scope_fields import RAISED_WITH, look_up_by
from otelbridge.records.values import json_value

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_KEY: Final = "otelbridge.fields"
# Where a thread keeps those that it was started with.
_STARTED_WITH: Final = "_otelbridge_fields"
_NONE: Final[Mapping[str, Any]] = {}

P = ParamSpec("P")
R = TypeVar("R")


class fields:  # noqa: N801
    """Puts fields on every log record and span of a block of code, or of a function's calls.

        with otelbridge.fields(user=user.name, order=order.id):
            ...

        @otelbridge.fields(job="nightly")
        def main(): ...

    They hold in whatever the block calls, in asyncio tasks and threads it starts and in what it
    gives to a thread pool, and also for an exception that leaves it, wherever that is logged. Inner
    blocks add to outer ones and win over them; a record's own ``extra`` and a span's own attributes
    win over both.

    Values are taken as they are when the block begins.
    """

    def __init__(self, /, **fields: Any) -> None:
        """Take fields; names that are no Python names go in as ``**{"order.id": 7}``."""
        self._fields = {name: json_value(value, sys.maxsize) for name, value in fields.items()}
        self._tokens: list[Token[Context]] = []

    def __enter__(self) -> None:
        """Let the fields hold from here on."""
        self._tokens.append(_add(self._fields))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Let those hold again that held before."""
        if exception is not None:
            note(exception, RAISED_WITH, current_fields())
        token = self._tokens.pop()
        try:
            token.var.reset(token)
        except ValueError:
            # A generator that was given up is ended elsewhere, where its fields do not hold.
            return

    def __call__(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Decorate a function or coroutine function; each call has the fields.

        Raises:
            TypeError: for a generator function. Its body is run from several places, whose fields
                it would change; use ``with`` around the parts of it that are to have them.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__qualname__} is a generator: use `with fields(...)` in it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with fields(**self._fields):
                    return await function(*args, **kwargs)

            return call_later  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with fields(**self._fields):
                return function(*args, **kwargs)

        return call


def bind_fields(**fields: Any) -> None:
    """Put fields on what follows in this request: on its log records and on its spans.

    They hold from here on as those of :class:`fields` do, until the innermost block, span or
    request ends that this is called in, and stand on the span that is current too. Where there is
    neither, they hold as long as the thread or the task.
    """
    plain = {name: json_value(value, sys.maxsize) for name, value in fields.items()}
    _add(plain)
    span = get_current_span()
    if span.is_recording():
        for name, value in plain.items():
            _set(span, name, value)


def current_fields(context: Context | None = None) -> Mapping[str, Any]:
    """Return the fields that hold here and now, or in a context.

    Args:
        context: of OpenTelemetry; the current one by default.
    """
    found = get_value(_KEY, context)
    if found is None:
        found = threading.current_thread().__dict__.get(_STARTED_WITH)
    return found if isinstance(found, dict) else _NONE


def put_on_span(span: Any, context: Context | None) -> None:
    """Put the fields that hold in a context on a span that begins in it."""
    for name, value in current_fields(context).items():
        if name not in (span.attributes or ()):
            _set(span, name, value)


def _add(added: dict[str, Any]) -> Token[Context]:
    _follow()
    return attach(set_value(_KEY, {**current_fields(), **added}))


def _set(span: Span, name: str, value: Any) -> None:
    """Set an attribute; spans have none that are objects, mixed lists or nothing."""
    if isinstance(value, (dict, list)):
        import orjson

        value = orjson.dumps(value).decode()
    if value is not None:
        span.set_attribute(name, value)


# --- into threads ---------------------------------------------------------------------------------


@functools.cache
def _follow() -> None:
    """Look fields up from now on, and give them to threads; the first use of any calls this."""
    look_up_by(current_fields)
    _follow_threads()
    when_imported("concurrent.futures.thread", _follow_pools)


def _follow_threads() -> None:
    """Note on each thread the fields that it is started with.

    They are looked up there and nothing of ours runs in the thread, so that none of its tracebacks
    shows it.
    """
    start = threading.Thread.start

    @functools.wraps(start)
    def start_with_fields(thread: threading.Thread) -> None:
        held = current_fields()
        if held:
            thread.__dict__.setdefault(_STARTED_WITH, held)
        start(thread)

    threading.Thread.start = start_with_fields  # type: ignore[method-assign, assignment]


def _follow_pools() -> None:
    """Give each call of a thread pool the fields that held where it was submitted, and no others.

    By the object that a pool's thread runs and that catches what the call raises: in between, a
    function of ours would stand in the tracebacks.
    """
    from concurrent.futures import thread

    item: Any = thread._WorkItem
    make, run = item.__init__, item.run

    @functools.wraps(make)
    def make_with_fields(work: Any, *args: Any, **kwargs: Any) -> None:
        make(work, *args, **kwargs)
        work._otelbridge_fields = current_fields()

    @functools.wraps(run)
    def run_with_fields(work: Any, *args: Any, **kwargs: Any) -> None:
        held = work.__dict__.pop(_STARTED_WITH, _NONE)
        token = attach(set_value(_KEY, held, get_current()))
        try:
            run(work, *args, **kwargs)
        finally:
            token.var.reset(token)

    item.__init__, item.run = make_with_fields, run_with_fields
