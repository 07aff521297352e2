"""``otelbridge run``: programs that do not mention otelbridge report to a real bridge, once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from otelbridge.commands.ask import BridgeClient
from tests.served import ServedBridge, serve

pytestmark = pytest.mark.servers

APP = """
import logging, os
from flask import Flask

app = Flask(__name__)

@app.get("/greet/<name>")
def greet(name):
    logging.getLogger("greeter").warning("hello %s", name, extra={"user": name})
    return str(os.getpid())
"""


GUNICORN = "gunicorn --no-control-socket --bind 127.0.0.1:{port}"


@pytest.fixture(scope="module")
def bridge(tmp_path_factory):
    served = serve(tmp_path_factory.mktemp("bridge"))
    yield served
    served.stop()


def environ(bridge: ServedBridge) -> dict[str, str]:
    return {
        **os.environ,
        # As in an activated environment, where `python` and `gunicorn` are those beside otelbridge.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{bridge.http_port}",
        "NO_PROXY": "127.0.0.1",
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def records(bridge: ServedBridge, query: str, count: int) -> list[dict]:
    bridge.wait_for(query, count)
    return BridgeClient(bridge.url, None).get("/logs.json", query=query, range="1h")["records"]


def get(address: str) -> str:
    """Get an address once its server is up."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                return answer.read().decode()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_script(bridge, tmp_path):
    script = tmp_path / "nightly.py"
    script.write_text("import logging; logging.error('no backup', extra={'user': 'cron'})")
    subprocess.run(
        [sys.executable, "-m", "otelbridge", "run", "python", str(script)],
        env=environ(bridge),
        check=True,
        timeout=60,
    )
    [record] = records(bridge, "service.name: nightly", 1)
    assert record["body"]["text"] == "no backup"
    assert record["attributes"]["user"] == "cron"


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("otelbridge run flask --app hello run --port {port}", "hello"),
        (f"otelbridge run {GUNICORN} --workers 2 salut:app", "salut"),
        (f"otelbridge run {GUNICORN} --preload ciao:app", "ciao"),
        # OpenTelemetry's own command finds otelbridge by its entry points.
        ("opentelemetry-instrument flask --app servus run --port {port}", "servus"),
    ],
    ids=["flask", "gunicorn", "gunicorn --preload", "opentelemetry-instrument"],
)
def test_a_server(bridge, tmp_path, server, name):
    port = free_port()
    (tmp_path / f"{name}.py").write_text(APP)
    words = server.format(port=port).split()
    process = subprocess.Popen(
        [Path(sys.executable).parent / words[0], *words[1:]],
        env=environ(bridge),
        cwd=tmp_path,
    )
    try:
        pid = int(get(f"http://127.0.0.1:{port}/greet/alice"))
        lines = records(bridge, f"service.name: {name} and trace.id: *", 3)
    finally:
        process.terminate()
        process.wait(30)
    texts = [line["body"]["text"] for line in reversed(lines)]
    assert texts[0].startswith("Request GET ")
    assert texts[1:] == ["hello alice", "Response 200 OK"]
    assert len({line["trace_id"] for line in lines}) == 1
    assert {line["resource"]["attributes"]["process.pid"] for line in lines} == {pid}
