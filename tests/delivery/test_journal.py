"""The journal: what was written and not marked is found by whoever takes over, and nothing else."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.delivery import journal as journals
from otelbridge.delivery.journal import Journal
from otelbridge.delivery.spool import Spool
from otelbridge.delivery.spool.journaled import HEADER_BYTES, RECORD, read_journal
from tests.delivery.spool.payloads import Losses, descriptors, numbered, spool_in
from tests.delivery.spool.processes import running

CAPACITY = 5_000


def journal_in(folder, *, capacity=CAPACITY, lines=None):
    return Journal(
        lambda: folder, "traces", [].append if lines is None else lines.append, capacity=capacity
    )


def journal_file(folder):
    (path,) = folder.glob("*.journal")
    return path


def read(folder):
    """Read what a killed process would leave, while it lives."""
    path = journal_file(folder)
    found, records = read_journal(path, int(path.stem.rpartition("-")[2], 16))
    assert found == "traces"
    return records


def test_nothing_is_made_before_the_first_record(tmp_path):
    journal = journal_in(tmp_path / "spool")
    journal.advance(1)
    journal.close()

    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_there_at_once_and_in_order(tmp_path):
    journal = journal_in(tmp_path)
    bodies = [b"", b"one", bytes(range(256)), b"\0" * 30]
    for body in bodies:
        assert journal.append(body) > 0

    assert read(tmp_path) == bodies
    journal.close()


def test_what_is_marked_is_not_read(tmp_path):
    journal = journal_in(tmp_path)
    positions = [journal.append(b"%d" % number) for number in range(10)]
    journal.advance(positions[6])
    assert read(tmp_path) == [b"7", b"8", b"9"]
    journal.advance(positions[2])  # an older mark changes nothing
    journal.advance(0)
    assert read(tmp_path) == [b"7", b"8", b"9"]
    journal.advance(positions[9])
    assert read(tmp_path) == []
    assert not journal.waiting
    journal.close()


@given(
    st.lists(
        st.one_of(
            st.integers(0, 2_400),  # a record of so many bytes
            st.floats(0, 1),  # a mark so far into what waits
        ),
        max_size=150,
    )
)
@settings(deadline=None)
def test_any_sequence_of_records_and_marks(tmp_path_factory, steps):
    """A model: the unmarked that still fit; what is missing is always the oldest."""
    folder = tmp_path_factory.mktemp("journal")
    journal = journal_in(folder)
    journal.append(b"first")
    journal.advance(journal._end)
    waiting = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            body = b"%d;" % number + b"." * step
            position = journal.append(body)
            assert position > 0
            waiting.append((body, position))
        elif waiting:
            marked = int(step * (len(waiting) - 1))
            journal.advance(waiting[marked][1])
            waiting = waiting[marked + 1 :]
        found = read(folder)
        bodies = [body for body, _ in waiting]
        assert found == bodies[len(bodies) - len(found) :]
        # Only as much is without protection as the ring has no room for.
        if len(found) < len(bodies):
            size = sum(len(body) + RECORD.size for body in found)
            following = len(bodies[-len(found) - 1]) + RECORD.size
            assert size + following + max(map(len, bodies)) + RECORD.size > CAPACITY
    journal.close()
    shutil.rmtree(folder)


def test_a_record_too_large_for_it_is_without_its_protection(tmp_path):
    journal = journal_in(tmp_path)
    journal.append(b"small")

    assert journal.append(bytes(CAPACITY)) == 0
    assert read(tmp_path) == [b"small"]
    journal.close()


def test_while_records_leave_in_time_few_pages_are_used(tmp_path):
    journal = journal_in(tmp_path, capacity=2**22)
    for _ in range(4_000):
        journal.advance(journal.append(bytes(5_000)))
    journal.append(b"last")

    content = journal_file(tmp_path).read_bytes()[HEADER_BYTES:]
    assert not any(content[journals._SHORT_LAP + 10_000 :])
    assert read(tmp_path) == [b"last"]
    journal.close()


def test_nothing_is_left_where_everything_was_marked(tmp_path):
    before = descriptors()
    journal = journal_in(tmp_path)
    journal.advance(journal.append(b"sent"))
    assert descriptors() - before <= 2
    journal.close()

    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before
    assert journal.append(b"too late") == 0


def test_what_was_not_marked_at_the_end_is_for_the_next(tmp_path):
    journal = journal_in(tmp_path)
    journal.append(b"waits")
    journal.close()
    spool = spool_in(tmp_path)

    assert spool.adopt() == 1
    assert spool.next().payload.body == b"waits"
    assert spool.next().payload.signal == "traces"
    assert not list(tmp_path.glob("*.journal"))


def test_its_file_is_on_the_disk_in_its_whole_size(tmp_path):
    """Mapped memory that finds no room on the disk later would end the program."""
    journal = journal_in(tmp_path, capacity=2**20)
    journal.append(b"x")

    status = journal_file(tmp_path).stat()
    assert status.st_blocks * 512 >= 2**20
    assert status.st_mode & 0o777 == 0o600
    journal.close()


def test_without_a_disk_there_is_none_and_one_line_says_so(tmp_path, monkeypatch):
    def full(descriptor, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals, "_RETRY_SECONDS", 0)
    before = descriptors()
    lines = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        journal = journal_in(tmp_path, lines=lines)
        assert [journal.append(b"x") for _ in range(5)] == [0] * 5
    assert lines == []  # the program's threads do not log
    journal.say_trouble()
    journal.say_trouble()
    assert lines == [f"there can be no journal in {tmp_path}: No space left on device"]
    assert descriptors() == before
    assert list(tmp_path.iterdir()) == []

    assert journal.append(b"again") > 0
    assert read(tmp_path) == [b"again"]
    journal.close()


def test_a_folder_cleared_underneath_gets_another_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "_CHECK_SECONDS", -1)
    folder = tmp_path / "spool"
    journal = journal_in(folder)
    old = journal.append(b"gone with the folder")
    shutil.rmtree(folder)
    journal.advance(0)  # notices it
    monkeypatch.setattr(journal, "_retry_at", 0)
    new = journal.append(b"safe")

    assert new > old
    journal.advance(old)  # a mark for the old one means nothing for the new
    assert read(folder) == [b"safe"]
    journal.close()


def test_a_record_made_amid_the_writing_of_another_does_no_harm(tmp_path):
    """A signal's handler that logs, at any moment."""
    journal = journal_in(tmp_path, capacity=2**20)
    nested = []

    def log(*_):
        nested.append(journal.append(b"from the handler"))

    previous = signal.signal(signal.SIGALRM, log)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        written = []
        # Not at the moment in which everything was sent, which a signal may well meet.
        while len(nested) < 50 or not written:
            body = b"%d" % len(written)
            journal.append(body)
            written.append(body)
            if len(written) == 10_000:
                journal.advance(journal._end)
                written.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    found = [body for body in read(tmp_path) if body != b"from the handler"]
    assert found == written[len(written) - len(found) :]
    assert len(found) > 0
    journal.close()


