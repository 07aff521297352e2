"""A stand-in for Elasticsearch's security: TLS and accounts before the real server without them.

The test bed's Elasticsearch has no security at all. This is a proxy that speaks real TLS, asks for
what a secured server asks for and passes on the rest; whether the real one agrees is for
``docs/verify-compose.md``.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Secured:
    """What it takes, and what it was asked for."""

    api_key = base64.b64encode(b"id:key").decode()

    def __init__(self, ca_file: Path, url: str, password: str) -> None:
        self.ca_file = ca_file
        self.url = url
        self.basic = "Basic " + base64.b64encode(f"elastic:{password}".encode()).decode()
        self.passwords: list[str] = []
        self.refused = 0
        self.keys_wanted: list[dict[str, Any]] = []


@contextmanager
def secured_server(folder: Path, upstream: str, password: str) -> Iterator[Secured]:
    """Listen with a certificate of its own."""
    certificate, key = folder / "ca.crt", folder / "ca.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    secured = Secured(certificate, f"https://127.0.0.1:{server.server_port}", password)
    server.secured, server.upstream = secured, urlsplit(upstream).netloc  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield secured
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        secured: Secured = self.server.secured  # type: ignore[attr-defined]
        body = self._body()
        who = self.headers.get("Authorization", "")
        if who == secured.basic and self.path == "/_security/user/kibana_system/_password":
            secured.passwords.append(json.loads(body)["password"])
            self._answer(200, b"{}")
        elif who == secured.basic and self.path == "/_security/api_key":
            secured.keys_wanted.append(json.loads(body))
            key = {"id": "id", "name": "n", "api_key": "key", "encoded": secured.api_key}
            self._answer(200, json.dumps(key, separators=(",", ":")).encode())
        elif who == secured.basic or who.lower() == f"apikey {secured.api_key}".lower():
            self._pass_on(body)
        else:
            secured.refused += 1
            why = {"type": "security_exception", "reason": "unable to authenticate"}
            self._answer(401, json.dumps({"error": why, "status": 401}).encode())

    do_GET = do_HEAD = do_PUT = do_POST

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)  # type: ignore[attr-defined]
        headers = {
            name: self.headers[name]
            for name in ("Content-Type", "Content-Encoding", "Accept")
            if name in self.headers
        }
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.read(), answer.getheader("Content-Type"))
        connection.close()

    def _answer(self, status: int, body: bytes, type: str | None = None) -> None:
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", type or "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
