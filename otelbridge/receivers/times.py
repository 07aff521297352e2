"""Times as people write them in log lines, to nanoseconds."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

_ISO = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s*"
    r"(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d))?\s*"
)
# Numbers below each bound are seconds, milliseconds, microseconds; from there on nanoseconds.
# As seconds, the first bound is the year 5138; as milliseconds, 1973.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))
_TIME_END = 2**63


def parse_time(value: Any) -> int | None:
    """Read a time.

    Args:
        value: ISO 8601 text (UTC where it names no zone), or a number since the Unix epoch, whose
            size tells its unit.

    Returns:
        nanoseconds since the epoch; ``None`` where the value is no time, or one that cannot be
        stored (before 1970, after 2262).
    """
    if isinstance(value, str):
        match = _ISO.fullmatch(value)
        nanoseconds = _number(value) if match is None else _iso(match)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        # By way of the text: 1.7e9 seconds as a float has digits that its text does not.
        nanoseconds = _number(repr(value))
    else:
        return None
    if nanoseconds is None or not 0 < nanoseconds < _TIME_END:
        return None
    return nanoseconds


def _iso(match: re.Match[str]) -> int | None:
    date, time, fraction, _, sign, hours, minutes = match.groups()
    seconds = _seconds(f"{date}T{time}")
    if seconds is None:
        return None
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * 10**9 + (int(fraction.ljust(9, "0")) if fraction else 0)


@lru_cache(maxsize=256)
def _seconds(text: str) -> int | None:
    leap = text.endswith(":60")
    try:
        moment = datetime.fromisoformat(text[:-2] + "59" if leap else text)
    except ValueError:
        return None
    return int(moment.replace(tzinfo=timezone.utc).timestamp()) + leap


def _number(text: str) -> int | None:
    if len(text) > 40:
        return None
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or not 0 < number < _TIME_END:
        return None
    scale = next((scale for bound, scale in _UNITS if number < bound), 1)
    return int(number * scale)
