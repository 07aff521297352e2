"""A real bridge for senders that nobody here wrote."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop import telemetrygen
from interop.running_bridge import Bridge

START_SECONDS = 60.0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave telemetrygen's tests out where it cannot be built, and say so."""
    if telemetrygen.available() or os.environ.get("OTELBRIDGE_REQUIRE_SERVERS") == "1":
        return
    left_out = [item for item in items if item.path.name == "test_telemetrygen.py"]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"{len(left_out)} tests need Go to build telemetrygen: left out")


def _free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge of its own for one module of tests, with an empty store."""
    folder = tmp_path_factory.mktemp("bridge")
    ports = {name: _free_port(socket.SOCK_STREAM) for name in ("grpc", "http", "web")}
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "OTELBRIDGE_"))}
    environ |= {f"OTELBRIDGE_{name.upper()}_PORT": str(port) for name, port in ports.items()}
    environ["OTELBRIDGE_UDP_PORT"] = str(_free_port(socket.SOCK_DGRAM))
    environ["OTELBRIDGE_STORE"] = f"sqlite:///{folder / 'interop.db'}"
    output = folder / "serve.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "otelbridge", "serve"],
            env=environ,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_health(process, ports["web"], output)
        yield Bridge(**ports)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_health(process: subprocess.Popen[bytes], web: int, output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web}/healthz", timeout=5):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the bridge does not answer ({error}):\n{output.read_text()}")
            time.sleep(0.05)
