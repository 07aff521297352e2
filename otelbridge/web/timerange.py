"""Time ranges as people type them, and durations as people say them.

A range is typed as ``15m``, ``today``, ``2026-11-20 14:00 to 15:00`` or
``2026-11-20T14:00Z/2026-11-20T15:00Z``. Times without an offset are local to the reader, whose
offset from UTC the caller gives.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

from otelbridge.store.protocol import TimeRange

SECOND: Final = 1_000_000_000
_UNITS: Final = {
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86400 * SECOND,
    "w": 7 * 86400 * SECOND,
}
_ALLOWED: Final = (
    "a time range is written as 15m, 1h, 7d, today, yesterday, "
    "2026-11-20 14:00 to 15:00 or 2026-11-20T14:00Z/2026-11-20T15:00Z"
)
# What a row id can hold: ids are microseconds, times nanoseconds below 2**63.
_LATEST: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)

_RELATIVE: Final = re.compile(
    r"(?:last\s+)?(\d{1,9}(?:\.\d{1,9})?)\s*"
    r"(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)",
    re.IGNORECASE | re.ASCII,
)
_DATE: Final = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
_CLOCK: Final = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<offset>Z|[+-]\d{2}:?\d{2})?"
)
_MOMENT: Final = re.compile(rf"{_DATE}(?:(?:\s+|T){_CLOCK})?", re.IGNORECASE | re.ASCII)
_TIME_OF_DAY: Final = re.compile(_CLOCK, re.IGNORECASE | re.ASCII)


def is_relative(text: str) -> bool:
    """Whether the range moves with the clock (``15m``, ``today``), so that it can be live."""
    return text.strip().lower() in {"today", "yesterday"} or bool(_RELATIVE.fullmatch(text.strip()))


def parse_range(text: str, now: int, utc_offset_minutes: int = 0) -> TimeRange:
    """Read a time range.

    Args:
        text: what was typed.
        now: nanoseconds since the epoch; relative ranges end here.
        utc_offset_minutes: the reader's local time minus UTC, which times without an offset are in.

    Raises:
        ValueError: with one line that says what is wrong and what is allowed.
    """
    text = text.strip()
    if not -24 * 60 < utc_offset_minutes < 24 * 60:
        raise ValueError(f"an offset of {utc_offset_minutes} minutes from UTC is more than a day")
    zone = timezone(timedelta(minutes=utc_offset_minutes))
    if text.lower() in {"today", "yesterday"}:
        return _whole_day(text.lower(), now, zone)
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        length = int(float(relative[1]) * _UNITS[relative[2][0].lower()])
        if length <= 0:
            raise ValueError(f"{text!r} is no time at all; {_ALLOWED}")
        return TimeRange(max(0, now - length), now + 1)
    return _between(text, now, zone)


def absolute(start: int, end: int) -> str:
    """Write a range as text that :func:`parse_range` reads back, whoever reads it.

    Args:
        start: nanoseconds since the epoch, included.
        end: nanoseconds since the epoch, excluded.
    """
    return f"{_utc(start)}/{_utc(end)}"


def format_duration(nanoseconds: int) -> str:
    """Say a duration in the unit a person would: ``12 ms``, ``1.2 s``, ``3 min``, ``2 h 5 min``."""
    if nanoseconds < 0:
        return f"-{format_duration(-nanoseconds)}"
    if nanoseconds == 0:
        return "0 ms"
    if nanoseconds < 1000:
        return f"{nanoseconds} ns"
    for size, unit, following in ((1000, "µs", 1000), (10**6, "ms", 1000), (SECOND, "s", 60)):
        shown = _two_figures(nanoseconds / size)
        if float(shown) < following:
            return f"{shown} {unit}"
    return _minutes(round(nanoseconds / SECOND))


def _two_figures(value: float) -> str:
    if value >= 9.95:
        return str(round(value))
    return f"{value:.1f}".removesuffix(".0")


def _minutes(seconds: int) -> str:
    for size, unit, smaller_size, smaller_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // smaller_size
            return f"{seconds // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
    return f"{seconds} s"


def _whole_day(name: str, now: int, zone: timezone) -> TimeRange:
    midnight = datetime.fromtimestamp(now // SECOND, zone).replace(hour=0, minute=0, second=0)
    start = _nanoseconds(midnight)
    if name == "today":
        return TimeRange(start, now + 1)
    return TimeRange(max(0, start - _UNITS["d"]), start)


def _between(text: str, now: int, zone: timezone) -> TimeRange:
    first, last = _halves(text)
    start, start_is_day = _moment(first, None, zone)
    if last is None:
        if not start_is_day:
            raise ValueError(f"{text!r} is one moment, not a range; {_ALLOWED}")
        return _checked(start, start + _UNITS["d"], text)
    if last.lower() == "now":
        return _checked(start, now + 1, text)
    end, end_is_day = _moment(last, first, zone)
    return _checked(start, end + _UNITS["d"] if end_is_day else end, text)


def _halves(text: str) -> tuple[str, str | None]:
    for separator in (r"\s+to\s+", r"\s*/\s*", r"\s*[–—]\s*", r"\s+-\s+"):
        parts = re.split(separator, text, flags=re.IGNORECASE)
        if len(parts) == 2 and all(parts):
            return parts[0], parts[1]
    return text, None


def _moment(text: str, first: str | None, zone: timezone) -> tuple[int, bool]:
    """Read one end of a range; ``15:00`` alone takes the day of the ``first`` end."""
    match = _MOMENT.fullmatch(text)
    clock = _TIME_OF_DAY.fullmatch(text)
    day = _MOMENT.fullmatch(first) if first is not None else None
    if clock is not None and day is not None:
        offset = "" if clock["offset"] else day["offset"] or ""
        match = _MOMENT.fullmatch(f"{day['year']}-{day['month']}-{day['day']} {text}{offset}")
    if match is None:
        raise ValueError(f"cannot read {text!r} as a time; {_ALLOWED}")
    try:
        moment = datetime(
            int(match["year"]),
            int(match["month"]),
            int(match["day"]),
            int(match["hour"] or 0),
            int(match["minute"] or 0),
            int(match["second"] or 0),
            tzinfo=_zone(match["offset"], zone),
        )
    except ValueError as error:
        raise ValueError(f"cannot read {text!r} as a time: {error}") from None
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    return _nanoseconds(moment) + fraction, match["hour"] is None


def _zone(offset: str | None, local: timezone) -> timezone:
    if not offset:
        return local
    if offset in {"Z", "z"}:
        return timezone.utc
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _checked(start: int, end: int, text: str) -> TimeRange:
    if end <= start:
        raise ValueError(f"{text!r} ends before it starts")
    if start < 0 or end > _LATEST:
        raise ValueError(f"{text!r} is outside of 1970 to 2262, the times that can be stored")
    return TimeRange(start, end)


def _nanoseconds(moment: datetime) -> int:
    # datetime.timestamp() is a float and loses nanoseconds; whole seconds do not.
    return (moment - _EPOCH) // timedelta(seconds=1) * SECOND


def _utc(nanoseconds: int) -> str:
    moment = _EPOCH + timedelta(seconds=nanoseconds // SECOND)
    fraction = nanoseconds % SECOND
    if not fraction:
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    digits = f"{fraction:09d}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{digits}Z"
