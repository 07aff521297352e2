"""Journalling the calls of functions: who called which, with what, and what came of it."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType
from typing import Any, Final, TypeVar, cast, overload

from otelbridge.records.redaction import MASK, is_secret, redact_text
from otelbridge.records.variables import written

F = TypeVar("F", bound=Callable[..., Any])

# Frames from the line that logs to the one that called: through _Call.__init__, or its end.
_BEGUN: Final = 4
_ENDED: Final = 5


@overload
def log_calls(function: F, /) -> F: ...
@overload
def log_calls(
    *,
    logger: logging.Logger | str | None = None,
    level: int = logging.DEBUG,
    result: bool = True,
) -> Callable[[F], F]: ...
def log_calls(
    function: Callable[..., Any] | None = None,
    /,
    *,
    logger: logging.Logger | str | None = None,
    level: int = logging.DEBUG,
    result: bool = True,
) -> Any:
    """Log each call of a function: one record when it begins and one when it ends.

    Decorates functions and methods, coroutine functions, and generator functions of both kinds.
    The first record has ``call.function``, ``call.caller`` (its place) and ``call.arguments``; the
    second ``event.outcome``, ``event.duration`` (nanoseconds; ECS) and ``call.result``. Arguments
    that are secret by their name are masked, others cut to a few hundred characters; no code of
    theirs is called to write them. Where the logger is not enabled for the level, a call costs one
    look at that.

    Args:
        function: the function, where the decorator is used without parentheses.
        logger: where to log; by default the logger named after the function's module.
        level: at which to log.
        result: whether the result is logged too.
    """
    if function is None:
        return functools.partial(_decorate, logger=logger, level=level, result=result)
    return _decorate(function, logger=logger, level=level, result=result)


def _decorate(
    function: Callable[..., Any],
    *,
    logger: logging.Logger | str | None,
    level: int,
    result: bool,
) -> Callable[..., Any]:
    target = logger if isinstance(logger, logging.Logger) else None
    if target is None:
        target = logging.getLogger(cast("str | None", logger) or function.__module__)
    journal = _Journal(function, target, level, result)
    return functools.wraps(function)(_wrapper(function, journal))


class _Journal:
    """What is the same for every call of a function."""

    def __init__(
        self, function: Callable[..., Any], logger: logging.Logger, level: int, result: bool
    ) -> None:
        self.logger, self.level, self.result = logger, level, result
        self.name = f"{function.__module__}.{function.__qualname__}"
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):
            self._signature = None  # a built-in function may not tell

    @property
    def wanted(self) -> bool:
        return self.logger.isEnabledFor(self.level)

    def arguments(self, given: tuple[Any, ...], named: dict[str, Any]) -> dict[str, str]:
        """Write the arguments by the names of their parameters."""
        try:
            bound = self._signature.bind(*given, **named).arguments if self._signature else {}
        except TypeError:
            bound = {}  # the call itself is about to raise
        if not bound:
            bound = {**{str(place): value for place, value in enumerate(given)}, **named}
        return {name: self._argument(name, value) for name, value in bound.items()}

    def _argument(self, name: str, value: Any) -> str:
        parameter = self._signature.parameters.get(name) if self._signature else None
        if parameter is not None and parameter.kind is inspect.Parameter.VAR_KEYWORD:
            members = (f"{key}={self._argument(key, member)}" for key, member in value.items())
            return f"{{{', '.join(members)}}}"
        return MASK if is_secret(name) else redact_text(written(value))


class _Call:
    """One call, from its beginning to its end."""

    def __init__(
        self,
        journal: _Journal,
        given: tuple[Any, ...],
        named: dict[str, Any],
        caller: FrameType | None,
    ) -> None:
        self._journal = journal
        self.result: Any = None
        place = "the interpreter"
        if caller is not None:
            place = f"{caller.f_code.co_name}:{caller.f_lineno}"
        self._fields = {"call.function": journal.name, "call.caller": place}
        arguments = journal.arguments(given, named)
        shown = ", ".join(f"{name}={text}" for name, text in arguments.items())
        said = f"{journal.name}({shown}) called by {place}"
        self._log(said, {"call.arguments": arguments}, _BEGUN)
        self._begun = time.perf_counter_ns()

    def __enter__(self) -> _Call:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if error is None:
            result = redact_text(written(self.result)) if self._journal.result else None
            fields = {} if result is None else {"call.result": result}
            self._end(" returned" if result is None else f" returned {result}", "success", fields)
        elif kind is GeneratorExit:
            self._end(" was closed", "unknown", {})
        else:
            fields = {"error.type": type(error).__qualname__}
            self._end(f" raised {redact_text(_written_error(error))}", "failure", fields)

    def _end(self, what: str, outcome: str, fields: dict[str, Any]) -> None:
        duration = time.perf_counter_ns() - self._begun
        self._log(
            f"{self._journal.name}{what} after {duration / 1e6:.3f} ms",
            {"event.outcome": outcome, "event.duration": duration, **fields},
            _ENDED,
        )

    def _log(self, message: str, fields: dict[str, Any], frames: int) -> None:
        journal = self._journal
        extra = {**self._fields, **fields}
        journal.logger.log(journal.level, "%s", message, extra=extra, stacklevel=frames)


def _written_error(error: BaseException) -> str:
    """Write an exception in a few hundred characters, as its type and what it says."""
    try:
        text = str(error)
    except Exception:
        text = "…[unprintable]"
    return f"{type(error).__qualname__}: {text[:300]}" if text else type(error).__qualname__


def _wrapper(function: Callable[..., Any], journal: _Journal) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return _async_generator_wrapper(function, journal)
    if inspect.iscoroutinefunction(function):
        return _coroutine_wrapper(function, journal)
    if inspect.isgeneratorfunction(function):
        return _generator_wrapper(function, journal)

    def call(*given: Any, **named: Any) -> Any:
        if not journal.wanted:
            return function(*given, **named)
        with _Call(journal, given, named, sys._getframe().f_back) as one:
            one.result = function(*given, **named)
        return one.result

    return call


def _coroutine_wrapper(function: Callable[..., Any], journal: _Journal) -> Callable[..., Any]:
    async def call(*given: Any, **named: Any) -> Any:
        if not journal.wanted:
            return await function(*given, **named)
        with _Call(journal, given, named, sys._getframe().f_back) as one:
            one.result = await function(*given, **named)
        return one.result

    return call


def _generator_wrapper(function: Callable[..., Any], journal: _Journal) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Generator[Any, Any, Any]:
        if not journal.wanted:
            return (yield from function(*given, **named))
        with _Call(journal, given, named, sys._getframe().f_back) as one:
            one.result = yield from function(*given, **named)
        return one.result

    return call


def _async_generator_wrapper(function: Callable[..., Any], journal: _Journal) -> Callable[..., Any]:
    async def call(*given: Any, **named: Any) -> AsyncGenerator[Any, Any]:
        one: AbstractContextManager[Any] = nullcontext()
        if journal.wanted:
            one = _Call(journal, given, named, sys._getframe().f_back)
        inner = function(*given, **named)
        with one, suppress(StopAsyncIteration):
            item = await inner.__anext__()
            while True:
                try:
                    sent = yield item
                except GeneratorExit:  # noqa: PERF203 (a generator is passed on step by step)
                    await inner.aclose()
                    raise
                except BaseException as error:
                    item = await inner.athrow(error)
                else:
                    item = await inner.asend(sent)

    return call
