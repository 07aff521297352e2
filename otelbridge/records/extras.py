"""What the caller put into ``extra=`` of a logging call."""

from __future__ import annotations

import logging
from typing import Any, Final

from otelbridge.records.uid import UID_ATTRIBUTE

# ``message`` and ``asctime`` are set by formatters. ``taskName`` is among the rest from Python
# 3.12 on; before that it is the caller's own.
STANDARD_ATTRIBUTES: Final = frozenset(
    {*logging.LogRecord("", 0, "", 0, "", None, None).__dict__, "message", "asctime"}
)

# Set on every record by OpenTelemetry's logging instrumentation; they repeat trace.id and span.id.
_INSTRUMENTATION_ATTRIBUTES = frozenset(
    {"otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName"}
)

_NOT_EXTRA = STANDARD_ATTRIBUTES | _INSTRUMENTATION_ATTRIBUTES | {UID_ATTRIBUTE}


def extra_fields(record: logging.LogRecord) -> dict[Any, Any]:
    """Return the caller's ``extra`` keys of a record, with their values as they are.

    Keys are whatever the caller used, most often text; :func:`otelbridge.records.values.json_key`
    makes text of any other. Keys that begin with an underscore are the caller's too.
    """
    attributes = record.__dict__
    if len(attributes) <= len(STANDARD_ATTRIBUTES) - 2:
        return {}
    return {key: value for key, value in attributes.items() if key not in _NOT_EXTRA}
