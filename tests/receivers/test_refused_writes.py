"""What is acknowledged is stored, also while the store's file cannot be written."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from otelbridge.store.protocol import TimeRange
from otelbridge.store.sqlite import SQLiteStore
from tests.receivers.messages import log, log_request, pairs
from tests.receivers.running import running_bridge

EVERYTHING = TimeRange(0, 2**63 - 1)


@pytest.fixture
def store(tmp_path):
    return SQLiteStore(tmp_path / "test.db", retention=1e9, retention_bytes=2**40)


def bodies(store):
    return sorted(stored.record.body for stored in store.logs(None, EVERYTHING))


def post(bridge, body):
    content = log_request(log(body)).SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    return httpx.post(bridge.url("http", "/v1/logs"), content=content, headers=headers, timeout=60)


def test_a_locked_file_is_refused_with_a_retry_hint_and_nothing_acknowledged_is_missing(store):
    with running_bridge(store_object=store) as bridge:
        assert post(bridge, "before").status_code == 200
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = post(bridge, "refused over HTTP")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert "locked" in Status.FromString(refused.content).message
            host, port = bridge.bridge.addresses["grpc"]
            with (
                grpc.insecure_channel(f"{host}:{port}") as channel,
                pytest.raises(grpc.RpcError) as error,
            ):
                LogsServiceStub(channel).Export(log_request(log("over gRPC")), timeout=60)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "grpc-status-details-bin" in dict(error.value.trailing_metadata())
            assert bodies(store) == ["before"]
            other.execute("ROLLBACK")
        assert post(bridge, "after").status_code == 200
        assert bodies(store) == ["after", "before"]
        assert bridge.counters("OTLP/HTTP").rejected == {"store_unavailable": 1}
        assert bridge.counters("OTLP/HTTP").accepted == {"logs": 2}


def test_what_is_sent_twice_is_acknowledged_twice_stored_once_and_counted_as_a_duplicate(store):
    request = log_request(log("once", attributes=pairs(**{"log.record.uid": "ab" * 16})))
    content = request.SerializeToString()
    headers = {"Content-Type": "application/x-protobuf"}
    with running_bridge(store_object=store) as bridge:
        for _ in range(3):
            answer = httpx.post(bridge.url("http", "/v1/logs"), content=content, headers=headers)
            assert answer.status_code == 200
        host, port = bridge.bridge.addresses["grpc"]
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            LogsServiceStub(channel).Export(request, timeout=60)
        over_http, over_grpc = bridge.counters("OTLP/HTTP"), bridge.counters("OTLP/gRPC")
        assert (over_http.accepted, over_http.stored, over_http.duplicates) == ({"logs": 3}, 1, 2)
        assert (over_grpc.accepted, over_grpc.stored, over_grpc.duplicates) == ({"logs": 1}, 0, 1)
        assert bodies(store) == ["once"]
