"""Panels of lines over one time axis, with spans of it shaded and named, as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.svg import COLOURS, grid_line, picture, round_up, text

WIDTH = 1000
LEFT, RIGHT = 70, 20
PANEL, GAP, NAMES = 130, 34, 120


@dataclass(frozen=True)
class Line:
    """One curve: ``points`` are (seconds, value), in the order of time."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """Some curves with one scale, which begins at 0."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Band:
    """A time that something special went on in."""

    name: str
    begin: float
    end: float


@dataclass
class Timeline:
    """The whole picture; times are seconds from its beginning.

    Attributes:
        seconds: how long it is.
    """

    title: str
    seconds: float
    bands: Sequence[Band] = ()
    panels: list[Panel] = field(default_factory=list)

    def svg(self) -> str:
        """Draw it."""
        height = NAMES + len(self.panels) * (PANEL + GAP) + 20
        parts = [text(LEFT, 18, self.title, look="ink", size=14)]
        bottom = NAMES + len(self.panels) * (PANEL + GAP) - GAP
        for band in self.bands:
            left, right = self._x(band.begin), self._x(band.end)
            place = f'x="{left:.1f}" y="{NAMES}" width="{max(right - left, 1):.1f}"'
            parts += [
                f'<rect class="band" {place} height="{bottom - NAMES}"/>',
                text(left + 6, NAMES - 4, band.name, size=8, turned=-60),
            ]
        for number, panel in enumerate(self.panels):
            parts += self._panel(panel, NAMES + number * (PANEL + GAP))
        for minute in range(0, int(self.seconds / 60) + 1, max(1, int(self.seconds / 600))):
            parts.append(text(self._x(minute * 60), bottom + 14, f"{minute} min", anchor="middle"))
        return picture(WIDTH, height, parts)

    def _x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def _panel(self, panel: Panel, top: float) -> list[str]:
        most = round_up(max((value for line in panel.lines for _, value in line.points), default=1))
        parts = [text(LEFT + 4, top + 12, panel.title, look="ink")]
        for share in (0.0, 0.5, 1.0):
            y = top + PANEL * (1 - share)
            parts += [
                grid_line(LEFT, y, WIDTH - RIGHT, y),
                text(LEFT - 6, y + 4, f"{most * share:g}", anchor="end"),
            ]
        for place, line in enumerate(panel.lines):
            colour = COLOURS[place % len(COLOURS)]
            points = " ".join(
                f"{self._x(at):.1f},{top + PANEL * (1 - value / most):.1f}"
                for at, value in line.points
            )
            parts += [
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>',
                text(
                    WIDTH - RIGHT - 4, top + 12 + 13 * place, line.name, anchor="end", colour=colour
                ),
            ]
        return parts
