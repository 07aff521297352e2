"""Real servers and the real bridge: what was logged is found by search, exactly once."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from running_bridge import running_bridge
from servers.models import GEVENT, PRELOAD, Model, gunicorn, running, send_numbers, uwsgi

from otelbridge.search import parse
from otelbridge.store.protocol import Store, TimeRange

pytestmark = [pytest.mark.servers, pytest.mark.slow]

COUNT = 200
ALWAYS = TimeRange(0, 2**62)


def wait_for_logs(store: Store, count: int) -> None:
    deadline = time.monotonic() + 60
    while store.count_logs(None, ALWAYS) < count:
        assert time.monotonic() < deadline, "not stored in time"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("model", "protocol"),
    [
        (gunicorn(*PRELOAD, workers=4), "http/protobuf"),
        (gunicorn(*PRELOAD, workers=4), "http/json"),
        (gunicorn(*PRELOAD, workers=4), "grpc"),
        (gunicorn(*GEVENT, workers=4), "grpc"),
        (uwsgi("-p 4", workers=4), "http/protobuf"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_request_is_found_by_search(model: Model, protocol: str, tmp_path: Path) -> None:
    with running_bridge(tmp_path) as bridge:
        host, port = bridge.addresses["grpc" if protocol == "grpc" else "http"]
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{host}:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        with running(model, environ, tmp_path / "server.log") as address:
            answered_by = send_numbers(address, COUNT)
            if not model.lets_finish:
                wait_for_logs(bridge.store, 3 * COUNT)
        found = bridge.store.logs(parse("number >= 0"), ALWAYS, limit=10 * COUNT)
        requests = bridge.store.logs(parse("message: Request and number"), ALWAYS, limit=10 * COUNT)
        responses = bridge.store.logs(
            parse('message: Response and http.route: "/number/<int:number>"'),
            ALWAYS,
            limit=10 * COUNT,
        )
        spans = [
            stored for log in found for stored in bridge.store.trace(log.record.trace_id).spans
        ]

    print(f"{model.name:55} {protocol:14} sent {COUNT}, logs {len(found)}, spans {len(spans)}")
    printed = (tmp_path / "server.log").read_text()
    assert Counter(log.record.attributes["number"] for log in found) == Counter(range(COUNT)), (
        printed
    )
    assert len(requests) == len(responses) == len(spans) == COUNT
    for log in found:
        assert log.record.resource["process.pid"] == answered_by[log.record.attributes["number"]]
    assert {stored.span.resource["process.pid"] for stored in spans} == set(answered_by.values())