# --- damage ---------------------------------------------------------------------------------------


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_a_journal_holds_no_wrong_record_is_read(tmp_path_factory, data):
    """After a power cut any page may be an old one."""
    folder = tmp_path_factory.mktemp("journal")
    journal = journal_in(folder)
    bodies = [b"%d;" % number * data.draw(st.integers(1, 60)) for number in range(40)]
    for body in bodies:
        journal.append(body)
    path = journal_file(folder)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    copy = folder / "copy"
    copy.write_bytes(content if data.draw(st.booleans()) else content[:cut])

    _, records = read_journal(copy, int(path.stem.rpartition("-")[2], 16))
    assert set(records) <= set(bodies)
    journal.close()
    shutil.rmtree(folder)


def test_a_journal_of_nothing_is_passed_over(tmp_path):
    for number, content in enumerate((b"", b"\0" * 100, b"\0" * 9_000, b"x" * 9_000)):
        (tmp_path / f"1-0000000{number}.journal").write_bytes(content)
    spool = spool_in(tmp_path)

    assert spool.adopt() == 0
    spool.close()
    assert list(tmp_path.iterdir()) == []


# --- processes ------------------------------------------------------------------------------------

WRITING = """
from otelbridge.delivery.journal import Journal
journal = Journal(lambda: folder, "logs", say)
for number in range(int(sys.argv[3])):
    body = numbered(number, size=100).body
    position = journal.append(body)
    if number == int(sys.argv[4]):
        journal.advance(position)
os.kill(os.getpid(), 9)
"""


def numbers_in(body):
    return [int(part) for part in body.replace(b".", b"").split(b";") if part]


def test_a_killed_process_loses_nothing_and_order_is_kept(tmp_path):
    with running(WRITING, tmp_path, 3_000, 999) as program:
        program.end(-9)
    spool = spool_in(tmp_path)

    assert spool.adopt() == 2_000
    sent = []
    while (entry := spool.next()) is not None:
        numbers = numbers_in(entry.payload.body)
        assert entry.payload.count == len(numbers) <= 512
        sent += numbers
        spool.done(entry)
    assert sent == list(range(1_000, 3_000))


