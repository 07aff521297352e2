"""OTLP over gRPC, spoken by hand: every status that the specification asks for."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from otelbridge.receivers.otlp_grpc import GrpcReceiver
from otelbridge.receivers.sockets import BindError
from otelbridge.store.protocol import StoreError, StoreUnavailableError
from tests.receivers.messages import gauge, log, log_request, metric_request, span, span_request
from tests.receivers.running import running_bridge

LOGS = log_request(log("hello"))
EXPORT_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


@pytest.fixture
def channel(bridge):
    with open_channel(bridge) as channel:
        yield channel


def open_channel(bridge):
    host, port = bridge.bridge.addresses["grpc"]
    return grpc.insecure_channel(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def send_bytes(channel, body, **options):
    """Send bytes as they are, which the generated stubs would not."""
    return channel.unary_unary(EXPORT_LOGS)(body, timeout=20, **options)


def refusal(channel, body=None, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as error:
        send_bytes(channel, LOGS.SerializeToString() if body is None else body, **options)
    return error.value


def rejected(bridge):
    return dict(bridge.counters("OTLP/gRPC").rejected)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_each_signal_is_stored(bridge, channel, compression):
    options = {"timeout": 20, "compression": compression}
    LogsServiceStub(channel).Export(LOGS, **options)
    TraceServiceStub(channel).Export(span_request(span("GET /")), **options)
    MetricsServiceStub(channel).Export(metric_request(gauge("cpu", {"as_int": 1})), **options)
    assert [record.body for record in bridge.store.logs] == ["hello"]
    assert [one.name for one in bridge.store.spans] == ["GET /"]
    assert [point.name for point in bridge.store.points] == ["cpu"]
    assert bridge.counters("OTLP/gRPC").accepted == {"logs": 1, "spans": 1, "points": 1}


def test_a_partly_usable_request_is_answered_with_partial_success(bridge, channel):
    request = log_request(log("kept"), log("late", time_unix_nano=2**63))
    answer = LogsServiceStub(channel).Export(request, timeout=20).partial_success
    assert answer.rejected_log_records == 1
    assert answer.error_message.startswith("log record: time_unix_nano is 9223372036854775808")
    assert [record.body for record in bridge.store.logs] == ["kept"]
    assert rejected(bridge) == {"invalid_time": 1}


def test_a_wholly_usable_request_is_answered_without_partial_success(channel):
    answer = ExportLogsServiceResponse.FromString(send_bytes(channel, LOGS.SerializeToString()))
    assert not answer.HasField("partial_success")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"garbage", "not a valid request"),
        (LOGS.SerializeToString()[:-3], "3 bytes missing"),
        (
            log_request(log("MARK")).SerializeToString().replace(b"MARK", b"\xff\xff\xff\xff"),
            "not valid UTF-8",
        ),
    ],
)
def test_a_bad_body_is_an_invalid_argument_with_the_reason(bridge, channel, body, message):
    error = refusal(channel, body)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert message in error.details()
    assert rejected(bridge) == {"invalid_protobuf": 1}
    send_bytes(channel, LOGS.SerializeToString())
    assert len(bridge.store.logs) == 1


def test_a_text_that_is_not_utf8_costs_only_its_record(bridge, channel):
    body = log_request(log("a"), log("MARK")).SerializeToString()
    answer = send_bytes(channel, body.replace(b"MARK", b"\xff\xff\xff\xff"))
    assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 1
    assert [record.body for record in bridge.store.logs] == ["a"]


def test_a_store_that_is_unavailable_says_when_to_try_again(bridge, channel):
    bridge.store.unavailable = StoreUnavailableError("the disk is full", retry_after=1.5)
    error = refusal(channel)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the disk is full")
    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    retry = RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert (status.code, status.message) == (14, "the disk is full")
    assert rejected(bridge) == {"store_unavailable": 1}
    bridge.store.unavailable = None
    send_bytes(channel, LOGS.SerializeToString())
    assert bridge.counters("OTLP/gRPC").accepted == {"logs": 1}


def test_what_can_never_be_stored_is_an_internal_error(bridge, channel):
    bridge.store.unavailable = StoreError("the batch cannot be stored")
    error = refusal(channel)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "the batch cannot be stored"
    assert rejected(bridge) == {"store_error": 1}


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong"),)])
def test_without_the_ingest_token_a_request_is_unauthenticated(metadata):
    with running_bridge(ingest_token="secret") as bridge, open_channel(bridge) as channel:
        error = refusal(channel, metadata=metadata)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "Authorization: Bearer TOKEN" in error.details()
        assert rejected(bridge) == {"unauthenticated": 1}
        send_bytes(
            channel, LOGS.SerializeToString(), metadata=(("authorization", "Bearer secret"),)
        )
        assert len(bridge.store.logs) == 1


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_a_request_beyond_the_limit_is_refused_and_counted(compression):
    with running_bridge(max_body_bytes=10_000) as bridge, open_channel(bridge) as channel:
        body = log_request(log("x" * 10_001)).SerializeToString()
        error = refusal(channel, body, compression=compression)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "larger than 10000 bytes" in error.details()
        assert rejected(bridge) == {"body_too_large": 1}


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_a_request_far_beyond_the_limit_is_not_even_read(compression):
    with running_bridge(max_body_bytes=10_000) as bridge, open_channel(bridge) as channel:
        body = log_request(log("x" * 3_000_000)).SerializeToString()
        error = refusal(channel, body, compression=compression)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # Without a RetryInfo the specification has senders give the request up.
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata())
        send_bytes(channel, LOGS.SerializeToString())
        assert len(bridge.store.logs) == 1


def test_an_unknown_service_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/opentelemetry.proto.collector.X/Export")(b"", timeout=20)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_it_listens_on_ipv6():
    with running_bridge(host="::1") as bridge, open_channel(bridge) as channel:
        send_bytes(channel, LOGS.SerializeToString())
        assert len(bridge.store.logs) == 1


def test_a_port_taken_at_the_last_moment_is_noticed(bridge):
    host, port = bridge.bridge.addresses["grpc"]

    async def start() -> None:
        receiver = GrpcReceiver(None, token=None, max_body_bytes=1_000)
        try:
            await receiver.start(host, port)
        finally:
            await receiver.stop(0)

    with pytest.raises(BindError, match=f"port {port} .OTLP/gRPC. on {host} was taken"):
        asyncio.run(start())
