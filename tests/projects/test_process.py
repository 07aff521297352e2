"""How a process is, by what came of it: in any order, late, twice, and by clocks that are off."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge import schema
from otelbridge.model import LogRecord
from otelbridge.projects.process import Process, hear
from tests.projects.events import NOON, SECOND, beat, end, last_words, start

# What the bridge's own clock says at noon: it counts from somewhere else.
EPOCH = 1000.0


class Hearing:
    """A bridge that hears one process; ``at`` is seconds after noon."""

    def __init__(self) -> None:
        self.known: Process | None = None

    def hear(self, record: LogRecord, at: float) -> None:
        self.known = hear(self.known, record, now=EPOCH + at, wall=int((NOON + at) * SECOND))

    @property
    def process(self) -> Process:
        assert self.known is not None
        return self.known

    def status(self, at: float) -> str:
        return self.process.status(EPOCH + at)


@pytest.fixture
def hearing() -> Hearing:
    return Hearing()


def test_it_runs_for_two_and_a_half_intervals_after_what_came_last(hearing):
    hearing.hear(start(), 0)
    hearing.hear(beat(30), 30)

    assert hearing.status(30 + 74) == "running"
    assert hearing.status(30 + 75) == "silent"


def test_a_short_interval_gets_ten_seconds(hearing):
    hearing.hear(start(interval=1), 0)

    assert hearing.status(9.9) == "running"
    assert hearing.status(10) == "silent"


def test_one_that_promised_no_heartbeats_is_never_silent(hearing):
    hearing.hear(start(interval=0), 0)

    assert hearing.status(10**6) == "running"


def test_one_heartbeat_makes_a_silent_one_running_again(hearing):
    hearing.hear(start(), 0)
    assert hearing.status(200) == "silent"

    hearing.hear(beat(201), 201)
    assert hearing.status(202) == "running"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        ("completed", "stopped"),
        ("interrupted", "stopped"),
        ("terminated", "stopped"),
        ("crashed", "crashed"),
        ("failed", "crashed"),
        ("of a newer version", "stopped"),
    ],
)
def test_an_end_says_how_it_ended_for_good(hearing, outcome, status):
    hearing.hear(start(), 0)
    hearing.hear(end(outcome, at=5), 5)
    hearing.hear(beat(4), 6)
    hearing.hear(beat(7), 7)

    assert hearing.status(6) == status
    assert hearing.status(10**6) == status


def test_the_end_tells_code_and_signal_and_the_last_error(hearing):
    said = {
        schema.EXIT_CODE: 3,
        schema.PROCESS_SIGNAL: "SIGTERM",
        schema.LAST_ERROR_TYPE: "KeyError",
        schema.LAST_ERROR_FINGERPRINT: "f00d",
        schema.PROCESS_ERRORS: 4,
    }
    hearing.hear(end("failed", at=5, **{name.replace(".", "__"): v for name, v in said.items()}), 5)

    process = hearing.process
    assert (process.exit_code, process.signal, process.errors) == (3, "SIGTERM", 4)
    assert process.last_error.type == "KeyError"
    assert process.last_error.fingerprint == "f00d"


@pytest.mark.parametrize("logger", ["sys.excepthook", "multiprocessing"])
def test_one_whose_last_word_is_an_error_nobody_caught_has_crashed(hearing, logger):
    hearing.hear(start(), 0)
    hearing.hear(last_words(5, logger=logger), 5)

    assert hearing.status(5) == "crashed"
    assert hearing.status(10**6) == "crashed"


def test_what_goes_on_after_such_an_error_has_not_crashed(hearing):
    hearing.hear(start(), 0)
    hearing.hear(last_words(5), 5)
    hearing.hear(beat(30), 30)

    assert hearing.status(31) == "running"


def test_an_error_of_a_thread_is_not_a_last_word(hearing):
    hearing.hear(start(), 0)
    hearing.hear(last_words(5, logger="threading.excepthook"), 5)

    assert hearing.status(6) == "running"


def test_a_start_that_comes_after_the_end_changes_nothing(hearing):
    hearing.hear(end(at=60), 60)
    hearing.hear(start(resource={"service.version": "2"}), 61)

    assert hearing.status(61) == "stopped"
    assert hearing.process.uptime == 60


def test_a_late_heartbeat_proves_nothing_about_now(hearing):
    hearing.hear(start(), 0)
    hearing.hear(beat(60), 60)
    hearing.hear(beat(30), 300)

    assert hearing.status(300) == "silent"


def test_what_a_dead_process_left_in_its_spool_does_not_bring_it_back(hearing):
    hearing.hear(start(), 0)
    hearing.hear(beat(30), 30)
    # Killed at 80; another process found these and sends them ten minutes later.
    hearing.hear(beat(60), 680)

    assert hearing.process.uptime == 60
    assert hearing.status(680) == "silent"


@pytest.mark.parametrize("clock", [-3600, 3600, -50 * 365 * 86400 + 10**6])
def test_a_clock_that_is_off_makes_no_difference(hearing, clock):
    hearing.hear(start(clock=clock), 0)
    for at in range(30, 600, 30):
        hearing.hear(beat(at, clock=clock), at)
        assert hearing.status(at + 29) == "running"

    assert hearing.status(570 + 75) == "silent"


@pytest.mark.parametrize("step", [-3600, 3600])
def test_a_clock_that_is_set_meanwhile_makes_no_difference(hearing, step):
    hearing.hear(start(), 0)
    for at in range(30, 600, 30):
        hearing.hear(beat(at, clock=step if at > 300 else 0), at)
        assert hearing.status(at + 29) == "running"


def test_a_machine_that_slept_is_running_when_it_wakes(hearing):
    hearing.hear(start(), 0)
    # Its uptime stood still for an hour, its wall clock did not.
    hearing.hear(beat(3630, uptime=30), 3630)

    assert hearing.status(3631) == "running"


def test_uptime_goes_on_while_it_runs_and_stands_still_after(hearing):
    hearing.hear(start(), 0)
    hearing.hear(beat(30), 30)

    assert hearing.process.age(EPOCH + 40) == pytest.approx(40)
    hearing.hear(end(at=45), 45)
    assert hearing.process.age(EPOCH + 1000) == pytest.approx(45)


def test_a_newer_version_is_read_by_the_fields_that_are_known(hearing):
    newer = start(**{"otelbridge__lifecycle__version": 7, "otelbridge__process__mood": "good"})
    hearing.hear(newer, 0)

    assert hearing.status(1) == "running"


def test_fields_of_the_wrong_type_are_passed_over(hearing):
    odd = {
        schema.HEARTBEAT_INTERVAL: "often",
        schema.PROCESS_UPTIME: {"a": 1},
        schema.PROCESS_ERRORS: True,
        schema.PROCESS_SINKS: 7,
        schema.PROCESS_START_TIME: "yesterday",
        schema.EXIT_CODE: "zero",
    }
    record = start()
    record.attributes.update(odd)
    hearing.hear(record, 0)

    assert hearing.process.sinks == ()
    assert hearing.process.started == record.time


def test_without_an_instance_a_process_is_known_by_host_and_pid():
    record = start(resource={"service.instance.id": None, "process.pid": 12})

    assert hear(None, record, now=0.0, wall=0).instance == "alpha:12"


def test_what_names_no_process_or_no_project_is_none():
    nameless = start(resource={"service.instance.id": "", "process.pid": None})
    homeless = start(project="")

    assert hear(None, nameless, now=0.0, wall=0) is None
    assert hear(None, homeless, now=0.0, wall=0) is None


def test_a_last_word_of_a_process_nobody_knows_is_none():
    assert hear(None, last_words(1), now=0.0, wall=0) is None


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_order_and_repetition_make_no_difference_to_what_is_known_of_an_end(order, again):
    events = [start(), beat(30), beat(60), beat(90), beat(120), end("failed", at=130)]
    hearing = Hearing()
    for index, place in enumerate([*order, *again]):
        hearing.hear(events[place], 200 + index)

    assert hearing.status(300) == "crashed"
    assert hearing.process.uptime == 130
    assert hearing.process.started == int(NOON * SECOND)


def test_a_process_read_from_the_store_is_heard_when_it_is_read():
    known = None
    for record in (start(), beat(30)):
        known = hear(known, record, now=5000.0, wall=0, live=False)

    assert known.heard == 5000.0
    assert known.arrived == int((NOON + 30) * SECOND)
    assert known.delays == (math.inf, math.inf)
