"""A span written as OTLP in one pass where there is nothing to look into.

That is nearly every span: its attributes are texts and numbers, nothing happened to it, and nothing
looks like a secret. Of everything else :mod:`otelbridge.sinks.otlp_wire` makes the same bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes

from otelbridge.records.redaction import is_secret, may_hold_secret, when_names_change
from otelbridge.sinks.otlp_values import any_value, field, head_of
from otelbridge.sinks.otlp_wire import record_field, span_kind, span_status, text_field

# Of the text of one value; longer ones are not worth their place in memory.
_MOST_CHARS: Final = 1_024
_IDS: Final = struct.Struct(">2sQQ2sQ").pack
_PARENT: Final = struct.Struct(">2sQ").pack
_TIMES: Final = struct.Struct("<BQBQ").pack
# ``SpanFlags``: it is known whether the parent's context is remote, and it is not, or is.
_FLAGS: Final = (b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00")
_LOW: Final = 2**64 - 1
# Of these, two that are equal are written the same.
_KINDS: Final = frozenset({str, int})


def write_plain_span(span: Any) -> bytes:
    """Write a span, as the field that it is in its scope's group.

    Args:
        span: of the SDK, when it has ended.

    Raises:
        Exception: that is not to be done here.
    """
    attributes, events, links = span._attributes, span._events, span._links
    trace_id, span_id, _, _, states, _ = span._context
    parent = span._parent
    # Its own methods take a lock for each key.
    plain = attributes._dict if type(attributes) is BoundedAttributes else None
    if (
        plain is None
        or attributes.dropped
        or (events != () and (events or events.dropped))
        or (links != () and (links or links.dropped))
        or states
        or span._status._description is not None
        or not _KINDS.issuperset(map(type, plain.values()))
    ):
        raise ValueError("a span that is to be looked into")
    return record_field(
        b"".join(
            (
                _IDS(b"\x0a\x10", trace_id >> 64, trace_id & _LOW, b"\x12\x08", span_id),
                _PARENT(b"\x22\x08", parent.span_id) if parent else b"",
                _name(span._name),
                span_kind(span._kind),
                _TIMES(0x39, span._start_time, 0x41, span._end_time),
                *map(_pair, plain, plain.values()),
                span_status(span._status._status_code),
                _FLAGS[parent.is_remote if parent else 0],
            )
        ),
    )


# Nearly all of what spans say, they say again and again; it is looked through once.
@lru_cache(maxsize=2048)
def _pair(key: str, value: str | int) -> bytes:
    if is_secret(key):
        raise ValueError("a secret by its name")
    if type(value) is str:
        _check(value)
    return field(b"\x4a", field(head_of(key), any_value(value)))


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    _check(name)
    return text_field(b"\x2a", name)


def _check(text: str) -> None:
    if len(text) > _MOST_CHARS or may_hold_secret(text):
        raise ValueError("a text that is to be looked into")


when_names_change(_pair.cache_clear)
when_names_change(_name.cache_clear)
