"""OpenTelemetry's current context by the shortest way: what its functions do, call by call."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Final

import opentelemetry.context as api
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN, Span
from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

__all__ = ["SPAN_KEY", "attach", "detach", "get_current", "span_in"]

get_current: Callable[[], Context] = api.get_current
attach: Callable[[Context], Token[Context]] = api.attach
_reset: Callable[[Token[Context]], None] | None = None

if type(api._RUNTIME_CONTEXT) is ContextVarsRuntimeContext:
    # Without the three functions in between; a program may have chosen another kind of context.
    _variable: Final = api._RUNTIME_CONTEXT._current_context
    get_current, attach, _reset = _variable.get, _variable.set, _variable.reset


def detach(token: Token[Context]) -> None:
    """Make the context current again that :func:`attach` has replaced."""
    if _reset is not None:
        try:
            _reset(token)
        except (ValueError, RuntimeError):
            pass  # it is said below
        else:
            return
    api.detach(token)


def span_in(context: Context) -> Span | None:
    """Return the span in a context; ``None`` if there is none."""
    found = context.get(SPAN_KEY)
    if found is None or found is INVALID_SPAN or not isinstance(found, Span):
        return None
    return found
