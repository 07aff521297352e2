"""The spool in memory keeps what the one on disk promises, but no longer than the process."""

from __future__ import annotations

from otelbridge.delivery.spool import FULL, MemorySpool
from otelbridge.delivery.spool.store import Entry
from tests.delivery.spool.payloads import Losses, number_of, numbered, send_all


def memory_of(max_bytes=10_000):
    losses = Losses()
    return MemorySpool(max_bytes=max_bytes, dropped=losses), losses


def test_payloads_come_back_in_their_order():
    spool, losses = memory_of()
    for number in range(10):
        assert not spool.append(numbered(number, count=2)).kept

    assert (spool.records, spool.kept) == (20, 0)
    assert spool.next() is spool.next()
    assert send_all(spool) == list(range(10))
    assert (spool.records, spool.size, spool.next()) == (0, 0, None)
    assert not losses


def test_the_oldest_make_room_and_are_counted():
    spool, losses = memory_of()
    for number in range(200):
        spool.append(numbered(number, count=2, size=300))
        assert spool.size <= 10_000

    sent = send_all(spool)
    assert sent == list(range(200 - len(sent), 200))
    assert losses == {FULL: 2 * (200 - len(sent))}


def test_what_is_being_sent_does_not_make_room():
    spool, losses = memory_of()
    spool.append(numbered(0, size=300))
    shown = spool.next()
    for number in range(1, 100):
        spool.append(numbered(number, size=300))

    assert spool.next() is shown
    assert spool.done(shown)
    assert not spool.done(shown)
    rest = send_all(spool)
    assert rest == list(range(100 - len(rest), 100))
    assert losses == {FULL: 99 - len(rest)}


def test_a_payload_that_does_not_fit_beside_what_is_being_sent_is_dropped():
    spool, losses = memory_of(1_000)
    spool.append(numbered(0, size=600))
    shown = spool.next()
    second = spool.append(numbered(1, count=3, size=600))

    assert losses == {FULL: 3}
    assert not spool.done(second)
    assert spool.done(shown)


def test_a_payload_larger_than_everything_is_dropped():
    spool, losses = memory_of(1_000)
    spool.append(numbered(0))
    entry = spool.append(numbered(1, count=4, size=1_001))

    assert losses == {FULL: 4}
    assert not spool.done(entry)
    assert number_of(spool.next().payload) == 0


def test_what_waits_on_disk_is_not_its_own():
    spool, _ = memory_of()
    entry = spool.append(numbered(0))

    assert not spool.done(Entry(entry.payload, "elsewhere", entry.offset))
    assert spool.records == 1


def test_a_child_starts_with_nothing():
    spool, losses = memory_of()
    spool.append(numbered(0))
    spool.next()
    spool.start_afresh()

    assert (spool.records, spool.size, spool.next(), spool.adopt()) == (0, 0, None, 0)
    assert not losses
