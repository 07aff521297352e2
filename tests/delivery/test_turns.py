"""Other threads get their turn amid work on many records, unless too much waits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from otelbridge.delivery import turns


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(turns, "sleep", made.append)
    return made


def test_all_records_come_by_in_order_with_a_pause_in_between(pauses):
    assert list(turns.in_turns(range(200))) == list(range(200))
    assert len(pauses) == 3


def test_who_is_in_a_hurry_makes_no_pause_and_others_do(pauses):
    def work(found: list[Any]) -> None:
        turns.hurry(True)
        found += turns.in_turns(range(200))
        turns.hurry(False)

    found: list[Any] = []
    thread = threading.Thread(target=work, args=(found,))
    thread.start()
    thread.join()
    assert (found, pauses) == (list(range(200)), [])

    assert list(turns.in_turns(range(128))) == list(range(128))
    assert len(pauses) == 1
