"""The parts of a streamed response, made in the request's trace though its span has ended."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from opentelemetry.context import Context


class InContext:
    """An iterator that works in a context, without leaving it behind for who asks for parts."""

    def __init__(self, parts: Iterator[Any], context: Context) -> None:
        """Make the parts of ``parts`` in ``context``."""
        self._parts, self._context = parts, context

    def __iter__(self) -> InContext:
        """Return itself."""
        return self

    def __next__(self) -> Any:
        """Make the next part."""
        with _attached(self._context):
            return next(self._parts)

    def close(self) -> None:
        """Close what makes the parts."""
        close = getattr(self._parts, "close", None)
        if close is not None:
            with _attached(self._context):
                close()


async def in_context(parts: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    """Make parts in a context, one by one."""
    try:
        while True:
            with _attached(context):
                try:
                    part = await anext(parts)
                except StopAsyncIteration:
                    return
            yield part
    finally:
        close = getattr(parts, "aclose", None)
        if close is not None:
            with _attached(context):
                await close()


@contextmanager
def _attached(context: Context) -> Iterator[None]:
    if trace.get_current_span() is trace.get_current_span(context):
        yield
        return
    token = attach(context)
    try:
        yield
    finally:
        detach(token)
