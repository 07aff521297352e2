"""Reading traces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from otelbridge.elasticsearch.documents import STATUS_CODES
from otelbridge.elasticsearch.reading import read_span, read_time
from otelbridge.model import STATUS_ERROR
from otelbridge.search.query import Query
from otelbridge.store.elasticsearch.dsl import all_of, one_of
from otelbridge.store.elasticsearch.ids import id_of, microsecond_of
from otelbridge.store.elasticsearch.logs import read_trace_logs
from otelbridge.store.elasticsearch.server import (
    DESCENDING,
    EVENTS,
    Hit,
    Server,
    source_of,
)
from otelbridge.store.protocol import StoredSpan, TimeRange, Trace, TraceSummary

# A trace larger than this is shown by its first spans and logs.
_MOST_SPANS: Final = 20_000
_MOST_LOGS: Final = 20_000
# Of all traces of one page of the list together.
_MOST_LISTED: Final = 50_000
_PAGE: Final = 500


_SUMMARY_FIELDS: Final = [
    "@timestamp",
    "duration",
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "status",
    "attributes.http.response.status_code",
    "attributes.http.status_code",
    "resource.attributes.service.name",
]
_STATUS_NAMES: Final = ("http.response.status_code", "http.status_code")


def read_trace(server: Server, trace_id: bytes) -> Trace | None:
    """A whole trace with its logs, or ``None`` where nothing of it is known."""
    of_trace = one_of("trace_id", [trace_id.hex()])
    hits = list(server.pages("traces", of_trace, most=_MOST_SPANS))
    logs = read_trace_logs(server, trace_id, _MOST_LOGS)
    if not hits and not logs:
        return None
    events: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for hit in server.pages("logs", all_of([EVENTS, of_trace]), most=_MOST_LOGS):
        source = source_of(hit)
        events[str(source.get("span_id"))].append(source)
    spans = []
    for hit in hits:
        source = source_of(hit)
        span = read_span(source, events.get(str(source.get("span_id")), ()))
        if span is not None:
            spans.append(StoredSpan(id_of(hit), span))
    return Trace(trace_id, spans, logs)


def read_traces(
    server: Server, query: Query | None, within: TimeRange, *, limit: int, before: int | None
) -> list[TraceSummary]:
    """The newest traces with a matching span; see :meth:`Store.traces`.

    A trace's place in the list, its summary's ``id``, is the newest of its spans that match.
    """
    condition = server.matching(query, "spans", within)
    newest: dict[str, int] = {}
    passed: set[str] = set()
    last: list[Any] | None = None
    upto = TimeRange(within.start, within.end)
    if before is not None:
        upto = TimeRange(within.start, min(within.end, microsecond_of(before)[1]))
        condition = server.matching(query, "spans", upto)
    while len(newest) < limit:
        hits: list[Hit] = server.search(
            "traces",
            condition,
            size=_PAGE,
            sort=DESCENDING,
            search_after=last,
            source=["trace_id"],
            track_total_hits=False,
        )["hits"]["hits"]
        found = [(str(source_of(hit).get("trace_id")), id_of(hit)) for hit in hits]
        unknown = {trace for trace, _ in found if trace not in newest and trace not in passed}
        if before is not None and unknown:
            passed |= _matching_from(server, query, within, before, sorted(unknown))
        for trace, id in found:
            if trace in passed or (before is not None and id >= before):
                continue
            if trace not in newest and len(newest) >= limit:
                break
            newest[trace] = max(newest.get(trace, 0), id)
        if len(hits) < _PAGE:
            break
        last = hits[-1]["sort"]
    ordered = sorted(newest.items(), key=lambda item: -item[1])
    return _summaries(server, dict(ordered))


def _matching_from(
    server: Server, query: Query | None, within: TimeRange, first: int, traces: Sequence[str]
) -> set[str]:
    """Those of the traces that stood on an earlier page, by a newer span that matches."""
    newer = TimeRange(max(within.start, microsecond_of(first)[0]), within.end)
    condition = all_of([server.matching(query, "spans", newer), one_of("trace_id", traces)])
    hits = server.pages("traces", condition, most=_MOST_LISTED, source=["trace_id"])
    return {str(source_of(hit)["trace_id"]) for hit in hits if id_of(hit) >= first}


def _summaries(server: Server, newest: Mapping[str, int]) -> list[TraceSummary]:
    if not newest:
        return []
    spans: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for hit in server.pages(
        "traces", one_of("trace_id", newest), most=_MOST_LISTED, source=_SUMMARY_FIELDS
    ):
        source = source_of(hit)
        spans[str(source["trace_id"])].append(source)
    return [_summary(trace, id, spans[trace]) for trace, id in newest.items() if spans[trace]]


def _summary(trace: str, id: int, spans: Sequence[Mapping[str, Any]]) -> TraceSummary:
    # The root, or without it the span that began first.
    top = next((span for span in spans if "parent_span_id" not in span), spans[0])
    time, duration = read_time(top["@timestamp"]), int(top.get("duration") or 0)
    if "parent_span_id" in top:
        time = min(read_time(span["@timestamp"]) for span in spans)
        ends = (read_time(span["@timestamp"]) + int(span.get("duration") or 0) for span in spans)
        duration = max(ends) - time
    codes = [(span.get("status") or {}).get("code") for span in spans]
    code = (top.get("status") or {}).get("code")
    return TraceSummary(
        id=id,
        trace_id=bytes.fromhex(trace),
        time=time,
        duration=duration,
        name=top.get("name") or "",
        service=_service(top),
        services=sorted({_service(span) for span in spans}),
        spans=len(spans),
        errors=codes.count(STATUS_CODES[STATUS_ERROR]),
        status_code=STATUS_CODES.index(code) if code in STATUS_CODES else 0,
        http_status=_http_status(top.get("attributes") or {}),
    )


def _service(span: Mapping[str, Any]) -> str:
    found = ((span.get("resource") or {}).get("attributes") or {}).get("service.name")
    return found if isinstance(found, str) else ""


def _http_status(attributes: Mapping[str, Any]) -> int | None:
    for name in _STATUS_NAMES:
        value = attributes.get(name)
        if isinstance(value, (int, float)):
            return int(value)
        if isinstance(value, str) and value.isdecimal():
            return int(value)
    return None
