"""The bridge as a process: starts, says where it is, ends in time, and says what is in its way."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from otelbridge.receivers.sockets import BindError, bind
from otelbridge.serve import Bridge, announcement, is_loopback, with_tokens
from otelbridge.settings import read_settings
from otelbridge.store.protocol import StoreError, TimeRange
from otelbridge.store.sqlite import SQLiteStore
from tests.receivers.messages import log, log_request
from tests.receivers.running import MemoryStore, running_bridge

PORTS = {"grpc_port": 0, "http_port": 0, "web_port": 0, "udp_port": 0}
SERVE = (
    "import sys; from otelbridge.serve import serve; from otelbridge.settings import read_settings;"
    "sys.exit(serve(read_settings()))"
)
EVERYTHING = TimeRange(0, 2**63 - 1)


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run ``serve`` in a process of its own, on ports the system chooses."""
    environ = {
        **os.environ,
        **{f"OTELBRIDGE_{name.upper()}": "0" for name in PORTS},
        "OTELBRIDGE_STORE": f"sqlite:///{folder}/test.db",
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "OTEL_EXPORTER_OTLP_ENDPOINT" in line:
                break
        yield process, lines
    finally:
        process.kill()
        process.communicate()


def announced(lines: list[str], name: str) -> str:
    return next(line.split()[-1] for line in lines if line.strip().startswith(name))


def test_it_announces_itself_once_everything_answers(tmp_path):
    with serving(tmp_path) as (process, lines):
        assert lines[0] == "otelbridge is ready; Ctrl+C ends it"
        page, otlp = announced(lines, "open"), announced(lines, "OTLP/HTTP")
        assert httpx.get(page, follow_redirects=True).status_code == 200
        body = log_request(log("stored")).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        assert httpx.post(f"{otlp}/v1/logs", content=body, headers=headers).status_code == 200
        for name in ("OTLP/gRPC", "UDP lines"):
            assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d+", announced(lines, name))
        assert announced(lines, "send") == f"OTEL_EXPORTER_OTLP_ENDPOINT={otlp}"
        assert announced(lines, "store") == f"sqlite:///{tmp_path}/test.db"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    assert stored_bodies(tmp_path) == ["stored"]


def stored_bodies(folder: Path) -> list[str]:
    async def read() -> list[str]:
        store = SQLiteStore(folder / "test.db", retention=1e9, retention_bytes=2**40)
        await store.open()
        try:
            return [stored.record.body for stored in store.logs(None, EVERYTHING)]
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_time_with_an_open_page(tmp_path, number):
    with serving(tmp_path) as (process, lines):
        address = announced(lines, "open")
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))):
            process.send_signal(number)
            started = time.monotonic()
            assert process.wait(60) == 0
            assert time.monotonic() - started < 20


def test_a_second_interrupt_ends_it_at_once(tmp_path):
    with serving(tmp_path) as (process, lines):
        host, port = announced(lines, "OTLP/HTTP").removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n{"
            )
            process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130


def test_a_port_in_use_is_one_line_that_says_what_to_do(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with serving(tmp_path, OTELBRIDGE_HTTP_PORT=str(port)) as (process, lines):
            assert process.wait(60) == 1
            assert lines == []
            name = psutil.Process().name()
            assert process.stderr.read() == (
                f"otelbridge: port {port} (OTLP/HTTP) on 127.0.0.1 is in use by {name}, "
                f"process {os.getpid()}; stop it, or set OTELBRIDGE_HTTP_PORT to another port "
                "(0 for any)\n"
            )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("port", "kind", "what", "variable"),
    [
        ("grpc_port", "tcp", "OTLP/gRPC", "OTELBRIDGE_GRPC_PORT"),
        ("http_port", "tcp", "OTLP/HTTP", "OTELBRIDGE_HTTP_PORT"),
        ("web_port", "tcp", "page and API", "OTELBRIDGE_WEB_PORT"),
        ("udp_port", "udp", "UDP lines", "OTELBRIDGE_UDP_PORT"),
    ],
)
def test_each_port_in_use_is_named_and_the_others_are_let_go(port, kind, what, variable):
    with running_bridge() as bridge:
        taken = bridge.bridge.addresses[port.removesuffix("_port")][1]
        second = Bridge(
            read_settings({}, **{**PORTS, port: taken}),
            store=MemoryStore(),
            create_web=lambda bridge: None,
        )
        with pytest.raises(BindError, match=re.escape(f"port {taken} ({what})")) as error:
            asyncio.run(second.start())
        assert variable in str(error.value)
        assert not second.store.opened


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("192.0.2.7", "192.0.2.7 is not an address of this machine; set OTELBRIDGE_HOST"),
        ("no such host", "'no such host' is no address to listen on"),
    ],
)
def test_a_wrong_host_is_one_line_that_says_what_to_do(host, message):
    with pytest.raises(BindError, match=re.escape(message)):
        bind(host, 0, "tcp", "OTLP/HTTP", "OTELBRIDGE_HTTP_PORT")


