"""``telemetrygen``, a Go client of the Collector project, sends; everything is found by search."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest
from interop import telemetrygen
from interop.running_bridge import Bridge

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

WORKERS = 3
EACH = 200


@pytest.fixture(scope="module")
def program() -> Path:
    return telemetrygen.build()


@pytest.fixture(params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


def _generate(program: Path, bridge: Bridge, protocol: str, signal: str, *arguments: str) -> str:
    """Run it to its end; returns the service name that only this run used."""
    service = f"telemetrygen-{uuid.uuid4().hex[:12]}"
    done = subprocess.run(
        [
            *(str(program), signal, "--otlp-insecure", "--rate", "0"),
            *("--otlp-endpoint", bridge.endpoint(protocol), "--service", service),
            *("--workers", str(WORKERS), *arguments),
            *(["--otlp-http"] if protocol == "http" else []),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return service


def test_every_log_of_telemetrygen_is_found(bridge: Bridge, program: Path, protocol: str) -> None:
    service = _generate(
        *(program, bridge, protocol, "logs", "--logs", str(EACH)),
        *("--body", "Ship the parcel", "--severity-number", "17", "--severity-text", "Error"),
        *("--telemetry-attributes", 'user="алиса"', "--telemetry-attributes", "code=402"),
    )
    found = bridge.logs(
        f'user: "алиса" and code >= 400 and service.name: {service}', EACH * WORKERS
    )
    assert {record["body"]["text"] for record in found} == {"Ship the parcel"}
    assert {record["severity_text"] for record in found} == {"Error"}
    bridge.logs(f"log.level: error and parcel and service.name: {service}", EACH * WORKERS)


def test_every_trace_of_telemetrygen_is_found_whole(
    bridge: Bridge, program: Path, protocol: str
) -> None:
    children = 2
    service = _generate(
        *(program, bridge, protocol, "traces", "--traces", str(EACH)),
        *("--child-spans", str(children), "--telemetry-attributes", "code=402"),
    )
    found = bridge.traces(f"code: 402 and service.name: {service}", EACH * WORKERS)
    assert {trace["spans"] for trace in found} == {1 + children}
    for trace in found[:20]:
        spans = bridge.ask(f"/traces/{trace['trace_id']}.json")["spans"]
        roots = [span for span in spans if not span["parent_span_id"]]
        assert len(spans) == 1 + children
        assert len(roots) == 1
        assert {span["parent_span_id"] for span in spans if span is not roots[0]} == {
            roots[0]["span_id"]
        }


@pytest.mark.parametrize("kind", ["Gauge", "Sum", "Histogram", "ExponentialHistogram"])
def test_metrics_of_telemetrygen_are_found(
    bridge: Bridge, program: Path, protocol: str, kind: str
) -> None:
    service = _generate(
        *(program, bridge, protocol, "metrics", "--metrics", "5", "--metric-type", kind),
        *("--otlp-metric-name", f"made.{kind.lower()}"),
        # Cumulative histograms that do not grow, as it sends them, hold nothing new to show.
        *(["--aggregation-temporality", "delta"] if "Histogram" in kind else []),
    )
    answer = bridge.ask("/metrics.json", name=f"made.{kind.lower()}", service=service, range="1h")
    assert answer["series"]
    assert {series["service"] for series in answer["series"]} == {service}
