"""Panels of lines over one time axis, with spans of it shaded and named, as an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, log10

WIDTH = 1000
LEFT, RIGHT = 70, 20
PANEL, GAP, NAMES = 130, 34, 120
FONT = 'font-family="system-ui, sans-serif" font-size="11" fill="#334155"'
COLOURS = ("#2563eb", "#d97706", "#059669")


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
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="18" font-size="14" fill="#0f172a">{escape(self.title)}</text>',
        ]
        bottom = NAMES + len(self.panels) * (PANEL + GAP) - GAP
        for band in self.bands:
            left, right = self._x(band.begin), self._x(band.end)
            parts.append(
                f'<rect x="{left:.1f}" y="{NAMES}" width="{max(right - left, 1):.1f}" '
                f'height="{bottom - NAMES}" fill="#fee2e2"/>'
                f'<text transform="translate({left + 6:.1f} {NAMES - 4}) rotate(-60)" '
                f'font-size="8">{escape(band.name)}</text>'
            )
        for place, panel in enumerate(self.panels):
            parts += self._panel(panel, NAMES + place * (PANEL + GAP))
        for minute in range(0, int(self.seconds / 60) + 1, max(1, int(self.seconds / 600))):
            parts.append(
                f'<text x="{self._x(minute * 60):.1f}" y="{bottom + 14}" text-anchor="middle">'
                f"{minute} min</text>"
            )
        return "\n".join([*parts, "</svg>", ""])

    def _x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds

    def _panel(self, panel: Panel, top: float) -> list[str]:
        most = round_up(max((value for line in panel.lines for _, value in line.points), default=1))
        parts = [f'<text x="{LEFT + 4}" y="{top + 12}" fill="#0f172a">{escape(panel.title)}</text>']
        for share in (0.0, 0.5, 1.0):
            y = top + PANEL * (1 - share)
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
                f'stroke="#cbd5e1" stroke-width="0.5"/><text x="{LEFT - 6}" y="{y + 4:.1f}" '
                f'text-anchor="end">{most * share:g}</text>'
            )
        for place, line in enumerate(panel.lines):
            colour = COLOURS[place % len(COLOURS)]
            points = " ".join(
                f"{self._x(at):.1f},{top + PANEL * (1 - value / most):.1f}"
                for at, value in line.points
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1"/>'
                f'<text x="{WIDTH - RIGHT - 4}" y="{top + 12 + 13 * place}" text-anchor="end" '
                f'fill="{colour}">{escape(line.name)}</text>'
            )
        return parts


def round_up(value: float) -> float:
    """Find the next larger number that a scale may end with."""
    if value <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(value))
    return next(power * share for share in (0.1, 0.2, 0.5, 1.0) if power * share >= value)
