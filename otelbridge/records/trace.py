"""Which span a log record belongs to."""

from __future__ import annotations

import logging
import sys


def trace_ids(record: logging.LogRecord) -> tuple[str, str] | None:
    """Return the trace id and the span id of a record, in hexadecimal.

    What OpenTelemetry's logging instrumentation has written on the record wins, since the record
    may have changed threads in the meantime; else it is the span that is current here and now.

    Returns:
        32 and 16 characters, or ``None`` where no span is current.
    """
    written = record.__dict__.get("otelTraceID")
    if isinstance(written, str) and len(written) == 32:
        return written, str(record.__dict__.get("otelSpanID", ""))
    # Where nobody has imported the API there can be no span, and no reason to import it.
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    try:
        current = sys.modules["opentelemetry.context"].get_current()
        if not current:
            return None
        context = api.get_current_span(current).get_span_context()
        if not context.is_valid:
            return None
        return f"{context.trace_id:032x}", f"{context.span_id:016x}"
    except Exception:
        # A tracing library's fault (a span of somebody's own class) must not cost the record; nor
        # must the API, while another thread is importing it.
        return None
