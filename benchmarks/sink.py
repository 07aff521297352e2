"""A receiver that only counts: ``python -m benchmarks.sink``.

Takes OTLP/HTTP protobuf, answers at once, and tells at ``GET /counts`` how much came. It prints its
port and ends when its standard input is closed.
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


def _records(path: str, body: bytes) -> tuple[str, int]:
    if path == "/v1/logs":
        logs = ExportLogsServiceRequest.FromString(body)
        return "logs", sum(
            len(scope.log_records) for group in logs.resource_logs for scope in group.scope_logs
        )
    if path == "/v1/traces":
        spans = ExportTraceServiceRequest.FromString(body)
        return "spans", sum(
            len(scope.spans) for group in spans.resource_spans for scope in group.scope_spans
        )
    return "metric requests", 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        name, count = _records(self.path, body)
        with _lock:
            _counts[name] += count
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
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
