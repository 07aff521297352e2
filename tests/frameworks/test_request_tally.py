"""Requests that we count ourselves are read as those that OpenTelemetry's instruments count."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from otelbridge.delivery.answer import Answer
from otelbridge.frameworks.request_metrics import RequestMetrics
from otelbridge.frameworks.request_tally import RequestTally
from otelbridge.frameworks.wsgi_attributes import RequestAttributes
from otelbridge.meter_provider import OwnMeterProvider
from otelbridge.metric_reader import IntervalReader
from tests.frameworks.flask_twins import (
    Clock,
    Meters,
    in_memory,
    metrics_of,
    observe,
    own,
    upstream,
)
from tests.frameworks.test_flask_conformance import CASES, as_ours, clock, use_mode

SCOPE = ("requests", "1")
GET = {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "SERVER_PROTOCOL": "HTTP/1.1"}
SPAN = trace.NonRecordingSpan(
    trace.SpanContext(7, 8, is_remote=False, trace_flags=trace.TraceFlags(1))
)

__all__ = ["clock"]


@pytest.fixture(autouse=True)
def stable_conventions(monkeypatch: pytest.MonkeyPatch) -> None:
    use_mode("http", monkeypatch)


class Kept:
    """A destination that keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[MetricsData] = []

    def encode(self, records: MetricsData) -> MetricsData:
        return records

    def send(self, body: MetricsData, count: int) -> Answer:
        self.sent.append(body)
        return Answer()

    def recovered(self) -> None:
        """Nothing was wrong."""


def own_meters() -> Meters:
    """Make a meter provider of ours, as the pipeline does."""
    kept = Kept()
    reader = IntervalReader(kept, 3600)  # type: ignore[arg-type]
    provider = OwnMeterProvider([reader], Resource.get_empty())
    # Any other metric: those of the process and of the delivery are always there.
    provider.get_meter("other").create_counter("other").add(1)

    def read() -> MetricsData:
        reader.collect()
        return kept.sent[-1]

    return provider, read


def tally_of(provider: MeterProvider) -> RequestTally:
    assert isinstance(provider, OwnMeterProvider)
    tally = provider.request_tally(SCOPE, RequestAttributes())
    assert tally is not None
    return tally


def points(data: MetricsData | None) -> dict[str, Any]:
    return {name: metric["points"] for name, metric in metrics_of(data).items() if name != "other"}


def test_a_day_of_requests_is_read_as_from_instruments(clock: Clock) -> None:
    asks = [*CASES.values(), *CASES.values()]
    expected = as_ours(observe(upstream, asks, clock))
    mine = observe(own, asks, clock, meters=own_meters)
    assert mine.metrics.pop("other")
    assert mine == expected


def test_every_reading_tells_all_since_the_beginning_and_exemplars_since_the_last() -> None:
    provider, read = own_meters()
    other, read_other = in_memory()
    for metrics in (tally_of(provider), RequestMetrics(other, SCOPE, RequestAttributes())):
        for seconds in (0.005, 0.0051, 0.3, 20.0):
            metrics.record(metrics.begin(GET), seconds, (200, "200"), "/", SPAN)  # type: ignore[arg-type]
    assert points(read()) == points(read_other())
    for metrics in (tally_of(provider), RequestMetrics(other, SCOPE, RequestAttributes())):
        going: Any = metrics.begin(GET)
        metrics.record(going, -1.0, (-1, "fine"), None, None)
        metrics.end(metrics.begin(GET))  # type: ignore[arg-type]
    assert points(read()) == points(read_other())


def test_requests_of_many_threads_are_all_counted() -> None:
    provider, read = own_meters()
    tally = tally_of(provider)
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        for number in range(500):
            going = tally.begin(GET)
            tally.record(going, number / 100, (200, "200"), "/", SPAN)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
    found = points(read())
    [active], [duration] = (
        found["http.server.active_requests"],
        found["http.server.request.duration"],
    )
    assert active["value"] == 0
    assert duration["count"] == sum(duration["bucket_counts"]) == 4000
    assert duration["max"] == 4.99


def test_two_apps_share_what_they_are_counted_by() -> None:
    provider, _ = own_meters()
    assert tally_of(provider) is tally_of(provider)


def test_a_forked_process_counts_from_nothing() -> None:
    provider, read = own_meters()
    tally = tally_of(provider)
    tally.record(tally.begin(GET), 1.0, (200, "200"), "/", None)
    ending, answered = tally.begin(GET), tally.begin(GET)
    assert isinstance(provider, OwnMeterProvider)
    provider.start_afresh()
    tally.end(ending)
    assert points(read()) == {}
    tally.begin(GET)
    tally.record(answered, 1.0, (200, "200"), "/", None)
    found = points(read())
    assert found["http.server.active_requests"][0]["value"] == 1
    assert found["http.server.request.duration"][0]["count"] == 1


def test_a_reader_that_a_program_adds_sees_requests_too() -> None:
    provider, read = own_meters()
    tally = tally_of(provider)
    before = tally.begin(GET)
    added = InMemoryMetricReader()
    provider.add_metric_reader(added)
    tally.end(before)
    going = tally.begin(GET)
    tally.record(going, 0.2, (200, "200"), "/", SPAN)
    for found in (points(read()), points(added.get_metrics_data())):
        assert found["http.server.active_requests"][0]["value"] == 0
        assert found["http.server.request.duration"][0]["count"] == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "lowmemory"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup"),
    ],
)
def test_whoever_asks_for_something_else_gets_instruments(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    provider, _ = own_meters()
    assert isinstance(provider, OwnMeterProvider)
    assert provider.request_tally(SCOPE, RequestAttributes()) is None


def test_instruments_count_where_there_are_other_readers() -> None:
    readers: list[Any] = [IntervalReader(Kept(), 3600), InMemoryMetricReader()]  # type: ignore[arg-type]
    provider = OwnMeterProvider(readers, Resource.get_empty())
    assert provider.request_tally(SCOPE, RequestAttributes()) is None
