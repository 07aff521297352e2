"""Times in log lines, to the nanosecond."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.receivers.times import parse_time

SECOND = 1_767_225_600  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("written", "nanoseconds"),
    [
        ("2026-01-01T00:00:00Z", 0),
        ("2026-01-01T00:00:00", 0),
        ("2026-01-01 00:00:00.5", 500_000_000),
        ("2026-01-01T00:00:00,123", 123_000_000),
        ("2026-01-01T00:00:00.123456789Z", 123_456_789),
        ("2026-01-01T00:00:00.1234567891234Z", 123_456_789),
        ("2026-01-01T03:00:00.000000001+03:00", 1),
        ("2025-12-31T18:30:00-0530", 0),
        ("2026-01-01 00:00:00 UTC", 0),
        ("2025-12-31T23:59:60Z", 0),
    ],
)
def test_iso_8601(written, nanoseconds):
    assert parse_time(written) == SECOND * 10**9 + nanoseconds


@pytest.mark.parametrize(
    "number",
    [
        1767225600.123456,
        "1767225600.123456",
        1767225600123.456,
        1767225600123456,
        1767225600123456000,
        "1767225600123456000",
    ],
)
def test_a_numbers_size_tells_its_unit(number):
    assert parse_time(number) == 1_767_225_600_123_456_000


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        "",
        "soon",
        "2026-13-01T00:00:00Z",
        "2026-01-01",
        "1969-12-31T23:59:59Z",
        "2300-01-01T00:00:00Z",
        0,
        -1,
        2**63,
        float("nan"),
        float("inf"),
        "9" * 5_000,
        "1e999999",
    ],
)
def test_what_is_no_storable_time(value):
    assert parse_time(value) is None


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_what_datetime_writes_is_read_exactly(moment, offset):
    written = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    exact = (written - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    assert parse_time(written.isoformat()) == (exact * 1_000 if exact > 0 else None)


@given(st.text() | st.floats() | st.integers())
def test_any_value_is_a_time_or_none(value):
    read = parse_time(value)
    assert read is None or 0 < read < 2**63
