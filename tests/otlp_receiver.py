"""An OTLP receiver for tests: HTTP (protobuf and JSON) and gRPC, keeping what it gets in lists."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

REQUESTS = {
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
RESPONSES = {
    "logs": logs_service_pb2.ExportLogsServiceResponse,
    "traces": trace_service_pb2.ExportTraceServiceResponse,
    "metrics": metrics_service_pb2.ExportMetricsServiceResponse,
}


@dataclass
class Received:
    """One log record, span or metric, with its attributes as plain data."""

    item: Any
    attributes: dict[str, Any]
    resource: dict[str, Any]
    scope: str


@dataclass
class OTLPReceiver:
    """Listens on two ports of the loopback address; start it with ``with``.

    Attributes:
        status: what HTTP requests are answered with.
        delay: seconds before an answer.
        max_bytes: a larger HTTP body is answered with 413.
    """

    logs: list[Received] = field(default_factory=list)
    traces: list[Received] = field(default_factory=list)
    metrics: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    delay: float = 0.0
    max_bytes: int = 2**40
    http_port: int = 0
    grpc_port: int = 0

    def __post_init__(self) -> None:
        self._changed = threading.Condition()

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    def endpoint(self, protocol: str) -> str:
        return self.grpc if protocol == "grpc" else self.http

    def wait_for(self, enough: Callable[[OTLPReceiver], Any], timeout: float = 60.0) -> Any:
        """Wait until ``enough(self)`` is true; fail loudly if it never is."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(self), timeout):
                bodies = [record.item.body.string_value for record in self.logs]
                raise AssertionError(
                    f"not received in {timeout} s; {len(self.logs)} logs {bodies[:20]},"
                    f" {len(self.traces)} spans, {len(self.metrics)} metrics"
                )
            return enough(self)

    def log(self, body: str, timeout: float = 60.0) -> Received:
        """Wait for the log record with this message."""
        return self.wait_for(
            lambda it: next((r for r in it.logs if r.item.body.string_value == body), None), timeout
        )

    def take(self, signal: str, request: Any) -> None:
        """Keep everything of one request."""
        found = list(_flatten(signal, request))
        with self._changed:
            getattr(self, signal).extend(found)
            self._changed.notify_all()

    def __enter__(self) -> OTLPReceiver:
        self._http = ThreadingHTTPServer(("127.0.0.1", self.http_port), _handler(self))
        self._http.daemon_threads = True
        self.http_port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        for signal, module, service in (
            ("logs", logs_service_pb2_grpc, "LogsService"),
            ("traces", trace_service_pb2_grpc, "TraceService"),
            ("metrics", metrics_service_pb2_grpc, "MetricsService"),
        ):
            base = getattr(module, f"{service}Servicer")
            servicer = type("Servicer", (base,), {"Export": _export(self, signal)})()
            getattr(module, f"add_{service}Servicer_to_server")(servicer, self._grpc)
        self.grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()


def _handler(receiver: OTLPReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            signal = self.path.rsplit("/", 1)[-1]
            receiver.headers.append({key.lower(): value for key, value in self.headers.items()})
            time.sleep(receiver.delay)
            answer = b""
            status = receiver.status if len(body) <= receiver.max_bytes else 413
            if status == 200:
                if "json" in self.headers["content-type"]:
                    request = _from_json(signal, body)
                    answer = b"{}"
                else:
                    request = REQUESTS[signal]()
                    request.ParseFromString(body)
                receiver.take(signal, request)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.send_header("content-type", self.headers["content-type"])
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    return Handler


def _export(receiver: OTLPReceiver, signal: str) -> Any:
    def export(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        receiver.headers.append({key: str(value) for key, value in context.invocation_metadata()})
        time.sleep(receiver.delay)
        receiver.take(signal, request)
        return RESPONSES[signal]()

    return export


def _from_json(signal: str, body: bytes) -> Any:
    """Read OTLP/JSON, which writes ids in hexadecimal where protobuf's JSON has base64."""
    import base64
    import json

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: base64.b64encode(bytes.fromhex(member)).decode()
                if key in {"traceId", "spanId", "parentSpanId"}
                else restore(member)
                for key, member in value.items()
            }
        return [restore(member) for member in value] if isinstance(value, list) else value

    return json_format.ParseDict(restore(json.loads(body)), REQUESTS[signal]())


def _flatten(signal: str, request: Any) -> Iterator[Received]:
    groups, scopes, items = {
        "logs": ("resource_logs", "scope_logs", "log_records"),
        "traces": ("resource_spans", "scope_spans", "spans"),
        "metrics": ("resource_metrics", "scope_metrics", "metrics"),
    }[signal]
    for group in getattr(request, groups):
        resource = plain_attributes(group.resource.attributes)
        for scope in getattr(group, scopes):
            for item in getattr(scope, items):
                attributes = plain_attributes(getattr(item, "attributes", ()))
                yield Received(item, attributes, resource, scope.scope.name)


def plain_attributes(attributes: Any) -> dict[str, Any]:
    """Read a list of key-value pairs, refusing a key that comes twice."""
    found: dict[str, Any] = {}
    for pair in attributes:
        assert pair.key not in found, f"{pair.key} twice"
        found[pair.key] = plain(pair.value)
    return found


def plain(value: Any) -> Any:
    """Read an AnyValue."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(member) for member in value.array_value.values]
    if kind == "kvlist_value":
        return plain_attributes(value.kvlist_value.values)
    return getattr(value, kind)
