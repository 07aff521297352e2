"""Half an hour of a shop: records with every field that the dashboards ask for."""

from __future__ import annotations

import random
from typing import Any

from otelbridge.elasticsearch.bulk import Refusal, dead_letter
from otelbridge.elasticsearch.documents import Document, log_document, span_documents
from otelbridge.elasticsearch.metric_documents import metric_documents
from otelbridge.elasticsearch.names import ARRIVAL_DELAY, UDP_DATAGRAMS, UDP_SEQUENCE
from otelbridge.model import LogRecord, MetricPoint, Scope, Span, SpanEvent

NOON = 1_795_262_400 * 10**9
SECOND = 10**9
LEVELS = (("DEBUG", 5), ("INFO", 9), ("WARNING", 13), ("ERROR", 17), ("CRITICAL", 21))


def documents(namespace: str) -> list[Document]:
    """The same documents each time, but for the namespace and the time of the dead letters."""
    chance = random.Random(4)
    resources = [
        {
            "service.name": name,
            "service.version": f"1.{number % 2}",
            "service.instance.id": f"{name}-{number}",
            "deployment.environment.name": "production" if number else "staging",
        }
        for name in ("gateway", "orders", "payments")
        for number in range(chance.randint(1, 3))
    ]
    written: list[Document] = []
    for _ in range(150):
        written += _request(chance, resources, namespace)
    for number in range(7):
        refused = Document(f"logs-otelbridge.otel-{namespace}", f"refused{number}", {"n": number})
        type = "document_parsing_exception" if number % 3 else "illegal_argument_exception"
        written.append(dead_letter(Refusal(refused, type, "a reason"), namespace))
    collector = {"service.name": "otel-collector", "service.instance.id": "collector-0"}
    for minute in range(30):
        for resource in resources:
            written += metric_documents(_points(chance, resource, minute), namespace)
            written += metric_documents(_delivery(chance, resource, minute), namespace)
        written += metric_documents(_of_collector(chance, collector, minute), namespace)
    return written


def refused(namespace: str) -> list[Document]:
    """Documents that Elasticsearch refuses: a field of theirs has no name."""
    time = f"{NOON // 10**6}.000000"
    return [
        Document(
            f"{type}-otelbridge.otel-{namespace}", f"broken{number}", {"@timestamp": time, "": 1}
        )
        for number, type in enumerate(("logs", "logs", "traces"))
    ]


def _request(
    chance: random.Random, resources: list[dict[str, Any]], namespace: str
) -> list[Document]:
    resource, scope = chance.choice(resources), Scope("shop.views")
    time, failed = NOON + chance.randrange(1800 * SECOND), chance.random() < 0.2
    trace_id = chance.randbytes(16)
    attributes: dict[str, Any] = {"http.response.status_code": 500 if failed else 200}
    if chance.random() < 0.9:
        attributes["http.route"] = chance.choice(("/checkout", "/orders/<id>", "/charge"))
    spans = [
        Span(
            time=time,
            duration=chance.randrange(10**6, 10**9),
            trace_id=trace_id,
            span_id=chance.randbytes(8),
            name=f"step {kind}",
            attributes=attributes if kind == 2 else {},
            resource=resource,
            scope=scope,
            kind=kind,
            status_code=2 if failed else chance.choice((0, 1)),
            events=[SpanEvent(time, "exception", {"exception.type": "KeyError"})] if failed else [],
        )
        for kind in ((2, 3) if chance.random() < 0.5 else (2,))
    ]
    logs = []
    for _ in range(chance.randint(1, 3)):
        level, number = chance.choice(LEVELS)
        extra = {
            "status": chance.choice(("success", "critical")),
            "user": chance.choice(("alice", "bob", "алиса")),
            "code": chance.choice((200, 404, 500)),
            ARRIVAL_DELAY: chance.random(),
        }
        if chance.random() < 0.3:
            extra |= {UDP_SEQUENCE: chance.randrange(1000), UDP_DATAGRAMS: chance.choice((1, 1, 3))}
        if number >= 17:
            extra |= {
                "error_code": chance.choice(("card_declined", "timeout")),
                "exception.type": chance.choice(("ValueError", "TimeoutError")),
                "exception.stacktrace": "Traceback (most recent call last): ...",
            }
        logs.append(
            LogRecord(
                time=time,
                observed_time=time,
                body="charging",
                attributes=extra,
                resource=resource,
                scope=scope,
                severity_text=level,
                severity_number=number,
                trace_id=trace_id,
                uid=chance.randbytes(16),
            )
        )
    return [
        *(document for span in spans for document in span_documents(span, namespace)),
        *(log_document(log, namespace) for log in logs),
    ]


def _delivery(chance: random.Random, resource: dict[str, Any], minute: int) -> list[MetricPoint]:
    """What programs count of their records' way."""
    points = []
    for sink, signal in (("otlp", "logs"), ("otlp", "traces"), ("elasticsearch", "logs")):
        where = {"sink": sink, "signal": signal}
        levels = {"waiting": chance.randrange(50), "spool.size": chance.randrange(10**6)}
        points += [
            _point(f"otelbridge.delivery.{name}", value, where, resource, minute)
            for name, value in levels.items()
        ]
        points += [
            _point(
                "otelbridge.delivery.dropped",
                minute * chance.choice((0, 1)),
                {**where, "reason": reason},
                resource,
                minute,
                counts=True,
            )
            for reason in ("queue full", "refused")
        ]
    return points


def _of_collector(
    chance: random.Random, resource: dict[str, Any], minute: int
) -> list[MetricPoint]:
    """What the Collector counts, in each minute anew."""
    given = {
        "otelcol_receiver_accepted_log_records": ("receiver", ("otlp", "udp_log", "file_log")),
        "otelcol_exporter_queue_size": ("data_type", ("logs", "traces", "metrics")),
        "otelcol.elasticsearch.docs.processed": ("outcome", ("success", "failure_store")),
    }
    return [
        _point(name, chance.randrange(1000), {key: value}, resource, minute)
        for name, (key, values) in given.items()
        for value in values
    ]


def _point(
    name: str,
    value: int,
    attributes: dict[str, Any],
    resource: dict[str, Any],
    minute: int,
    *,
    counts: bool = False,
) -> MetricPoint:
    time = NOON + minute * 60 * SECOND
    kind = {"type": "sum", "temporality": 2, "monotonic": True} if counts else {"type": "gauge"}
    return MetricPoint(
        time,
        name,
        value=value,
        attributes=attributes,
        resource=resource,
        scope=Scope("delivery"),
        **kind,
    )  # type: ignore[arg-type]


def _points(chance: random.Random, resource: dict[str, Any], minute: int) -> list[MetricPoint]:
    values: dict[str, float | int] = {
        "process.cpu.utilization": chance.random(),
        "process.memory.usage": chance.randrange(10**7, 10**8),
        "process.thread.count": chance.randrange(2, 30),
    }
    return [
        MetricPoint(
            time=NOON + minute * 60 * SECOND,
            name=name,
            type="gauge",
            value=value,
            attributes={},
            resource=resource,
            scope=Scope("system"),
        )
        for name, value in values.items()
    ]
