"""A spool that can always be used, whatever becomes of its disk."""

from __future__ import annotations

import shutil

import pytest

from otelbridge.delivery.spool import FULL, MemorySpool, open_spool
from otelbridge.delivery.spool.fallback import FallbackSpool
from tests.delivery.spool.payloads import Losses, number_of, numbered, send_all, spool_in


class Place:
    """A folder that a file can take the place of."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "spool"
        self.losses = Losses()
        self.lines = []

    def spool(self, *, retry_seconds=0.0, memory_bytes=100_000):
        return FallbackSpool(
            self.folder,
            max_bytes=2**20,
            memory_bytes=memory_bytes,
            sync="never",
            dropped=self.losses,
            trouble=self.lines.append,
            retry_seconds=retry_seconds,
        )

    def break_it(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.write_text("")

    def mend_it(self):
        self.folder.unlink()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_without_a_folder_it_is_in_memory(place):
    spool = open_spool(
        None, max_bytes=1, memory_bytes=1_000, sync="never", dropped=place.losses, trouble=print
    )

    assert isinstance(spool, MemorySpool)


def test_with_a_folder_it_is_on_disk(place):
    spool = open_spool(
        place.folder,
        max_bytes=2**20,
        memory_bytes=1_000,
        sync="always",
        dropped=place.losses,
        trouble=place.lines.append,
    )
    assert spool.append(numbered(1)).kept
    assert spool.next().kept
    spool.close()
    assert spool_in(place.folder).adopt() == 1


def test_what_the_disk_does_not_take_waits_in_memory_and_one_line_says_so(place):
    place.break_it()
    spool = place.spool()
    for number in range(5):
        assert not spool.append(numbered(number)).kept

    assert (spool.records, spool.kept) == (5, 0)
    assert len(place.lines) == 1
    assert place.lines[0].startswith(f"cannot keep telemetry in {place.folder}: ")
    assert send_all(spool) == list(range(5))
    assert not place.losses


def test_what_is_in_memory_goes_to_the_disk_when_that_works_again(place):
    place.break_it()
    spool = place.spool()
    for number in range(5):
        spool.append(numbered(number))
    place.mend_it()
    assert spool.append(numbered(5)).kept

    assert (spool.records, spool.kept) == (6, 6)
    assert place.lines[1:] == [f"telemetry is kept in {place.folder} again"]
    spool.close()
    later = spool_in(place.folder)
    assert later.adopt() == 6
    assert send_all(later) == list(range(6))


def test_it_goes_there_also_when_nothing_more_comes(place):
    place.break_it()
    spool = place.spool()
    spool.append(numbered(0))
    place.mend_it()

    assert spool.adopt() == 0
    assert spool.kept == 1


def test_what_is_being_sent_from_memory_is_not_shown_twice(place):
    place.break_it()
    spool = place.spool()
    for number in range(3):
        spool.append(numbered(number))
    shown = spool.next()
    place.mend_it()
    for number in range(3, 6):
        spool.append(numbered(number))

    assert spool.next() is shown
    assert number_of(shown.payload) == 0
    assert spool.done(shown)
    assert send_all(spool) == [1, 2, 3, 4, 5]
    assert not place.losses


def test_order_is_kept_over_a_disk_that_comes_and_goes(place):
    spool = place.spool()
    sent = []
    for number in range(300):
        if number % 50 == 20:
            # The folder is emptied by being sent first: what is removed underneath is lost.
            sent += send_all(spool)
            place.break_it()
        if number % 50 == 40:
            place.mend_it()
        spool.append(numbered(number))
        if number % 7 == 0 and (entry := spool.next()) is not None:
            sent.append(number_of(entry.payload))
            assert spool.done(entry)
    sent += send_all(spool)

    assert sent == list(range(300))
    assert not place.losses


def test_one_thing_that_cannot_be_taken_over_is_one_line_and_nothing_more(place):
    dead = [spool_in(place.folder) for _ in range(3)]
    for number, each in enumerate(dead):
        each.append(numbered(number))
    for each in dead:
        each.close()
    middle = sorted(place.folder.iterdir())[1]
    middle.unlink()
    middle.mkdir()

    spool = place.spool(retry_seconds=1_000)
    assert spool.adopt() == 2
    assert spool.adopt() == 0
    assert place.lines == [f"cannot take over what waits in {place.folder}: Is a directory"]
    assert spool.append(numbered(3)).kept
    assert send_all(spool) == [0, 2, 3]


def test_a_disk_that_failed_is_left_alone_for_a_while(place):
    place.break_it()
    spool = place.spool(retry_seconds=1_000)
    spool.append(numbered(0))
    place.mend_it()
    spool.append(numbered(1))
    spool.adopt()

    assert (spool.records, spool.kept) == (2, 0)
    spool.close()  # there is no later
    assert spool_in(place.folder).adopt() == 2


def test_memory_is_bounded_too(place):
    place.break_it()
    spool = place.spool(memory_bytes=5_000)
    for number in range(100):
        spool.append(numbered(number, size=300))

    assert 0 < spool.records < 100
    assert place.losses == {FULL: 100 - spool.records}


def test_what_cannot_be_kept_at_the_end_is_told_apart(place):
    spool = place.spool()
    spool.append(numbered(0, count=3))
    send_all(spool)
    place.break_it()
    spool.append(numbered(1, count=5))
    spool.close()

    assert (spool.records, spool.kept) == (5, 0)


def test_a_child_starts_with_nothing(place):
    place.break_it()
    spool = place.spool(retry_seconds=1_000)
    spool.append(numbered(0))
    place.mend_it()
    spool.start_afresh()

    assert (spool.records, spool.next()) == (0, None)
    assert spool.append(numbered(1)).kept  # it asks the disk for itself


def test_whoever_is_told_of_a_loss_may_ask_the_spool(place):
    """A callback that is called under a lock would wait for itself."""
    seen = []
    spool = FallbackSpool(
        place.folder,
        max_bytes=2_000,
        memory_bytes=1_000,
        sync="never",
        dropped=lambda count, reason: seen.append((spool.next(), spool.records)),
        trouble=lambda line: seen.append(spool.append(numbered(99))),
    )
    for number in range(20):
        spool.append(numbered(number, size=300))
    shutil.rmtree(place.folder)
    place.folder.write_text("")
    spool.append(numbered(20))

    assert len(seen) > 10
