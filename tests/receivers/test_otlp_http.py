"""OTLP over HTTP, spoken by hand: every status and every answer that the specification asks for."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otelbridge.receivers import otlp_http
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from tests.receivers.messages import (
    gauge,
    log,
    log_request,
    metric_request,
    span,
    span_request,
    to_json,
)
from tests.receivers.running import running_bridge

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
LOGS = log_request(log("hello"))


def post(bridge, body, headers=PROTOBUF, path="/v1/logs"):
    return httpx.post(bridge.url("http", path), content=body, headers=headers)


def rejected(bridge):
    return dict(bridge.counters("OTLP/HTTP").rejected)


@pytest.mark.parametrize(
    ("path", "request_", "kept"),
    [
        ("/v1/logs", LOGS, lambda store: [record.body for record in store.logs]),
        ("/v1/traces", span_request(span("hello")), lambda store: [s.name for s in store.spans]),
        (
            "/v1/metrics",
            metric_request(gauge("hello", {"as_int": 1})),
            lambda store: [point.name for point in store.points],
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_each_signal_is_stored_and_answered_in_its_encoding(bridge, path, request_, kept, encoding):
    if encoding == "json":
        response = post(bridge, to_json(request_), JSON, path)
        assert response.json() == {}
        assert response.headers["content-type"] == "application/json"
    else:
        response = post(bridge, request_.SerializeToString(), PROTOBUF, path)
        assert response.content == b""
        assert response.headers["content-type"] == "application/x-protobuf"
    assert response.status_code == 200
    assert kept(bridge.store) == ["hello"]
    counters = bridge.counters("OTLP/HTTP")
    assert (sum(counters.accepted.values()), counters.requests) == (1, 1)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_packed_bodies_are_unpacked(bridge, encoding, pack):
    headers = {**PROTOBUF, "Content-Encoding": encoding}
    assert post(bridge, pack(LOGS.SerializeToString()), headers).status_code == 200
    assert [record.body for record in bridge.store.logs] == ["hello"]


def test_a_content_type_may_have_parameters(bridge):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert post(bridge, to_json(LOGS), headers).status_code == 200


def test_a_partly_usable_request_is_answered_with_partial_success(bridge):
    body = log_request(log("kept"), log("late", time_unix_nano=2**63)).SerializeToString()
    response = post(bridge, body)
    answer = ExportLogsServiceResponse.FromString(response.content).partial_success
    assert response.status_code == 200
    assert answer.rejected_log_records == 1
    assert answer.error_message.startswith("log record: time_unix_nano is 9223372036854775808")
    assert [record.body for record in bridge.store.logs] == ["kept"]
    assert rejected(bridge) == {"invalid_time": 1}


def test_partial_success_in_json_has_the_count_as_text(bridge):
    request_ = span_request(span("kept"), span("bad", trace_id=b"short"), span("bad", span_id=b""))
    answer = post(bridge, to_json(request_), JSON, "/v1/traces").json()
    assert answer["partialSuccess"]["rejectedSpans"] == "2"
    assert (
        "trace_id has 5 bytes instead of 16 (and 1 more)"
        in (answer["partialSuccess"]["errorMessage"])
    )
    assert [one.name for one in bridge.store.spans] == ["kept"]


def test_a_warning_is_partial_success_with_nothing_rejected(bridge):
    response = post(bridge, log_request(log("kept", span_id=b"short")).SerializeToString())
    answer = ExportLogsServiceResponse.FromString(response.content).partial_success
    assert answer.rejected_log_records == 0
    assert answer.error_message == "log record: span_id has 5 bytes instead of 8"
    assert rejected(bridge) == {"invalid_id": 1}


def test_all_spans_rejected_is_still_partial_success(bridge):
    body = span_request(span("bad", trace_id=b"")).SerializeToString()
    response = post(bridge, body, PROTOBUF, "/v1/traces")
    answer = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, answer.rejected_spans) == (200, 1)
    assert bridge.store.batches == []


BAD_BODIES = [
    pytest.param(b"garbage", {}, "invalid_protobuf", "not a valid request", id="garbage"),
    pytest.param(
        LOGS.SerializeToString()[:-3], {}, "invalid_protobuf", "3 bytes missing", id="truncated"
    ),
    pytest.param(
        log_request(log("MARK")).SerializeToString().replace(b"MARK", b"\xff\xff\xff\xff"),
        {},
        "invalid_protobuf",
        "not valid UTF-8",
        id="not UTF-8",
    ),
    pytest.param(
        b"not gzip", {"Content-Encoding": "gzip"}, "invalid_encoding", "not valid gzip", id="lie"
    ),
    pytest.param(
        gzip.compress(LOGS.SerializeToString())[:-9],
        {"Content-Encoding": "gzip"},
        "invalid_encoding",
        "middle of its gzip",
        id="truncated gzip",
    ),
    pytest.param(b"{", JSON, "invalid_json", "not valid JSON", id="broken JSON"),
    pytest.param(b'{"resourceLogs":"\xff"}', JSON, "invalid_json", "not valid JSON", id="bytes"),
]


@pytest.mark.parametrize(("body", "headers", "reason", "message"), BAD_BODIES)
def test_a_bad_body_is_answered_400_with_the_reason_and_counted(
    bridge, body, headers, reason, message
):
    response = post(bridge, body, {**PROTOBUF, **headers})
    assert response.status_code == 400
    if headers is JSON:
        assert response.json()["code"] == 3
        assert message in response.json()["message"]
    else:
        status = Status.FromString(response.content)
        assert status.code == 3
        assert message in status.message
    assert rejected(bridge) == {reason: 1}
    assert message in bridge.counters("OTLP/HTTP").last_rejection[1]
    assert post(bridge, LOGS.SerializeToString()).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/grpc"])
def test_another_content_type_is_answered_415_with_what_is_allowed(bridge, content_type):
    response = post(bridge, b"x", {"Content-Type": content_type})
    assert response.status_code == 415
    assert response.headers["accept"] == "application/x-protobuf, application/json"
    assert f"the content type is {content_type!r}" in response.json()["message"]
    assert rejected(bridge) == {"unsupported_media_type": 1}


def test_another_packing_is_answered_415_with_what_is_allowed(bridge):
    response = post(bridge, b"x", {**PROTOBUF, "Content-Encoding": "br"})
    assert response.status_code == 415
    assert response.headers["accept-encoding"] == "gzip, deflate, identity"
    assert rejected(bridge) == {"unsupported_encoding": 1}


@pytest.mark.parametrize("form", ["announced", "chunked", "packed"])
def test_a_body_beyond_the_limit_is_answered_413(form):
    with running_bridge(max_body_bytes=10_000) as bridge:
        headers, body = dict(PROTOBUF), bytes(10_001)
        if form == "packed":
            headers["Content-Encoding"], body = "gzip", gzip.compress(bytes(10_000_000))
        content = iter([body[:6_000], body[6_000:]]) if form == "chunked" else body
        response = post(bridge, content, headers)
        assert response.status_code == 413
        assert "larger than 10000 bytes" in Status.FromString(response.content).message
        assert "OTELBRIDGE_MAX_BODY_BYTES" in Status.FromString(response.content).message
        assert rejected(bridge) == {"body_too_large": 1}
        assert post(bridge, LOGS.SerializeToString()).status_code == 200


@pytest.mark.parametrize("size", [30_000, 5_000_000])
def test_a_client_that_only_reads_once_it_has_sent_sees_the_refusal(size):
    with running_bridge(max_body_bytes=10_000) as bridge:
        connection = http.client.HTTPConnection(*bridge.bridge.addresses["http"], timeout=20)
        connection.putrequest("POST", "/v1/logs")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        if size < 40_000:
            connection.send(bytes(size))
        response = connection.getresponse()
        assert response.status == 413
        connection.close()
        assert rejected(bridge) == {"body_too_large": 1}


def test_a_body_that_comes_too_slowly_is_given_up(bridge, monkeypatch):
    monkeypatch.setattr(otlp_http, "BODY_SECONDS", 0.1)
    with socket.create_connection(bridge.bridge.addresses["http"]) as connection:
        connection.sendall(
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert connection.recv(1_000).startswith(b"HTTP/1.1 408 ")
    assert rejected(bridge) == {"slow_body": 1}


def test_a_store_that_is_unavailable_is_answered_503_with_when_to_try_again(bridge):
    bridge.store.unavailable = StoreUnavailableError("the disk is full", retry_after=4.2)
    response = post(bridge, LOGS.SerializeToString())
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    status = Status.FromString(response.content)
    assert (status.code, status.message) == (14, "the disk is full")
    assert rejected(bridge) == {"store_unavailable": 1}
    bridge.store.unavailable = None
    assert post(bridge, LOGS.SerializeToString()).status_code == 200
    assert bridge.counters("OTLP/HTTP").accepted == {"logs": 1}


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (StoreError("the batch cannot be stored"), "store_error", "the batch cannot be stored"),
        (ZeroDivisionError(), "internal_error", "the bridge failed at this request"),
    ],
)
def test_what_can_never_be_stored_is_answered_500(bridge, error, reason, message):
    bridge.store.unavailable = error
    response = post(bridge, LOGS.SerializeToString())
    status = Status.FromString(response.content)
    assert (response.status_code, status.code) == (500, 13)
    assert message in status.message
    assert rejected(bridge) == {reason: 1}


def test_bodies_that_wait_for_a_slow_store_are_bounded():
    body = log_request(log("x" * 900_000)).SerializeToString()
    with running_bridge(max_body_bytes=1_000_000) as bridge, ThreadPoolExecutor() as pool:
        bridge.store.slow = True
        waiting = [pool.submit(post, bridge, body) for _ in range(2)]
        assert bridge.wait(lambda: bridge.store.waiting == 2)
        refused = post(bridge, body)
        bridge.store.slow = False
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "waiting to be stored" in Status.FromString(refused.content).message
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert post(bridge, body).status_code == 200


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Basic secret", "secret", "Bearer"]
)
def test_without_the_ingest_token_the_answer_is_401(authorization):
    with running_bridge(ingest_token="secret") as bridge:
        headers = (
            PROTOBUF if authorization is None else {**PROTOBUF, "Authorization": authorization}
        )
        response = post(bridge, LOGS.SerializeToString(), headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert Status.FromString(response.content).code == 16
        assert rejected(bridge) == {"unauthenticated": 1}
        assert bridge.store.batches == []


def test_with_the_ingest_token_a_request_is_taken():
    with running_bridge(ingest_token="secret") as bridge:
        headers = {**PROTOBUF, "Authorization": "Bearer secret"}
        assert post(bridge, LOGS.SerializeToString(), headers).status_code == 200
        assert httpx.get(bridge.url("http", "/healthz")).text == "ok\n"


def test_an_unknown_path_is_answered_404_with_the_known_ones(bridge):
    response = post(bridge, b"", JSON, "/v1/log")
    assert response.status_code == 404
    assert "/v1/logs" in response.json()["message"]


def test_another_method_is_answered_405(bridge):
    response = httpx.get(bridge.url("http", "/v1/logs"))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["code"] == 12


def test_a_connection_that_closes_in_the_middle_of_a_body_is_counted(bridge):
    with socket.create_connection(bridge.bridge.addresses["http"]) as connection:
        connection.sendall(
            b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    assert bridge.wait(lambda: rejected(bridge) == {"truncated_body": 1})
    assert post(bridge, LOGS.SerializeToString()).status_code == 200


def test_what_is_no_http_does_not_disturb_the_others(bridge):
    with socket.create_connection(bridge.bridge.addresses["http"]) as connection:
        connection.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert post(bridge, LOGS.SerializeToString()).status_code == 200


def test_one_connection_serves_many_requests(bridge):
    connection = http.client.HTTPConnection(*bridge.bridge.addresses["http"])
    for number in range(20):
        body = log_request(log(str(number))).SerializeToString()
        connection.request("POST", "/v1/logs", body, PROTOBUF)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
    connection.close()
    assert [record.body for record in bridge.store.logs] == [str(n) for n in range(20)]


def test_a_large_body_is_decoded_while_small_ones_pass(bridge):
    large = log_request(*(log(f"large {n}") for n in range(20_000)))
    assert post(bridge, to_json(large), JSON).status_code == 200
    assert len(bridge.store.logs) == 20_000
    assert json.loads(post(bridge, to_json(LOGS), JSON).content) == {}
