"""What happens to a spool when real processes are killed, forked, and come back."""

from __future__ import annotations

import random
import signal
import time
from itertools import pairwise

import pytest

from otelbridge.delivery.spool import DAMAGED
from tests.delivery.spool.payloads import Losses, descriptors, files, numbered, send_all, spool_in
from tests.delivery.spool.processes import finished, running

APPENDING = """
for number in range(1_000_000):
    spool.append(numbered(number, size=int(sys.argv[3])))
    say(number)
"""

SENDING = """
spool.adopt()
say("began")
while (entry := spool.next()) is not None:
    say(number_of(entry.payload))
    spool.done(entry)
    time.sleep(0.0002)
"""

HOLDING = """
for number in range(int(sys.argv[3])):
    spool.append(numbered(number))
say("ready")
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.mark.parametrize("size", [50, 3_000, 300_000])
def test_killed_while_it_appends(folder, size):
    """What append() returned from is there; the one that was being written is there or not."""
    for _ in range(4):
        with running(APPENDING, folder, size, max_bytes=2**30) as program:
            last = 0
            end = time.monotonic() + random.uniform(0.02, 0.2)
            while time.monotonic() < end:
                last = int(program.line())
            said = program.kill()
        complete = [int(line) for line in said if line.isdigit()]
        last = complete[-1] if complete else last

        losses = Losses()
        later = spool_in(folder, losses, max_bytes=2**30)
        later.adopt()
        sent = send_all(later)
        later.close()
        assert sent in (list(range(last + 1)), list(range(last + 2)))
        assert losses.total() == losses[DAMAGED] <= 1
        assert list(folder.iterdir()) == []


def test_killed_while_it_sends(folder):
    """Whoever comes next sends the rest, and once more only what was being sent."""
    total = 3_000
    spool = spool_in(folder)
    for number in range(total):
        spool.append(numbered(number))
    spool.close()

    runs = []
    while len(runs) < 6:
        with running(SENDING, folder) as program:
            assert program.line() == "began"
            said = [program.line() for _ in range(random.randrange(1, 300))]
            runs.append([int(number) for number in (*said, *program.kill())])
    later = spool_in(folder)
    later.adopt()
    runs.append(send_all(later))

    for earlier, following in pairwise(runs):
        assert following[0] in (earlier[-1], earlier[-1] + 1)
    assert runs[-1] == list(range(runs[-1][0], total))


def test_killed_while_it_takes_over(folder):
    """Segments that were half taken over are all found by the next."""
    total = 2_000
    spool = spool_in(folder, max_bytes=2**17)  # many small segments
    for number in range(total):
        spool.append(numbered(number))
    spool.close()
    taking = 'say("ready"); spool.adopt(); sys.stdin.read()'
    for _ in range(8):
        with running(taking, folder) as program:
            program.line()
            time.sleep(random.uniform(0, 0.004))
            program.kill()

    losses = Losses()
    later = spool_in(folder, losses)
    assert later.adopt() == total
    assert send_all(later) == list(range(total))
    assert not losses


def test_two_that_take_over_at_once_share_without_a_double(folder):
    for _ in range(3):
        for _ in range(4):
            dead = spool_in(folder)
            for number in range(100):
                dead.append(numbered(number))
            dead.close()
        # They begin at one moment, which a file tells.
        code = f"""
while not Path({str(folder / "now")!r}).exists(): pass
say(spool.adopt())
sys.stdin.read()
for number in send_all(spool): say(number)
"""
        with running(code, folder) as one, running(code, folder) as two:
            time.sleep(0.3)
            (folder / "now").touch()
            adopted = int(one.line()) + int(two.line())
            (folder / "now").unlink()
            sent = sorted(int(line) for program in (one, two) for line in program.end())
        assert adopted == 400
        assert sent == sorted(list(range(100)) * 4)


def test_the_dead_are_told_from_the_living(folder):
    with running(HOLDING, folder, 5) as living, running(HOLDING, folder, 7) as dying:
        assert (living.line(), dying.line()) == ("ready", "ready")
        spool = spool_in(folder)
        assert spool.adopt() == 0
        dying.kill()
        assert spool.adopt() == 7
        assert spool.adopt() == 0
        assert send_all(spool) == list(range(7))
        living.kill()
        assert spool.adopt() == 5


def test_a_stopped_process_keeps_what_is_its_own(folder):
    """As a frozen container does, or a laptop that sleeps."""
    with running(HOLDING, folder, 5) as program:
        program.line()
        program.process.send_signal(signal.SIGSTOP)
        spool = spool_in(folder)
        assert spool.adopt() == 0
        program.kill()
        assert spool.adopt() == 5


FORKED = """
for number in range(5):
    spool.append(numbered(number))
