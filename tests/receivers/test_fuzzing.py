"""No input makes a receiver fail in another way than by saying what is wrong with it.

``OTELBRIDGE_FUZZ_EXAMPLES`` sets how many inputs each receiver is tried with.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import socket
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelbridge.model import Batch
from otelbridge.receivers import otlp
from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.receivers.datagrams import DatagramReader
from otelbridge.receivers.decoded import DecodeError
from otelbridge.receivers.intake import Held, Intake
from otelbridge.receivers.otlp_grpc import SERVICES
from otelbridge.receivers.otlp_http import create_app
from otelbridge.store.sqlite import SQLiteStore
from tests.receivers.hostile import (
    DATAGRAMS,
    assert_storable,
    bodies,
    random_bodies,
    random_datagrams,
)
from tests.receivers.messages import FUZZ_EXAMPLES, FUZZ_EXAMPLES_A_SIGNAL
from tests.receivers.running import MemoryStore, running_bridge

NOW = 1_800_000_000 * 10**9
SIGNALS = ("logs", "traces", "metrics")
ENCODINGS = ("protobuf", "json")
MEDIA_TYPES = {"protobuf": "application/x-protobuf", "json": "application/json"}

pytestmark = pytest.mark.timeout(3_600)

thorough = settings(
    max_examples=FUZZ_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("signal", SIGNALS)
@settings(thorough, max_examples=FUZZ_EXAMPLES_A_SIGNAL)
@given(data=st.data())
def test_a_body_is_decoded_or_refused(signal, encoding, data):
    body = data.draw(bodies(signal, encoding))
    try:
        decoded = otlp.decode(signal, encoding, body, NOW)
    except DecodeError as error:
        message = str(error)
    else:
        assert_storable(decoded.batch)
        message = decoded.summary()
    assert "\n" not in message
    assert len(message) < 4_000
    message.encode()


@thorough
@given(
    st.lists(
        st.tuples(DATAGRAMS, st.integers(1, 3), st.integers(0, 10 * 10**9)),
        min_size=1,
        max_size=8,
    )
)
def test_any_datagrams_become_storable_records(datagrams):
    reader = DatagramReader(ReceiverCounters("UDP"), {})
    now = NOW
    for data, port, pause in datagrams:
        now += pause
        assert_storable(Batch(logs=reader.read(data, ("10.0.0.1", port), now)))
        assert_storable(Batch(logs=reader.expire(now)))
    assert_storable(Batch(logs=reader.expire(now, everything=True)))
    assert reader.waiting == 0


@thorough
@given(data=st.data())
def test_any_http_request_is_answered(data):
    encoding = data.draw(st.sampled_from(ENCODINGS))
    signal = data.draw(st.sampled_from(SIGNALS))
    body = data.draw(bodies(signal, encoding))
    packing = data.draw(st.sampled_from([None, "gzip", "deflate", "br"]))
    headers = {"Content-Type": data.draw(st.sampled_from([*MEDIA_TYPES.values(), "x/y"]))}
    if packing:
        headers["Content-Encoding"] = packing
    counters = ReceiverCounters("OTLP/HTTP")

    async def send() -> httpx.Response:
        with ThreadPoolExecutor(1) as decoders:
            intake = Intake(MemoryStore(), counters, decoders, Held(), 10**9)
            app = create_app(intake, token=None, max_body_bytes=10_000)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.post(f"/v1/{signal}", content=body, headers=headers)

    response = asyncio.run(send())
    assert response.status_code in {200, 400, 413, 415}
    assert (response.status_code == 200) == (counters.requests == 1)
    if response.status_code != 200:
        assert sum(counters.rejected.values()) >= 1


def test_any_grpc_request_is_answered():
    with running_bridge() as bridge:
        host, port = bridge.bridge.addresses["grpc"]
        with grpc.insecure_channel(f"{host}:{port}") as channel:
            services = {signal: service for service, signal in SERVICES.items()}
            for signal, body in random_bodies("protobuf", FUZZ_EXAMPLES, seed=5):
                call = channel.unary_unary(f"/{services[signal]}/Export")
                error = call.future(body, timeout=20).exception()
                assert error is None or error.code() is grpc.StatusCode.INVALID_ARGUMENT
        counters = bridge.counters("OTLP/gRPC")
        refused = counters.rejected["invalid_protobuf"]
        assert counters.requests + refused == FUZZ_EXAMPLES
        for batch in bridge.store.batches:
            assert_storable(batch)


def test_any_bytes_on_a_udp_socket_leave_it_working():
    with running_bridge() as bridge:
        address = bridge.bridge.addresses["udp"]
        counters = bridge.counters("UDP")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for sent, data in enumerate(random_datagrams(FUZZ_EXAMPLES, seed=6), 1):
                sender.sendto(data, address)
                if sent % 100 == 0:
                    # No faster than they are read, or the system would drop some.
                    assert bridge.wait(lambda sent=sent: counters.requests == sent, 60)
            sender.sendto(b"the last one", address)
        assert bridge.store.wait(lambda: "the last one" in [r.body for r in bridge.store.logs])
        for batch in bridge.store.batches:
            assert_storable(batch)


@settings(
    max_examples=max(20, FUZZ_EXAMPLES // 10),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_the_store_takes_whatever_was_decoded(tmp_path_factory, data):
    batches = []
    for signal, encoding in itertools.product(SIGNALS, ENCODINGS):
        with suppress(DecodeError):
            body = data.draw(bodies(signal, encoding))
            batches.append(otlp.decode(signal, encoding, body, NOW).batch)
    reader = DatagramReader(ReceiverCounters("UDP"), {})
    for datagram in data.draw(st.lists(DATAGRAMS, max_size=4)):
        batches.append(Batch(logs=reader.read(datagram, ("10.0.0.1", 1), NOW)))

    async def write() -> None:
        folder = tmp_path_factory.mktemp("store")
        store = SQLiteStore(folder / "test.db", retention=1e9, retention_bytes=2**40)
        await store.open()
        try:
            for batch in batches:
                await store.write(batch)
        finally:
            await store.close()

    asyncio.run(write())


def decode_bodies(encoding, count, seed):
    for signal, body in random_bodies(encoding, count, seed):
        with suppress(DecodeError):
            otlp.decode(signal, encoding, body, NOW)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_decoding_keeps_no_memory(encoding):
    assert_no_growth(lambda count, seed: decode_bodies(encoding, count, seed))


def test_reading_datagrams_keeps_bounded_memory():
    reader = DatagramReader(ReceiverCounters("UDP"), {})
    moments = itertools.count(NOW, 10**9)

    def read(count, seed):
        for data in random_datagrams(count, seed):
            now = next(moments)
            reader.read(data, ("10.0.0.1", now // 10**9 % 60_000), now)
            reader.expire(now)

    assert_no_growth(read)


def assert_no_growth(run) -> None:
    """Check that a second run leaves no more memory behind than the first one did."""
    count = max(FUZZ_EXAMPLES, 2_000)
    process = psutil.Process()
    tracemalloc.start()
    try:
        run(count, 1)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        resident = process.memory_info().rss
        run(count, 2)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
    # The protobuf parser's own memory is not Python's.
    assert process.memory_info().rss - resident < 30 * 2**20
