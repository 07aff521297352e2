"""What a server's answer means for what it was sent, and what of the stock exporters is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import requests
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.common import http as upstream_http
from opentelemetry.exporter.otlp.proto.http import _common as http_exporters
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from otelbridge.delivery.answer import Answer
from otelbridge.settings import read_settings
from otelbridge.sinks.otlp import OTLPDestination
from otelbridge.sinks.otlp_connection import HTTPConnection, first_cause
from otelbridge.sinks.otlp_exporters import build_exporter
from otelbridge.sinks.otlp_trouble import TroubleReport

COUNT = 4


def body_of(count: int) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for number in range(count):
        scope.log_records.add().body.string_value = str(number)
    return request.SerializeToString()


def numbers(body: bytes) -> list[int]:
    request = ExportLogsServiceRequest.FromString(body)
    return [
        int(record.body.string_value)
        for group in request.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


Respond = Callable[[bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def http_server(respond: Respond) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, headers, answer = respond(
                self.rfile.read(int(self.headers["content-length"] or 0))
            )
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as endpoint:
        yield endpoint


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def grpc_server(respond: Callable[[bytes, Any], bytes]) -> Iterator[str]:
    handler = grpc.unary_unary_rpc_method_handler(respond)
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def send(endpoint: str, protocol: str = "http/protobuf", count: int = COUNT) -> Answer:
    settings = read_settings({}, otlp_endpoint=endpoint, otlp_protocol=protocol)
    destination = OTLPDestination("logs", settings, TroubleReport())
    try:
        return destination.send(body_of(count), count)
    finally:
        destination.close()


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 429, 500, 502, 503, 504, 302, 307])
def test_what_time_or_a_person_may_put_right_is_sent_again(status: int) -> None:
    with http_server(lambda body: (status, {}, b"")) as endpoint:
        answer = send(endpoint)
    assert answer.later
    assert answer.reason.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_says_how_long_it_wants_to_be_left_alone(status: int) -> None:
    with http_server(lambda body: (status, {"retry-after": "7"}, b"")) as endpoint:
        answer = send(endpoint)
    assert (answer.later, answer.pause) == (True, 7.0)


def test_nobody_there_is_a_reason_to_try_again() -> None:
    answer = send("http://127.0.0.1:9")
    assert (answer.later, answer.pause, answer.reason) == (True, None, "Connection refused")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_record_that_is_refused_does_not_take_the_others_with_it(status: int) -> None:
    taken: list[int] = []

    def respond(body: bytes) -> tuple[int, dict[str, str], bytes]:
        found = numbers(body)
        if 2 in found:
            return status, {}, b""
        taken.extend(found)
        return 200, {}, b""

    with http_server(respond) as endpoint:
        answer = send(endpoint, count=9)
    assert taken == [0, 1, 3, 4, 5, 6, 7, 8]
    assert (answer.later, answer.dropped) == (False, 1)
    assert answer.cause == ("too large" if status == 413 else "refused")


def test_where_everything_is_refused_not_every_record_becomes_a_request() -> None:
    requests: list[int] = []

    def respond(body: bytes) -> tuple[int, dict[str, str], bytes]:
        requests.append(len(body))
        return 400, {}, b""

    with http_server(respond) as endpoint:
        answer = send(endpoint, count=500)
    assert (answer.later, answer.dropped) == (False, 500)
    assert len(requests) < 60


def test_what_an_answer_rejects_is_dropped() -> None:
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = 3
    response.partial_success.error_message = "too old"
    with http_server(lambda body: (200, {}, response.SerializeToString())) as endpoint:
        answer = send(endpoint)
    assert answer == Answer(dropped=3, cause="rejected", reason="too old")


def refuse(code: grpc.StatusCode, details: str, trailers: Any = ()) -> Any:
    def respond(body: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata(trailers)
        context.abort(code, details)
        raise AssertionError

    return respond


@pytest.mark.parametrize(
    "code",
    ["UNAVAILABLE", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "INTERNAL"],
)
def test_a_grpc_server_that_may_take_it_later_is_sent_it_again(code: str) -> None:
    with grpc_server(refuse(grpc.StatusCode[code], "no")) as endpoint:
        answer = send(endpoint, "grpc")
    assert answer.later
    assert answer.reason.startswith(f"{code}: no")


@pytest.mark.parametrize("standard", [True, False], ids=["status details", "its own trailer"])
def test_a_grpc_server_says_how_long_it_wants_to_be_left_alone(standard: bool) -> None:
    info = RetryInfo()
    info.retry_delay.seconds, info.retry_delay.nanos = 3, 500_000_000
    packed = AnyMessage()
    packed.Pack(info)
    trailer = (
        ("grpc-status-details-bin", Status(details=[packed]).SerializeToString())
        if standard
        else ("google.rpc.retryinfo-bin", info.SerializeToString())
    )
    refusal = refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", (trailer,))
    with grpc_server(refusal) as endpoint:
        answer = send(endpoint, "grpc")
    assert (answer.later, answer.pause) == (True, 3.5)


def test_a_grpc_server_that_refuses_one_record_takes_the_others() -> None:
    taken: list[int] = []

    def respond(body: bytes, context: grpc.ServicerContext) -> bytes:
        found = numbers(body)
        if 2 in found:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "bad")
        taken.extend(found)
        return b""

    with grpc_server(respond) as endpoint:
        answer = send(endpoint, "grpc")
    assert taken == [0, 1, 3]
    assert (answer.later, answer.dropped, answer.cause) == (False, 1, "refused")


@pytest.mark.parametrize("signal", ["logs", "traces", "metrics"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf", "http/json"])
def test_the_stock_exporters_still_have_what_is_used_of_them(signal: Any, protocol: str) -> None:
    exporter: Any = build_exporter(signal, protocol, "http://127.0.0.1:9", {"a": "b"})
    try:
        assert not exporter._shutdown
        if protocol == "grpc":
            assert ("a", "b") in exporter._headers
            assert exporter._timeout == 10
            before = exporter._channel
            exporter._initialize_channel_and_stub()
            assert exporter._channel is not before
            assert callable(exporter._channel.unary_unary)
            before.close()
            return
        client = exporter._client
        assert client._timeout == 10
        assert client._compress(b"x") == b"x"
        result = client._submit(b"x", 5)
        assert result.error is not None
        assert callable(upstream_http._extract_retry_after)
        assert callable(client._transport.request)
        if protocol == "http/protobuf":
            assert exporter._max_request_size == 64 * 2**20
            assert client._transport._session.verify is True
            assert callable(client._transport._session.merge_environment_settings)
    finally:
        exporter.shutdown()


def transport_of(endpoint: str) -> str:
    exporter = build_exporter("logs", "http/protobuf", endpoint, {})
    connection = HTTPConnection(exporter, "logs", is_json=False)
    try:
        return type(connection.exporter._client._transport).__name__
    finally:
        connection.close()


LEAN, FULL = "Urllib3HTTPTransport", "RequestsHTTPTransport"


def test_what_needs_nothing_of_requests_goes_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert transport_of("http://127.0.0.1:9/v1/logs") == LEAN
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "")
    assert transport_of("http://127.0.0.1:9/v1/logs") == LEAN


def test_certificates_are_left_to_requests() -> None:
    assert transport_of("https://127.0.0.1:9/v1/logs") == FULL


def test_proxies_are_left_to_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:8")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert transport_of("http://127.0.0.1:9/v1/logs") == FULL
    assert transport_of("http://localhost:9/v1/logs") == LEAN


def test_passwords_of_the_users_file_are_left_to_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine collector login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert transport_of("http://collector:9/v1/logs") == FULL
    assert transport_of("http://127.0.0.1:9/v1/logs") == LEAN


def test_a_session_of_the_programs_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(requests.Session):
        pass

    entry_point = SimpleNamespace(load=lambda: Own)
    monkeypatch.setattr(http_exporters, "entry_points", lambda **_: [entry_point])
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_LOGS_CREDENTIAL_PROVIDER", "own")
    exporter = build_exporter("logs", "http/protobuf", "http://127.0.0.1:9/v1/logs", {})
    connection = HTTPConnection(exporter, "logs", is_json=False)

    assert type(connection.exporter._client._transport._session) is Own
    connection.close()


def test_a_connection_is_kept() -> None:
    with kept_connections(hangs_up=False) as (endpoint, callers):
        assert send_three_times(endpoint) == [Answer()] * 3
    assert len(callers) == 3
    assert len(set(callers)) == 1


def test_a_kept_connection_that_the_server_has_closed_is_made_anew() -> None:
    with kept_connections(hangs_up=True) as (endpoint, callers):
        assert send_three_times(endpoint) == [Answer()] * 3
    assert len(set(callers)) == 3


def send_three_times(endpoint: str) -> list[Answer]:
    settings = read_settings({}, otlp_endpoint=endpoint, otlp_protocol="http/protobuf")
    destination = OTLPDestination("logs", settings, TroubleReport())
    answers = [destination.send(body_of(2), 2) for _ in range(3)]
    destination.close()
    return answers


@contextmanager
def kept_connections(hangs_up: bool) -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps connections open, or says so and does not; and whose they were."""
    callers: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            callers.append(self.client_address)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            self.close_connection = hangs_up

        def log_message(self, *_: Any) -> None:
            return

    with serving(Handler) as endpoint:
        yield endpoint, callers


def test_the_authority_that_opentelemetrys_variable_names_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/of/the/machine.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/of/the/collector.pem")
    # Named in the answer: neither is there.
    assert "/of/the/collector.pem" in send("https://127.0.0.1:9").reason


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("HTTPConnectionPool(... [Errno 111] Connection refused'))", "Connection refused"),
        ("failed to connect to all addresses; Connection refused (111)", "Connection refused"),
        (
            (
                "Max retries (Caused by SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate "
                "verify failed: certificate has expired (_ssl.c:1006)'))"
            ),
            "certificate verify failed: certificate has expired",
        ),
        ("who are you", "who are you"),
    ],
)
def test_the_cause_is_found_in_long_texts(text: str, cause: str) -> None:
    assert first_cause(text) == cause
