"""The words of a record, as the full-text index holds them.

Both functions take what can be read back from a row, so that the index entry of a row that expires
can be taken out again: a contentless index is told the same words once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from otelbridge import schema
from otelbridge.model import Attributes, Json, SpanEvent

# A word that no one types: it lets the index alone count matches by level.
SEVERITY_WORD = "_severity_"


def severity_word(number: int) -> str:
    """The word that every log of a severity number carries."""
    return f"{SEVERITY_WORD}{number}"


def log_words(
    *,
    body: Json,
    attributes: Attributes,
    severity_number: int,
    service: str | None,
    logger: str,
    event_name: str,
) -> str:
    """The text indexed for a log: its message, every value, service, logger and event name.

    Args:
        attributes: all of them, the call site's too; the record's uid is left out.
    """
    texts = [severity_word(severity_number)]
    if service:
        texts.append(service)
    if logger:
        texts.append(logger)
    if event_name:
        texts.append(event_name)
    _add(texts, body)
    _add_values(texts, attributes)
    return "\n".join(texts)


def span_words(
    *,
    name: str,
    attributes: Attributes,
    service: str | None,
    status_message: str,
    events: Sequence[SpanEvent],
) -> str:
    """The text indexed for a span: its name, every value, service, status message and events."""
    texts = [name]
    if service:
        texts.append(service)
    if status_message:
        texts.append(status_message)
    _add_values(texts, attributes)
    for event in events:
        texts.append(event.name)
        _add_values(texts, event.attributes)
    return "\n".join(texts)


def _add_values(texts: list[str], attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        if type(value) is str:
            if key != schema.RECORD_UID:
                texts.append(value)
        else:
            _add(texts, value)


def _add(texts: list[str], value: Json) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, bool):
        texts.append("true" if value else "false")
    elif isinstance(value, int):
        texts.append(str(value))
    elif isinstance(value, float):
        if math.isfinite(value):
            texts.append(repr(value))
    elif isinstance(value, dict):
        for item in value.values():
            _add(texts, item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _add(texts, item)
