"""Requests go out compressed, and answers are read whether they are or not."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from otelbridge.elasticsearch import node
from otelbridge.elasticsearch.client import make_client
from otelbridge.settings import read_settings

LINES = b'{"create":{"_id":"1"}}\n{"message":"%b"}\n' % (b"again and " * 1000)


class Server(ThreadingHTTPServer):
    """Keeps the requests it was sent, and answers each with their number."""

    requests: list[tuple[str | None, bytes]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.headers["content-encoding"], body))
        answer = json.dumps({"items": [], "number": len(self.server.requests)}).encode()
        self.send_response(200)
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-type", "application/json")
        if "gzip" in self.headers["accept-encoding"]:
            answer = gzip.compress(answer)
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server counts as one on another machine."""
    monkeypatch.setattr(node, "is_on_this_machine", lambda host: False)


def test_on_one_machine_nothing_is_compressed(server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    with make_client(read_settings({}, elasticsearch_url=url)) as client:
        assert client.bulk(operations=[LINES])["number"] == 1

    assert [encoding for encoding, _ in server.requests] == [None]


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("localhost", True),
        ("es.localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("elasticsearch", False),
        ("localhost.example", False),
    ],
)
def test_this_machine_is_known_by_its_names(host: str, is_here: bool) -> None:
    assert node.is_on_this_machine(host) is is_here


@pytest.mark.usefixtures("far")
def test_a_body_is_sent_compressed_and_a_compressed_answer_is_read(server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    with make_client(read_settings({}, elasticsearch_url=url)) as client:
        answer = client.bulk(operations=[LINES])
        assert answer["number"] == 1
    ((encoding, body),) = server.requests
    assert encoding == "gzip"
    assert len(body) < len(LINES) / 20
    assert gzip.decompress(body) == LINES


@pytest.mark.usefixtures("far")
def test_what_fits_in_a_packet_is_sent_as_it_is(server: Server) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    with make_client(read_settings({}, elasticsearch_url=url)) as client:
        client.bulk(operations=[{"create": {"_id": "1"}}, {"message": "short"}])
    ((encoding, body),) = server.requests
    assert encoding is None
    assert body == b'{"create":{"_id":"1"}}\n{"message":"short"}\n'
