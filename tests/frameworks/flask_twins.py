"""One Flask app made twice: instrumented by OpenTelemetry's own instrumentation, and by ours.

Ids are counted, not random, and time stands still unless the app lets it pass: what two ways of
instrumenting make of the same requests can be compared as a whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import flask
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    DEFAULT_ON,
    Decision,
    Sampler,
    SamplingResult,
)
from werkzeug.test import EnvironBuilder, run_wsgi_app

from otelbridge.delivery.lean_span import OwnSpanProcessor
from otelbridge.delivery.own_tracer import OwnTracerProvider
from otelbridge.frameworks import flask as ours
from tests.frameworks.flask_shop import add_routes
from tests.frameworks.sent_spans import encoded_by_opentelemetry, encoded_by_ours, read_back

EXCLUDED = "OTEL_PYTHON_FLASK_EXCLUDED_URLS"

Instrument = Callable[[flask.Flask, TracerProvider, MeterProvider], None]
Meters = tuple[MeterProvider, Callable[[], MetricsData | None]]


class Clock:
    """A time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def seconds(self) -> float:
        return self.now

    def nanoseconds(self) -> int:
        return round(self.now * 1e9)

    def wait(self, seconds: float) -> None:
        self.now += seconds


class Counted(IdGenerator):
    """Ids one after the other."""

    def __init__(self) -> None:
        self.last = 0

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last

    def generate_trace_id(self) -> int:
        return self.generate_span_id() << 64

    def is_trace_id_random(self) -> bool:
        return True

    def getrandbits(self, bits: int) -> int:
        """Stand for what the SDK's default generator draws its ids from."""
        return self.generate_trace_id() if bits == 128 else self.generate_span_id()


@dataclass(frozen=True)
class Ask:
    """A request as a server hands it to an app.

    Attributes:
        without: keys of the environ that this server leaves out.
    """

    path: str = "/orders/7"
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    base_url: str = "http://shop.example"
    environ: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    data: bytes | None = None

    def build(self) -> dict[str, Any]:
        builder = EnvironBuilder(
            self.path,
            self.base_url,
            method=self.method,
            headers=self.headers,
            data=self.data,
            environ_base={"REMOTE_ADDR": "10.0.0.7", "REMOTE_PORT": "50123"},
            environ_overrides=self.environ,
        )
        made = builder.get_environ()
        for key in self.without:
            made.pop(key, None)
        return made


def upstream(app: flask.Flask, tracers: TracerProvider, meters: MeterProvider) -> None:
    """Instrument as OpenTelemetry does."""
    FlaskInstrumentor.instrument_app(
        app,
        tracer_provider=tracers,
        meter_provider=meters,
        enable_commenter=False,
        excluded_urls=os.environ.get(EXCLUDED, ""),
    )


def own(app: flask.Flask, tracers: TracerProvider, meters: MeterProvider) -> None:
    """Instrument with our hook."""
    ours.instrument_app(
        app, tracer_provider=tracers, meter_provider=meters, request_log=False, hook="own"
    )


def in_memory() -> Meters:
    """Make a meter provider of the SDK's."""
    reader = InMemoryMetricReader()
    return MeterProvider([reader], shutdown_on_exit=False), reader.get_metrics_data


