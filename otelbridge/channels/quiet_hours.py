"""Hours in which nobody is to be woken: ``22:00-07:00``, ``22:00-07:00@Europe/Berlin``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` to ``end`` of each day, over midnight where the end comes first.

    Attributes:
        zone: the time zone's name; empty for the machine's own.
    """

    start: time
    end: time
    zone: str = ""

    def left(self, now: float) -> float:
        """Count the seconds until they end; 0 outside them.

        Args:
            now: seconds since the epoch.
        """
        zone: tzinfo | None = ZoneInfo(self.zone) if self.zone else None
        here = datetime.fromtimestamp(now, zone)
        clock = here.timetz().replace(tzinfo=None)
        if self.start <= self.end:
            within = self.start <= clock < self.end
        else:
            within = clock >= self.start or clock < self.end
        if not within:
            return 0.0
        end = datetime.combine(here.date(), self.end, zone)
        if end <= here.replace(tzinfo=zone):
            end = datetime.combine(here.date() + timedelta(days=1), self.end, zone)
        return max(end.timestamp() - now, 0.001)

    def __str__(self) -> str:
        zone = f"@{self.zone}" if self.zone else ""
        return f"{self.start:%H:%M}-{self.end:%H:%M}{zone}"


def parse_quiet_hours(text: str) -> QuietHours:
    """Read quiet hours.

    Raises:
        ValueError: says what is allowed.
    """
    match = re.fullmatch(
        r"\s*([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)\s*(?:@(\S+))?\s*", text
    )
    if match is None or match.group(1, 2) == match.group(3, 4):
        raise ValueError("allowed: from-to such as 22:00-07:00, or 22:00-07:00@Europe/Berlin")
    if match[5]:
        try:
            ZoneInfo(match[5])
        except (ValueError, OSError, LookupError):
            raise ValueError(
                f"{match[5]!r} is not a time zone this machine knows; allowed: such as "
                "Europe/Berlin or UTC"
            ) from None
    return QuietHours(
        time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4])), match[5] or ""
    )