entry = spool.next()
opened = descriptors()
child = os.fork()
if child == 0:
    spool.start_afresh()
    assert descriptors() < opened, "the parent's files are still open"
    assert (spool.records, spool.size, spool.next()) == (0, 0, None)
    assert spool.adopt() == 0, "the parent lives"
    for number in range(100, 103):
        spool.append(numbered(number))
    assert not spool.done(entry)
    assert spool.adopt() == 0
    say(",".join(map(str, send_all(spool))))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert spool_in(folder).adopt() == 0, "its lock went with the child"
say(",".join(map(str, send_all(spool))))
"""


def test_a_forked_child_has_nothing_of_its_parents(folder):
    assert finished(FORKED, folder) == ["100,101,102", "0,1,2,3,4"]


ORPHANED = """
for number in range(5):
    spool.append(numbered(number))
read, write = os.pipe()
if os.fork():
    os.close(read)
    os.kill(os.getpid(), 9)
os.close(write)
os.read(read, 1)  # until the parent is dead
spool.start_afresh()
spool.append(numbered(100))
say(spool.adopt())
say(",".join(map(str, send_all(spool))))
"""


def test_a_child_takes_over_from_its_killed_parent(folder):
    with running(ORPHANED, folder) as program:
        said = [program.line(), program.line()]

    assert said == ["5", "0,1,2,3,4,100"]


MANY_CHILDREN = """
import threading
threading.Thread(target=lambda: [spool.append(numbered(n)) for n in range(3_000)]).start()
children = []
for place in range(12):
    child = os.fork()
    if child == 0:
        # The parent's other thread was in the middle of anything.
        spool.start_afresh()
        for number in range(10):
            spool.append(numbered(number))
        os.kill(os.getpid(), 9)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


def test_children_forked_amid_an_append_harm_neither_side(folder):
    finished(MANY_CHILDREN, folder)

    losses = Losses()
    spool = spool_in(folder, losses)
    assert spool.adopt() == 3_000 + 12 * 10
    sent = send_all(spool)
    assert sorted(sent) == sorted([*range(3_000), *(list(range(10)) * 12)])
    assert not losses


def test_a_lock_survives_what_the_process_opens_and_closes(folder):
    """POSIX drops a process's locks on a file when any descriptor of it is closed."""
    with running(
        """
spool.append(numbered(1))
other = spool_in(folder)
for _ in range(5):
    assert other.adopt() == 0
    other.append(numbered(2))
    other.close()
    assert spool.adopt() == 1
say("ready")
sys.stdin.read()
""",
        folder,
    ) as program:
        program.line()
        assert spool_in(folder).adopt() == 0


def test_a_program_started_by_another_does_not_hold_its_files(folder):
    before = descriptors()
    spool = spool_in(folder)
    spool.append(numbered(1))
    assert descriptors() > before

    listing = 'say(" ".join(os.readlink(f"/proc/self/fd/{n}") for n in range(50) if exists(n)))'
    exists = "exists = lambda n: os.path.exists(f'/proc/self/fd/{n}')"
    said = finished(f"{exists}\n{listing}", folder)

    assert not [path for path in said if str(folder) in path]


def test_many_workers_that_come_and_go_lose_nothing(folder):
    """Workers append, send, take over and are killed; each payload is sent once or more."""
    code = """
import random
spool.adopt()
base = int(sys.argv[3])
for number in range(base, base + 200):
    spool.append(numbered(number))
    say(f"a{number}")
    if random.random() < 0.5 and (entry := spool.next()):
        say(f"s{number_of(entry.payload)}")
        spool.done(entry)
    if number % 50 == 0:
        spool.adopt()
os.kill(os.getpid(), 9)
"""
    appended, sent = set(), set()

    def note(lines):
        for line in lines:
            (appended if line[0] == "a" else sent).add(int(line[1:]))

    for turn in range(5):
        with (
            running(code, folder, turn * 2_000) as one,
            running(code, folder, turn * 2_000 + 1_000) as two,
        ):
            if turn % 2:
                note([one.line() for _ in range(40)])
                note(one.kill())
            else:
                note(one.end(-9))
            note(two.end(-9))
    losses = Losses()
    later = spool_in(folder, losses)
    later.adopt()
    sent.update(send_all(later))

    assert appended <= sent
    assert not losses
    assert files(folder) == []
