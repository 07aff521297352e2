"""Errors of real programs, sent in every way, come together in groups on the bridge's page."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from programs import finish, run_program

from tests.web.running import RunningBridge, run_bridge

# Two lines between the two versions, so that line numbers differ.
FAILING = """
class CardError(Exception):
    pass


def pay(user):
    try:
        return {}[user]
    except KeyError as error:
        raise CardError(f"no card of {user}") from error

"""
OURS = "import otelbridge; otelbridge.instrument()\n" + FAILING
STOCK = (
    """
import logging

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

provider = LoggerProvider()
provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
"""
    + FAILING
)

TRACED = (
    """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("payments")
"""
    + FAILING
)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[RunningBridge]:
    with run_bridge(tmp_path) as running:
        yield running


def groups(bridge: RunningBridge, errors: int) -> list[dict[str, Any]]:
    """The groups on the page, once they hold so many errors."""
    deadline = time.monotonic() + 30
    while True:
        found = httpx.get(f"{bridge.url}/errors.json?range=1h").json()["groups"]
        if sum(group["count"] for group in found) >= errors:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def run(bridge: RunningBridge, program: Path, text: str, service: str, **environ: str) -> None:
    program.write_text(text)
    run_program(
        f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')",
        OTEL_SERVICE_NAME=service,
        OTEL_EXPORTER_OTLP_ENDPOINT=bridge.otlp,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTELBRIDGE_SHUTDOWN_TIMEOUT="30s",
        **environ,
    )


def test_one_error_of_two_services_and_two_releases_is_one_group(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    for number, service in enumerate(("shop", "pay")):
        run(
            bridge,
            tmp_path / "payments.py",
            OURS + "\n" * number + f"pay('user {number}')\n",
            service,
            OTEL_RESOURCE_ATTRIBUTES=f"service.version=1.{number}",
        )

    (group,) = groups(bridge, 2)

    # What was raised last, not what it came from.
    assert group["type"].endswith("CardError")
    assert group["message"].startswith("no card of user")
    assert sorted(one["name"] for one in group["services"]) == ["pay", "shop"]
    assert sorted(one["name"] for one in group["releases"]) == ["1.0", "1.1"]
    assert " in pay" in group["where"]


def test_errors_of_a_stock_sdk_are_grouped_too(bridge: RunningBridge, tmp_path: Path) -> None:
    text = STOCK + "\nfor user in ('ann', 'bob'):\n    try:\n        pay(user)\n"
    text += "    except CardError:\n        logging.exception('cannot pay')\n"
    text += "try:\n    int('x')\nexcept ValueError:\n    logging.exception('no number')\n"
    run(bridge, tmp_path / "payments.py", text, "shop")

    found = {group["type"]: group for group in groups(bridge, 3)}

    assert found["ValueError"]["count"] == 1
    (card,) = (group for kind, group in found.items() if kind.endswith("CardError"))
    assert card["count"] == 2
    assert len({group["fingerprint"] for group in found.values()}) == 2


def test_an_error_that_a_stock_sdk_notes_on_a_span_alone_is_listed_once(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    text = TRACED + "\nwith tracer.start_as_current_span('request'):\n    pay('ann')\n"
    run(bridge, tmp_path / "payments.py", text, "shop")

    (group,) = groups(bridge, 1)

    assert group["type"].endswith("CardError")
    assert (group["message"], group["count"]) == ("no card of ann", 1)
    (record,) = httpx.get(
        f"{bridge.url}/logs.json", params={"query": group["logs"], "range": "1h"}
    ).json()["records"]
    (event,) = (
        event
        for one in httpx.get(f"{bridge.url}/traces/{record['trace_id']}.json").json()["spans"]
        for event in one["events"]
    )
    assert event["name"] == record["event_name"] == "exception"


def test_a_line_of_any_program_over_udp_is_grouped(bridge: RunningBridge) -> None:
    line = {
        "message": "cannot close",
        "log.level": "error",
        "service.name": "billing",
        "error.type": "java.lang.IllegalStateException",
        "error.message": "order 5 is closed",
        "error.stack_trace": "java.lang.IllegalStateException: order 5 is closed\n"
        "\tat com.shop.Orders.close(Orders.java:42)\n",
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(2):
            line["error.message"] = f"order {number} is closed"
            line["error.stack_trace"] = line["error.stack_trace"].replace(":42", f":{42 + number}")
            sender.sendto(json.dumps(line).encode(), bridge.bridge.addresses["udp"])

        (group,) = groups(bridge, 2)

    assert group["type"] == "java.lang.IllegalStateException"
    assert len(group["fingerprint"]) == 16


def test_an_error_without_a_frame_of_the_program_s_own_is_listed(bridge: RunningBridge) -> None:
    finish(
        """
        import logging, otelbridge
        otelbridge.instrument()
        logging.error("never raised", exc_info=ValueError("no frame at all"))
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=bridge.otlp,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTELBRIDGE_SHUTDOWN_TIMEOUT="30s",
    )

    (group,) = groups(bridge, 1)

    assert (group["type"], group["message"]) == ("ValueError", "no frame at all")
    assert httpx.get(f"{bridge.url}/errors/{group['fingerprint']}").status_code == 200
