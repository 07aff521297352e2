"""The bridge as a process, amid faults: what it acknowledged is there, the rest it refused."""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from tests.bridge_process import free_ports, on_small_disk, running
from tests.receivers.messages import log, log_request, pairs
from tests.store.checks import assert_consistent

HEADERS = {"Content-Type": "application/x-protobuf"}
TOGETHER = 5


def numbered(first: int, size: int = 0) -> bytes:
    """A request with logs of these numbers, each with its own id."""
    now = time.time_ns()
    return log_request(
        *(
            log(
                f"number-{number}" + "x" * size,
                time_unix_nano=now,
                attributes=pairs(**{"log.record.uid": f"{number:032x}"}),
            )
            for number in range(first, first + TOGETHER)
        )
    ).SerializeToString()


def post(bridge, content: bytes, path: str = "/v1/logs") -> httpx.Response:
    return httpx.post(bridge.url("http", path), content=content, headers=HEADERS, timeout=30)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what no event announces."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stored_bodies(path) -> Counter[str]:
    with closing(sqlite3.connect(path)) as connection:
        return Counter(row[0] for row in connection.execute("SELECT body FROM logs"))


@pytest.mark.parametrize("after", [10, 70])
def test_everything_acknowledged_is_there_once_after_kill_9_amid_writing(tmp_path, after):
    """Two senders over HTTP and one over gRPC go on, sending again what was not acknowledged."""
    folder = tmp_path / "store"
    ports = free_ports()
    acknowledged: dict[int, int] = {}
    ended = threading.Event()
    numbers = itertools.count(1, TOGETHER)

    def over_http(first: int) -> bool:
        try:
            url = f"http://127.0.0.1:{ports['http']}/v1/logs"
            answer = httpx.post(url, content=numbered(first), headers=HEADERS, timeout=10)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def over_grpc(first: int) -> bool:
        with grpc.insecure_channel(f"127.0.0.1:{ports['grpc']}") as channel:
            try:
                LogsServiceStub(channel).Export(log_request_of(numbered(first)), timeout=10)
            except grpc.RpcError:
                return False
        return True

    def send(how) -> None:
        while not ended.is_set():
            first = next(numbers)
            while not how(first):
                time.sleep(0.02)
            acknowledged[first] = bridges

    threads = [
        threading.Thread(target=send, args=(how,), daemon=True)
        for how in (over_http, over_http, over_grpc)
    ]
    bridges = 1
    with running(folder, ports=ports) as bridge:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= after)
        bridge.kill()
        before = set(acknowledged)
        kept = stored_bodies(folder / "bridge.db")
    for first in before:
        assert all(kept[f"number-{n}"] == 1 for n in range(first, first + TOGETHER))
    with running(folder, ports=ports):
        bridges = 2
        wait_until(lambda: len(set(acknowledged) - before) >= 30)
        ended.set()
        for thread in threads:
            thread.join()
    assert len(before) >= after
    found = stored_bodies(folder / "bridge.db")
    assert found == Counter(
        f"number-{n}" for first in acknowledged for n in range(first, first + TOGETHER)
    )
    assert_consistent(folder / "bridge.db")


def log_request_of(content: bytes):
    return type(log_request()).FromString(content)


