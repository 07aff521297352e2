"""What the processes that send report of their own delivery: is anything on the way, or lost?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from otelbridge.store.protocol import NewestPoint, TimeRange
from otelbridge.web import times

_PREFIX: Final = "otelbridge.delivery."
_COUNTS: Final = ("accepted", "adopted", "sent", "spooled", "resent", "waiting")
_SIZES: Final = {
    "spool.records": "spool_records",
    "spool.size": "spool_bytes",
    "queue.size": "queue_bytes",
}
# The metrics in which a process says what became of its records.
METRICS: Final = tuple(f"{_PREFIX}{name}" for name in (*_COUNTS, "dropped", *_SIZES))
# A process reports every ten seconds unless told otherwise; one that ended is shown this long.
HEARD_WITHIN: Final = 3600 * 10**9
_MOST_ROWS: Final = 200


@dataclass(slots=True)
class Delivered:
    """What one process says of one of its sinks and signals, in records since it began.

    Attributes:
        dropped: by reason.
        heard: when it said so last, in nanoseconds since the epoch.
    """

    service: str
    instance: str
    sink: str
    signal: str
    accepted: int = 0
    adopted: int = 0
    sent: int = 0
    spooled: int = 0
    resent: int = 0
    waiting: int = 0
    spool_records: int = 0
    spool_bytes: int = 0
    queue_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    heard: int = 0

    @property
    def lost(self) -> int:
        """Records that were given up."""
        return sum(self.dropped.values())


def heard_within(now: int) -> TimeRange:
    """The range of reports that are shown; a sender's clock may be a little ahead."""
    return TimeRange(now - HEARD_WITHIN, now + HEARD_WITHIN)


def delivered(points: Sequence[NewestPoint]) -> list[Delivered]:
    """Put reports together: a row for each process, sink and signal, troubled ones first."""
    rows: dict[tuple[str, ...], Delivered] = {}
    for point in points:
        sink = str(point.attributes.get("sink", ""))
        signal = str(point.attributes.get("signal", ""))
        key = (point.service, point.instance, sink, signal)
        row = rows.setdefault(key, Delivered(*key))
        row.heard = max(row.heard, point.time)
        name = point.name.removeprefix(_PREFIX)
        if name == "dropped":
            reason = str(point.attributes.get("reason", ""))
            row.dropped[reason] = row.dropped.get(reason, 0) + int(point.value)
        else:
            setattr(row, _SIZES.get(name, name), int(point.value))
    found = sorted(
        rows.values(),
        key=lambda row: (-row.lost, -row.spool_records, row.service, -row.heard, row.signal),
    )
    return found[:_MOST_ROWS]


def as_json(row: Delivered) -> dict[str, Any]:
    """The same for a program."""
    return {
        "service": row.service,
        "instance": row.instance,
        "sink": row.sink,
        "signal": row.signal,
        **{name: getattr(row, name) for name in (*_COUNTS, *_SIZES.values())},
        "dropped": row.dropped,
        "heard": times.iso(row.heard),
    }