def test_a_port_is_free_again_as_soon_as_the_bridge_has_stopped():
    with running_bridge() as bridge:
        port = bridge.bridge.addresses["http"][1]
        httpx.get(bridge.url("http", "/healthz"))
    with running_bridge(http_port=port) as bridge:
        assert httpx.get(bridge.url("http", "/healthz")).status_code == 200


def test_a_store_that_cannot_be_opened_lets_the_ports_go(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    settings = read_settings({}, **PORTS, store=f"sqlite:///{blocked}/test.db")

    async def start() -> None:
        await Bridge(settings).start()

    with pytest.raises(StoreError) as error:
        asyncio.run(start())
    assert "\n" not in str(error.value)


def test_every_receiver_listens_on_ipv6():
    with running_bridge(host="::1") as bridge:
        assert {host for host, _ in bridge.bridge.addresses.values()} == {"::1"}
        assert httpx.get(bridge.url("http", "/healthz")).status_code == 200
        places = announcement(bridge.bridge, colour=False)
        assert f"http://[::1]:{bridge.bridge.addresses['web'][1]}/" in places


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_loopback_is_told_from_the_network(host, loopback):
    assert is_loopback(host) is loopback


def test_on_loopback_no_token_is_made_up():
    settings = with_tokens(read_settings({}))
    assert (settings.token, settings.ingest_token) == (None, None)


def test_beyond_loopback_a_token_is_made_up_for_page_and_senders():
    first, second = (with_tokens(read_settings({}, host="0.0.0.0")) for _ in range(2))
    assert len(first.token) >= 32
    assert first.ingest_token == first.token != second.token


def test_given_tokens_are_used():
    settings = with_tokens(read_settings({}, host="0.0.0.0", token="a", ingest_token="b"))
    assert (settings.token, settings.ingest_token) == ("a", "b")


def test_the_token_is_printed_once_and_the_ingest_token_never():
    with running_bridge(token="page-secret", ingest_token="ingest-secret") as bridge:
        text = announcement(bridge.bridge, colour=False)
    assert text.count("page-secret") == 1
    assert "/?token=page-secret" in text
    assert "ingest-secret" not in text
    assert "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN" in text
    assert "(asks for no token)" in next(line for line in text.splitlines() if "UDP" in line)


def test_colour_is_for_terminals():
    with running_bridge() as bridge:
        assert "\x1b" not in announcement(bridge.bridge, colour=False)
        coloured = announcement(bridge.bridge, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == announcement(bridge.bridge, colour=False)


def test_beyond_loopback_senders_are_asked_for_the_token():
    with running_bridge(host="0.0.0.0") as bridge:
        port = bridge.bridge.addresses["http"][1]
        url = f"http://127.0.0.1:{port}/v1/logs"
        headers = {"Content-Type": "application/json"}
        assert httpx.post(url, content=b"{}", headers=headers).status_code == 401
        headers["Authorization"] = f"Bearer {bridge.bridge.settings.ingest_token}"
        assert httpx.post(url, content=b"{}", headers=headers).status_code == 200
