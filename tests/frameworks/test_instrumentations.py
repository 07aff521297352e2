"""Libraries are instrumented by what is installed for them; calls carry the trace with them."""

from __future__ import annotations

from pathlib import Path

import pytest
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


def test_each_library_is_instrumented_when_it_is_imported_sooner_or_later(
    otlp_receiver: OTLPReceiver,
) -> None:
    finish(
        """
        import sqlite3
        import otelbridge
        handle = otelbridge.instrument()
        import sys
        assert "jinja2" not in sys.modules
        import jinja2
        sqlite3.connect(":memory:").cursor().execute("select 1")
        jinja2.Template("hello").render()
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
    )
    names = [span.item.name for span in otlp_receiver.traces]
    assert sorted(names) == ["jinja2.compile", "jinja2.render", "select"]


def test_a_star_disables_all(otlp_receiver: OTLPReceiver) -> None:
    finish(
        TWO_SERVICES.replace('["traceparent"]', '.get("traceparent", "none")'),
        OTEL_EXPORTER_OTLP_ENDPOINT=otlp_receiver.http,
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*",
    )
    assert otlp_receiver.traces == []
    assert otlp_receiver.log("asked for a price")


INSTRUMENTOR = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **kwargs):
        print("instrumented", "birds" in __import__("sys").modules)

    def _uninstrument(self, **kwargs):
        pass
"""


def instrumentation_of_birds(folder: Path, where: str) -> None:
    """Install a library and an instrumentation that is for its versions below 2."""
    module = folder / (where.replace(".", "/") + ".py")
    module.parent.mkdir(parents=True, exist_ok=True)
    module.write_text(INSTRUMENTOR)
    made = folder / "instrumentation_birds-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: instrumentation-birds\nVersion: 1.0\n"
        "Provides-Extra: instruments\nRequires-Dist: birds<2; extra == 'instruments'\n"
    )
    (made / "entry_points.txt").write_text(
        f"[opentelemetry_instrumentor]\nbirds = {where}:Instrumentor\n"
    )


def install_birds(folder: Path, version: str) -> None:
    (folder / "birds.py").touch()
    made = folder / f"birds-{version}.dist-info"
    made.mkdir()
    (made / "METADATA").write_text(f"Metadata-Version: 2.4\nName: birds\nVersion: {version}\n")


@pytest.mark.parametrize(
    ("where", "printed"),
    [
        ("opentelemetry.instrumentation.birds", "ready\ninstrumented True\n"),
        # Another vendor's, of which nobody can tell what it is for.
        ("aviary", "instrumented False\nready\n"),
    ],
)
def test_any_instrumentation_is_found(where: str, printed: str, tmp_path: Path) -> None:
    instrumentation_of_birds(tmp_path, where)
    install_birds(tmp_path, "1.5")
    ended = finish(
        "import otelbridge; otelbridge.instrument(); print('ready'); import birds",
        PYTHONPATH=str(tmp_path),
        OTELBRIDGE_SINKS="none",
    )
    assert ended.out == printed


def test_a_version_that_an_instrumentation_is_not_for_is_said_in_one_line(tmp_path: Path) -> None:
    instrumentation_of_birds(tmp_path, "opentelemetry.instrumentation.birds")
    install_birds(tmp_path, "2.1")
    ended = finish(
        "import otelbridge; otelbridge.instrument(); print('ready'); import birds",
        PYTHONPATH=str(tmp_path),
        OTELBRIDGE_SINKS="none",
    )
    assert ended.out == "ready\n"
    assert ended.err == "birds is not instrumented: it is for birds<2, and birds 2.1 is installed\n"
