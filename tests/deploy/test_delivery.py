"""What the Collector was given arrives, whatever happens to it or to Elasticsearch meanwhile."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.deploy.secured import Secured, secured_server
from tests.deploy.stored import Stored
from tests.testbed import processes
from tests.testbed.collector_process import CONFIG, Collector
from tests.testbed.fixtures import wait_until


@contextmanager
def _reachable(url: str, port: int) -> Iterator[None]:
    """Let a server be reached by another port as well."""
    host, _, own = urlsplit(url).netloc.partition(":")
    with socket.create_server(("127.0.0.1", port)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    near = listener.accept()[0]
                    far = socket.create_connection((host, int(own)))
                    for one, other in ((near, far), (far, near)):
                        threading.Thread(target=_copy, args=(one, other), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _spans(count: int) -> list:
    """Spans that have ended, each with an event."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "delivery"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests")
    for number in range(count):
        with tracer.start_as_current_span(f"span {number}") as span:
            span.add_event("seen", {"number": number})
    return list(kept.get_finished_spans())


def _send(collector: Collector, spans: list) -> None:
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector.grpc}", insecure=True)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    exporter.shutdown()


def _lines(file: Path, count: int) -> None:
    with file.open("a") as lines:
        for number in range(count):
            lines.write(json.dumps({"message": f"line {number}", "number": number}) + "\n")


def test_records_outlive_the_collector_while_elasticsearch_is_away(
    collector: Callable[..., Collector], elasticsearch_url, stored: Stored
):
    port = processes.free_port()
    running = collector(
        ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace,
    )
    _send(running, _spans(100))
    running.kill()
    running.start()
    _send(running, _spans(100))
    running.stop()
    running.start()
    assert running.healthy()
    assert stored.documents("traces") == {}
    with _reachable(elasticsearch_url, port):
        stored.wait_for(200, "traces", seconds=60)


def _try(collector: Collector, spans: list, seconds: float) -> bool:
    """Send once; a sender that is told to wait gives up after some seconds."""
    where = f"http://127.0.0.1:{collector.grpc}"
    exporter = OTLPSpanExporter(endpoint=where, insecure=True, timeout=seconds)
    try:
        return exporter.export(spans) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


def _fill(collector: Collector) -> list[list]:
    """Send until nothing more is taken; the last of the batches is the one that was not."""
    batches: list[list] = []
    while True:
        batches.append(_spans(200))
        if not _try(collector, batches[-1], 2):
            return batches
        assert len(batches) < 500, "there is no end to what it takes"


def test_senders_wait_while_the_queue_is_full_and_nothing_is_lost(
    collector: Callable[..., Collector], elasticsearch_url, stored: Stored
):
    port = processes.free_port()
    running = collector(
        ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace,
        COLLECTOR_STORAGE_BYTES=2_000_000,
    )
    batches = _fill(running)
    assert running.healthy()
    with _reachable(elasticsearch_url, port):
        wait_until(lambda: _try(running, batches[-1], 10), "the batch that had to wait", 60)
        stored.wait_for(200 * len(batches), "traces", seconds=60)


def test_what_was_taken_outlives_a_full_disk_and_a_killed_collector(
    collector: Callable[..., Collector], small_disk: Path, elasticsearch_url, stored: Stored
):
    port = processes.free_port()
    running = collector(
        ELASTICSEARCH_URL=f"http://127.0.0.1:{port}",
        OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace,
        COLLECTOR_STORAGE=small_disk,
    )
    batches = _fill(running)
    assert "no space left on device" in running.log.read_text()
    running.kill()
    running.start()
    with _reachable(elasticsearch_url, port):
        stored.wait_for(200 * (len(batches) - 1), "traces", seconds=180)
        # Full to the last byte, the queue may need a little room even to remove what it has sent.
        remount = ["mount", "-o", "remount,size=8m", small_disk]
        subprocess.run(remount, check=True)
        wait_until(lambda: _try(running, batches[-1], 10), "the batch that found no room", 60)
        stored.wait_for(200 * len(batches), "traces", seconds=60)


def test_records_wait_while_the_key_is_not_accepted(
    collector: Callable[..., Collector], elasticsearch_url, stored: Stored, tmp_path
):
    key = tmp_path / "key"
    key.write_text("expired")
    with secured_server(tmp_path, elasticsearch_url, "password") as server:
        running = collector(
            CONFIG,
            CONFIG.with_name("secure.yaml"),
            ELASTICSEARCH_URL=server.url,
            ELASTICSEARCH_CA_FILE=server.ca_file,
            ELASTICSEARCH_KEY_FILE=key,
            OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace,
        )
        _send(running, _spans(50))
        wait_until(lambda: server.refused > 0, "an attempt with the wrong key")
        key.write_text(Secured.api_key)
        running.kill()
        running.start()
        stored.wait_for(50, "traces", seconds=60)


def test_spans_and_their_events_sent_twice_are_stored_once(running: Collector, stored: Stored):
    spans = _spans(20)
    for _ in range(3):
        _send(running, spans)
    last = _spans(1)
    _send(running, last)
    ids = {f"{span.context.trace_id:032x}{span.context.span_id:016x}" for span in [*spans, *last]}
    assert stored.wait_for(21, "traces").keys() == ids
    assert {id.partition("-")[0] for id in stored.wait_for(21, "logs")} == ids


def test_a_span_keeps_its_duration(running: Collector, stored: Stored):
    spans = _spans(30)
    _send(running, spans)
    durations = {span.name: span.end_time - span.start_time for span in spans}
    found = stored.wait_for(30, "traces").values()
    assert {document["name"]: document["duration"] for document in found} == durations


def test_a_file_is_read_on_from_where_it_was_left(running: Collector, stored: Stored):
    file = running.files / "app.jsonl"
    _lines(file, 50)
    stored.wait_for(50)
    running.stop()
    _lines(file, 30)
    running.start()
    stored.wait_for(80)


def test_a_second_tier_writes_what_the_first_one_takes(
    collector: Callable[..., Collector], elasticsearch_url, stored: Stored
):
    gateway = collector(
        ELASTICSEARCH_URL=elasticsearch_url, OTELBRIDGE_ELASTICSEARCH_NAMESPACE=stored.namespace
    )
    host = collector(
        CONFIG,
        CONFIG.with_name("gateway.yaml"),
        GATEWAY_ENDPOINT=f"127.0.0.1:{gateway.grpc}",
        GATEWAY_INSECURE="true",
    )
    gateway.stop()
    _send(host, _spans(40))
    _lines(host.files / "app.jsonl", 40)
    gateway.start()
    stored.wait_for(40, "traces", seconds=60)
    # And an event for each span.
    stored.wait_for(80, "logs", seconds=60)


@pytest.mark.parametrize("type", ["logs", "metrics"])
def test_the_collector_tells_of_itself(running: Collector, elasticsearch, stored: Stored, type):
    stream = f"{type}-otelbridge.otel-{stored.namespace}"

    def told() -> int:
        answer = elasticsearch.options(ignore_status=[404, 503], max_retries=0).count(
            index=stream, query={"term": {"resource.attributes.service.name": "otel-collector"}}
        )
        return answer.get("count", 0)

    wait_until(told, f"the Collector's own {type}", 40)


def test_health_is_told_while_it_runs(running: Collector):
    assert running.healthy()
    running.stop()
    assert not running.healthy()
