"""Answers the same requests, instrumented by us or by OpenTelemetry, and prints what was observed.

Run with the name of a framework and with ``ours`` or ``upstream``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

HERE = Path(__file__).parent
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

framework, by = sys.argv[1:]
sys.path[:0] = [str(HERE), str(HERE / "django_project")]
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))


def ask_asgi() -> None:
    import asgi_shops
    from starlette.testclient import TestClient

    app = getattr(asgi_shops, f"{framework}_app")
    if by == "upstream" and framework == "fastapi":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)
    elif by == "upstream":
        from opentelemetry.instrumentation.starlette import StarletteInstrumentor

        StarletteInstrumentor.instrument_app(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        for method, path in (
            ("GET", "/sync/1?colour=red"),
            ("GET", "/async/2"),
            ("HEAD", "/async/2"),
            ("POST", "/async/2"),
            ("QUERY", "/async/2"),
            ("GET", "/nowhere"),
            ("GET", "/caf%C3%A9"),
            ("GET", "/refused"),
            ("GET", "/sold-out"),
            ("GET", "/boom"),
            ("GET", "/stream"),
            ("GET", "/depot/stock"),
        ):
            client.request(method, path, headers={"traceparent": PARENT, "user-agent": "tests"})
        if framework == "fastapi":  # upstream makes spans of background tasks for it alone
            client.get("/receipt/12", headers={"traceparent": PARENT, "user-agent": "tests"})
        with client.websocket_connect("/chat") as websocket:
            websocket.send_text("hello")
            websocket.receive_text()


def ask_django() -> None:
    import django

    django.setup()
    if by == "upstream":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()
    from django.test import Client

    client = Client(raise_request_exception=False)
    for method, path in (
        ("GET", "/orders/1/?colour=red"),
        ("HEAD", "/async/2/"),
        ("POST", "/orders/2/"),
        ("QUERY", "/orders/2/"),
        ("GET", "/nowhere"),
        ("GET", "/caf%C3%A9/"),
        ("GET", "/gone/"),
        ("GET", "/refused/"),
        ("GET", "/boom/"),
        ("GET", "/stream/"),
    ):
        client.generic(method, path, headers={"traceparent": PARENT, "user-agent": "tests"})


def observed() -> dict[str, Any]:
    found = reader.get_metrics_data()
    points = [
        [metric.name, metric.unit, dict(point.attributes), getattr(point, "count", 0)]
        for resource in (found.resource_metrics if found else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        # How many bytes of an answer there are is put down by upstream for the next one too.
        if metric.name in ("http.server.request.duration", "http.server.active_requests")
    ]
    names = {span.context.span_id: span.name for span in spans.get_finished_spans()}
    return {
        "spans": [
            {
                "name": span.name,
                "kind": span.kind.name,
                "parent": names.get(span.parent.span_id, "remote") if span.parent else None,
                "status": span.status.status_code.name,
                "description": span.status.description,
                "attributes": dict(span.attributes or {}),
                "events": [
                    str((event.attributes or {})["exception.type"]) for event in span.events
                ],
            }
            for span in spans.get_finished_spans()
            # Those of each message between the server and the app: we make none.
            if not span.name.endswith((" send", " receive"))
        ],
        "points": sorted(points, key=repr),
    }


if by == "ours":
    import otelbridge

    otelbridge.instrument()
(ask_django if framework == "django" else ask_asgi)()
print(json.dumps(observed()))
