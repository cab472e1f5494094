"""Curves as an SVG picture: shares over a threshold, with axes and names, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 480, 70, 50, 250, 60
COLOURS: Final = ("#1b6ca8", "#2a9d8f", "#8a5a00", "#6a4c93", "#c1121f", "#444444", "#d66a00", "#0b7285", "#a61e4d", "#5c940d")

Curve = Sequence[tuple[float, float]]
"""Points of (threshold, share 0 to 1)."""


def picture(title: str, across: str, curves: Mapping[str, Curve], *, dashed: frozenset[str] = frozenset()) -> str:
    """The picture as SVG text. ``dashed``: names of curves that are drawn with dashes."""
    xs = [x for curve in curves.values() for x, _ in curve]
    low, high = min(xs), max(xs)

    def at(x: float, y: float) -> str:
        return f"{LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT):.1f},{HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="14">']
    parts += [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="28" font-size="17">{escape(title)}</text>']
    for tenth in range(0, 11, 2):
        (x0, y), (x1, _) = (point.split(",") for point in (at(low, tenth / 10), at(high, tenth / 10)))
        parts.append(f'<line x1="{x0}" y1="{y}" x2="{x1}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{float(y) + 5:.1f}" text-anchor="end">{tenth * 10} %</text>')
    step = (high - low) / 8
    for number in range(9):
        x, y = at(low + number * step, 0).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 20:.1f}" text-anchor="middle">{low + number * step:g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(across)}</text>')
    for number, (name, curve) in enumerate(curves.items()):
        colour, dash = COLOURS[number % len(COLOURS)], ' stroke-dasharray="6 4"' if name in dashed else ""
        points = " ".join(at(x, y) for x, y in curve)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>')
        y = TOP + 16 + number * 24
        parts.append(
            f'<line x1="{WIDTH - RIGHT + 20}" y1="{y}" x2="{WIDTH - RIGHT + 50}" y2="{y}" stroke="{colour}" stroke-width="2.5"{dash}/>'
        )
        parts.append(f'<text x="{WIDTH - RIGHT + 58}" y="{y + 5}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])
