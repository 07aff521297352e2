"""Calls to other services carry the trace with them."""

from __future__ import annotations

from otlp_receiver import OTLPReceiver
from programs import finish

TWO_SERVICES = """
import threading, sys
import otelbridge
from flask import Flask, request
from werkzeug.serving import make_server
front, back = Flask("front"), Flask("back")
handle = otelbridge.instrument(front)

@back.get("/price")
def price():
    back.logger.warning("asked for a price")
    return request.headers["traceparent"]

server = make_server("127.0.0.1", 0, back, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

@front.get("/order")
def order():
    import requests
    return requests.get(f"http://127.0.0.1:{server.port}/price?token=s3cret", timeout=10).text

print(front.test_client().get("/order").text)
"""


def test_one_trace_spans_both_services(otlp_receiver: OTLPReceiver) -> None:
    ended = finish(TWO_SERVICES, OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http)
    spans = {(span.item.name, span.item.kind): span.item for span in otlp_receiver.traces}
    entry, call, answer = (spans["GET /order", 2], spans["GET", 3], spans["GET /price", 2])
    assert entry.trace_id == call.trace_id == answer.trace_id
    assert call.parent_span_id == entry.span_id
    assert answer.parent_span_id == call.span_id
    assert ended.out.split("-")[1] == entry.trace_id.hex()
    assert otlp_receiver.log("asked for a price").item.trace_id == entry.trace_id
    assert "s3cret" not in repr([span.attributes for span in otlp_receiver.traces])
    # The calls that send telemetry are no spans of the program's.
    assert len(spans) == 3


def test_a_disabled_instrumentation_stays_out(otlp_receiver: OTLPReceiver) -> None:
    finish(
        TWO_SERVICES.replace('["traceparent"]', '.get("traceparent", "none")'),
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="requests, urllib3",
    )
    assert {span.item.kind for span in otlp_receiver.traces} == {2}
    assert len({span.item.trace_id for span in otlp_receiver.traces}) == 2


def test_a_client_library_that_is_not_used_is_not_loaded() -> None:
    ended = finish(
        "import sys, otelbridge; handle = otelbridge.instrument();"
        "print('requests' in sys.modules, 'flask' in sys.modules, 'grpc' in sys.modules)",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
    )
    assert ended.out == "False False False\n"
