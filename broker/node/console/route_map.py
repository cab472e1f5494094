"""The map of an alert's route, drawn by the node from the coordinates of the operator's code lists: no tiles, nothing fetched.

The page shows the same as an ordered list; what has no coordinates is named there. Where the goods are follows from the times of the
message alone, and the page says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, cast

from broker.node.console.great_circles import Box, Degrees, Point, framed, graticule, great_circle, placed, unrolled
from broker.storage.places import Spot

WIDTH: Final = 720.0
LEAST: Final = 240.0
MOST: Final = 460.0
PLACES: Final = 60
"""Most places that are drawn; the list has all."""
LETTER: Final = 9.6
HIGH: Final = 18.0


@dataclass(frozen=True, slots=True)
class Stop:
    """A place of the route, in order from 1. ``passed``: by the times of the message it was left; times in Unix ms. ``lat`` None: not
    known."""

    number: int
    role: str
    country: str
    code: str
    name: str
    eta: int | None
    etd: int | None
    passed: bool
    here: bool
    lat: float | None
    lon: float | None


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg as points of a polyline; ``state``: PAST, NOW or NEXT by the times, or empty where they say nothing. ``gap``: a place between
    its ends has no coordinates."""

    points: str
    state: str
    gap: bool


@dataclass(frozen=True, slots=True)
class Label:
    """What stands at a point, and a line to it where it had to be moved away."""

    text: str
    at: Point
    box: Box
    led: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """The map in units of its view box."""

    width: float
    height: float
    meridians: tuple[tuple[float, str], ...]
    parallels: tuple[tuple[float, str], ...]
    legs: tuple[Leg, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class RouteMap:
    """The route: its stops, those that are not drawn by their codes or names, and the drawing, None where no stop can be drawn; what else
    the section says. ``where``: AT, BETWEEN, BEFORE, AFTER or empty (not known), with the numbers of the stops it is about."""

    stops: tuple[Stop, ...]
    missing: tuple[str, ...]
    where: str
    about: tuple[int, ...]
    drawing: Drawing | None
    rest: Mapping[str, Any]


def route_map(route: Mapping[str, Any], spots: Mapping[str, Spot], now_ms: int) -> RouteMap | None:
    """The map of a route section (JSON values) as it stands at ``now_ms``; None where it names no place."""
    raw = cast("list[Mapping[str, Any]]", route.get("places") or [])
    if not raw:
        return None
    stops = tuple(_stop(number, each, spots, now_ms) for number, each in enumerate(raw, 1))
    where, about = _where(stops, now_ms)
    known = [stop for stop in stops if stop.lat is not None][:PLACES]
    shown = {stop.number for stop in known}
    missing = tuple(dict.fromkeys(stop.code or stop.name or stop.country for stop in stops if stop.number not in shown))
    rest = {name: value for name, value in route.items() if name != "places"}
    return RouteMap(stops, missing, where, about, _drawn(known, where, about) if known else None, rest)


def _stop(number: int, raw: Mapping[str, Any], spots: Mapping[str, Spot], now_ms: int) -> Stop:
    code = str(raw.get("locode") or "")
    spot, eta, etd = spots.get(code), _ms(raw.get("eta")), _ms(raw.get("etd"))
    left = etd is not None and etd <= now_ms
    here = eta is not None and eta <= now_ms and not left
    return Stop(
        number, str(raw.get("role") or ""), str(raw.get("country") or ""), code, str(raw.get("name") or (spot.name if spot else "")),
        eta, etd, left, here, None if spot is None else spot.lat, None if spot is None else spot.lon,
    )  # fmt: skip


def _ms(value: object) -> int | None:
    try:
        return int(datetime.fromisoformat(str(value)).timestamp() * 1000) if value else None
    except ValueError:
        return None


def _where(stops: tuple[Stop, ...], now_ms: int) -> tuple[str, tuple[int, ...]]:
    """What the times say: the last that happened decides."""
    for stop, after in zip(reversed(stops), (None, *reversed(stops[1:])), strict=True):
        if stop.here:
            return ("AFTER" if after is None and stop.etd is None else "AT"), (stop.number,)
        if stop.passed:
            return ("BETWEEN", (stop.number, after.number)) if after else ("AFTER", (stop.number,))
    first = stops[0]
    begins = min((at for at in (first.eta, first.etd) if at is not None), default=None)
    return ("BEFORE", (first.number,)) if begins is not None and begins > now_ms else ("", ())


def _drawn(known: list[Stop], where: str, about: tuple[int, ...]) -> Drawing:
    lines: list[tuple[Stop, Stop, list[Degrees]]] = []
    spots: list[Degrees] = unrolled([_at(known[0])])
    for start, end in pairwise(known):
        line = unrolled(great_circle(_at(start), _at(end)), spots[-1][1])
        lines.append((start, end, line))
        spots.append(line[-1])
    frame = framed([*spots, *(point for _, _, line in lines for point in line)], WIDTH, LEAST, MOST)
    legs = tuple(
        Leg(" ".join(f"{x},{y}" for x, y in map(frame.point, line)), _state(start, end, where, about), end.number != start.number + 1)
        for start, end, line in lines
    )
    at: dict[Point, list[Stop]] = {}
    for stop, spot in zip(known, spots, strict=True):
        at.setdefault(frame.point(spot), []).append(stop)
    texts = [f"{', '.join(str(stop.number) for stop in here)} {here[0].code}" for here in at.values()]
    boxes = placed(list(at), texts, [frame.point(each) for _, _, line in lines for each in line], frame, LETTER, HIGH)
    labels = tuple(Label(text, point, box, _far(point, box)) for text, point, box in zip(texts, at, boxes, strict=True))
    return Drawing(
        frame.width, frame.height,
        tuple((frame.point((0, each))[0], _named(each, "E", "W")) for each in graticule(frame.west, frame.east)),
        tuple(
            (y, _named(each, "N", "S"))
            for each in graticule(max(frame.south, -90), min(frame.north, 90))
            if (y := frame.point((each, 0))[1]) > HIGH
        ),
        legs, labels,
    )  # fmt: skip


def _at(stop: Stop) -> Degrees:
    return stop.lat or 0.0, stop.lon or 0.0


def _state(start: Stop, end: Stop, where: str, about: tuple[int, ...]) -> str:
    if not about:
        return ""
    if where == "BETWEEN" and start.number <= about[0] and end.number >= about[1]:
        return "NOW"
    return "PAST" if end.number <= about[0] and where != "BEFORE" else "NEXT"


def _far(point: Point, box: Box) -> bool:
    """Whether a label lies so far from its point that a line leads to it."""
    x, y = point
    return max(box.left - x, x - box.right, box.top - y, y - box.bottom) > 14


def _named(degrees: float, plus: str, minus: str) -> str:
    """A meridian or parallel as maps write it; beyond 180 degrees the count begins anew."""
    turned = degrees if plus == "N" else (degrees + 180) % 360 - 180
    if turned == 0 or abs(turned) == 180:
        return f"{abs(turned):g}°"
    return f"{abs(turned):g}° {plus if turned > 0 else minus}"
