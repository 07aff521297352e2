"""Secrets planted wherever one can hide reach no sink: a real program, and all it sent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.served import ServedBridge, serve

pytestmark = pytest.mark.servers

# Each is planted in one place only, so that the one that leaks tells where it came from.
PLACES = (
    "extra", "nested", "key_in_list", "message", "argument", "json_text", "address", "query",
    "header_text", "exception", "cause", "span_attribute", "span_name", "span_event", "span_error",
    "printed", "named", "request_query", "request_cookie", "logged_headers", "stack", "field",
    "kept_account",
)  # fmt: skip
PROGRAM = """
import json, logging, os, sys
import flask, otelbridge
from opentelemetry import trace

S = {name: f"hunter2-{name}" for name in sys.argv[1].split(",")}
app = flask.Flask("vault")
otelbridge.instrument(app)
log = logging.getLogger("vault")
log.setLevel(logging.DEBUG)
log.addHandler(otelbridge.AuditHandler(sys.argv[2] + "/audit.jsonl"))

@app.get("/login")
def login():
    sent = {**flask.request.headers, "Authorization": "Basic " + S["logged_headers"]}
    log.info("headers %s", sent)
    return "ok"

log.info("kept visible", extra={"password": S["extra"], "user": "alice"})
log.info("nested", extra={"login": {"api_key": S["nested"]}})
log.info("list", extra={"accounts": [{"token": S["key_in_list"]}]})
log.info("password=" + S["message"])
log.info("client_secret=%s", S["argument"])
log.info(json.dumps({"user": "bob", "secret": S["json_text"]}))
log.info("postgresql://app:%s@db/shop", S["address"])
log.info("GET /reset?token=%s&x=1", S["query"])
log.info("Authorization: Bearer %s", S["header_text"])
log.info("iban", extra={"iban": S["named"]})
log.info("paid with 4242 4242 4242 4242")
with otelbridge.fields(access_token=S["field"]):
    log.info("in a scope")
otelbridge.get_logger("api", log_dir=sys.argv[2]).warning("password=" + S["kept_account"])
try:
    try:
        raise ValueError("password=" + S["cause"])
    except ValueError as error:
        raise RuntimeError("token=" + S["exception"]) from error
except RuntimeError:
    log.exception("failed")
tracer = trace.get_tracer("vault")
with tracer.start_as_current_span("GET /?token=" + S["span_name"]) as span:
    span.set_attribute("db.password", S["span_attribute"])
    span.add_event("signed in", {"cookie": S["span_event"]})
try:
    with tracer.start_as_current_span("fails"):
        raise ValueError("secret=" + S["span_error"])
except ValueError:
    pass
def deep(text):
    eval("log.info('stack', stack_info=True)  # password=" + S["stack"])
deep("")
print("password=" + S["printed"])
client = app.test_client()
client.set_cookie("session", S["request_cookie"])
client.get("/login?password=" + S["request_query"])
otelbridge.shutdown()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bridge")


@pytest.fixture(scope="module")
def bridge(folder):
    served = serve(folder)
    yield served
    served.stop()


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        listener.setblocking(False)
        yield listener


def everything_at(listener: socket.socket) -> bytes:
    received = b""
    with suppress(BlockingIOError):
        while True:
            received += listener.recv(65_536)
    return received


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_no_sink_is_given_a_secret(
    bridge: ServedBridge, listener: socket.socket, folder: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(PLACES), str(tmp_path / "accounts")],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{bridge.http_port}",
            "OTELBRIDGE_SINKS": "otlp,udp,file,console,elasticsearch",
            # It is away, and its documents are kept in the spool.
            "OTELBRIDGE_ELASTICSEARCH_URL": "http://127.0.0.1:9",
            "OTELBRIDGE_UDP_ENDPOINT": f"127.0.0.1:{listener.getsockname()[1]}",
            "OTELBRIDGE_FILE": str(tmp_path / "out" / "lines.jsonl"),
            "OTELBRIDGE_CAPTURE_OUTPUT": "true",
            "OTELBRIDGE_CONSOLE_FORMAT": "text",
            "OTELBRIDGE_REDACT": "iban",
            "OTELBRIDGE_SPOOL_DIR": str(tmp_path / "spool"),
            "OTELBRIDGE_SHUTDOWN_TIMEOUT": "60s",
            "NO_PROXY": "127.0.0.1",
        },
        cwd=tmp_path,
        capture_output=True,
        check=True,
        timeout=120,
    )
    bridge.wait_for("log.logger: stdout", 1)
    bridge.wait_for("failed", 1)
    taken = {
        "file": everything_in(tmp_path / "out"),
        "console": done.stderr,
        "udp": everything_at(listener),
        "otlp": everything_in(folder),
        "elasticsearch": everything_in(tmp_path / "spool"),
        "audit trail": (tmp_path / "accounts" / "audit.jsonl").read_bytes(),
    }

    for sink, data in taken.items():
        leaked = [place for place in PLACES if f"hunter2-{place}".encode() in data]
        assert not leaked, f"into {sink}"
        assert b"4242" not in data
        assert b"kept visible" in data
        assert b"alice" in data
    assert b"signed in" in taken["otlp"]
    account = (tmp_path / "accounts" / "api.log").read_text()
    assert account.endswith("password=***\n")
    assert account in done.stdout.decode()
