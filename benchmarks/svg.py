"""Pieces of pictures as SVG, in one look that is readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import ceil, log10
from typing import Literal

COLOURS = ("#3b82f6", "#d97706", "#059669")
GREY = "#94a3b8"
# What a picture is looked at in decides; where nobody says, it is light.
_STYLE = """<style>
.ground { fill: #ffffff } .ink { fill: #0f172a } .muted { fill: #334155 }
.grid { stroke: #cbd5e1; stroke-width: 0.5 } .band { fill: #fee2e2 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0f172a } .ink { fill: #f1f5f9 } .muted { fill: #cbd5e1 }
.grid { stroke: #475569 } .band { fill: #7f1d1d }
}
</style>"""
Look = Literal["ink", "muted"]


def picture(width: float, height: float, parts: Iterable[str]) -> str:
    """Put pieces onto a ground of its own colour."""
    attributes = f'viewBox="0 0 {width:g} {height:g}" font-family="system-ui, sans-serif"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {attributes} font-size="11">',
            _STYLE,
            f'<rect class="ground" width="{width:g}" height="{height:g}"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: Literal["start", "middle", "end"] = "start",
    look: Look = "muted",
    colour: str = "",
    size: float = 11,
    turned: float = 0,
) -> str:
    """One line of text.

    Args:
        anchor: which part of it is at ``x``.
        colour: in place of what ``look`` gives.
        turned: degrees, clockwise.
    """
    look_ = f'fill="{colour}"' if colour else f'class="{look}"'
    place = (
        f'transform="translate({x:.1f} {y:.1f}) rotate({turned:g})"'
        if turned
        else f'x="{x:.1f}" y="{y:.1f}"'
    )
    return (
        f'<text {place} {look_} text-anchor="{anchor}" font-size="{size:g}">'
        f"{escape(content)}</text>"
    )


def grid_line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A thin line of a scale."""
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A filled rectangle."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def whisker(x1: float, x2: float, y: float) -> str:
    """A span from one value to another, as the spread of a bar's."""
    return (
        f'<path d="M{x1:.1f} {y - 3:.1f}v6M{x1:.1f} {y:.1f}H{x2:.1f}M{x2:.1f} {y - 3:.1f}v6" '
        'fill="none" stroke="#64748b"/>'
    )


def round_up(value: float) -> float:
    """Find the next larger number that a scale may end with."""
    if value <= 0:
        return 1.0
    power = 10.0 ** ceil(log10(value))
    return next(power * share for share in (0.1, 0.2, 0.5, 1.0) if power * share >= value)
