"""Legs of a route on the sphere and on paper: great circles, without a break at the antimeridian, and labels that do not lie on each other.

Longitudes are *unrolled* along the route: each lies within 180 degrees of the one before, so that a route over the Pacific is one line
whose longitudes run on beyond 180. The map is cut around the route, wherever that is, so nothing is ever split.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

Degrees = tuple[float, float]
"""Latitude and longitude."""
Point = tuple[float, float]
"""x and y in the units of the drawing."""
STEPS: Final = 48
"""Points of a leg."""
_STEP: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0)
_LINES: Final = 7
"""Most lines of the graticule in one direction."""


class Box(NamedTuple):
    """A rectangle of the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom


class Frame(NamedTuple):
    """What is drawn of the earth, in unrolled degrees, on ``width`` by ``height``: degrees of longitude are as long as they are at
    ``middle`` (equirectangular)."""

    west: float
    east: float
    south: float
    north: float
    width: float
    height: float

    def point(self, where: Degrees) -> Point:
        """Where unrolled degrees lie in the drawing."""
        x = (where[1] - self.west) / (self.east - self.west) * self.width
        return round(x, 1), round((self.north - where[0]) / (self.north - self.south) * self.height, 1)


def great_circle(start: Degrees, end: Degrees) -> list[Degrees]:
    """The shortest way, as points. Between places that face each other across the earth every way is as short: a straight line then."""
    a, b = _vector(start), _vector(end)
    angle = math.acos(max(-1.0, min(1.0, sum(x * y for x, y in zip(a, b, strict=True)))))
    if angle < 1e-9:
        return [start, end]
    if math.pi - angle < 1e-6:
        return [(start[0] + (end[0] - start[0]) * n / STEPS, start[1] + (end[1] - start[1]) * n / STEPS) for n in range(STEPS + 1)]
    found: list[Degrees] = []
    for n in range(STEPS + 1):
        p, q = math.sin((1 - n / STEPS) * angle) / math.sin(angle), math.sin(n / STEPS * angle) / math.sin(angle)
        x, y, z = (p * u + q * v for u, v in zip(a, b, strict=True))
        found.append((math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))))
    return found


def _vector(where: Degrees) -> tuple[float, float, float]:
    lat, lon = math.radians(where[0]), math.radians(where[1])
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def unrolled(points: Iterable[Degrees], before: float | None = None) -> list[Degrees]:
    """The same points with each longitude within 180 degrees of the one before; ``before``: of the point before the first."""
    found: list[Degrees] = []
    for lat, lon in points:
        near = lon if before is None else lon - 360 * round((lon - before) / 360)
        found.append((lat, near))
        before = near
    return found


def framed(points: Sequence[Degrees], width: float, least: float, most: float) -> Frame:
    """A frame around unrolled points, with a margin, ``width`` wide and between ``least`` and ``most`` high."""
    lats, lons = [lat for lat, _ in points], [lon for _, lon in points]
    middle = (min(lats) + max(lats)) / 2
    squeeze = max(0.3, math.cos(math.radians(middle)))
    tall, wide = max(4.0, (max(lats) - min(lats)) * 1.3), max(4.0, (max(lons) - min(lons)) * 1.25)
    height = tall / (wide * squeeze) * width
    if height > most:
        wide, height = tall / squeeze * width / most, most
    elif height < least:
        tall, height = least / width * wide * squeeze, least
    centre = (min(lons) + max(lons)) / 2
    return Frame(centre - wide / 2, centre + wide / 2, middle - tall / 2, middle + tall / 2, width, round(height, 1))


def graticule(low: float, high: float) -> list[float]:
    """Round degrees between two: few enough to be told apart."""
    step = next((each for each in _STEP if (high - low) / each <= _LINES), 90.0)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]


def placed(points: Sequence[Point], texts: Sequence[str], lines: Iterable[Point], frame: Frame, letter: float, high: float) -> list[Box]:
    """A box for the label of each point, near it, inside the frame, on no other label and on no point; on none of the points of the
    ``lines`` either where there is room. ``letter``: width of a letter."""
    taken = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    drawn = [Box(x - 2, y - 2, x + 2, y + 2) for x, y in lines]
    found: list[Box] = []
    for (x, y), text in zip(points, texts, strict=True):
        wide = len(text) * letter
        spots = [_spot(x, y, wide, high, side, far) for far in range(0, 200, 12) for side in range(6)]
        inside = [box for box in spots if box.left >= 0 and box.top >= 0 and box.right <= frame.width and box.bottom <= frame.height]
        free = [box for box in inside if not any(box.meets(other) for other in taken)]
        near = free[:12]  # better on a line than far away
        box = next((box for box in near if not any(box.meets(other) for other in drawn)), free[0] if free else spots[0])
        taken.append(box)
        found.append(box)
    return found


def _spot(x: float, y: float, wide: float, high: float, side: int, far: int) -> Box:
    """One of six places for a label: right, left, above, below, and the two to the right of it, so far away."""
    away = 11 + far
    left, top = (
        (x + away, y - high / 2), (x - away - wide, y - high / 2), (x - wide / 2, y - away - high), (x - wide / 2, y + away),
        (x + away, y - away - high), (x + away, y + away),
    )[side]  # fmt: skip
    return Box(round(left, 1), round(top, 1), round(left + wide, 1), round(top + high, 1))
