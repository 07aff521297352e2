"""Locks: one holder, until its process ends or lets go."""

from __future__ import annotations

import errno
import fcntl
import os
import time

import pytest

from otelbridge.delivery.spool import locks
from otelbridge.delivery.spool.locks import STALE_SECONDS, take_age_lock, take_lock
from tests.delivery.spool.payloads import Losses, descriptors, numbered, send_all, spool_in
from tests.delivery.spool.processes import finished, running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "1-00000000.lock"


def test_a_lock_is_taken_once_in_a_process(path):
    lock = take_lock(path)

    assert lock.held()
    assert take_lock(path) is None
    lock.remove()
    assert not path.exists()
    assert not lock.held()


def test_two_ways_to_a_folder_are_one(tmp_path):
    """Opening the file a second time would cost the lock."""
    (tmp_path / "real").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "real")
    lock = take_lock(tmp_path / "real" / "1-00000000.lock")

    assert take_lock(tmp_path / "other" / "1-00000000.lock") is None
    lock.remove()
    again = take_lock(tmp_path / "other" / "1-00000000.lock")
    assert again.held()
    again.remove()


def test_a_lock_that_was_let_go_can_be_taken(path):
    take_lock(path).let_go()

    assert path.exists()
    again = take_lock(path)
    assert again.held()
    again.remove()


def test_a_new_lock_must_not_be_there_yet(path):
    path.touch()

    assert take_lock(path, new=True) is None
    taken = take_lock(path)
    assert taken is not None
    taken.remove()


def test_another_process_cannot_take_it(path):
    lock = take_lock(path)
    asking = f"""
from otelbridge.delivery.spool.locks import take_lock
say(take_lock(Path({str(path)!r})) is None)
"""

    assert finished(asking, path.parent) == ["True"]
    lock.let_go()
    assert finished(asking, path.parent) == ["False"]


def test_a_lock_whose_file_was_removed_is_not_held(path):
    lock = take_lock(path)
    path.unlink()

    assert not lock.held()
    path.touch()
    assert not lock.held()  # another file
    lock.let_go()


def test_a_lock_that_was_removed_while_it_was_waited_for_is_not_taken(path, monkeypatch):
    """Its last holder removes the file between the opening and the locking."""
    lockf = fcntl.lockf

    def slow(descriptor, operation):
        path.unlink()
        lockf(descriptor, operation)

    monkeypatch.setattr(fcntl, "lockf", slow)
    before = descriptors()
    assert take_lock(path) is None
    assert descriptors() == before


def test_no_descriptor_is_left_by_attempts(path):
    with running(
        f"""
from otelbridge.delivery.spool.locks import take_lock
lock = take_lock(Path({str(path)!r}))
say("held")
sys.stdin.read()
""",
        path.parent,
    ) as program:
        program.line()
        before = descriptors()
        for _ in range(20):
            assert take_lock(path) is None
        assert descriptors() == before


# --- where there are no record locks --------------------------------------------------------------


def test_by_age_one_holder_until_it_gives_no_sign_of_life(path):
    lock = take_age_lock(path)

    assert lock.held()
    assert take_age_lock(path) is None
    os.utime(path, (0, time.time() - STALE_SECONDS - 1))
    other = take_age_lock(path)
    assert other.held()
    assert not lock.held()
    lock.remove()
    assert other.held()  # it is not the first one's to remove
    other.remove()
    assert not path.exists()


def test_by_age_a_sign_of_life_keeps_it(path):
    lock = take_age_lock(path)
    os.utime(path, (0, time.time() - STALE_SECONDS - 1))
    lock.beat()

    assert take_age_lock(path) is None
    lock.remove()


def test_by_age_only_its_holder_gives_signs_of_life(path):
    lock = take_age_lock(path)
    path.write_text("another's")
    os.utime(path, (0, 1))
    lock.beat()

    assert path.stat().st_mtime == 1
    lock.let_go()


def test_by_age_one_of_many_takes_what_is_stale(path):
    path.write_text("dead")
    os.utime(path, (0, 1))
    taking = f"""
from otelbridge.delivery.spool.locks import take_age_lock
while not Path({str(path.parent / "now")!r}).exists(): pass
say(take_age_lock(Path({str(path)!r})) is not None)
"""
    with (
        running(taking, path.parent) as one,
        running(taking, path.parent) as two,
        running(taking, path.parent) as three,
    ):
        time.sleep(0.3)
        (path.parent / "now").touch()
        assert sorted(program.line() for program in (one, two, three)) == ["False", "False", "True"]
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, "now"]


def test_a_spool_without_record_locks_goes_by_age(tmp_path, monkeypatch):
    """As on Windows, and on network file systems that lock nothing."""

    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    folder = tmp_path / "spool"
    killed = spool_in(folder)
    killed.append(numbered(1))
    losses = Losses()
    later = spool_in(folder, losses)
    later.append(numbered(2))
    # The first is of another process, which was killed.
    locks._held.clear()

    assert later.adopt() == 0
    (lock,) = [each for each in folder.glob("*.lock") if each != later._own_lock.path]
    os.utime(lock, (0, time.time() - STALE_SECONDS - 1))
    assert later.adopt() == 1
    assert send_all(later) == [1, 2]
    assert not losses
    later.close()
    assert list(folder.iterdir()) == []
    killed.start_afresh()
