"""Delivery of records to a destination: in order, once, bounded, counted, never in the way."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from otelbridge.delivery.answer import Answer
from otelbridge.delivery.counters import Snapshot

LATER = Answer(later=True, reason="busy")


def balance(counts: Snapshot) -> bool:
    return counts.accepted + counts.adopted == counts.sent + counts.lost + counts.waiting


def eventually(check: Any, timeout: float = 60.0) -> None:
    """Wait for what another thread is about to do, where there is no event to wait for."""
    waited = threading.Event()
    for _ in range(int(timeout / 0.01)):
        if check():
            return
        waited.wait(0.01)
    raise AssertionError("not in time")


def test_records_arrive_once_and_in_order(destination: Any, line: Any) -> None:
    delivery = line.to(destination, batch_size=7)
    for number in range(100):
        delivery.put(number)
    assert delivery.flush(60)
    assert destination.records == list(range(100))
    assert all(len(batch) <= 7 for batch in destination.taken)


def test_a_full_batch_is_sent_without_delay(destination: Any, line: Any) -> None:
    delivery = line.to(destination, batch_size=3)
    for number in range(3):
        delivery.put(number)
    assert destination.entered.wait(60)


def test_no_thread_is_started_before_the_first_record_and_none_is_left(
    destination: Any, line: Any
) -> None:
    before = set(threading.enumerate())

    def started() -> int:
        return len(set(threading.enumerate()) - before)

    delivery = line.to(destination)
    assert started() == 0
    delivery.put(1)
    assert started() == 2
    delivery.close()
    assert delivery.wait_closed(60) == 0
    assert started() == 0
    assert destination.records == [1]


def test_a_healthy_destination_leaves_the_disk_alone(destination: Any, line: Any) -> None:
    delivery = line.to(destination, delay=5.0)
    for number in range(50):
        delivery.put(number)
        assert delivery.flush(60)
    assert not list(line.folder.rglob("*.spool"))
    assert delivery.snapshot().spooled == 0


def test_the_oldest_records_make_room_and_are_counted(destination: Any, line: Any) -> None:
    encoding, go_on, encode = threading.Event(), threading.Event(), destination.encode

    def slowly(records: list[Any]) -> bytes:
        encoding.set()
        assert go_on.wait(20)
        return bytes(encode(records))

    destination.encode = slowly
    delivery = line.to(destination, capacity=5, batch_size=1)
    delivery.put("first")
    # Nobody takes a record from the queue while the one before is being encoded.
    assert encoding.wait(60)
    for number in range(20):
        delivery.put(number)
    go_on.set()
    assert delivery.flush(60)
    assert destination.records == ["first", *range(15, 20)]
    assert delivery.snapshot().dropped == {"queue full": 15}
    assert "dropped 15: queue full" in destination.said


def test_what_a_slow_destination_has_not_answered_is_on_disk(destination: Any, line: Any) -> None:
    destination.gate.clear()
    delivery = line.to(destination, delay=0.05)
    delivery.put("first")
    assert destination.entered.wait(60)
    eventually(lambda: delivery.snapshot().spool_records == 1)
    delivery.put("second")
    eventually(lambda: delivery.snapshot().spool_records == 2)
    destination.gate.set()
    assert delivery.flush(60)
    assert destination.records == ["first", "second"]
    counts = delivery.snapshot()
    assert (counts.sent, counts.spooled, counts.spool_records) == (2, 2, 0)


def test_a_destination_that_is_down_gets_everything_in_order_when_it_is_back(
    destination: Any, line: Any
) -> None:
    destination.answer = lambda batch: LATER
    delivery = line.to(destination, delay=0.01)
    for number in range(50):
        delivery.put(number)
        if number % 10 == 0:
            eventually(lambda: delivery.snapshot().spool_records > 0)
    assert not delivery.flush(0.05)
    assert balance(delivery.snapshot())
    destination.answer = lambda batch: Answer()
    assert delivery.flush(60)
    assert destination.records == list(range(50))
    counts = delivery.snapshot()
    assert (counts.sent, counts.resent, counts.waiting) == (50, 50, 0)


def test_what_waited_is_sent_together_beginning_with_a_little(destination: Any, line: Any) -> None:
    destination.answer = lambda batch: LATER
    delivery = line.to(destination, delay=0.01, batch_size=64)
    for number in range(200):
        delivery.put(number)
        eventually(lambda: delivery.snapshot().queue_bytes == 0)
    eventually(lambda: delivery.snapshot().spool_records == 200)
    destination.answer = lambda batch: Answer()
    assert delivery.flush(60)
    assert destination.records == list(range(200))
    sizes = [len(batch) for batch in destination.taken]
    assert sizes[:4] == [1, 2, 4, 8]
    assert max(sizes) == 64
    assert len(sizes) <= 12


def test_a_destination_that_asks_for_a_pause_gets_it_also_while_flushing(
    destination: Any, line: Any
) -> None:
    times: list[float] = []

    def busy_once(batch: list[Any]) -> Answer:
        times.append(time.monotonic())
        return Answer(later=True, pause=0.6, reason="busy") if len(times) == 1 else Answer()

    destination.answer = busy_once
    delivery = line.to(destination, delay=0.01)
    delivery.put(1)
    assert not delivery.flush(0.1)
    assert delivery.flush(60)
    assert times[1] - times[0] >= 0.6


def test_what_is_left_at_the_end_is_sent_by_the_next_process(destination: Any, line: Any) -> None:
    destination.answer = lambda batch: LATER
    first = line.to(destination, delay=0.01)
    for number in range(30):
        first.put(number)
    first.close()
    assert first.wait_closed(60) == 30
    counts = first.snapshot()
    assert (counts.lost, counts.waiting) == (0, 30)

    destination.answer = lambda batch: Answer()
    second = line.to(destination, delay=0.01)
    second.put("new")
    eventually(lambda: len(destination.records) == 31)
    assert second.flush(60)
    assert sorted(map(str, destination.records)) == sorted(map(str, [*range(30), "new"]))
    counts = second.snapshot()
    assert (counts.accepted, counts.adopted, counts.sent) == (1, 30, 31)


def test_without_a_disk_what_is_left_at_the_end_is_counted(destination: Any, line: Any) -> None:
    line.folder = None
    destination.gate.clear()
    delivery = line.to(destination, batch_size=2)
    for number in range(5):
        delivery.put(number)
    assert destination.entered.wait(60)
    delivery.close()
    assert delivery.wait_closed(0.05) == 0
    assert delivery.snapshot().dropped == {"program ended": 5}
    delivery.put("late")
    assert delivery.snapshot().dropped == {"program ended": 6}
    assert balance(delivery.snapshot())
    destination.gate.set()


def test_the_end_waits_for_a_destination_that_hangs_as_long_as_allowed_and_keeps_everything(
    destination: Any, line: Any
) -> None:
    destination.gate.clear()
    delivery = line.to(destination, delay=0.05)
    for number in range(5):
        delivery.put(number)
    assert destination.entered.wait(60)
    delivery.close()
    assert delivery.wait_closed(0.2) == 5
    destination.gate.set()


def test_flush_gives_up_in_time(destination: Any, line: Any) -> None:
    destination.gate.clear()
    delivery = line.to(destination)
    delivery.put(1)
    assert not delivery.flush(0.05)
    destination.gate.set()
    assert delivery.flush(60)
    assert destination.records == [1]


def test_a_record_that_cannot_be_encoded_costs_itself_only(destination: Any, line: Any) -> None:
    delivery = line.to(destination)
    for record in ("first", {1, 2}, "last"):
        delivery.put(record)
    assert delivery.flush(60)
    assert destination.records == ["first", "last"]
    assert delivery.snapshot().dropped == {"cannot be encoded": 1}


@pytest.mark.parametrize("cause", ["refused", "rejected", "too large"])
def test_what_the_destination_will_never_take_is_counted_by_its_cause(
    cause: str, destination: Any, line: Any
) -> None:
    destination.answer = lambda batch: Answer(dropped=2, cause=cause, reason="because")
    delivery = line.to(destination)
    for number in range(5):
        delivery.put(number)
    assert delivery.flush(60)
    counts = delivery.snapshot()
    assert (counts.sent, counts.dropped, counts.waiting) == (3, {cause: 2}, 0)
    assert destination.said == ["dropped 2: because"]


def test_a_fault_while_sending_is_a_reason_to_try_again(destination: Any, line: Any) -> None:
    faults = [ValueError("broken"), MemoryError()]

    def faulty(batch: list[Any]) -> Answer:
        if faults:
            raise faults.pop()
        return Answer()

    destination.answer = faulty
    delivery = line.to(destination, delay=0.01)
    delivery.put(1)
    assert delivery.flush(60)
    assert destination.records == [1]
    assert destination.said == ["waiting: MemoryError: ", "waiting: ValueError: broken"]


def test_records_of_many_threads_arrive_once(destination: Any, line: Any) -> None:
    delivery = line.to(destination, batch_size=16, delay=0.01)

    def put(start: int) -> None:
        for number in range(start, start + 500):
            delivery.put(number)

    threads = [threading.Thread(target=put, args=(start * 500,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert delivery.flush(60)
    assert sorted(destination.records) == list(range(4000))


def test_changing_threading_keeps_what_waits(destination: Any, line: Any) -> None:
    delivery = line.to(destination)
    delivery.put(1)
    delivery.change_threading()
    delivery.put(2)
    assert delivery.flush(60)
    assert destination.records == [1, 2]
