"""A log record of Python's, written as OTLP in one pass where there is nothing to look into.

That is nearly every record: a text that is formatted, and ``extra`` keys with texts and numbers.
Everything else, an exception or a nested value or what may be a secret, is left to
:mod:`otelbridge.sinks.otlp_logging`, which would make the same bytes of these in twice the time.
"""

from __future__ import annotations

import logging
import struct
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from otelbridge.records.exceptions import EXCEPTION_ATTRIBUTE
from otelbridge.records.extras import EVENT_ATTRIBUTE, extra_names
from otelbridge.records.redaction import is_secret, may_hold_secret, when_names_change
from otelbridge.records.scope_fields import FIELDS_ATTRIBUTE
from otelbridge.records.uid import UID_ATTRIBUTE, record_uid
from otelbridge.schema import ORIGIN_ATTRIBUTES, RECORD_UID
from otelbridge.sinks.otlp_values import TEXT_LENGTHS, any_value, field, head_of, tags
from otelbridge.sinks.otlp_wire import UID_HEAD, origin_attributes, record_field, span_ids

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from otelbridge.delivery.taken_record import Origin

# Of text in one record: some ten microseconds' work. Where there is more, another thread does it.
MOST_CHARS: Final = 4_096
_TIMES: Final = struct.Struct("<BQ").pack
_ATTRIBUTES: Final = tags(b"\x32")
# A body that is a short text: its field, that of the text in it, and both lengths.
_BODIES: Final = tuple(b"\x2a" + lengths for lengths in TEXT_LENGTHS)
# Of a small number: the length of its value, the value's tag, and itself.
_SMALL: Final = tuple(field(b"", any_value(number)) for number in range(1_000))
# What makes a record one that is looked at more closely.
_NOTED: Final = frozenset({EVENT_ATTRIBUTE, EXCEPTION_ATTRIBUTE})
_OWN_NAMES: Final = ORIGIN_ATTRIBUTES | {RECORD_UID}


def write_plain_log(
    record: logging.LogRecord,
    severity: bytes,
    context: SpanContext,
    origin: Origin,
    max_chars: int,
) -> bytes | None:
    """Write a log record, as the field that it is in its scope's group.

    Args:
        record: as logging hands it out.
        severity: its severity, written.
        context: of the span that is current.
        origin: its call site and thread.
        max_chars: the longest text of one value, in characters.

    Returns:
        ``None`` where that is not to be done here.

    Raises:
        Exception: for the same reason.
    """
    known = record.__dict__
    names = _names(tuple(known))
    message: Any = record.msg
    if (
        names is None
        or type(message) is not str
        or type(record) is not logging.LogRecord
        or record.exc_info
        or record.exc_text
        or record.stack_info
        or known.get(FIELDS_ATTRIBUTE)
    ):
        return None
    if record.args:
        message = message % record.args
    content = message.encode()
    size = len(content)
    parts = [
        _TIMES(0x09, round(record.created * 1e9)),
        severity,
        _BODIES[size] + content if size < 126 else field(b"\x2a", any_value(message)),
    ]
    text = message
    for name, head, around in names:
        value = known[name]
        kind = type(value)
        if kind is str:
            text += "\n" + value
            content = value.encode()
            size = len(content)
            if around + size < 0x80:
                parts.append(_ATTRIBUTES[around + size] + head + TEXT_LENGTHS[size] + content)
                continue
            content = any_value(value)
        elif kind is int and 0 <= value < 1_000 and around < 0x7F:
            content = _SMALL[value]
            parts.append(_ATTRIBUTES[around - 3 + len(content)] + head + content)
            continue
        elif kind is int or kind is bool or (kind is float and value - value == 0.0):
            content = any_value(value)
        else:
            return None
        parts.append(field(b"\x32", field(head, content)))
    if len(text) > MOST_CHARS or len(text) > max_chars or may_hold_secret(text):
        return None
    parts += (
        UID_HEAD + (known.get(UID_ATTRIBUTE) or record_uid(record)).encode(),
        origin.written or origin_attributes(origin),
        span_ids(context),
        _TIMES(0x59, time_ns()),
    )
    return record_field(b"".join(parts))


@lru_cache(maxsize=1024)
def _names(attributes: tuple[Any, ...]) -> tuple[tuple[str, bytes, int], ...] | None:
    """Find the caller's names among a record's attributes.

    Returns:
        Each with what its pair begins with, and how many bytes stand around a text's own in a pair.
        ``None`` where one of the attributes is to be looked at more closely.
    """
    extra = extra_names(attributes)
    if extra is None or not _NOTED.isdisjoint(attributes):
        return None
    for name in extra:
        if not name or not name.isascii() or name in _OWN_NAMES or is_secret(name):
            return None
    heads = [(name, head_of(name)) for name in extra]
    return tuple((name, head, len(head) + 3) for name, head in heads)


when_names_change(_names.cache_clear)
