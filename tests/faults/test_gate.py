"""The gate does what drills rely on: what it breaks is broken, and nothing else."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.destinations import is_open
from tests.faults.gate import Answer, CloseHalfWay, Fault, Gate, Hang, Pass, Refuse, Reset, Slow


class Upstream(ThreadingHTTPServer):
    """Answers with what it was sent, and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.taken: list[bytes] = []


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["http", "tcp"])
def gate(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[Gate]:
    with Gate(upstream.server_port, request.param) as gate:
        yield gate


@pytest.fixture
def http_gate(upstream: Upstream) -> Iterator[Gate]:
    with Gate(upstream.server_port) as gate:
        yield gate


def post(
    gate: Gate,
    body: bytes,
    connection: http.client.HTTPConnection | None = None,
    timeout: float = 5,
) -> tuple[int, bytes]:
    kept = connection or http.client.HTTPConnection("127.0.0.1", gate.port, timeout=timeout)
    kept.request("POST", "/", body)
    answer = kept.getresponse()
    found = answer.status, answer.read()
    if connection is None:
        kept.close()
    return found


def test_requests_pass(gate: Gate, upstream: Upstream) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=5)
    bodies = [b"x" * size for size in (0, 1, 70_000, 3_000_000)]
    assert [post(gate, body, connection) for body in bodies] == [(200, body) for body in bodies]
    assert upstream.taken == bodies


def test_an_answer_is_given_in_the_servers_place(http_gate: Gate, upstream: Upstream) -> None:
    http_gate.fault = Answer(503, {"Retry-After": "7"})
    connection = http.client.HTTPConnection("127.0.0.1", http_gate.port, timeout=5)
    for _ in range(2):
        connection.request("POST", "/", b"one")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("retry-after"), answer.read()) == (503, "7", b"")
    assert upstream.taken == []
    http_gate.fault = Pass()
    assert post(http_gate, b"two", connection) == (200, b"two")


def test_a_hanging_request_never_comes_to_the_server(gate: Gate, upstream: Upstream) -> None:
    gate.fault = Hang()
    with pytest.raises(TimeoutError):
        post(gate, b"one", timeout=0.3)
    assert upstream.taken == []


@pytest.mark.parametrize("fault", [CloseHalfWay(), CloseHalfWay(after=10)], ids=str)
def test_a_lost_answers_request_is_taken(gate: Gate, upstream: Upstream, fault: Fault) -> None:
    gate.fault = fault
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        post(gate, b"one")
    assert upstream.taken == [b"one"]


@pytest.mark.parametrize("fault", [Reset(), Refuse()], ids=str)
def test_what_is_broken_off_is_not_taken(gate: Gate, upstream: Upstream, fault: Fault) -> None:
    gate.fault = fault
    with pytest.raises(ConnectionError):
        post(gate, b"one")
    assert upstream.taken == []


def test_a_connection_that_is_open_is_broken_as_well(gate: Gate, upstream: Upstream) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=5)
    assert post(gate, b"one", connection) == (200, b"one")
    gate.fault = Reset()
    with pytest.raises(ConnectionError):
        post(gate, b"two", connection)
    assert upstream.taken == [b"one"]


def test_who_refuses_does_not_listen_and_comes_back_at_the_same_port(gate: Gate) -> None:
    port = gate.port
    gate.fault = Refuse()
    assert not is_open(port)
    gate.fault = Pass()
    assert post(gate, b"one") == (200, b"one")
    assert gate.port == port


def test_a_slow_answer_takes_its_time(gate: Gate) -> None:
    gate.fault = Slow(rate=4096)
    begun = time.monotonic()
    assert post(gate, b"x" * 4096) == (200, b"x" * 4096)
    assert time.monotonic() - begun > 0.9


def test_a_small_answer_is_slow_too(http_gate: Gate) -> None:
    http_gate.fault = Slow(rate=8192)
    begun = time.monotonic()
    assert post(http_gate, b"one") == (200, b"one")
    assert time.monotonic() - begun > 0.4


def test_a_slow_line_is_slow_for_requests_as_well(gate: Gate) -> None:
    gate.fault = Slow(rate=8192, requests=True)
    begun = time.monotonic()
    assert post(gate, b"x" * 8192) == (200, b"x" * 8192)
    assert time.monotonic() - begun > 1.8


def test_a_request_counts_once_it_has_begun(http_gate: Gate) -> None:
    http_gate.fault = Slow(rate=1024, requests=True)
    with pytest.raises(TimeoutError):
        post(http_gate, b"x" * 100_000, timeout=0.3)
    assert http_gate.requests == 1
