"""Django, FastAPI, Starlette in every way they may be set up: without extras, twice, left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from otlp_receiver import OTLPReceiver
from programs import Ended, finish

HERE = Path(__file__).parent
START = """
import sys
sys.path[:0] = [{here!r}, {here!r} + "/django_project"]
{first}
import otelbridge
otelbridge.instrument()
"""
ASGI = """
from asgi_shops import {kind}_app as app
from starlette.testclient import TestClient
{then}
client = TestClient(app, raise_server_exceptions=False)
for path in ("/sync/1", "/boom"):
    client.get(path)
"""
DJANGO = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
{then}
from django.test import Client
client = Client(raise_request_exception=False)
for path in ("/orders/1/", "/boom/"):
    client.get(path)
"""
LINES = ["Request GET", "Response 200 OK", "Request GET", "Response 500 INTERNAL SERVER ERROR"]


def run(
    framework: str, receiver: OTLPReceiver, *, first: str = "", then: str = "", **environ: str
) -> Ended:
    program = DJANGO if framework == "django" else ASGI
    source = START.format(here=str(HERE), first=first) + program.format(kind=framework, then=then)
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http, **environ}
    return finish(source, OTELBRIDGE_SHUTDOWN_TIMEOUT="60s", **environ)


def lines(receiver: OTLPReceiver) -> list[str]:
    bodies = [record.item.body.string_value for record in receiver.logs]
    return [
        body.partition(" http")[0] for body in bodies if body.startswith(("Request", "Response"))
    ]


def traces_of_lines(receiver: OTLPReceiver) -> set[bytes]:
    return {log.item.trace_id for log in receiver.logs if "http.request.method" in log.attributes}


def servers_spans(receiver: OTLPReceiver) -> list[str]:
    return [span.item.name for span in receiver.traces if span.item.kind == 2]


def errors(receiver: OTLPReceiver) -> list[str]:
    return [
        record.attributes["exception.type"]
        for record in receiver.logs
        if "exception.type" in record.attributes
    ]


@pytest.mark.parametrize(
    ("framework", "called"), [("starlette", "Starlette"), ("django", "Django")]
)
def test_without_the_extra_one_line_says_so_and_logs_arrive(
    framework: str, called: str, otlp_receiver: OTLPReceiver
) -> None:
    missing = f'sys.modules["opentelemetry.instrumentation.{framework}"] = None'
    ended = run(framework, otlp_receiver, first=missing)

    assert ended.err.count("otelbridge:") == 1
    assert (
        f"otelbridge: {called} requests are logged but have no spans and metrics:"
        f" pip install 'otelbridge[{framework}]'"
    ) in ended.err
    assert lines(otlp_receiver) == LINES
    assert errors(otlp_receiver) == ["ValueError"]
    assert not otlp_receiver.traces


def test_without_the_extra_fastapi_s_own_spans_are_used(otlp_receiver: OTLPReceiver) -> None:
    missing = 'sys.modules["opentelemetry.instrumentation.fastapi"] = None'
    ended = run("fastapi", otlp_receiver, first=missing)

    assert "otelbridge:" not in ended.err
    assert lines(otlp_receiver) == LINES
    assert errors(otlp_receiver) == ["ValueError"]
    assert len(servers_spans(otlp_receiver)) == 2
    assert traces_of_lines(otlp_receiver) == {
        span.item.trace_id for span in otlp_receiver.traces if span.item.kind == 2
    }


THEIR_OWN = {
    "fastapi": """
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
FastAPIInstrumentor.instrument_app(app)
""",
    "starlette": """
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
StarletteInstrumentor.instrument_app(app)
""",
    "starlette's own": """
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
app.add_middleware(OpenTelemetryMiddleware)
""",
    "django": """
from opentelemetry.instrumentation.django import DjangoInstrumentor
DjangoInstrumentor().instrument()
""",
}


@pytest.mark.parametrize("whose", THEIR_OWN)
def test_a_program_that_makes_its_spans_itself_has_one_a_request(
    whose: str, otlp_receiver: OTLPReceiver
) -> None:
    run(whose.partition("'")[0], otlp_receiver, then=THEIR_OWN[whose])

    assert lines(otlp_receiver) == LINES
    assert errors(otlp_receiver) == ["ValueError"]
    assert len(servers_spans(otlp_receiver)) == len(otlp_receiver.traces) - internal(otlp_receiver)
    assert len(servers_spans(otlp_receiver)) == 2
    assert traces_of_lines(otlp_receiver) == {span.item.trace_id for span in otlp_receiver.traces}


def internal(receiver: OTLPReceiver) -> int:
    """How many spans of single messages upstream has made, as it does by default."""
    return sum(span.item.name.endswith((" send", " receive")) for span in receiver.traces)


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "django"])
def test_an_address_that_is_excluded_leaves_no_span_and_no_lines(
    framework: str, otlp_receiver: OTLPReceiver
) -> None:
    variable = f"OTEL_PYTHON_{framework.upper()}_EXCLUDED_URLS"
    run(framework, otlp_receiver, **{variable: "/sync,/orders"})
    assert lines(otlp_receiver) == LINES[2:]
    assert len(servers_spans(otlp_receiver)) == 1


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "django"])
def test_a_framework_that_is_disabled_is_left_alone(
    framework: str, otlp_receiver: OTLPReceiver
) -> None:
    run(framework, otlp_receiver, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=framework)
    assert not lines(otlp_receiver)
    assert any("order 1" in log.item.body.string_value for log in otlp_receiver.logs)


def test_one_exception_object_is_reported_in_each_request_it_ends(
    otlp_receiver: OTLPReceiver,
) -> None:
    then = """
client = TestClient(app, raise_server_exceptions=False)
client.get("/same")
client.get("/same")
"""
    run("starlette", otlp_receiver, then=then)

    reported = [log for log in otlp_receiver.logs if "exception.type" in log.attributes][:2]
    assert [log.attributes["exception.type"] for log in reported] == ["TimeoutError"] * 2
    ended = [span.item for span in otlp_receiver.traces if span.item.name == "GET /same"]
    assert [(log.item.trace_id, log.item.span_id) for log in reported] == [
        (span.trace_id, span.span_id) for span in ended
    ]
    assert [len(span.events) for span in ended] == [1, 1]


def test_the_lines_can_be_left_out_and_metrics_arrive(otlp_receiver: OTLPReceiver) -> None:
    run("fastapi", otlp_receiver, OTELBRIDGE_REQUEST_LOG="false")
    assert not lines(otlp_receiver)
    assert len(servers_spans(otlp_receiver)) == 2
    assert "http.server.request.duration" in {metric.item.name for metric in otlp_receiver.metrics}


def test_an_app_that_was_called_before_is_instrumented_too(otlp_receiver: OTLPReceiver) -> None:
    called = (
        "from asgi_shops import starlette_app as app\n"
        "from starlette.testclient import TestClient\n"
        "TestClient(app).get('/sync/0')"
    )
    run("starlette", otlp_receiver, first=called)
    assert lines(otlp_receiver) == LINES
    assert len(servers_spans(otlp_receiver)) == 2
