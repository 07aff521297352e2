"""A receiver that only counts: ``python -m benchmarks.sink``.

Takes OTLP over HTTP as protobuf and over gRPC, and what the clients of Elastic APM, Sentry and
LoggerFlow send; answers at once, and tells at ``GET /counts`` how much came since it was asked
last. It prints its two ports, HTTP and gRPC, and ends when its standard input is closed.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

# Log records that a library writes about itself are no part of what the app produced.
OWN_SCOPES = ("otelbridge.", "opentelemetry.")
# A log record is a span to Logfire.
LOG_SPANS = "logfire.stdlib.logging"

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def count_logs(body: bytes) -> Counter[str]:
    """Count the log records of an OTLP request; those of :data:`OWN_SCOPES` apart."""
    found: Counter[str] = Counter()
    for group in ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in group.scope_logs:
            own = scope.scope.name.startswith(OWN_SCOPES)
            found["own logs" if own else "logs"] += len(scope.log_records)
    return found


def count_spans(body: bytes) -> Counter[str]:
    """Count the spans of an OTLP request; those that are log records as such."""
    found: Counter[str] = Counter()
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            found["logs" if scope.scope.name == LOG_SPANS else "spans"] += len(scope.spans)
    return found


def count_transactions(body: bytes) -> Counter[str]:
    """Count the transactions, as spans, of what Elastic APM's agent sends: a line of JSON each."""
    return Counter(spans=sum(line.startswith(b'{"transaction"') for line in body.splitlines()))


def count_envelope(body: bytes) -> Counter[str]:
    """Count the items of a Sentry envelope: a line of JSON before each payload tells what it is."""
    found: Counter[str] = Counter()
    rest = body.partition(b"\n")[2]
    while rest:
        line, _, rest = rest.partition(b"\n")
        if not line:
            continue
        header = json.loads(line)
        length = header.get("length", rest.find(b"\n"))
        rest = rest[length + 1 :]
        if header["type"] == "transaction":
            found["spans"] += 1
        elif header["type"] == "log":
            found["logs"] += header["item_count"]
    return found


def count(path: str, body: bytes) -> Mapping[str, int]:
    """Count what came to a path."""
    if path == "/v1/logs":
        return count_logs(body)
    if path == "/v1/traces":
        return count_spans(body)
    if path.startswith("/intake/v2/events"):
        return count_transactions(body)
    if path.endswith("/envelope/"):
        return count_envelope(body)
    if path.startswith("/loggerflow/"):
        return {"LoggerFlow's messages": 1}
    return {"metric requests": 1}


def _add(found: Mapping[str, int]) -> None:
    with _lock:
        _counts.update(found)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        _add(count(self.path, body))
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


def _service(signal: str, counted: Callable[[bytes], Mapping[str, int]]) -> Any:
    """The gRPC service of a signal; bodies come as bytes, and an empty answer is none at all."""

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        _add(counted(body))
        return b""

    name = f"opentelemetry.proto.collector.{signal.lower()}.v1.{signal}Service"
    return grpc.method_handlers_generic_handler(
        name, {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )


def main() -> None:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (
            _service("Logs", count_logs),
            _service("Trace", count_spans),
            _service("Metrics", lambda body: {"metric requests": 1}),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(http.server_address[1], port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
