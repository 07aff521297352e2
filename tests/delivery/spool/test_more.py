"""Payloads that follow the oldest one, to be sent together with it."""

from __future__ import annotations

import pytest

from otelbridge.delivery.spool import MemorySpool
from otelbridge.delivery.spool.frame import HEADER_BYTES
from tests.delivery.spool.payloads import (
    MEGABYTE,
    Losses,
    files,
    number_of,
    numbered,
    send_all,
    spool_in,
)


@pytest.fixture(params=["disk", "memory"])
def spool(request, tmp_path):
    if request.param == "disk":
        return spool_in(tmp_path / "spool")
    return MemorySpool(max_bytes=MEGABYTE, dropped=Losses())


def more(spool, count=1000, size=MEGABYTE):
    return [number_of(entry.payload) for entry in spool.more(count, size)]


def test_what_follows_the_oldest_is_returned_in_order_up_to_the_limits(spool):
    for number in range(10):
        spool.append(numbered(number, count=2, size=100))
    assert number_of(spool.next().payload) == 0
    assert more(spool) == list(range(1, 10))
    assert more(spool, count=7) == [1, 2, 3]
    assert more(spool, size=450) == [1, 2, 3, 4]
    assert more(spool, count=0) == []
    assert number_of(spool.next().payload) == 0


def test_nothing_follows_where_nothing_was_returned(spool):
    assert more(spool) == []
    spool.append(numbered(1))
    assert more(spool) == []


def test_what_was_sent_together_is_forgotten_one_by_one(spool):
    for number in range(6):
        spool.append(numbered(number))
    first, rest = spool.next(), spool.more(3, MEGABYTE)
    assert all(spool.done(entry) for entry in [first, *rest])
    assert not any(spool.done(entry) for entry in [first, *rest])
    assert spool.records == 2
    assert send_all(spool) == [4, 5]


def test_what_was_done_out_of_order_is_left_out(tmp_path):
    spool = spool_in(tmp_path / "spool")
    for number in range(5):
        spool.append(numbered(number))
    spool.next()
    spool.done(spool.more(2, MEGABYTE)[1])
    assert more(spool) == [1, 3, 4]
    spool.close()

    following = spool_in(tmp_path / "spool")
    assert following.adopt() == 4
    assert send_all(following) == [0, 1, 3, 4]


def test_a_damaged_payload_ends_what_is_sent_together_and_no_more(tmp_path):
    folder, losses = tmp_path / "spool", Losses()
    spool = spool_in(folder, losses)
    offsets = [spool.append(numbered(number, size=50)).offset for number in range(5)]
    (path,) = files(folder)
    with path.open("r+b") as file:
        file.seek(offsets[2] + HEADER_BYTES)
        file.write(b"damaged")
    spool.next()
    assert more(spool) == [1]
    assert send_all(spool) == [0, 1, 3, 4]
    assert losses == {"spool damaged": 1}