def test_what_was_spooled_before_comes_first(tmp_path):
    """Also where the taker's own newest segment is older than both."""
    spool = spool_in(tmp_path)
    spool.append(numbered(0))
    killed = """
from otelbridge.delivery.journal import Journal
journal = Journal(lambda: folder, "logs", say)
for number in range(100, 110): spool.append(numbered(number))
journal.append(numbered(110).body)
os.kill(os.getpid(), 9)
"""
    with running(killed, tmp_path) as program:
        program.end(-9)

    assert spool.adopt() == 11
    spool.append(numbered(1))
    bodies = []
    while (entry := spool.next()) is not None:
        bodies += numbers_in(entry.payload.body)
        spool.done(entry)
    assert bodies == [0, *range(100, 111), 1]


def test_killed_at_any_moment_with_many_threads(tmp_path):
    """What append() returned from is there, whichever thread it was."""
    code = """
import threading
from otelbridge.delivery.journal import Journal
journal = Journal(lambda: folder, "logs", say)
lock = threading.Lock()
def write(thread):
    number = 0
    while True:
        body = f"{thread}:{number};".encode()
        with lock:
            journal.append(body)
        say(f"{thread}:{number}")
        number += 1
for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""
    for turn in range(3):
        folder = tmp_path / str(turn)
        with running(code, folder) as program:
            said = [program.line() for _ in range(random.randrange(1, 2_000))]
            said += program.kill()
        spool = Spool(folder, max_bytes=2**30, sync="never", dropped=Losses())
        spool.adopt()
        found = set()
        while (entry := spool.next()) is not None:
            found |= set(entry.payload.body.decode().strip(";").split(";"))
            spool.done(entry)
        assert set(said) <= found


def test_a_child_does_not_write_into_its_parents(tmp_path):
    code = """
from otelbridge.delivery.journal import Journal
journal = Journal(lambda: folder, "logs", say)
journal.append(b"0;")
child = os.fork()
if child == 0:
    journal.start_afresh()
    assert not journal.waiting
    for number in range(100): journal.append(f"{number + 1000};".encode())
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
spool.adopt()
say(spool.next().payload.count)
journal.append(b"1;")
os.kill(os.getpid(), 9)
"""
    with running(code, tmp_path) as program:
        assert program.line() == "100"
        program.end(-9)

    spool = spool_in(tmp_path)
    assert spool.adopt() == 102
    bodies = []
    while (entry := spool.next()) is not None:
        bodies += numbers_in(entry.payload.body)
        spool.done(entry)
    assert bodies == [*range(1_000, 1_100), 0, 1]


def test_a_living_process_keeps_its_journal(tmp_path):
    with running(
        """
from otelbridge.delivery.journal import Journal
journal = Journal(lambda: folder, "logs", say)
journal.append(b"0;")
assert spool.adopt() == 0
say("ready")
sys.stdin.read()
""",
        tmp_path,
    ) as program:
        program.line()
        spool = spool_in(tmp_path)
        assert spool.adopt() == 0
        program.kill()
        assert spool.adopt() == 1


def test_a_taker_that_is_killed_leaves_it_to_the_next(tmp_path):
    """Twice sent is possible then, not sent is not."""
    with running(WRITING, tmp_path, 2_000, -1) as program:
        program.end(-9)
    for _ in range(4):
        with running('say("ready"); spool.adopt(); sys.stdin.read()', tmp_path) as program:
            program.line()
            threading.Event().wait(random.uniform(0, 0.003))
            program.kill()

    spool = spool_in(tmp_path)
    assert spool.adopt() >= 2_000
    sent = []
    while (entry := spool.next()) is not None:
        sent += numbers_in(entry.payload.body)
        spool.done(entry)
    assert set(sent) == set(range(2_000))


def test_a_journal_waits_where_there_is_no_room_to_take_it_over(tmp_path):
    with running(WRITING, tmp_path / "spool", 500, -1) as program:
        program.end(-9)
    code = """
import resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
assert spool.adopt() == 0
say(spool.left)
spool.append(numbered(0))  # what is its own is not affected
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
say(spool.adopt())
"""
    with running(code, tmp_path / "spool") as program:
        line = program.line()
        assert line == f"cannot take over what waits in {tmp_path}/spool: File too large"
        assert program.line() == "500"


def test_the_bound_holds_for_what_is_taken_over(tmp_path):
    with running(WRITING, tmp_path, 5_000, -1) as program:
        program.end(-9)
    losses = Losses()
    spool = spool_in(tmp_path, losses, max_bytes=100_000)

    assert spool.adopt() == 5_000
    assert spool.size <= 100_000
    assert spool.records + losses.total() == 5_000
    assert spool.records > 0
    assert numbers_in(spool.next().payload.body)[-1] < 5_000