class Noted(Sampler):
    """Notes what it is asked, and decides as another does."""

    def __init__(self, decides: Sampler, asked: list[Any]) -> None:
        self.decides, self.asked = decides, asked

    def should_sample(  # type: ignore[override]
        self,
        parent_context: context.Context | None,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        self.asked.append(
            (
                f"{trace_id:x}",
                f"{parent.trace_id:x}/{parent.span_id:x} {parent.is_remote}",
                parent.trace_state.to_header(),
                name,
                kind,
                dict(attributes or {}),
                [_link(link) for link in links or ()],
            )
        )
        return self.decides.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        return "Noted"


class RecordOnly(Sampler):
    """Records everything, exports nothing, and says nothing of attributes."""

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "RecordOnly"


class Kept(OwnSpanProcessor):
    """Keeps spans, and what a processor sees when they start and end."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.seen: list[str] = []

    def on_start(self, span: Any, parent_context: context.Context | None = None) -> None:
        self._note("start", span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)
        self._note("end", span, None)

    def _note(self, what: str, span: ReadableSpan, given: context.Context | None) -> None:
        def described(of: context.Context | None) -> str:
            current = trace.get_current_span(of).get_span_context()
            return f"{current.trace_id:x}/{current.span_id:x} {dict(baggage.get_all(of))}"

        self.seen.append(f"{what} {span.name}: {described(None)}, {described(given)}")


@dataclass
class Observed:
    """All that came of a number of requests.

    Attributes:
        answers: status, headers and body, or the exception the server got.
        spans: ended ones, in the order of their ends.
        sent: what is delivered of each.
        metrics: by name.
        asked: what the sampler was asked.
        seen: what the app's functions and a span processor saw as current.
        current: the span that is current after it all.
    """

    answers: list[Any]
    spans: list[dict[str, Any]]
    sent: list[dict[str, Any]]
    metrics: dict[str, Any]
    asked: list[Any]
    seen: list[str]
    current: str


def observe(
    instrument: Instrument,
    asks: Sequence[Ask],
    clock: Clock,
    *,
    sampler: Sampler = DEFAULT_ON,
    options: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    inside: Callable[[Any], Any] | None = None,
    outside: Callable[[Any], Any] | None = None,
    prepare: Callable[[flask.Flask], None] = lambda app: None,
    late: bool = False,
    lean: bool = False,
    meters: Callable[[], Meters] = in_memory,
) -> Observed:
    """Make an app, ask it, and gather what was seen.

    Args:
        instrument: one of the two ways.
        asks: the requests, one after the other.
        clock: the time that the ways of instrumenting have been given.
        sampler: decides about spans.
        options: of :class:`flask.Flask`.
        config: of the app.
        inside: a WSGI middleware between the instrumentation and the app.
        outside: a WSGI middleware between the server and the instrumentation.
        prepare: changes the app further.
        late: instrument when the app is complete, not when it is new.
        lean: trace as our pipeline does: by our tracer provider, whose sampler and generator of ids
            are not a program's own. So nobody can tell what the sampler is asked.
        meters: makes a meter provider, and what reads it.
    """
    clock.now = 1000.0
    asked: list[Any] = []
    kept, ids = Kept(), Counted()
    if lean:
        tracers: TracerProvider = OwnTracerProvider(sampler=sampler, shutdown_on_exit=False)
    else:
        tracers = TracerProvider(
            sampler=Noted(sampler, asked), id_generator=ids, shutdown_on_exit=False
        )
    tracers.add_span_processor(kept)
    provider, read = meters()
    app = flask.Flask("shop", **(options or {}))
    app.logger.disabled = True
    app.config.update(config or {})
    app.extensions["tracers"] = tracers
    seen: list[str] = []
    if inside is not None:
        app.wsgi_app = inside(app.wsgi_app)  # type: ignore[method-assign]
    if not late:
        instrument(app, tracers, provider)
    add_routes(app, seen.append, clock.wait)
    prepare(app)
    if late:
        instrument(app, tracers, provider)
    if outside is not None:
        app.wsgi_app = outside(app.wsgi_app)  # type: ignore[method-assign]
    with (
        patch("otelbridge.delivery.own_tracer.getrandbits", ids.getrandbits),
        patch(
            "opentelemetry.sdk.trace.id_generator.random",
            SimpleNamespace(getrandbits=ids.getrandbits),
        ),
    ):
        answers = [_answer(app, ask) for ask in asks]
    encoded = encoded_by_opentelemetry if instrument is upstream else encoded_by_ours
    after = trace.get_current_span().get_span_context()
    return Observed(
        answers,
        [_span(span) for span in kept.spans],
        [read_back(encoded(span)) for span in kept.spans],
        metrics_of(read()),
        asked,
        seen + kept.seen,
        f"{after.trace_id:x}/{after.span_id:x}",
    )


def _answer(app: flask.Flask, ask: Ask) -> Any:
    try:
        body, status, headers = run_wsgi_app(app, ask.build())
        try:
            del headers["Date"]
            return status, sorted(headers), b"".join(body)
        finally:
            close = getattr(body, "close", lambda: None)
            close()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def _span(span: ReadableSpan) -> dict[str, Any]:
    scope, own, parent = span.instrumentation_scope, span.context, span.parent
    assert scope is not None
    assert own is not None
    told = json.loads(span.to_json())
    assert told.pop("attributes").keys() == (span.attributes or {}).keys()
    for event in told["events"]:
        del event["attributes"]  # which may differ on purpose
    return {
        "name": span.name,
        "json": told,
        "kind": span.kind,
        "ids": f"{own.trace_id:x}/{own.span_id:x}",
        "flags": int(own.trace_flags),
        "state": own.trace_state.to_header(),
        "parent": parent and f"{parent.trace_id:x}/{parent.span_id:x} {parent.is_remote}",
        "status": (span.status.status_code, span.status.description),
        "attributes": dict(span.attributes or {}),
        "dropped": span.dropped_attributes,
        "events": [(event.name, dict(event.attributes or {})) for event in span.events],
        "links": [_link(link) for link in span.links],
        "scope": (scope.name, scope.version, scope.schema_url, dict(scope.attributes or {})),
        "times": (span.start_time, span.end_time, [event.timestamp for event in span.events]),
    }


def _link(link: Any) -> tuple[Any, ...]:
    return tuple(link.context), dict(link.attributes or {}), link.dropped_attributes


def metrics_of(data: MetricsData | None) -> dict[str, Any]:
    """Describe what was read, without when."""
    metrics = {}
    for group in data.resource_metrics if data is not None else []:
        for scoped in group.scope_metrics:
            scope = scoped.scope
            for metric in scoped.metrics:
                metrics[metric.name] = {
                    "scope": (scope.name, scope.version, scope.schema_url),
                    "unit": metric.unit,
                    "description": metric.description,
                    "kind": type(metric.data).__name__,
                    "temporality": metric.data.aggregation_temporality,
                    "monotonic": getattr(metric.data, "is_monotonic", None),
                    "points": sorted(map(_point, metric.data.data_points), key=repr),
                }
    return metrics


def _point(point: Any) -> dict[str, Any]:
    names = ("value", "count", "sum", "min", "max", "bucket_counts", "explicit_bounds")
    return {
        "attributes": dict(sorted(point.attributes.items())),
        **{name: getattr(point, name, None) for name in names},
        # Those of a sum are drawn by lot.
        "exemplars": [
            (one.value, one.trace_id, one.span_id, dict(one.filtered_attributes or {}))
            for one in (point.exemplars if hasattr(point, "bucket_counts") else ())
        ],
    }
