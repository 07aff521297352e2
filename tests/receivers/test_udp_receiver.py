"""Datagrams on a real socket, stored in batches."""

from __future__ import annotations

import asyncio
import logging
import socket
import time

import orjson

import otelbridge
from otelbridge.receivers import udp
from otelbridge.receivers.counters import ReceiverCounters
from otelbridge.receivers.udp import UdpReceiver
from otelbridge.store.protocol import StoreUnavailableError
from tests.receivers.running import MemoryStore, running_bridge


def send(bridge, *datagrams):
    address = bridge.bridge.addresses["udp"]
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, address)


def test_lines_and_text_are_stored_and_counted(bridge):
    send(bridge, b'{"message":"a"}', b"plain", b"")
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 2)
    assert [record.body for record in bridge.store.logs] == ["a", "plain"]
    counters = bridge.counters("UDP")
    assert bridge.wait(lambda: counters.requests == 3)
    assert counters.accepted == {"logs": 2}
    assert counters.bytes == len(b'{"message":"a"}plain')


def test_records_come_in_batches(bridge):
    send(bridge, *(b"%d" % number for number in range(100)))
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 100)
    assert len(bridge.store.batches) < 20


def test_a_record_is_stored_soon_after_it_came(bridge):
    took = []
    for count in range(1, 6):
        started = time.monotonic()
        send(bridge, b"x")
        assert bridge.store.wait(lambda count=count: len(bridge.store.logs) == count)
        took.append(time.monotonic() - started)
    # A busy machine delays some of them.
    assert min(took) < 1.0


def test_our_own_handler_is_understood(bridge):
    handler = otelbridge.UDPHandler(bridge.bridge.addresses["udp"], max_bytes=1_000)
    logger = logging.Logger("shop.orders")
    logger.addHandler(handler)
    logger.warning("order %d", 7, extra={"user": "alice", "text": "x" * 5_000})
    try:
        raise ValueError("no money")
    except ValueError:
        logger.exception("declined")
    handler.close()
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 2)
    first, second = sorted(bridge.store.logs, key=lambda record: record.time)
    assert (first.body, first.severity_text, first.severity_number) == ("order 7", "WARNING", 13)
    assert first.scope.name == "shop.orders"
    assert first.attributes["user"] == "alice"
    assert first.attributes["text"] == "x" * 5_000
    assert first.attributes["code.function.name"] == "test_our_own_handler_is_understood"
    assert len(first.uid) == 16
    assert second.attributes["exception.type"] == "ValueError"
    assert second.attributes["exception.message"] == "no money"
    assert "test_udp_receiver.py" in second.attributes["exception.stacktrace"]
    (sender,) = bridge.bridge.senders.values()
    assert (sender.received, sender.lost, sender.duplicated) == (handler.sent, 0, 0)


def test_what_a_sender_lost_is_counted(bridge):
    lines = [
        orjson.dumps({"message": str(n), "service.node.name": "n", "event.sequence": n})
        for n in range(1, 11)
    ]
    send(bridge, *lines[:3], *lines[5:], lines[0])
    assert bridge.wait(lambda: sum(s.duplicated for s in bridge.bridge.senders.values()) == 1)
    sender = bridge.bridge.senders["n"]
    assert (sender.received, sender.lost) == (8, 2)
    send(bridge, lines[4], lines[3])
    assert bridge.wait(lambda: sender.lost == 0)


def test_datagrams_wait_while_the_store_is_unavailable(bridge):
    bridge.store.unavailable = StoreUnavailableError("locked", retry_after=0.01)
    send(bridge, b"a")
    counters = bridge.counters("UDP")
    assert bridge.wait(lambda: counters.rejected["store_unavailable"] > 2)
    send(bridge, b"b")
    bridge.store.unavailable = None
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 2)
    assert [record.body for record in bridge.store.logs] == ["a", "b"]


def test_a_record_that_can_never_be_stored_is_lost_alone(bridge):
    bridge.store.poison = "poison"
    send(bridge, b"a", b"poison", b"b")
    assert bridge.store.wait(lambda: len(bridge.store.logs) == 2)
    assert [record.body for record in bridge.store.logs] == ["a", "b"]
    assert bridge.counters("UDP").rejected == {"store_error": 1}
    assert bridge.counters("UDP").accepted == {"logs": 2}


def test_stopping_stores_what_has_arrived():
    with running_bridge() as bridge:
        send(bridge, *(b"%d" % number for number in range(50)))
        send(
            bridge,
            orjson.dumps(
                {
                    "otelbridge.part.id": "x",
                    "otelbridge.part.number": 1,
                    "otelbridge.part.count": 2,
                    "otelbridge.part.data": "half a line",
                }
            ),
        )
    bodies = [record.body for record in bridge.store.logs]
    assert bodies[:50] == [str(number) for number in range(50)]
    assert bodies[50:] == ["half a line…[lost: part 2 of 2]"]
    assert bridge.store.closed


def test_it_listens_on_ipv6():
    with running_bridge(host="::1") as bridge:
        send(bridge, b"x")
        assert bridge.store.wait(lambda: len(bridge.store.logs) == 1)
        assert bridge.store.logs[0].resource == {"host.name": "::1"}


def test_what_has_no_room_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(udp, "MAX_QUEUED_BYTES", 10_000)
    counters = ReceiverCounters("UDP")
    store = MemoryStore()
    store.slow = True

    async def flood() -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        receiver = UdpReceiver(store, counters, {}, listener)
        await receiver.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(50):
                sender.sendto(b"x" * 800, listener.getsockname())
        while not counters.rejected["queue_full"]:  # noqa: ASYNC110 - counted elsewhere
            await asyncio.sleep(0.01)
        await receiver.stop(timeout=0.1)

    asyncio.run(flood())
    assert counters.last_rejection[1].startswith("datagrams dropped: ")
    assert counters.rejected["queue_full"] == 50
    assert store.logs == []
