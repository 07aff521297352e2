"""In which span an exception was raised: by the time nobody has caught it, the span has ended."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanContext

from otelbridge.delivery.lean_span import OwnSpanProcessor
from otelbridge.records.exception_notes import note, noted
from otelbridge.records.values import type_name

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

RAISED_IN: Final = "_otelbridge_raised_in"


class RaisedIn(OwnSpanProcessor):
    """Notes on an exception the innermost span that it ended."""

    needs_events = True

    def on_end(self, span: ReadableSpan) -> None:
        """Note the span, if it ends because of an exception that is on its way right now."""
        exception = sys.exc_info()[1]
        if exception is None or span.context is None or not span.events:
            return
        recorded = span.events[-1]
        # A span may end well while an exception is being handled further out.
        if recorded.name != "exception" or (recorded.attributes or {}).get(
            "exception.type"
        ) != type_name(type(exception)):
            return
        note_raised_in(exception, span.context)


def note_raised_in(exception: BaseException, span: SpanContext) -> None:
    """Note the span that an exception ended, unless one further in is noted already."""
    note(exception, RAISED_IN, span)


def raised_in(exception: BaseException) -> SpanContext | None:
    """Return the span in which an exception was raised, if it ended one."""
    found = noted(exception, RAISED_IN)
    return found if isinstance(found, SpanContext) else None
