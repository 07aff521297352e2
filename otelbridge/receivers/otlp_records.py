"""The rules every decoded record passes, whichever encoding brought it.

Both decoders hand raw fields to the functions here, so that one record sent as protobuf and as
JSON is stored as the same thing. Follows the OpenTelemetry logs, trace and metrics data models.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b

from otelbridge.model import Attributes, Json, LogRecord, Scope, Span, SpanEvent, SpanLink
from otelbridge.receivers.decoded import Decoded
from otelbridge.schema import RECORD_UID, SEVERITY_NUMBERS

# The store's integers are signed: times end in April 2262.
TIME_END = 2**63
MAX_DEPTH = 64
CUT = f"…[cut: nested deeper than {MAX_DEPTH} levels]"

# Stands for an id that the JSON encoding did not write in hexadecimal.
NOT_HEX = b"?"

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def finite(number: float) -> float | str:
    """Name what JSON has no number for, as protobuf's JSON mapping does."""
    if math.isfinite(number):
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def take_uid(attributes: Attributes) -> bytes | None:
    """Find a record's unique id.

    A UUID, with or without hyphens, becomes its bytes and leaves the attributes. Any other text
    stays there, and its hash serves as the id.
    """
    text = attributes.get(RECORD_UID)
    if not isinstance(text, str) or not text:
        return None
    if len(text) == 32:
        # The usual form, ours, without the pattern's cost.
        try:
            uid = bytes.fromhex(text)
        except ValueError:
            uid = b""
        if len(uid) == 16:
            del attributes[RECORD_UID]
            return uid
    elif _UUID.fullmatch(text):
        del attributes[RECORD_UID]
        return bytes.fromhex(text.replace("-", ""))
    return blake2b(text.encode(), digest_size=16).digest()


def add_log(
    decoded: Decoded,
    time: int,
    observed: int,
    number: int,
    text: str,
    body: Json,
    attributes: Attributes,
    trace_id: bytes,
    span_id: bytes,
    flags: int,
    event_name: str,
    resource: Attributes,
    scope: Scope,
    now: int,
) -> None:
    """Add one log record, or say why not.

    Args:
        time, observed, now: nanoseconds since the epoch; 0 where not given.
        trace_id, span_id: empty where not given; of the wrong length they are left out.
    """
    if time >= TIME_END or observed >= TIME_END:
        which, value = (
            ("time_unix_nano", time) if time >= TIME_END else ("observed_time_unix_nano", observed)
        )
        decoded.reject("invalid_time", f"log record: {_late(which, value)}")
        return
    trace: bytes | None = trace_id
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        if trace_id and trace_id != _NO_TRACE:
            decoded.warn("invalid_id", _wrong_id("log record: trace_id", trace_id, 16))
        trace = None
    span: bytes | None = span_id
    if len(span_id) != 8 or span_id == _NO_SPAN:
        if span_id and span_id != _NO_SPAN:
            decoded.warn("invalid_id", _wrong_id("log record: span_id", span_id, 8))
        span = None
    if not 1 <= number <= 24:
        number = SEVERITY_NUMBERS.get(text.upper(), 0) if number <= 0 else 24
    decoded.batch.logs.append(
        LogRecord(
            time or observed or now,
            body,
            attributes,
            resource,
            scope,
            observed,
            number,
            text,
            trace,
            span,
            flags,
            event_name,
            take_uid(attributes) if RECORD_UID in attributes else None,
        )
    )


def add_span(
    decoded: Decoded,
    start: int,
    end: int,
    trace_id: bytes,
    span_id: bytes,
    parent_span_id: bytes,
    name: str,
    kind: int,
    status_code: int,
    status_message: str,
    attributes: Attributes,
    events: list[SpanEvent],
    links: list[SpanLink],
    flags: int,
    trace_state: str,
    resource: Attributes,
    scope: Scope,
    now: int,
) -> None:
    """Add one span, or say why not: its ids and its times must be usable."""
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        decoded.reject("invalid_id", _wrong_id(f"span {name[:80]!r}: trace_id", trace_id, 16))
        return
    if len(span_id) != 8 or span_id == _NO_SPAN:
        decoded.reject("invalid_id", _wrong_id(f"span {name[:80]!r}: span_id", span_id, 8))
        return
    if start >= TIME_END or end >= TIME_END:
        which, value = (
            ("start_time_unix_nano", start) if start >= TIME_END else ("end_time_unix_nano", end)
        )
        decoded.reject("invalid_time", f"span {name[:80]!r}: {_late(which, value)}")
        return
    parent: bytes | None = parent_span_id
    if len(parent_span_id) != 8 or parent_span_id == _NO_SPAN:
        if parent_span_id and parent_span_id != _NO_SPAN:
            decoded.warn(
                "invalid_id", _wrong_id(f"span {name[:80]!r}: parent_span_id", parent_span_id, 8)
            )
        parent = None
    # Without a start the end is all that is known of when it happened.
    start = start or end or now
    decoded.batch.spans.append(
        Span(
            start,
            max(end - start, 0),
            trace_id,
            span_id,
            name,
            attributes,
            resource,
            scope,
            parent,
            kind if 0 <= kind <= 5 else 0,
            status_code if 0 <= status_code <= 2 else 0,
            status_message,
            events,
            links,
            flags,
            trace_state,
        )
    )


def add_event(
    decoded: Decoded, events: list[SpanEvent], time: int, name: str, attributes: Attributes
) -> None:
    """Add one of a span's events; an unusable time loses the event, not the span."""
    if time >= TIME_END:
        decoded.warn("invalid_time", f"span event {name[:80]!r}: {_late('time_unix_nano', time)}")
        return
    events.append(SpanEvent(time, name, attributes))


def add_link(
    decoded: Decoded,
    links: list[SpanLink],
    trace_id: bytes,
    span_id: bytes,
    attributes: Attributes,
) -> None:
    """Add one of a span's links; an unusable id loses the link, not the span."""
    if len(trace_id) != 16 or trace_id == _NO_TRACE:
        decoded.warn("invalid_id", _wrong_id("span link: trace_id", trace_id, 16))
    elif len(span_id) != 8 or span_id == _NO_SPAN:
        decoded.warn("invalid_id", _wrong_id("span link: span_id", span_id, 8))
    else:
        links.append(SpanLink(trace_id, span_id, attributes))


def _wrong_id(what: str, value: bytes, size: int) -> str:
    if value is NOT_HEX:
        return f"{what} is not {2 * size} hexadecimal digits"
    if len(value) == size:
        return f"{what} is all zeros"
    return f"{what} has {len(value)} bytes instead of {size}"


def _late(which: str, value: int) -> str:
    return f"{which} is {value}, after 2262-04-11, the latest time that can be stored"
