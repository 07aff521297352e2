"""Services over a range, by aggregations over their entry spans and their logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otelbridge import schema
from otelbridge.elasticsearch.documents import SPAN_KINDS, STATUS_CODES
from otelbridge.model import KIND_CONSUMER, KIND_SERVER, STATUS_ERROR
from otelbridge.store.elasticsearch.dsl import Dsl, all_of, any_of, between, exists, none_of, one_of
from otelbridge.store.elasticsearch.kql import LOGS
from otelbridge.store.elasticsearch.server import Server
from otelbridge.store.protocol import ServiceSummary, TimeRange

_MILLISECOND: Final = 10**6
_MOST_SERVICES: Final = 1_000
_MOST_INSTANCES: Final = 1_000
_SERVICE: Final = "resource.attributes.service.name"
_INSTANCE: Final = "resource.attributes.service.instance.id"

# A request begins here: where it comes in, or where nothing called it.
_ENTRY: Final[Dsl] = any_of(
    [
        one_of("kind", [SPAN_KINDS[KIND_SERVER], SPAN_KINDS[KIND_CONSUMER]]),
        none_of(exists("parent_span_id")),
    ]
)
_ERRORS: Final[Dsl] = {"filter": one_of("status.code", [STATUS_CODES[STATUS_ERROR]])}
# As ERROR_RECORDS has it.
_ERROR_LOGS: Final[Dsl] = all_of(
    [
        {"range": {"severity_number": {"gte": schema.SEVERITY_NUMBERS["ERROR"]}}},
        none_of(one_of("scope.name", [schema.LIFECYCLE_SCOPE])),
    ]
)
_DURATIONS: Final[Dsl] = {"percentiles": {"field": "duration", "percents": [50, 95, 99]}}
_SEEN: Final[Dsl] = {
    "last": {"max": {"field": "@timestamp"}},
    "instances": {"terms": {"field": _INSTANCE, "missing": "", "size": _MOST_INSTANCES}},
}


def read_services(server: Server, within: TimeRange, steps: int) -> list[ServiceSummary]:
    """Sum up every service; see :meth:`Store.services`."""
    start = within.start // _MILLISECOND
    end = -(-within.end // _MILLISECOND)
    if end <= start:
        return []
    step = -(-(end - start) // max(steps, 1))
    in_range = between("@timestamp", within.start, within.end)
    of_spans = _by_service(
        server,
        "traces",
        all_of([in_range, _ENTRY]),
        {
            **_SEEN,
            "errors": _ERRORS,
            "durations": _DURATIONS,
            "steps": {
                "date_histogram": {
                    "field": "@timestamp",
                    "fixed_interval": f"{step}ms",
                    "offset": f"{start % step}ms",
                    "min_doc_count": 1,
                },
                "aggs": {"errors": _ERRORS, "durations": _DURATIONS},
            },
        },
    )
    of_logs = _by_service(
        server,
        "logs",
        all_of([LOGS, in_range]),
        {
            **_SEEN,
            "errors": {"filter": _ERROR_LOGS},
        },
    )
    count = -(-(end - start) // step)
    return [
        _summary(name, of_spans.get(name), of_logs.get(name), start, step, count)
        for name in sorted({*of_spans, *of_logs})
    ]


def _by_service(
    server: Server, type: Any, condition: Dsl, aggregations: Dsl
) -> dict[str, Mapping[str, Any]]:
    answer = server.search(
        type,
        condition,
        size=0,
        track_total_hits=False,
        aggs={
            "services": {
                "terms": {"field": _SERVICE, "missing": "", "size": _MOST_SERVICES},
                "aggs": aggregations,
            }
        },
    )
    found = answer.get("aggregations", {"services": {"buckets": []}})["services"]["buckets"]
    return {bucket["key"]: bucket for bucket in found}


def _summary(
    name: str,
    spans: Mapping[str, Any] | None,
    logs: Mapping[str, Any] | None,
    start: int,
    step: int,
    count: int,
) -> ServiceSummary:
    rates, errors = [0] * count, [0] * count
    series: list[list[int | None]] = [[None] * count for _ in range(3)]
    for bucket in spans["steps"]["buckets"] if spans else ():
        place = (bucket["key"] - start) // step
        if 0 <= place < count:
            rates[place] = bucket["doc_count"]
            errors[place] = bucket["errors"]["doc_count"]
            for of, value in zip(series, _percentiles(bucket), strict=True):
                of[place] = value
    p50, p95, p99 = _percentiles(spans)
    seen = [found for found in (spans, logs) if found is not None]
    return ServiceSummary(
        name=name,
        requests=spans["doc_count"] if spans else 0,
        errors=spans["errors"]["doc_count"] if spans else 0,
        p50=p50,
        p95=p95,
        p99=p99,
        logs=logs["doc_count"] if logs else 0,
        error_logs=logs["errors"]["doc_count"] if logs else 0,
        last_seen=int(max(found["last"]["value"] or 0 for found in seen)) * _MILLISECOND,
        instances=len({b["key"] for found in seen for b in found["instances"]["buckets"]}),
        rate_series=rates,
        error_series=errors,
        p50_series=series[0],
        p95_series=series[1],
        p99_series=series[2],
    )


def _percentiles(bucket: Mapping[str, Any] | None) -> list[int | None]:
    if bucket is None:
        return [None, None, None]
    values = bucket["durations"]["values"]
    return [
        None if values.get(key) is None else round(values[key]) for key in ("50.0", "95.0", "99.0")
    ]
