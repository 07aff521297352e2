"""Geometry of the charts made on the server: what goes where, in per cent and pixels.

The templates write it as SVG attributes, which scale with the page and need no inline style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from otelbridge.store.protocol import Histogram, TimeRange

NANOSECONDS = 1_000_000_000

# From the base line up: what matters most stands where heights compare best.
LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "TRACE", "")

HISTOGRAM_HEIGHT = 72

# Steps of a time axis, in seconds.
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One level's part of a bar; ``y`` and ``height`` in pixels."""

    level: str
    y: float
    height: float
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; ``x`` and ``width`` in per cent, ``start`` and ``end`` in nanoseconds."""

    x: float
    width: float
    start: int
    end: int
    total: int
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis; ``x`` in per cent."""

    x: float
    moment: int
    text: str


def bars(histogram: Histogram, within: TimeRange, height: int = HISTOGRAM_HEIGHT) -> list[Bar]:
    """Stack a histogram's counts by level, to fill ``height`` pixels.

    A level that occurs is never thinner than two pixels: one error among a million records is
    what the chart is looked at for.
    """
    span = max(1, within.end - within.start)
    largest = max((sum(bar.counts.values()) for bar in histogram.bars), default=0)
    drawn = []
    for bar in histogram.bars:
        start = max(bar.start, within.start)
        end = min(bar.start + histogram.step, within.end)
        total = sum(bar.counts.values())
        if end <= start:
            continue
        pieces = []
        top = float(height)
        for level in LEVELS:
            found = bar.counts.get(level, 0)
            if not found:
                continue
            tall = max(2.0, found * (height - 4) / largest)
            top = max(0.0, top - tall)
            pieces.append(Piece(level, round(top, 2), round(tall, 2), found))
        drawn.append(
            Bar(
                round(100 * (start - within.start) / span, 4),
                round(100 * (end - start) / span, 4),
                start,
                end,
                total,
                pieces,
            )
        )
    return drawn


def ticks(within: TimeRange, utc_offset: int = 0, about: int = 6) -> list[Tick]:
    """Place round moments of the reader's clock along a range.

    Args:
        utc_offset: minutes east of UTC.
        about: how many marks to aim for.
    """
    span = max(1, within.end - within.start)
    seconds = span / NANOSECONDS / about
    step_seconds = next((step for step in _STEPS if step >= seconds), _STEPS[-1])
    step = max(1, int(step_seconds * NANOSECONDS))
    shift = utc_offset * 60 * NANOSECONDS
    first = -(-(within.start + shift) // step) * step - shift
    zone = timezone(timedelta(minutes=utc_offset))
    marks = []
    for moment in range(first, within.end, step):
        x = 100 * (moment - within.start) / span
        # A label at the very edge would be cut.
        if 2 <= x <= 97:
            marks.append(Tick(round(x, 3), moment, _label(moment, step_seconds, zone)))
    return marks


def _label(moment: int, step_seconds: float, zone: timezone) -> str:
    local = datetime.fromtimestamp(moment // NANOSECONDS, zone)
    if step_seconds >= 86400 or (step_seconds >= 3600 and local.hour == 0):
        return f"{local.day} {local:%b}"
    if step_seconds >= 60:
        return f"{local:%H:%M}"
    if step_seconds >= 1:
        return f"{local:%H:%M:%S}"
    return f"{local:%S}.{moment % NANOSECONDS // 1_000_000:03d}"


def sparkline(
    values: Sequence[float | int | None], *, width: int = 100, height: int = 22
) -> list[str]:
    """Draw a small line; gaps where there is no value.

    Returns:
        Points of one polyline per unbroken stretch, for a view box of ``width`` by ``height``.
    """
    known = [value for value in values if value is not None]
    if not known:
        return []
    largest = max(known) or 1
    step = width / max(1, len(values) - 1)
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            if lines[-1]:
                lines.append([])
            continue
        y = height - 1.5 - (height - 3) * value / largest
        lines[-1].append(f"{place * step:.1f},{y:.1f}")
    # One point alone draws nothing: stretch it to a dash.
    return [
        " ".join(line if len(line) > 1 else [line[0], _beside(line[0])]) for line in lines if line
    ]


def _beside(point: str) -> str:
    x, y = point.split(",")
    return f"{float(x) + 1.5:.1f},{y}"
