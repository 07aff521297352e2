"""The id of a record: unique, ordered, the same for every sink."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
import uuid

import pytest

from otelbridge.records import uid
from otelbridge.records.uid import new_uid, record_uid


def make_record() -> logging.LogRecord:
    return logging.LogRecord("shop", logging.INFO, "shop.py", 1, "hello", (), None)


def test_is_a_uuid_of_version_7_that_holds_the_moment():
    before = time.time_ns() // 1_000_000
    made = new_uid()
    after = time.time_ns() // 1_000_000

    parsed = uuid.UUID(made)
    assert made == parsed.hex
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert before <= parsed.int >> 80 <= after


def test_ids_made_one_after_another_are_in_order():
    made = [new_uid() for _ in range(20_000)]

    assert made == sorted(set(made))


def test_order_survives_a_clock_that_is_set_back(monkeypatch):
    clock = iter([2_000_000_000_000_000_000, 1_000_000_000_000_000_000, 1_500_000_000_000_000_000])
    monkeypatch.setattr(uid, "_process", uid._Process())
    monkeypatch.setattr(uid.time, "time_ns", lambda: next(clock))

    made = [new_uid() for _ in range(3)]

    assert made == sorted(set(made))


def test_threads_never_make_the_same_id():
    made: list[list[str]] = []

    def make() -> None:
        made.append([new_uid() for _ in range(5_000)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(ids == sorted(ids) for ids in made)
    assert len({id for ids in made for id in ids}) == 40_000


@pytest.mark.parametrize("hooks", ["with fork hooks", "forked in C, without"])
def test_a_forked_child_repeats_none_of_its_parents_ids(hooks):
    state = uid._process
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if hooks != "with fork hooks":
            # Without Python's hooks the child goes on with its parent's state.
            uid._process = state
        os.write(write, ",".join(record_uid(make_record()) for _ in range(500)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    parents = {record_uid(make_record()) for _ in range(500)}
    childrens = set(os.read(read, 65_536).decode().split(","))
    os.close(read)
    os.close(write)

    assert len(childrens) == 500
    assert not {id[20:] for id in childrens} & {id[20:] for id in parents}


def test_a_record_keeps_its_id_also_through_a_queue():
    record = make_record()

    given = record_uid(record)

    assert record_uid(record) == given
    assert record_uid(pickle.loads(pickle.dumps(record))) == given
    assert record_uid(make_record()) != given


def test_records_without_a_process_id_have_ids_too(monkeypatch):
    monkeypatch.setattr(logging, "logProcesses", False)

    assert record_uid(make_record()) < record_uid(make_record())
