"""Hours in which nobody is to be woken."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.channels import parse_quiet_hours

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-11-21 21:59", 0),
        ("2026-11-21 22:00", 9),
        ("2026-11-21 23:30", 7.5),
        ("2026-11-22 00:00", 7),
        ("2026-11-22 06:59", 1 / 60),
        ("2026-11-22 07:00", 0),
        ("2026-11-22 12:00", 0),
    ],
)
def test_over_midnight(now, hours):
    quiet = parse_quiet_hours("22:00-07:00@Europe/Berlin")

    assert quiet.left(at(now)) == pytest.approx(hours * 3600)


def test_the_night_the_clocks_are_put_back_is_an_hour_longer():
    quiet = parse_quiet_hours("22:00-07:00@Europe/Berlin")

    assert quiet.left(at("2026-10-24 22:00")) == pytest.approx(10 * 3600)


def test_within_a_day():
    quiet = parse_quiet_hours("12:00-13:30@UTC")

    assert quiet.left(at("2026-11-21 13:00", ZoneInfo("UTC"))) == pytest.approx(1800)
    assert quiet.left(at("2026-11-21 14:00", ZoneInfo("UTC"))) == 0


@given(st.floats(0, 4e9))
def test_when_they_end_they_have_ended(now):
    quiet = parse_quiet_hours("22:00-07:00")

    left = quiet.left(now)

    assert 0 <= left <= 10 * 3600
    assert quiet.left(now + left + 0.01) == 0


@pytest.mark.parametrize("text", ["22-7", "24:00-07:00", "22:00", "07:00-07:00", "a-b", ""])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="allowed: from-to"):
        parse_quiet_hours(text)
