"""What a sender's sequence numbers tell: lost, late, duplicated, restarted."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from otelbridge.receivers.counters import WINDOW, SenderCounters

HERE = ("127.0.0.1", 5000)
THERE = ("127.0.0.1", 5001)


def count(sequences, **known) -> SenderCounters:
    sender = SenderCounters("s", **known)
    for sequence in sequences:
        sender.note(sequence, HERE, 100.0)
    return sender


def test_numbers_in_order_lose_nothing():
    sender = count(range(1, 101))
    assert (sender.received, sender.lost, sender.duplicated) == (100, 0, 0)


def test_a_gap_is_lost_until_its_number_arrives():
    sender = count([1, 2, 5])
    assert sender.lost == 2
    sender.note(3, HERE, 100.0)
    assert (sender.lost, sender.received, sender.duplicated) == (1, 4, 0)


def test_the_same_number_again_is_a_duplicate():
    sender = count([1, 2, 3, 3, 2])
    assert (sender.received, sender.lost, sender.duplicated) == (3, 0, 2)


@given(st.permutations(range(1, 40)), st.sets(st.integers(1, 39)))
def test_in_any_order_the_final_count_is_right(order, dropped):
    arrived = [sequence for sequence in order if sequence not in dropped]
    sender = count(arrived)
    assert sender.received == len(arrived)
    assert sender.duplicated == 0
    if arrived:
        # What came before the first datagram seen may have been sent before the bridge ran.
        missing = set(range(arrived[0], max(arrived))) - set(arrived)
        assert sender.lost == len(missing)


def test_a_bridge_that_starts_later_counts_from_what_it_sees_first():
    assert count([5_000, 5_001]).lost == 0


def test_a_sender_that_restarts_under_its_name_is_recognised_by_its_new_address():
    sender = count(range(1, 11))
    sender.note(1, THERE, 101.0)
    sender.note(2, THERE, 101.0)
    sender.note(4, THERE, 101.0)
    assert (sender.restarts, sender.received, sender.lost, sender.duplicated) == (1, 13, 1, 0)


def test_a_sender_that_restarts_at_its_address_is_recognised_after_a_pause():
    sender = count(range(1, 11))
    sender.note(1, HERE, 110.0)
    assert (sender.restarts, sender.highest, sender.lost) == (1, 1, 0)


def test_a_number_far_behind_is_a_restart():
    sender = count([100_000, 100_001])
    sender.note(3, HERE, 100.0)
    assert (sender.restarts, sender.duplicated) == (1, 0)


def test_a_jump_out_of_all_proportion_is_no_loss():
    sender = count([1, 2**62])
    assert (sender.restarts, sender.lost, sender.highest) == (1, 0, 2**62)


def test_a_number_that_falls_out_of_the_window_stays_lost():
    sender = count([1, *range(3, WINDOW + 3)])
    assert sender.lost == 1
    sender.note(2, HERE, 100.0)
    assert (sender.lost, sender.restarts) == (1, 1)


def test_what_is_remembered_is_bounded():
    sender = count(range(1, 10 * WINDOW, 3))
    assert sender.lost == 2 * (sender.received - 1)
    assert sys.getsizeof(sender._arrived) < 3_000


def test_the_last_address_and_moment_are_kept():
    sender = count([1])
    assert (sender.address, sender.last_seen) == (HERE, 100.0)
