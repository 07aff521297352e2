"""The queue between the program and a destination: bounded, counted, never in the way."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from otelbridge.sinks.queue import BatchQueue, Deadline


class Destination:
    """Takes batches; waits in the middle of one while ``gate`` is closed."""

    signal = "logs"

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.lost: list[tuple[int, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.error: Exception | None = None

    def send(self, batch: list[Any], count: int, success: Any, *, retry: bool) -> bool:
        self.entered.set()
        self.gate.wait(20)
        if self.error is not None:
            raise self.error
        self.batches.append(batch)
        return True

    def give_up(self, count: int, reason: str) -> None:
        self.lost.append((count, reason))

    def all(self) -> list[Any]:
        return [record for batch in self.batches for record in batch]


@pytest.fixture
def destination() -> Destination:
    return Destination()


def make(destination: Destination, **options: Any) -> BatchQueue:
    return BatchQueue(destination, None, **{"delay": 60.0, **options})  # type: ignore[arg-type]


def test_records_arrive_once_and_in_order(destination: Destination) -> None:
    queue = make(destination, batch_size=7)
    for number in range(100):
        queue.put(number)
    assert queue.flush(5)
    assert destination.all() == list(range(100))
    assert all(len(batch) <= 7 for batch in destination.batches)


def test_a_full_batch_is_sent_without_delay(destination: Destination) -> None:
    queue = make(destination, batch_size=3)
    for number in range(3):
        queue.put(number)
    assert destination.entered.wait(5)


def test_no_thread_is_started_before_the_first_record(destination: Destination) -> None:
    before = threading.active_count()
    queue = make(destination)
    assert threading.active_count() == before
    queue.put(1)
    assert threading.active_count() == before + 1
    queue.close()
    queue.wait_closed(5)
    assert threading.active_count() == before
    assert destination.all() == [1]


def test_the_oldest_make_room_and_are_counted(destination: Destination) -> None:
    destination.gate.clear()
    queue = make(destination, batch_size=1, capacity=5)
    queue.put("first")
    assert destination.entered.wait(5)
    for number in range(20):
        queue.put(number)
    destination.gate.set()
    assert queue.flush(5)
    assert destination.all() == ["first", 15, 16, 17, 18, 19]
    assert destination.lost == [(1, "the queue is full")] * 15


def test_flush_gives_up_in_time(destination: Destination) -> None:
    destination.gate.clear()
    queue = make(destination)
    queue.put(1)
    assert not queue.flush(0.05)
    destination.gate.set()
    assert queue.flush(5)
    assert destination.all() == [1]


def test_what_is_left_after_the_end_is_counted_as_lost(destination: Destination) -> None:
    destination.gate.clear()
    queue = make(destination, batch_size=2)
    for number in range(5):
        queue.put(number)
    assert destination.entered.wait(5)
    queue.close()
    queue.wait_closed(0.05)
    assert destination.lost == [(5, "the program ended first")]
    queue.put("late")
    assert destination.lost[-1] == (1, "the program had ended its telemetry")
    destination.gate.set()


def test_a_fault_while_sending_costs_one_batch_only(destination: Destination) -> None:
    queue = make(destination)
    destination.error = ValueError("broken")
    queue.put(1)
    assert queue.flush(5)
    destination.error = None
    queue.put(2)
    assert queue.flush(5)
    assert destination.lost == [(1, "ValueError: broken")]
    assert destination.all() == [2]


def test_records_of_many_threads_arrive_once(destination: Destination) -> None:
    queue = make(destination, batch_size=16, delay=0.001)

    def put(start: int) -> None:
        for number in range(start, start + 500):
            queue.put(number)

    threads = [threading.Thread(target=put, args=(start * 500,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.flush(10)
    assert sorted(destination.all()) == list(range(4000))


def test_changing_threading_keeps_what_waits(destination: Destination) -> None:
    queue = make(destination)
    queue.put(1)
    queue.change_threading()
    queue.put(2)
    assert queue.flush(5)
    assert destination.all() == [1, 2]


def test_a_deadline_never_goes_below_nothing() -> None:
    assert Deadline(-1.0).remaining() == 0.0
    assert 0 < Deadline(10.0).remaining() <= 10.0
