"""What is missing, there twice, strange, misplaced or out of order is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.destinations import Stored
from tests.faults.outcome import Asked, Request, compare


def request(first: int, pid: int | None = 1, at: float = 100.0) -> Request:
    return Request(first, at, 0.5, pid, None if pid is None else 0.1)


def stored(number: int, arrival: int = 0) -> Stored:
    return Stored(number, 1, number, arrival, "drilled")


@pytest.fixture
def asked() -> Asked:
    return Asked(2, requests=[request(0), request(2), request(4, pid=None)])


def test_everything_is_stored(asked: Asked) -> None:
    fate = compare(asked, [stored(number) for number in range(4)])
    assert (fate.sent, fate.stored, fate.lost) == (4, 4, {})
    assert (fate.twice, fate.strange, fate.misplaced, fate.late) == (0, 0, 0, 0)


def test_what_was_not_answered_may_be_stored_or_not(asked: Asked) -> None:
    fate = compare(asked, [stored(number) for number in range(5)])
    assert (fate.lost, fate.strange) == ({}, 0)


def test_what_is_missing_is_lost(asked: Asked) -> None:
    fate = compare(asked, [stored(0), stored(1), stored(3)])
    assert list(fate.lost) == [2]


def test_what_is_there_twice_is_counted(asked: Asked) -> None:
    fate = compare(asked, [stored(number) for number in (0, 1, 2, 3, 3, 3)])
    assert fate.twice == 2


def test_what_nobody_asked_for_is_strange(asked: Asked) -> None:
    assert compare(asked, [stored(7)]).strange == 1


def test_a_record_of_another_service_is_misplaced() -> None:
    asked = Asked(2, ("drilled", "other"), [request(0), request(2)])
    fate = compare(asked, [stored(number) for number in range(4)])
    assert fate.misplaced == 2


@pytest.mark.parametrize(
    ("arrivals", "late"),
    [((1, 1, 1, 1), 0), ((1, 2, 3, 4), 0), ((2, 1, 3, 4), 1), ((4, 4, 1, 1), 2)],
)
def test_a_record_that_arrives_after_a_later_one_is_late(
    asked: Asked, arrivals: tuple[int, ...], late: int
) -> None:
    fate = compare(asked, [stored(n, arrival) for n, arrival in enumerate(arrivals)])
    assert fate.late == late


def test_only_what_a_killed_process_made_last_is_excused() -> None:
    # Answered at 100.5, 95.5 and, by another process, 100.5.
    asked = Asked(1, requests=[request(0), request(1, at=95.0), request(2, pid=2)])
    fate = compare(asked, [])
    assert list(fate.unexcused([(100.7, 1)], seconds=0.5)) == [1, 2]


def test_counts_that_do_not_add_up_are_found(tmp_path: Path) -> None:
    def way(waiting: int) -> dict[str, object]:
        counts = {"accepted": 5, "adopted": 2, "sent": 4, "waiting": waiting}
        return {"signal": "logs", "dropped": {"queue full": 1}, **counts}

    file = tmp_path / "answers"
    for waiting, wrong in ((2, 0), (1, 1)):
        file.write_text(json.dumps({"pid": 1, "delivery": [way(waiting)]}))
        asked = Asked(1)
        asked.read(file)
        assert len(asked.uncounted()) == wrong
        assert (asked.dropped("logs"), asked.dropped("spans")) == (1, 0)
