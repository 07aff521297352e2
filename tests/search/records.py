"""Random logs and spans whose names and values meet those of random queries."""

from hypothesis import strategies as st

from otelbridge.model import LogRecord, Scope, Span, SpanEvent
from otelbridge.search.pattern import pattern_of
from otelbridge.search.query import Query
from tests.search.trees import trees

WORDS = ["pay", "payment", "Refused", "by", "bank", "snake_case", "5", "true", "Привет", "naïve"]
GLUE = [" ", "-", "/", ".", ":", ", ", '"', "\n"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=4).flatmap(
    lambda words: st.sampled_from(GLUE).map(lambda glue: glue.join(words))
) | st.sampled_from(["", "-", "500", "5.0", "-5", "1e3", "Error", "a*b", "\\", "ключ"])
NUMBERS = st.sampled_from([0, 5, 500, -5, 5.0, 0.5, 1e3, 1e22, 2**62, -(2**63), 0.1])
SINGLE = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none())
KEYS = st.sampled_from(
    ["user", "code", "order", "id", "order.id", "a.b", "c", "a", "b.c", 'we"ird', "x\\y", "ключ"]
)
VALUES = st.recursive(
    SINGLE,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
ATTRIBUTE_KEYS = KEYS | st.sampled_from(
    ["exception.type", "exception.message", "error.type", "code.file.path", "thread.name"]
)
ATTRIBUTES = st.dictionaries(ATTRIBUTE_KEYS, VALUES, max_size=3)
RESOURCES = st.builds(
    dict,
    st.dictionaries(KEYS | st.just("host.name"), SINGLE, max_size=2),
    **{"service.name": st.sampled_from(["pay", "order-pay"])},
) | st.just({})
SCOPES = st.builds(Scope, st.sampled_from(["", "shop.pay", "bank"]))
DAY = 86400 * 10**9
TIMES = st.sampled_from([0, DAY - 1, DAY, DAY + 5, 2 * DAY])
TRACES = st.sampled_from([b"\x4b" * 16, b"\x0a" * 16])
SPANS = st.sampled_from([b"\x01" * 8, b"\xfa" * 8])

LOGS = st.builds(
    LogRecord,
    time=TIMES,
    body=VALUES,
    attributes=ATTRIBUTES,
    resource=RESOURCES,
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
    span_id=SPANS,
    name=TEXTS,
    attributes=ATTRIBUTES,
    resource=RESOURCES,
    scope=SCOPES,
    parent_span_id=SPANS | st.none(),
    kind=st.integers(0, 5),
    status_code=st.integers(0, 2),
    status_message=TEXTS,
    events=st.lists(
        st.builds(SpanEvent, st.just(0), st.sampled_from(["exception", "pay"]), ATTRIBUTES),
        max_size=2,
    ),
)

FIELDS = st.sampled_from(
    [
        "user",
        "code",
        "order",
        "id",
        "order.id",
        "order.code",
        "a.b",
        "a.b.c",
        "c",
        'we"ird',
        "x\\y",
        "ключ",
        "missing",
        "attributes.user",
        "attributes.exception.message",
        "resource.attributes.user",
        "service.name",
        "host.name",
        "message",
        "body.text",
        "body.user",
        "body.order.id",
        "log.level",
        "log.logger",
        "scope.name",
        "event.name",
        "error.type",
        "error.message",
        "exception.type",
        "log.origin.file.name",
        "code.file.path",
        "thread.name",
        "trace.id",
        "span.id",
        "@timestamp",
        "name",
        "kind",
        "status.code",
        "status.message",
        "duration",
        "parent.id",
    ]
)
QUERY_TEXTS = TEXTS | st.sampled_from(
    [
        "1970-01-02",
        "warn",
        "WARNING",
        "info",
        "Notice",
        "server",
        "ok",
        "error",
        "1ms",
        "5",
        "1s",
        "shop.pay",
        "4b" * 16,
        "0A" * 16,
        "01" * 8,
        "pay",
        "order-pay",
    ]
)
PATTERNS = st.lists(QUERY_TEXTS, min_size=1, max_size=1).map(pattern_of) | st.lists(
    QUERY_TEXTS | st.sampled_from(["p", "4b", "ord", "e", ""]), min_size=2, max_size=3
).map(pattern_of)


def queries() -> st.SearchStrategy[Query]:
    return trees(FIELDS, PATTERNS, QUERY_TEXTS)
