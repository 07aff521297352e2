"""Services, Metrics and Pipeline."""

from __future__ import annotations

import secrets

import pytest

from otelbridge.model import MetricPoint
from otelbridge.receivers.counters import ReceiverCounters, SenderCounters
from tests.web.conftest import Page
from tests.web.samples import log, point, span


def test_the_first_page_is_the_services_with_the_same_address(page: Page) -> None:
    answer = page.get("/", range="1h")

    assert answer.status_code == 307
    assert answer.headers["location"] == "/services?range=1h"


def test_a_service_has_a_row_with_its_figures(page: Page) -> None:
    for number in range(10):
        page.store(
            span(trace_id=secrets.token_bytes(16), start=-60, seconds=0.05, failed=number == 0)
        )
    page.store(log(level="ERROR", ago=5))

    text = page.get("/services").text
    (service,) = page.get("/services.json").json()["services"]

    assert service["name"] == "shop"
    assert service["requests"] == 10
    assert service["errors"] == 1
    assert service["status"] == "failing"
    assert service["p50"] == pytest.approx(50_000_000, rel=0.1)
    assert "50 ms" in text or "49 ms" in text or "51 ms" in text
    assert "10 %" in text


def test_a_service_that_went_quiet_is_called_silent(page: Page) -> None:
    page.store(log(ago=600))

    assert page.get("/services.json").json()["services"][0]["status"] == "silent"


def test_a_service_s_links_keep_the_range_and_ask_for_it_alone(page: Page) -> None:
    page.store(log(service='odd "name"'))

    text = page.get("/services", range="3h").text

    assert "/logs?query=service.name%3A+%22odd+%5C%22name%5C%22%22&amp;range=3h" in text


def test_services_say_when_there_are_none_and_where_they_were(page: Page) -> None:
    page.store(log(ago=7200))

    text = page.get("/services").text

    assert "show that time" in text


def test_metrics_come_as_charts_with_mean_and_largest(page: Page) -> None:
    page.store(
        point("process.cpu.utilization", 0.1, ago=30), point("process.cpu.utilization", 0.3, ago=5)
    )

    charts = page.get("/metrics.json").json()["charts"]

    cpu = charts[0]
    assert cpu["title"] == "Process CPU"
    assert cpu["unit"] == "share"
    (series,) = cpu["series"]
    assert (series["service"], series["instance"]) == ("shop", "one")
    assert series["mean"] == pytest.approx(0.2)
    assert series["max"] == pytest.approx(0.3)
    assert len(series["times"]) == len(series["means"]) == 2


def test_host_memory_is_what_is_used(page: Page) -> None:
    page.store(
        point("system.memory.usage", 100.0, state="used"),
        point("system.memory.usage", 900.0, state="free"),
    )

    host = page.get("/metrics.json").json()["charts"][2]

    assert [series["max"] for series in host["series"]] == [100]


def test_host_cpu_is_what_is_not_idle(page: Page) -> None:
    page.store(
        point("system.cpu.utilization", 0.75, ago=2, state="idle", cpu=0),
        point("system.cpu.utilization", 0.10, ago=2, state="user", cpu=0),
    )

    host = page.get("/metrics.json").json()["charts"][3]

    assert [series["max"] for series in host["series"]] == [pytest.approx(0.25)]


def test_any_metric_can_be_asked_for_by_name(page: Page) -> None:
    page.store(point("queue.length", 7))

    assert "queue.length" in page.get("/metrics").text
    chart = page.get("/metrics.json", name="queue.length").json()
    assert chart["series"][0]["max"] == 7


def test_metrics_say_why_they_are_empty(page: Page) -> None:
    assert "No metrics" in page.get("/metrics").text


def test_the_pipeline_shows_what_was_taken_and_what_was_turned_away(page: Page) -> None:
    receiver = ReceiverCounters("OTLP/HTTP")
    receiver.accept(logs=5, spans=2, duplicates=3, size=1000)
    receiver.reject("invalid_protobuf", "The body is cut short.", now=1_763_726_400.0)
    page.bridge.receivers.append(receiver)
    page.bridge.senders["a"] = SenderCounters("a", received=90, lost=10, last_seen=1_763_726_400.0)
    page.store(log())

    text = page.get("/pipeline").text
    data = page.get("/pipeline.json").json()

    assert "invalid protobuf" in text
    assert "The body is cut short." in text
    assert "10 %" in text
    assert data["receivers"][0]["accepted"] == {"logs": 5, "spans": 2}
    assert (data["receivers"][0]["stored"], data["receivers"][0]["duplicates"]) == (4, 3)
    assert data["receivers"][0]["rejected"] == {"invalid_protobuf": 1}
    assert data["receivers"][0]["last_rejection"]["message"] == "The body is cut short."
    assert (data["senders"][0]["sent"], data["senders"][0]["lost"]) == (100, 10)
    assert data["store"]["logs"] == 1


