"""Moments, durations, counts and sizes as a person would say them."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

from otelbridge.web.timerange import format_duration

NANOSECONDS = 1_000_000_000


def iso(moment: int) -> str:
    """Write a moment (nanoseconds since the epoch) in UTC, to the nanosecond."""
    seconds, rest = divmod(moment, NANOSECONDS)
    day = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def clock(moment: int, utc_offset: int = 0, now: int | None = None) -> str:
    """Write a moment for a list: the time of day to the millisecond, with the date if not today.

    Args:
        moment: nanoseconds since the epoch.
        utc_offset: the reader's clock, minutes east of UTC.
        now: with it, a moment of another day gets its date.
    """
    zone = timezone(timedelta(minutes=utc_offset))
    local = datetime.fromtimestamp(moment // NANOSECONDS, zone)
    text = f"{local:%H:%M:%S}.{moment % NANOSECONDS // 1_000_000:03d}"
    if now is not None:
        today = datetime.fromtimestamp(now // NANOSECONDS, zone).date()
        if local.date() != today:
            return f"{local:%Y-%m-%d} {text}"
    return text


def ago(moment: int, now: int) -> str:
    """Say how long before ``now`` a moment was."""
    seconds = max(0, now - moment) // NANOSECONDS
    if seconds < 5:
        return "now"
    if seconds < 120:
        return f"{seconds} s ago"
    if seconds < 7200:
        return f"{seconds // 60} min ago"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h ago"
    return f"{seconds // 86400} days ago"


def duration(nanoseconds: int | None) -> str:
    """Write a duration in the unit a person would use; a dash where there is none."""
    return "–" if nanoseconds is None else format_duration(nanoseconds)


def count(number: int) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def size(bytes_: float) -> str:
    """Write a number of bytes in units of 1024."""
    if bytes_ < 1024:
        return f"{int(bytes_)} B"
    power = min(int(math.log(bytes_, 1024)), 4)
    value = bytes_ / 1024**power
    return (
        f"{value:.0f} {'KMGT'[power - 1]}B"
        if value >= 100
        else (f"{value:.1f} {'KMGT'[power - 1]}B")
    )


def rate(requests: int, nanoseconds: int) -> str:
    """Write events over a time as a rate: a second, or a minute where that reads better."""
    if nanoseconds <= 0 or requests == 0:
        return "0"
    each_second = requests * NANOSECONDS / nanoseconds
    if each_second >= 100:
        return f"{each_second:.0f}/s"
    if each_second >= 1:
        return f"{each_second:.1f}/s"
    return f"{each_second * 60:.1f}/min"


def share(part: int, whole: int) -> str:
    """Write a share in per cent; never 0 % where there is something, never 100 % where not all."""
    if whole == 0:
        return "–"
    if part == 0:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    if percent > 99.9 and part < whole:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
