"""Moments, counts and sizes as text."""

from __future__ import annotations

import pytest

from otelbridge.web import times

SECOND = 1_000_000_000
NOON = 1_763_726_400 * SECOND  # 2025-11-21T12:00:00Z


def test_a_moment_is_written_to_the_nanosecond() -> None:
    assert times.iso(NOON + 1) == "2025-11-21T12:00:00.000000001Z"


def test_the_latest_moment_a_store_takes_can_be_written() -> None:
    assert times.iso(2**63 - 1).startswith("2262-04-11T23:47:16")


def test_a_moment_of_another_day_has_its_date() -> None:
    assert times.clock(NOON, 0, NOON) == "12:00:00.000"
    assert times.clock(NOON, 0, NOON + 86400 * SECOND) == "2025-11-21 12:00:00.000"


def test_the_clock_is_the_reader_s() -> None:
    assert times.clock(NOON, 330) == "17:30:00.000"
    assert times.clock(NOON, -480) == "04:00:00.000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (30, "30 s ago"), (300, "5 min ago"), (7300, "2 h ago"), (200_000, "2 days ago")],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    assert times.ago(NOON - seconds * SECOND, NOON) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "–"),
        (0, 9, "0 %"),
        (1, 10_000, "< 0.1 %"),
        (9_999, 10_000, "> 99.9 %"),
        (10, 10, "100 %"),
        (1, 8, "12 %"),
        (1, 30, "3.3 %"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part: int, whole: int, text: str) -> None:
    assert times.share(part, whole) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (5 * 2**30, "5.0 GB")]
)
def test_sizes(number: int, text: str) -> None:
    assert times.size(number) == text


@pytest.mark.parametrize(
    ("requests", "seconds", "text"),
    [(0, 60, "0"), (30, 60, "30.0/min"), (120, 60, "2.0/s"), (60_000, 60, "1000/s")],
)
def test_rates(requests: int, seconds: int, text: str) -> None:
    assert times.rate(requests, seconds * SECOND) == text
