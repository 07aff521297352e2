"""Records to store, and a store opened for a test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from otelbridge import schema
from otelbridge.model import (
    Batch,
    LogRecord,
    MetricPoint,
    Scope,
    Span,
    SpanEvent,
    SpanLink,
)
from otelbridge.store.protocol import TimeRange
from otelbridge.store.sqlite import SQLiteStore

# 2026-11-21 12:00:00 UTC, a whole number of every roll-up step.
NOON = 1_795_262_400 * 10**9
SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
EVER = TimeRange(0, 2**63 - 1)
RESOURCE = {"service.name": "shop", "service.instance.id": "shop-1"}


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = NOON / 1e9) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class OpenStore(SQLiteStore):
    """A store whose asynchronous methods a plain test calls through ``run``."""

    def run(self, awaitable):
        return self._test_loop.run_until_complete(asyncio.wait_for(awaitable, 60))

    def put(self, *records):
        """Write records of any kind as one batch."""
        return self.run(self.write(batch(*records)))


def batch(*records) -> Batch:
    return Batch(
        [r for r in records if isinstance(r, LogRecord)],
        [r for r in records if isinstance(r, Span)],
        [r for r in records if isinstance(r, MetricPoint)],
    )


@contextmanager
def opened(path, **settings) -> Iterator[OpenStore]:
    """Open a store for the length of a block."""
    chosen = {"retention": 7 * 86400.0, "retention_bytes": 2**40, "now": Clock(), **settings}
    # Time passes in tests by setting the clock: it is no step unless a test says so.
    chosen.setdefault("steady", chosen["now"])
    store = OpenStore(path, **chosen)
    store._test_loop = loop = asyncio.new_event_loop()
    try:
        store.run(store.open())
        try:
            yield store
        finally:
            store.run(store.close())
    finally:
        loop.close()


def log(time=NOON, body="hello", **fields) -> LogRecord:
    """A log; what is not given is ordinary."""
    chosen = {
        "attributes": {},
        "resource": RESOURCE,
        "scope": Scope("shop.views"),
        "severity_number": 9,
        "severity_text": "INFO",
        **fields,
    }
    return LogRecord(time=time, body=body, **chosen)


def with_uid(record: LogRecord, uid: bytes | None = None) -> LogRecord:
    """The record with an id, as a receiver makes it: in its attributes too."""
    record.uid = uid or os.urandom(16)
    record.attributes = {**record.attributes, schema.RECORD_UID: record.uid.hex()}
    return record


def span(time=NOON, **fields) -> Span:
    """A span; what is not given is ordinary. Without a parent it is a root."""
    chosen = {
        "duration": 5_000_000,
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "name": "GET /orders",
        "attributes": {},
        "resource": RESOURCE,
        "scope": Scope("flask"),
        **fields,
    }
    return Span(time=time, **chosen)


def point(time=NOON, value=1.0, **fields) -> MetricPoint:
    """A gauge's point; what is not given is ordinary."""
    chosen = {
        "name": "process.memory.usage",
        "type": "gauge",
        "attributes": {},
        "resource": RESOURCE,
        "scope": Scope("system"),
        "unit": "By",
        **fields,
    }
    return MetricPoint(time=time, value=value, **chosen)


# --- anything that a receiver may hand over ------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.one_of(texts, numbers, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
origin_attributes = st.fixed_dictionaries(
    {},
    optional={
        "code.file.path": st.sampled_from(["a.py", "b.py"]),
        "code.line.number": st.sampled_from([1, 2, "2", True, None, 1.0]),
        "code.function.name": st.sampled_from(["f", None, ["g"]]),
        "thread.id": st.sampled_from([1, 2, 1.0]),
        "thread.name": st.sampled_from(["MainThread", "worker", None]),
    },
)
span_origin_attributes = st.fixed_dictionaries(
    {},
    optional={
        "http.request.method": st.sampled_from(["GET", "POST", None]),
        "http.response.status_code": st.sampled_from([200, 500, "500", True, 1.0]),
        "http.route": st.sampled_from(["/", "/orders"]),
        "user_agent.original": st.sampled_from(["curl", "otter"]),
    },
)
attributes = st.one_of(
    st.dictionaries(texts, values, max_size=4),
    st.builds(
        lambda origin, own: {**own, **origin},
        st.one_of(origin_attributes, span_origin_attributes),
        st.dictionaries(texts, values, max_size=2),
    ),
)
resources = st.one_of(
    st.sampled_from([RESOURCE, {"service.name": "pay"}, {}]),
    st.dictionaries(texts, values, max_size=2),
)
scopes = st.builds(Scope, texts, texts, st.dictionaries(texts, values, max_size=1))
# Close together, so that ids collide, and far apart.
times = st.one_of(
    st.integers(NOON, NOON + 3000),
    st.integers(0, 20).map(lambda seconds: NOON + seconds * SECOND),
    st.integers(0, 2**63 - 1),
)
trace_ids = st.one_of(
    st.sampled_from([b"\1" * 16, b"\2" * 16]), st.binary(min_size=16, max_size=16)
)
span_ids = st.binary(min_size=8, max_size=8)

logs = st.builds(
    LogRecord,
    time=times,
    body=st.one_of(texts, values),
    attributes=attributes,
    resource=resources,
    scope=scopes,
    observed_time=st.one_of(st.just(0), times),
    severity_number=st.integers(0, 24),
    severity_text=st.one_of(st.sampled_from(["", "INFO", "ERROR", "Information"]), texts),
    trace_id=st.one_of(st.none(), trace_ids),
    span_id=st.one_of(st.none(), span_ids),
    flags=st.integers(0, 2**32 - 1),
    event_name=texts,
).flatmap(
    lambda record: st.one_of(
        st.just(record),
        st.binary(min_size=16, max_size=16).map(lambda uid: with_uid(record, uid)),
    )
)
spans = st.builds(
    Span,
    time=times,
    duration=st.integers(0, 2**40),
    trace_id=trace_ids,
    span_id=span_ids,
    name=texts,
    attributes=attributes,
    resource=resources,
    scope=scopes,
    parent_span_id=st.one_of(st.none(), span_ids),
    kind=st.integers(0, 5),
    status_code=st.integers(0, 2),
    status_message=texts,
    events=st.lists(
        st.builds(SpanEvent, times, texts, st.dictionaries(texts, values, max_size=2)), max_size=2
    ),
    links=st.lists(
        st.builds(SpanLink, trace_ids, span_ids, st.dictionaries(texts, values, max_size=1)),
        max_size=1,
    ),
    flags=st.integers(0, 2**32 - 1),
    trace_state=texts,
)
points = st.builds(
    MetricPoint,
    time=times,
    name=st.sampled_from(["cpu", "memory"]),
    type=st.sampled_from(["gauge", "sum"]),
    value=st.floats(allow_nan=False, allow_infinity=False, width=32),
    attributes=st.dictionaries(texts, texts, max_size=1),
    resource=resources,
    scope=scopes,
)
batches = st.builds(
    Batch,
    st.lists(logs, max_size=12),
    st.lists(spans, max_size=6),
    st.lists(points, max_size=4),
)