def test_a_full_disk_is_refused_with_a_hint_read_from_and_recovered_from_alone(tmp_path):
    folder = tmp_path / "store"
    with on_small_disk(folder, 6 * 2**20) as (bridge, disk):
        accepted = []
        assert post(bridge, numbered(1)).status_code == 200
        accepted.append(1)
        disk.fill()
        refused = None
        for first in range(1 + TOGETHER, 40_000, TOGETHER):
            answer = post(bridge, numbered(first, size=20_000))
            if answer.status_code != 200:
                refused = answer
                break
            accepted.append(first)
        assert refused is not None, "never full"
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert disk.complaint in Status.FromString(refused.content).message
        error = None
        with grpc.insecure_channel(f"127.0.0.1:{bridge.ports['grpc']}") as channel:
            for first in range(10**6, 10**6 + 1000, TOGETHER):
                request = log_request_of(numbered(first, size=20_000))
                try:
                    LogsServiceStub(channel).Export(request, timeout=30)
                except grpc.RpcError as refusal:
                    error = refusal
                    break
                # Room within the log ahead of the file was found after all.
                accepted.append(first)
        assert error is not None
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        details = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        hint = RetryInfo()
        assert details.details[0].Unpack(hint)
        assert hint.retry_delay.seconds >= 1
        # The page goes on, and says what is wrong.
        client = httpx.Client(base_url=bridge.url("web"), timeout=30)
        found = client.get("/logs.json", params={"range": "1h", "limit": 1}).json()
        assert found["total"] == len(accepted) * TOGETHER
        assert disk.complaint in client.get("/pipeline.json").json()["store"]["refusing"]
        assert disk.complaint in client.get("/pipeline").text
        disk.clear()
        assert post(bridge, numbered(2 * 10**6)).status_code == 200
        accepted.append(2 * 10**6)
        found = client.get("/logs.json", params={"range": "1h", "limit": 1}).json()
        assert found["total"] == len(accepted) * TOGETHER
        assert client.get("/pipeline.json").json()["store"]["refusing"] == ""
        full, again = bridge.said()
        assert disk.complaint in full
        assert "written again" in again


def test_requests_that_find_no_room_to_wait_are_refused_at_once_with_a_hint(tmp_path):
    folder = tmp_path / "store"
    limit = 300_000
    with running(folder, OTELBRIDGE_MAX_BODY_BYTES=str(limit)) as bridge:
        assert post(bridge, numbered(1)).status_code == 200
        with closing(sqlite3.connect(folder / "bridge.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(12) as pool:
                begun = time.monotonic()
                answers = list(
                    pool.map(
                        lambda first: (
                            post(bridge, numbered(first, size=30_000)),
                            time.monotonic(),
                        ),
                        range(100, 100 + 12 * TOGETHER, TOGETHER),
                    )
                )
            other.execute("ROLLBACK")
        assert {answer.status_code for answer, _ in answers} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer, _ in answers)
        at_once = [
            when - begun
            for answer, when in answers
            if "too many requests are waiting" in Status.FromString(answer.content).message
        ]
        assert 0 < len(at_once) < 12
        # The others waited for the file, two seconds at least.
        assert min(at_once) < min(
            when - begun for answer, when in answers if "locked" in answer.text
        )
        assert post(bridge, numbered(100)).status_code == 200
    found = stored_bodies(folder / "bridge.db")
    assert sum(found.values()) == 2 * TOGETHER


def test_a_damaged_file_does_not_keep_the_bridge_from_starting(tmp_path):
    folder = tmp_path / "store"
    with running(folder) as bridge:
        for first in range(1, 500, TOGETHER):
            assert post(bridge, numbered(first)).status_code == 200
    with (folder / "bridge.db").open("r+b") as file:
        file.write(os.urandom(100))
    with running(folder) as bridge:
        assert post(bridge, numbered(1000)).status_code == 200
        client = httpx.Client(base_url=bridge.url("web"), timeout=30)
        asked = {"range": "1h", "limit": 1}
        wait_until(lambda: client.get("/logs.json", params=asked).json()["total"] >= 500 + TOGETHER)
        # Said after the last of them was committed.
        wait_until(lambda: len(bridge.said()) > 1)
        damaged, brought = bridge.said()
    (aside,) = folder.glob("bridge.db.damaged-*[0-9Z]")
    assert "damaged" in damaged
    assert str(aside) in damaged
    assert f"500 records were brought over from {aside}" in brought
    assert set(stored_bodies(folder / "bridge.db").values()) == {1}
