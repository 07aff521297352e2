"""Deadlines, and the pauses between attempts."""

from __future__ import annotations

from otelbridge.delivery.timing import (
    FIRST_PAUSE_SECONDS,
    LONGEST_ASKED_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Backoff,
    Deadline,
)


def test_a_deadline_never_goes_below_nothing() -> None:
    assert Deadline(-1.0).remaining() == 0.0
    assert 0 < Deadline(10.0).remaining() <= 10.0


def test_pauses_double_up_to_the_longest_and_are_shortened_at_random() -> None:
    backoff = Backoff()
    pause = FIRST_PAUSE_SECONDS
    seen = []
    for _ in range(12):
        given = backoff.next()
        assert pause / 2 <= given <= pause
        seen.append(given / pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    assert len(set(seen)) > 1
    assert backoff.next() <= LONGEST_PAUSE_SECONDS
    backoff.reset()
    assert backoff.next() <= FIRST_PAUSE_SECONDS


def test_what_the_destination_asks_for_is_never_shortened() -> None:
    backoff = Backoff()
    for _ in range(20):
        assert 30 <= backoff.next(30) <= 33
    assert backoff.next(10**9) <= 1.1 * LONGEST_ASKED_SECONDS
