"""What comes to the sink is counted as what it is."""

from __future__ import annotations

import json

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.sink import count


def logs(**scopes: int) -> bytes:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    for name, number in scopes.items():
        scope = group.scope_logs.add()
        scope.scope.name = name.replace("_", ".")
        for _ in range(number):
            scope.log_records.add()
    return request.SerializeToString()


def spans(**scopes: int) -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for name, number in scopes.items():
        scope = group.scope_spans.add()
        scope.scope.name = name.replace("_", ".")
        for _ in range(number):
            scope.spans.add()
    return request.SerializeToString()


def test_a_librarys_records_about_itself_are_counted_apart() -> None:
    body = logs(shop_orders=3, otelbridge_lifecycle=2, opentelemetry_sdk=1, bench=4)
    assert count("/v1/logs", body) == {"logs": 7, "own logs": 3}


def test_a_log_record_that_is_sent_as_a_span_is_a_log_record() -> None:
    body = spans(opentelemetry_instrumentation_flask=2, logfire_stdlib_logging=5)
    assert count("/v1/traces", body) == {"spans": 2, "logs": 5}


def test_transactions_are_spans_and_metadata_are_not() -> None:
    lines = [{"metadata": {}}, {"transaction": {"name": "a"}}, {"error": {}}, {"transaction": {}}]
    body = "\n".join(json.dumps(line) for line in lines).encode()
    assert count("/intake/v2/events", body) == {"spans": 2}


def test_an_envelopes_items_are_counted_by_their_kind() -> None:
    transaction = b'{"type":"transaction"}'
    batch = b'{"items":[{},{},{}]}\n'
    body = b"\n".join(
        [
            b'{"event_id":"x"}',
            b'{"type":"transaction","length":%d}' % len(transaction),
            transaction,
            b'{"type":"log","item_count":3,"length":%d}' % len(batch),
            batch,
            b'{"type":"session"}',
            b"{}",
            b"",
        ]
    )
    assert count("/api/1/envelope/", body) == {"spans": 1, "logs": 3}


def test_what_has_no_records_is_none() -> None:
    assert "logs" not in count("/v1/metrics", b"")
    assert "logs" not in count("/loggerflow/heartbeat", b"{}")