def started(version: str, *, ago: float, instance: str, service: str = "shop"):
    """The event by which a process announces itself."""
    resource = {"service.version": version, "service.instance.id": instance}
    one = log("process started", ago=ago, service=service, resource=resource)
    one.event_name = "otelbridge.process.start"
    return one


def test_starts_of_processes_come_with_the_charts_and_a_new_version_is_a_deploy(
    page: Page,
) -> None:
    page.store(
        started("1.0", ago=90_000, instance="a"),
        started("1.0", ago=3000, instance="b"),
        started("1.1", ago=2000, instance="c"),
        started("1.1", ago=1900, instance="d"),
        started("7", ago=1000, instance="e", service='pay "now"'),
        log("otelbridge.process.start", ago=500),
    )

    every = page.get("/metrics.json", range="1h").json()["starts"]
    pay = page.get("/metrics.json", range="1h", service='pay "now"').json()["starts"]

    assert [(one["instance"], one["version"], one["deploy"]) for one in every] == [
        ("b", "1.0", False),
        ("c", "1.1", True),
        ("d", "1.1", False),
        ("e", "7", False),
    ]
    assert [one["instance"] for one in pay] == ["e"]


def reported(
    name: str, value: float, *, instance: str = "a-1", ago: float = 1.0, **more: str
) -> MetricPoint:
    """A point in which a process speaks of its delivery."""
    one = point(f"otelbridge.delivery.{name}", value, ago=ago, sink="otlp", signal="logs", **more)
    one.resource = {"service.name": "shop", "service.instance.id": instance}
    return one


def test_the_pipeline_shows_what_each_process_says_of_its_delivery(page: Page) -> None:
    page.store(
        # Only the newest of what it said counts.
        reported("accepted", 50, ago=60),
        reported("accepted", 1000),
        reported("sent", 900),
        reported("resent", 40),
        reported("spooled", 70),
        reported("waiting", 30),
        reported("spool.records", 30),
        reported("spool.size", 9000),
        reported("dropped", 60, reason="spool full"),
        reported("dropped", 10, reason="too large"),
        reported("accepted", 5, instance="b-2"),
        reported("sent", 5, instance="b-2"),
        reported("accepted", 7, instance="long ago", ago=4000),
    )

    text = page.get("/pipeline").text
    first, second = page.get("/pipeline.json").json()["delivery"]

    # The one with trouble stands first.
    assert (first["instance"], second["instance"]) == ("a-1", "b-2")
    assert first["accepted"] == first["sent"] + first["waiting"] + sum(first["dropped"].values())
    assert first["dropped"] == {"spool full": 60, "too large": 10}
    assert (first["resent"], first["spooled"], first["spool_bytes"]) == (40, 70, 9000)
    assert (second["sent"], second["dropped"]) == (5, {})
    assert "60 spool full" in text
    assert "30 of them on disk" in text
    assert "long ago" not in text


def test_the_pipeline_says_that_no_process_has_reported(page: Page) -> None:
    assert "No process has reported" in page.get("/pipeline").text
    assert page.get("/pipeline.json").json()["delivery"] == []


@pytest.mark.parametrize("view", ["services", "metrics", "pipeline", "logs", "traces"])
def test_every_view_has_its_data_at_the_same_address(page: Page, view: str) -> None:
    assert page.get(f"/{view}").headers["content-type"].startswith("text/html")
    assert page.get(f"/{view}.json").headers["content-type"] == "application/json"


@pytest.mark.parametrize("view", ["services", "metrics", "logs", "traces"])
def test_a_wrong_range_is_said_in_every_view(page: Page, view: str) -> None:
    answer = page.get(f"/{view}", range="never")

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert page.get(f"/{view}.json", range="never").status_code == 400
