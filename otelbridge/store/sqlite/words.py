"""The words of a record, as the full-text index holds them.

Both functions take what can be read back from a row, so that the index entry of a row that expires
can be taken out again: a contentless index is told the same words once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    return value_words(
        attributes, log_head_words(severity_number, service, logger, event_name), body
    )


def log_head_words(severity_number: int, service: str | None, logger: str, event_name: str) -> str:
    """What :func:`log_words` says of a log besides its message and its attributes."""
    texts = (severity_word(severity_number), service, logger, event_name)
    return "\n".join([text for text in texts if text])


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
    for event in events:
        texts.append(event.name)
        texts.append(value_words(event.attributes))
    return value_words(attributes, *texts)


def value_words(attributes: Attributes, *others: Json) -> str:
    """The text indexed for ``others`` and every value of ``attributes``."""
    texts: list[str] = []
    for value in others:
        if type(value) is str:
            texts.append(value)
        else:
            _add(texts, value)
    if type(attributes.get(schema.RECORD_UID)) is str:
        attributes = {k: v for k, v in attributes.items() if k != schema.RECORD_UID}
    for value in attributes.values():
        if type(value) is str:
            texts.append(value)
        elif type(value) is int:
            texts.append(str(value))
        else:
            _add(texts, value)
    return "\n".join(texts)


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
