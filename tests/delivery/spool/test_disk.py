"""The spool on disk, as one process sees it."""

from __future__ import annotations

import shutil
import stat
import threading

import pytest

from otelbridge.delivery.payload import Payload
from otelbridge.delivery.spool import DAMAGED, FULL, REMOVED, Spool, SpoolError
from otelbridge.delivery.spool.frame import HEADER_BYTES, STATE_OFFSET
from tests.delivery.spool.payloads import (
    Losses,
    bytes_in,
    descriptors,
    files,
    number_of,
    numbered,
    send_all,
    spool_in,
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shop" / "otlp" / "logs"


@pytest.fixture
def losses():
    return Losses()


def test_nothing_is_made_before_there_is_a_payload(folder):
    spool = spool_in(folder)

    assert (spool.next(), spool.adopt(), spool.records, spool.size) == (None, 0, 0, 0)
    spool.close()
    assert not folder.parent.exists()


def test_payloads_come_back_in_their_order_and_as_they_were(folder):
    spool = spool_in(folder)
    payloads = [
        Payload("logs", 3, b"first", 1),
        Payload("traces", 1, b"", 2),
        Payload("logs", 2, bytes(range(256)) * 50, 2**64 - 1),
    ]
    for payload in payloads:
        spool.append(payload)

    assert spool.records == 6
    seen = []
    while (entry := spool.next()) is not None:
        seen.append(entry.payload)
        spool.done(entry)
    assert seen == payloads


def test_the_oldest_is_shown_until_it_is_done(folder):
    spool = spool_in(folder)
    spool.append(numbered(1))
    spool.append(numbered(2))

    first = spool.next()
    assert spool.next() is first
    assert spool.done(first)
    assert not spool.done(first)
    assert number_of(spool.next().payload) == 2
    assert spool.records == 1


def test_a_payload_that_was_appended_while_it_was_sent_can_be_done_at_once(folder):
    spool = spool_in(folder)
    under_way = spool.append(numbered(1))
    spool.append(numbered(2))
    third = spool.append(numbered(3))

    assert spool.done(under_way)
    assert spool.done(third)
    assert not spool.done(third)
    assert send_all(spool) == [2]


def test_no_file_is_left_when_everything_was_sent(folder):
    spool = spool_in(folder, max_bytes=20_000)
    for number in range(50):
        spool.append(numbered(number, size=300))
    assert len(files(folder)) > 5

    assert send_all(spool) == list(range(50))
    assert files(folder) == []
    assert (spool.records, spool.size) == (0, 0)
    spool.close()
    assert list(folder.iterdir()) == []


def test_only_the_user_can_look_into_folders_and_files(folder):
    spool_in(folder).append(numbered(1))

    for place in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_next_process_finds_what_was_not_sent(folder, losses):
    spool = spool_in(folder)
    for number in range(10):
        spool.append(numbered(number, count=2))
    for _ in range(4):
        spool.done(spool.next())
    assert spool.kept == 12
    spool.close()

    later = spool_in(folder, losses)
    assert later.adopt() == 12
    assert later.records == 12
    assert send_all(later) == [4, 5, 6, 7, 8, 9]
    assert not losses


def test_what_a_living_spool_holds_is_not_taken_over(folder):
    first, second = spool_in(folder), spool_in(folder)
    first.append(numbered(1))
    second.append(numbered(2))

    assert (first.adopt(), second.adopt()) == (0, 0)
    assert (send_all(first), send_all(second)) == ([1], [2])


def test_what_is_taken_over_comes_before_what_is_newer(folder):
    earlier, later = spool_in(folder), spool_in(folder)
    earlier.append(numbered(1))
    earlier.append(numbered(2))
    later.append(numbered(3))
    shown = later.next()
    earlier.close()

    later.adopt()
    assert later.next() is shown  # it is being sent
    later.done(shown)
    later.append(numbered(4))
    assert send_all(later) == [1, 2, 4]


# --- bounded --------------------------------------------------------------------------------------


def test_the_oldest_make_room_and_are_counted(folder, losses):
    spool = spool_in(folder, losses, max_bytes=32_000)
    for number in range(500):
        spool.append(numbered(number, count=3, size=400))
        assert bytes_in(folder) <= 32_000

    sent = send_all(spool)
    assert sent == list(range(sent[0], 500))
    assert losses == {FULL: 3 * sent[0]}
    assert len(sent) > 60  # at most a segment, a sixteenth, is given up at once


def test_what_is_being_sent_does_not_make_room(folder, losses):
    spool = spool_in(folder, losses, max_bytes=8_000)
    for number in range(5):
        spool.append(numbered(number, size=400))
    shown = spool.next()
    for number in range(5, 100):
        spool.append(numbered(number, size=400))

    assert spool.next() is shown
    assert spool.done(shown)
    rest = send_all(spool)
    assert losses == {FULL: 100 - 1 - len(rest)}
    assert rest[-1] == 99


def test_what_was_being_sent_from_a_segment_that_made_room_is_lost_at_the_end(folder, losses):
    spool = spool_in(folder, losses, max_bytes=8_000)
    spool.append(numbered(0, count=7, size=400))
    spool.next()
    for number in range(1, 100):
        spool.append(numbered(number, size=400))
    waiting = spool.records
    kept = spool.kept
    assert waiting == kept + 7

    spool.close()
    assert losses[FULL] + kept == 106


def test_a_payload_larger_than_everything_is_dropped_at_once(folder, losses):
    spool = spool_in(folder, losses, max_bytes=1_000)
    spool.append(numbered(1))
    entry = spool.append(numbered(2, count=5, size=2_000))

    assert losses == {FULL: 5}
    assert not spool.done(entry)
    assert send_all(spool) == [1]


def test_processes_that_share_a_folder_share_its_bound(folder):
    losses = [Losses() for _ in range(4)]
    spools = [spool_in(folder, each, max_bytes=64_000) for each in losses]
    for number in range(200):
        spools[0].append(numbered(number, size=400))
    assert bytes_in(folder) > 55_000

    for number in range(200):
        for spool in spools[1:]:
            spool.append(numbered(number, size=400))
    for spool in spools:
        spool.adopt()  # as it does every few seconds

    assert bytes_in(folder) <= 64_000
    for spool, lost in zip(spools, losses, strict=True):
        sent = send_all(spool)
        assert len(sent) > 20
        assert sent == list(range(200 - len(sent), 200))
        assert lost[FULL] == 200 - len(sent)


def test_what_nobody_owns_makes_room_first(folder, losses):
    dead = spool_in(folder)
    for number in range(50):
        dead.append(numbered(number, size=400))
    dead.close()
    spool = spool_in(folder, losses, max_bytes=32_000)
    for number in range(50, 120):
        spool.append(numbered(number, size=400))

    assert bytes_in(folder) <= 32_000
    # What was taken over on the way is told once.
    assert spool.adopt() == 50
    assert spool.adopt() == 0
    sent = send_all(spool)
    assert sent[-1] == 119
    assert losses == {FULL: 120 - len(sent)}


# --- damage ---------------------------------------------------------------------------------------


def test_a_segment_cut_at_every_byte_of_its_last_payload_keeps_the_others(tmp_path):
    """What a power cut leaves: everything up to some byte."""
    source = tmp_path / "source"
    spool = spool_in(source)
    for number in range(3):
        spool.append(numbered(number, count=2, size=30))
    spool.append(numbered(3, count=5, size=30))
    spool.close()
    (segment,) = files(source)
    data = segment.read_bytes()
    last = len(data) - HEADER_BYTES - 30

    for cut in range(last, len(data)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / segment.name).write_bytes(data[:cut])
        losses = Losses()
        later = spool_in(folder, losses)
        adopted = later.adopt()
        assert send_all(later) == [0, 1, 2]
        # How many records the torn one held is known as soon as its header is whole.
        torn = 0 if cut == last else 1 if cut < last + HEADER_BYTES else 5
        assert losses == ({DAMAGED: torn} if torn else {})
        assert adopted == 6 + torn
        assert files(folder) == []
        later.close()


def test_a_damaged_body_costs_its_own_records(folder, losses):
    spool = spool_in(folder, losses)
    for number in range(3):
        spool.append(numbered(number, count=4, size=20))
    (segment,) = files(folder)
    data = bytearray(segment.read_bytes())
    data[(HEADER_BYTES + 20) * 2 - 1] ^= 0x40
    segment.write_bytes(data)

    assert send_all(spool) == [0, 2]
    assert losses == {DAMAGED: 4}
    assert files(folder) == []


def test_a_damaged_header_costs_its_own_records(folder, losses):
    spool = spool_in(folder)
    for number in range(3):
        spool.append(numbered(number, count=4, size=20))
    spool.close()
    (segment,) = files(folder)
    data = bytearray(segment.read_bytes())
    data[HEADER_BYTES + 20 + 9] ^= 0x40
    segment.write_bytes(data)

    later = spool_in(folder, losses)
    assert later.adopt() == 9  # of the middle one it is known only that it was there
    assert send_all(later) == [0, 2]
    assert losses == {DAMAGED: 1}


def test_an_acknowledgement_that_was_torn_sends_again(folder):
    spool = spool_in(folder)
    spool.append(numbered(0, size=20))
    spool.append(numbered(1, size=20))
    spool.done(spool.next())
    spool.close()
    (segment,) = files(folder)
    data = bytearray(segment.read_bytes())
    data[STATE_OFFSET:HEADER_BYTES] = b"DOIT"
    segment.write_bytes(data)

    later = spool_in(folder)
    assert later.adopt() == 2
    assert send_all(later) == [0, 1]


@pytest.mark.parametrize("content", [b"", b"\0" * 5_000, b"rubbish" * 1_000])
def test_a_segment_of_nothing_known_is_removed(folder, losses, content):
    spool = spool_in(folder)
    spool.append(numbered(0))
    spool.close()
    (segment,) = files(folder)
    segment.write_bytes(content)

    later = spool_in(folder, losses)
    assert later.adopt() == (1 if content else 0)
    assert later.next() is None
    assert files(folder) == []
    assert losses == ({DAMAGED: 1} if content else {})


def test_files_of_others_are_left_alone(folder):
    folder.mkdir(parents=True)
    strange = ["notes.txt", "x.spool", "20261121T163412.123456-1-2.spool", ".lock", "1-0.lock"]
    for name in strange:
        (folder / name).write_text("mine")

    spool = spool_in(folder)
    spool.append(numbered(1))
    spool.adopt()
    assert send_all(spool) == [1]
    spool.close()
    assert {path.name for path in folder.iterdir()} == set(strange)


# --- removed underneath ---------------------------------------------------------------------------


def test_a_folder_removed_underneath_is_made_again_and_its_records_are_counted(folder, losses):
    spool = spool_in(folder, losses, max_bytes=32_000)
    for number in range(10):
        spool.append(numbered(number, count=2, size=400))
    shutil.rmtree(folder)
    for number in range(10, 20):
        spool.append(numbered(number, count=2, size=400))

    rest = send_all(spool)
    assert rest == list(range(10, 20))
    assert losses == {REMOVED: 20}
    later = spool_in(folder)
    spool.append(numbered(20))
    assert later.adopt() == 0  # there is a lock again


def test_a_segment_removed_underneath_is_counted(folder, losses):
    spool = spool_in(folder, losses, max_bytes=8_000)
    for number in range(15):
        spool.append(numbered(number, count=2, size=400))
    oldest = files(folder)[0]
    oldest.unlink()

    sent = send_all(spool)
    assert sent == list(range(15 - len(sent), 15))
    assert losses == {REMOVED: 2 * (15 - len(sent))}
    assert 0 < len(sent) < 15


def test_a_payload_whose_segment_went_while_it_was_sent_is_sent(folder, losses):
    spool = spool_in(folder, losses)
    spool.append(numbered(1, count=3))
    entry = spool.next()
    shutil.rmtree(folder)
    spool.append(numbered(2))

    assert spool.next() is entry
    assert spool.done(entry)
    assert send_all(spool) == [2]
    assert not losses


def test_a_lock_removed_underneath_is_taken_again(folder, losses):
    spool = spool_in(folder, losses)
    spool.append(numbered(1))
    for lock in files(folder, ".lock"):
        lock.unlink()

    assert spool.adopt() == 0
    other = spool_in(folder)
    assert other.adopt() == 0
    assert send_all(spool) == [1]
    assert not losses


def test_a_file_in_the_folders_place_is_one_clear_line(tmp_path):
    (tmp_path / "taken").write_text("")
    spool = spool_in(tmp_path / "taken" / "logs")

    with pytest.raises(SpoolError, match=r"^cannot keep telemetry in .*/taken/logs: Not a dir"):
        spool.append(numbered(1))
    assert (spool.records, spool.size, spool.next()) == (0, 0, None)


# --- flat -----------------------------------------------------------------------------------------


def test_descriptors_stay_few_however_much_waits(folder):
    before = descriptors()
    dead = spool_in(folder)
    for number in range(100):
        dead.append(numbered(number, size=400))
    dead.close()
    spool = spool_in(folder, max_bytes=200_000)
    spool.adopt()
    for number in range(100, 1_000):
        spool.append(numbered(number, size=400))
        entry = spool.next()
        if number % 3:
            spool.done(entry)
        assert descriptors() - before <= 3
    spool.close()
    assert descriptors() == before


def test_one_thread_appends_while_another_sends(folder, losses):
    spool = spool_in(folder, losses)
    sent = []
    finished = threading.Event()

    def send():
        while not finished.is_set() or spool.records:
            sent.extend(send_all(spool))

    sender = threading.Thread(target=send)
    sender.start()
    for number in range(2_000):
        spool.append(numbered(number))
    finished.set()
    sender.join(30)

    assert sent == list(range(2_000))
    assert not losses


def test_flushing_to_the_disk_keeps_the_same_promises(folder):
    spool = Spool(folder, max_bytes=20_000, sync="always", dropped=Losses())
    for number in range(20):
        spool.append(numbered(number, size=400))
    assert send_all(spool) == list(range(20))
