"""Time ranges as people type them."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelbridge.store.protocol import TimeRange
from otelbridge.web.timerange import absolute, format_duration, is_relative, parse_range

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * SECOND


NOW = at("2026-11-21 13:20:05") + 123_456_789


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("15m", 15 * MINUTE),
        ("1h", HOUR),
        ("7d", 7 * DAY),
        ("30s", 30 * SECOND),
        ("1w", 7 * DAY),
        ("1.5h", 90 * MINUTE),
        (" 15 min ", 15 * MINUTE),
        ("last 2 hours", 2 * HOUR),
        ("3 days", 3 * DAY),
    ],
)
def test_a_relative_range_ends_now_and_includes_this_moment(text: str, length: int) -> None:
    assert parse_range(text, NOW) == TimeRange(NOW - length, NOW + 1)
    assert is_relative(text)


def test_a_relative_range_longer_than_time_itself_starts_at_the_epoch() -> None:
    assert parse_range("999999999w", NOW).start == 0


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-11-20 14:00 to 15:00", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20 14:00 TO 15:30:10", "2026-11-20 14:00", "2026-11-20 15:30:10"),
        ("2026-11-20 14:00 to 2026-11-21 09:00", "2026-11-20 14:00", "2026-11-21 09:00"),
        ("2026-11-20T14:00Z/2026-11-20T15:00Z", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20T14:00:00Z / 2026-11-20T15:00:00Z", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20 14:00 - 15:00", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20 14:00 – 15:00", "2026-11-20 14:00", "2026-11-20 15:00"),
        ("2026-11-20T14:00+02:00 to 15:00", "2026-11-20 12:00", "2026-11-20 13:00"),
        ("2026-11-20 14:00-0130 to 15:00Z", "2026-11-20 15:30", None),
        ("2026-11-20", "2026-11-20 00:00", "2026-11-21 00:00"),
        ("2026-11-19 to 2026-11-20", "2026-11-19 00:00", "2026-11-21 00:00"),
        ("2026-11-19 to 2026-11-20 08:00", "2026-11-19 00:00", "2026-11-20 08:00"),
        ("2026-11-19 to 08:00", "2026-11-19 00:00", "2026-11-19 08:00"),
    ],
)
def test_an_absolute_range_includes_its_start_and_excludes_its_end(
    text: str, start: str, end: str | None
) -> None:
    if end is None:
        with pytest.raises(ValueError, match="ends before it starts"):
            parse_range(text, NOW)
        return
    assert parse_range(text, NOW) == TimeRange(at(start), at(end))
    assert not is_relative(text)


def test_fractions_of_a_second_are_kept_to_the_nanosecond() -> None:
    found = parse_range("2026-11-20T14:00:00.000000001Z/2026-11-20T14:00:00.5Z", NOW)
    start = at("2026-11-20 14:00")
    assert found == TimeRange(start + 1, start + SECOND // 2)


def test_times_without_an_offset_are_the_readers_own() -> None:
    found = parse_range("2026-11-20 14:00 to 15:00", NOW, utc_offset_minutes=330)
    assert found == TimeRange(at("2026-11-20 08:30"), at("2026-11-20 09:30"))


def test_a_range_may_end_now() -> None:
    assert parse_range("2026-11-20 14:00 to now", NOW) == TimeRange(at("2026-11-20 14:00"), NOW + 1)


@pytest.mark.parametrize(
    ("offset", "midnight"),
    [(0, "2026-11-21 00:00"), (60, "2026-11-20 23:00"), (720, "2026-11-21 12:00")],
)
def test_today_and_yesterday_are_the_readers_days(offset: int, midnight: str) -> None:
    assert parse_range("Today", NOW, offset) == TimeRange(at(midnight), NOW + 1)
    assert parse_range("yesterday", NOW, offset) == TimeRange(at(midnight) - DAY, at(midnight))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot read ''"),
        ("soon", "cannot read 'soon'"),
        ("0m", "no time at all"),
        ("15", "cannot read '15'"),
        ("2026-11-20 14:00", "one moment"),
        ("2026-13-20", "month must be in 1..12"),
        ("2026-11-20 25:00 to 26:00", "hour must be in 0..23"),
        ("2026-11-20 15:00 to 14:00", "ends before it starts"),
        ("2026-11-20 14:00 to 14:00", "ends before it starts"),
        ("1969-11-20", "1970 to 2262"),
        ("9999-12-31", "1970 to 2262"),
        ("14:00 to 15:00", "cannot read '14:00'"),
        ("2026-11-20T14:00+99:00 to 15:00", "cannot read"),
        ("0001-01-01T00:00+12:00 to 0001-01-02", "1970"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + said) as caught:
        parse_range(text, NOW)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"[0-9: TZto/\-+.]{0,40}", fullmatch=True))
def test_any_text_is_a_range_or_one_line(text: str) -> None:
    try:
        found = parse_range(text, NOW)
    except ValueError as error:
        line = str(error)
    else:
        line = f"{found.start} {found.end}"
        assert 0 <= found.start < found.end < 2**63
    assert len(line.splitlines()) == 1


@given(st.integers(0, 2**63 - 2), st.integers(1, 10**18))
def test_a_dragged_range_is_read_back_as_it_was_drawn(start: int, length: int) -> None:
    end = min(start + length, 2**63 - 1)
    assert parse_range(absolute(start, end), NOW, 120) == TimeRange(start, end)


@pytest.mark.parametrize(
    ("nanoseconds", "said"),
    [
        (0, "0 ms"),
        (850, "850 ns"),
        (1_500, "1.5 µs"),
        (250_000, "250 µs"),
        (999_700, "1 ms"),
        (1_000_000, "1 ms"),
        (12_000_000, "12 ms"),
        (12_400_000, "12 ms"),
        (1_240_000, "1.2 ms"),
        (999_600_000, "1 s"),
        (1_200_000_000, "1.2 s"),
        (45 * SECOND, "45 s"),
        (59_960_000_000, "1 min"),
        (3 * MINUTE, "3 min"),
        (3 * MINUTE + 12 * SECOND, "3 min 12 s"),
        (2 * HOUR + 5 * MINUTE, "2 h 5 min"),
        (3 * DAY + 4 * HOUR, "3 d 4 h"),
        (-12_000_000, "-12 ms"),
    ],
)
def test_a_duration_is_said_in_the_unit_a_person_would(nanoseconds: int, said: str) -> None:
    assert format_duration(nanoseconds) == said
