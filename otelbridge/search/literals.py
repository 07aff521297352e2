"""Times and durations as they stand in a query."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final

_SECOND: Final = 10**9
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 10**6,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "min": 60 * _SECOND,
    "h": 3600 * _SECOND,
    "d": 86400 * _SECOND,
    "w": 7 * 86400 * _SECOND,
}
_DURATION: Final = re.compile(
    r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(ns|us|µs|μs|ms|s|m|min|h|d|w)?", re.ASCII
)
_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})"
    r"(?:[T ]([0-9]{1,2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?"
)
_MILLISECONDS: Final = re.compile(r"[0-9]{10,15}")
_FROM_NOW: Final = re.compile(r"now(?:([+-])([0-9]{1,9})(s|m|h|d|w))?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def read_duration(text: str) -> int | None:
    """Read ``500ms`` or ``1.5s`` as nanoseconds; a bare number is nanoseconds already."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    whole, _, fraction = found[1].partition(".")
    unit = _UNITS[found[2] or "ns"]
    parts = 10 ** len(fraction)
    return int(whole) * unit + int(fraction or "0") * unit // int(parts)


def read_time(text: str, now: int) -> tuple[int, int] | None:
    """Read a time as the span that it names, as Elasticsearch does: ``2026-11-20`` is a whole day.

    Args:
        text: an ISO 8601 date or time (UTC unless it has an offset), milliseconds since the
            epoch, or ``now``, ``now-15m``.
        now: nanoseconds since the epoch.

    Returns:
        The first nanosecond of it and the first after it, or ``None`` if it cannot be read.
    """
    text = text.strip()
    relative = _FROM_NOW.fullmatch(text)
    if relative is not None:
        length = int(relative[2] or 0) * _UNITS[relative[3] or "s"]
        moment = now - length if relative[1] == "-" else now + length
        return moment, moment + 1
    if _MILLISECONDS.fullmatch(text):
        return int(text) * 10**6, (int(text) + 1) * 10**6
    found = _DATE.fullmatch(text)
    return None if found is None else _span_of(found)


def _span_of(found: re.Match[str]) -> tuple[int, int] | None:
    year, month, day, hour, minute, second = (
        None if part is None else int(part) for part in found.groups()[:6]
    )
    try:
        start = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0)
        start = start.replace(tzinfo=_zone(found[8]))
        if month is None:
            end = start.replace(year=start.year + 1)
        elif day is None:
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            step = {"hours": 1} if minute is None else {"minutes": 1}
            end = start + (timedelta(days=1) if hour is None else timedelta(**step))
        first = (start - _EPOCH) // timedelta(seconds=1) * _SECOND
        last = (end - _EPOCH) // timedelta(seconds=1) * _SECOND
    except (ValueError, OverflowError):
        return None
    if second is None:
        return first, last
    fraction = found[7] or ""
    size = 10 ** (9 - len(fraction))
    first += int(fraction or "0") * size
    return first, first + size


def _zone(offset: str | None) -> timezone:
    if offset is None or offset == "Z":
        return timezone.utc
    minutes = int(offset[1:3]) * 60 + int(offset[-2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
