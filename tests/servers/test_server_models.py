"""Real servers: what each worker did arrives, exactly once, with its own process id."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from servers.models import GEVENT, GTHREAD, MODELS, PRELOAD, Model, gunicorn, running, send_numbers

pytestmark = [pytest.mark.servers, pytest.mark.slow]

COUNT = 200


def try_model(
    model: Model, receiver: OTLPReceiver, protocol: str, folder: Path, count: int = COUNT
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint(protocol),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTELBRIDGE_METRIC_INTERVAL": "1s",
    }
    log = folder / "server.log"
    with running(model, environ, log) as address:
        answered_by = send_numbers(address, count)
        if not model.lets_finish:
            receiver.wait_for(lambda it: len(it.logs) >= 3 * count and len(it.traces) >= count)

    lines = [record for record in receiver.logs if "number" in record.attributes]
    spans = [span for span in receiver.traces if span.attributes["url.path"].startswith("/number/")]
    pids = sorted(set(answered_by.values()))
    print(
        f"{model.name:55} {protocol:14} sent {count}, logs {len(lines)}, spans {len(spans)}, "
        f"pids {len(pids)}"
    )
    printed = log.read_text()
    assert Counter(record.attributes["number"] for record in lines) == Counter(range(count)), (
        printed
    )
    assert Counter(span.attributes["url.path"] for span in spans) == Counter(
        f"/number/{number}" for number in range(count)
    ), printed
    for record in lines:
        assert record.resource["process.pid"] == record.attributes["pid"]
        assert record.resource["process.pid"] == answered_by[record.attributes["number"]]
    for span in spans:
        number = int(span.attributes["url.path"].rsplit("/", 1)[1])
        assert span.resource["process.pid"] == answered_by[number]
    by_trace = {span.item.trace_id: span for span in spans}
    for record in lines:
        span = by_trace[record.item.trace_id]
        assert span.attributes["url.path"] == f"/number/{record.attributes['number']}"
        assert span.item.span_id == record.item.span_id

    instances = {
        (received.resource["process.pid"], received.resource["service.instance.id"])
        for received in (*lines, *spans, *receiver.metrics)
        if received.resource["process.pid"] in pids
    }
    assert len(instances) == len(pids), "one service.instance.id a process"
    assert len({instance for _, instance in instances}) == len(pids)
    measured = {
        metric.resource["process.pid"]
        for metric in receiver.metrics
        if metric.item.name == "process.memory.usage"
    }
    assert measured.issuperset(pids), "every worker measures itself"
    assert {received.resource["service.name"] for received in (*lines, *spans)} == {"numbered"}
    assert "Traceback" not in printed


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_worker_is_heard_exactly_once(
    model: Model, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    try_model(model, otlp_receiver, "http/protobuf", tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        gunicorn(workers=4),
        gunicorn(*PRELOAD, workers=4),
        gunicorn(*GTHREAD, *PRELOAD, workers=4),
        gunicorn(*GEVENT, workers=4),
        gunicorn(*GEVENT, *PRELOAD, workers=4),
    ],
    ids=lambda model: model.name,
)
def test_grpc_survives_the_fork(model: Model, otlp_receiver: OTLPReceiver, tmp_path: Path) -> None:
    try_model(model, otlp_receiver, "grpc", tmp_path)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_worker_forked_after_the_master_has_sent_is_heard(
    protocol: str, otlp_receiver: OTLPReceiver, tmp_path: Path
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp_receiver.endpoint(protocol),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTELBRIDGE_METRIC_INTERVAL": "200ms",
    }
    model = gunicorn(*PRELOAD, workers=1)
    with running(model, environ, tmp_path / "server.log") as address:
        first = send_numbers(address, 1)[0]
        master = otlp_receiver.wait_for(
            lambda it: next(
                (
                    m.resource["process.pid"]
                    for m in it.metrics
                    if m.resource["process.pid"] != first
                ),
                None,
            )
        )
        assert otlp_receiver.log("handling 0").resource["process.parent_pid"] == master
        os.kill(first, signal.SIGKILL)
        second = send_numbers(address, 2, clients=1)[1]
        assert second != first
        line = otlp_receiver.log("handling 1")
    assert line.resource["process.pid"] == second
    assert line.resource["process.parent_pid"] == master
