"""Random logs and spans as one index can hold them.

Every key has values of one type, and none is the beginning of another's dotted name (``code`` and
``code.file.path``). What differs where that is not so is said in
:mod:`otelbridge.store.elasticsearch.kql`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from otelbridge.model import LogRecord, Scope, Span, SpanEvent
from tests.search.records import RESOURCES, SCOPES, SPANS, TEXTS, TIMES, TRACES

NUMBERS = st.sampled_from([0, 5, 500, -5, 5.0, 0.5, 1e3, 2**62, -(2**63), 0.1])


def one_or_more(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, st.none(), st.lists(values, max_size=2))


ORDERS = st.fixed_dictionaries(
    {}, optional={"id": one_or_more(TEXTS), "code": one_or_more(NUMBERS)}
)
ATTRIBUTES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "user": one_or_more(TEXTS),
        "code": one_or_more(NUMBERS),
        "c": one_or_more(TEXTS),
        "ключ": one_or_more(TEXTS),
        'we"ird': one_or_more(NUMBERS),
        "x\\y": one_or_more(TEXTS),
        "order": ORDERS | st.lists(ORDERS, max_size=2),
        "exception.type": TEXTS,
        "exception.message": TEXTS,
        "error.type": TEXTS,
        "thread.name": TEXTS,
    },
)
OF_RESOURCES: st.SearchStrategy[Any] = st.builds(
    lambda found, more: {k: v for k, v in found.items() if k in {"service.name"}} | more,
    RESOURCES,
    st.fixed_dictionaries(
        {}, optional={"user": TEXTS, "code": NUMBERS, "host.name": TEXTS, "c": TEXTS}
    ),
)
BODIES = TEXTS | st.fixed_dictionaries({}, optional={"user": one_or_more(TEXTS), "order": ORDERS})

LOGS = st.builds(
    LogRecord,
    time=TIMES,
    body=BODIES,
    attributes=ATTRIBUTES,
    resource=OF_RESOURCES,
    scope=SCOPES,
    severity_number=st.sampled_from([0, 1, 9, 10, 13, 17, 21, 24]),
    severity_text=st.sampled_from(["", "INFO", "warn", "Error", "notice"]),
    trace_id=TRACES | st.none(),
    span_id=SPANS | st.none(),
    event_name=st.sampled_from(["", "pay", "order.pay"]),
)
SPAN_RECORDS = st.builds(
    Span,
    time=TIMES,
    duration=st.sampled_from([0, 5, 10**6, 5 * 10**6, 10**9]),
    trace_id=TRACES,
    span_id=st.binary(min_size=8, max_size=8).filter(any),
    name=TEXTS.filter(bool),
    attributes=ATTRIBUTES,
    resource=OF_RESOURCES,
    scope=st.just(Scope("shop.pay")),
    parent_span_id=SPANS | st.none(),
    kind=st.integers(0, 5),
    status_code=st.integers(0, 2),
    status_message=TEXTS,
    events=st.lists(
        st.builds(SpanEvent, TIMES, st.sampled_from(["exception", "pay"]), ATTRIBUTES),
        max_size=2,
    ),
)
