"""A receiver that only counts: ``python -m benchmarks.sink``.

Takes OTLP/HTTP protobuf, and what the agents of Elastic APM and Sentry send; answers at once, and
tells at ``GET /counts`` how much came since it was asked last. It prints its port and ends when its
standard input is closed.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def _records(path: str, body: bytes) -> dict[str, int]:
    if path == "/v1/logs":
        logs = ExportLogsServiceRequest.FromString(body)
        scopes = [scope for group in logs.resource_logs for scope in group.scope_logs]
        return {"logs": sum(len(scope.log_records) for scope in scopes)}
    if path == "/v1/traces":
        spans = ExportTraceServiceRequest.FromString(body)
        groups = [scope for group in spans.resource_spans for scope in group.scope_spans]
        return {"spans": sum(len(scope.spans) for scope in groups)}
    if path.startswith("/intake/v2/events"):
        return {"spans": sum(line.startswith(b'{"transaction"') for line in body.splitlines())}
    if path.endswith("/envelope/"):
        return _envelope(body)
    return {"metric requests": 1}


def _envelope(body: bytes) -> dict[str, int]:
    """Count the items of a Sentry envelope: a line of JSON before each payload tells what it is."""
    counts: Counter[str] = Counter()
    rest = body.partition(b"\n")[2]
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line:
            continue
        header = json.loads(line)
        length = header.get("length", rest.find(b"\n"))
        rest = rest[length + 1 :]
        if header["type"] == "transaction":
            counts["spans"] += 1
        elif header["type"] == "log":
            counts["logs"] += header["item_count"]
    return counts


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        found = _records(self.path, body)
        with _lock:
            _counts.update(found)
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        if self.path != "/counts":  # an agent that asks for its settings
            self._answer(b"{}", "application/json")
            return
        with _lock:
            content = json.dumps(_counts).encode()
            _counts.clear()
        self._answer(content, "application/json")

    def _answer(self, content: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
