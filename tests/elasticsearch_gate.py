"""An HTTP server in front of a real Elasticsearch that lets requests through, or does not."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# Status and body of an answer given in Elasticsearch's place, or None to pass the request on.
Answer = tuple[int, Any] | None


@dataclass
class Gate:
    """Listens on the loopback address while in a ``with`` block.

    Attributes:
        url: of the real server.
        answer: decides about each bulk request, by the request's lines.
        lose_answers: how many answers of the real server are not passed back.
        times: when bulk requests came, on the monotonic clock.
        port: where it listens; given, it listens there.
    """

    url: str
    answer: Callable[[list[dict[str, Any]]], Answer] = lambda lines: None
    lose_answers: int = 0
    times: list[float] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Gate:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                gate.pass_on(self)

            do_GET = do_PUT = do_HEAD = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        if urlsplit(handler.path).path == "/_bulk":
            self.times.append(time.monotonic())
            plain = gzip.decompress(body) if handler.headers.get("content-encoding") else body
            given = self.answer([json.loads(line) for line in plain.splitlines()])
            if given is not None:
                self._reply(handler, given[0], json.dumps(given[1]).encode())
                return
        upstream = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            upstream.request(handler.command, handler.path, body, dict(handler.headers))
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if self.lose_answers > 0 and urlsplit(handler.path).path == "/_bulk":
            self.lose_answers -= 1
            handler.close_connection = True
            return
        self._reply(handler, answer.status, content, answer.getheader("content-encoding"))

    def _reply(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, encoding: str | None = None
    ) -> None:
        handler.send_response(status)
        handler.send_header("x-elastic-product", "Elasticsearch")
        handler.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=9")
        if encoding:
            handler.send_header("content-encoding", encoding)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def busy(lines: list[dict[str, Any]]) -> Answer:
    """Answer as a server whose queue is full."""
    reason = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}
    return 429, {"error": reason, "status": 429}
