"""The map of a route: from coordinates to lines and labels, over the antimeridian too, and what is said where coordinates are missing."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any, Final

import pytest

from broker.node.console.great_circles import great_circle, unrolled
from broker.node.console.route_map import MOST, PLACES, WIDTH, RouteMap, route_map
from broker.storage.places import Spot, read_spots, written
from tests.support.eventually import eventually
from tests.support.node_clients import InProcess
from tests.unit.node.console.conftest import officer
from tests.unit.node.console.test_pages import sent
from tests.unit.service.world import World

NOW: Final = 1_795_478_400_000
DAY: Final = 86_400_000
SPOTS: Final = {
    "DEHAM": Spot("Hamburg", 53.55, 9.99), "SGSIN": Spot("Singapore", 1.28, 103.85), "AEJEA": Spot("Jebel Ali", 24.99, 55.03),
    "USLAX": Spot("Los Angeles", 33.74, -118.26), "JPYOK": Spot("Yokohama", 35.45, 139.65), "NZAKL": Spot("Auckland", -36.84, 174.77),
    "MYPKG": Spot("Port Klang", 3.0, 101.39), "MYTPP": Spot("Tanjung Pelepas", 1.36, 103.55), "IDBTM": Spot("Batam", 1.13, 104.05),
    "MYPGU": Spot("Pasir Gudang", 1.43, 103.9), "SGJUR": Spot("Jurong", 1.31, 103.72), "IDTBK": Spot("Karimun", 1.0, 103.4),
}  # fmt: skip


def drawn(*codes: str, **times: Any) -> RouteMap:
    """The map of a route over these places."""
    places = [{"role": "OTHER", "country": code[:2], "locode": code, **times.get(code, {})} for code in codes]
    found = route_map({"places": places}, SPOTS, NOW)
    assert found is not None
    return found


def xs(points: str) -> list[float]:
    """The x of a polyline's points."""
    return [float(each.split(",")[0]) for each in points.split()]


def test_over_the_antimeridian_and_back() -> None:
    """Yokohama, Los Angeles, Auckland: each line runs on without a jump over the whole width, all inside the frame, and the meridians
    behind 180 are counted anew."""
    found = drawn("JPYOK", "USLAX", "NZAKL").drawing
    assert found is not None
    for leg in found.legs:
        steps = [abs(b - a) for a, b in itertools.pairwise(xs(leg.points))]
        assert max(steps) < WIDTH / 20
        assert all(0 <= x <= WIDTH for x in xs(leg.points))
    assert xs(found.legs[0].points)[-1] == xs(found.legs[1].points)[0]
    names = [text for _, text in found.meridians]
    assert "180°" in names
    assert any(text.endswith("W") for text in names)
    assert any(text.endswith("E") for text in names)
    assert found.height <= MOST


def test_a_great_circle() -> None:
    """From Hamburg to Yokohama it runs far to the north of both; between a place and itself, and between
    places that face each other, it is finite."""
    line = great_circle((53.55, 9.99), (35.45, 139.65))
    assert max(lat for lat, _ in line) > 65
    assert line[0] == pytest.approx((53.55, 9.99))
    assert line[-1] == pytest.approx((35.45, 139.65))
    assert great_circle((1, 1), (1, 1)) == [(1, 1), (1, 1)]
    assert great_circle((0, 0), (0, 180))[-1] == (0, 180)
    assert unrolled([(0, 179), (0, -179), (0, 179)]) == [(0, 179), (0, 181), (0, 179)]


def test_labels_do_not_lie_on_each_other() -> None:
    """Seven ports around Singapore, seen from Hamburg: a few pixels apart, each with a label of its own and a line to it; a place that is
    called twice has one label with both numbers."""
    found = drawn("DEHAM", "MYPKG", "MYTPP", "SGSIN", "IDBTM", "SGSIN", "MYPGU", "SGJUR", "IDTBK").drawing
    assert found is not None
    assert [label.text for label in found.labels] == [
        "1 DEHAM",
        "2 MYPKG",
        "3 MYTPP",
        "4, 6 SGSIN",
        "5 IDBTM",
        "7 MYPGU",
        "8 SGJUR",
        "9 IDTBK",
    ]
    for one, other in itertools.combinations(found.labels, 2):
        assert not one.box.meets(other.box), (one, other)
    assert any(label.led for label in found.labels)
    assert all(label.box.left >= 0 and label.box.right <= WIDTH for label in found.labels)


def test_where_it_is_by_the_times() -> None:
    """Before, at a stop, between two, arrived, and nothing where the message has no times; legs are told apart."""

    def at(days: float) -> str:
        return f"2026-{'11' if days < 6 else '12'}-{int(24 + days) if days < 6 else int(days - 5):02}T00:00:00Z"

    def where(*times: dict[str, str]) -> tuple[str, tuple[int, ...], list[str]]:
        found = drawn("DEHAM", "SGSIN", "AEJEA", **dict(zip(("DEHAM", "SGSIN", "AEJEA"), times, strict=False)))
        return found.where, found.about, [leg.state for leg in found.drawing.legs] if found.drawing else []

    assert where() == ("", (), ["", ""])
    assert where({"etd": at(5)}) == ("BEFORE", (1,), ["NEXT", "NEXT"])
    assert where({"etd": at(-1)}, {"eta": at(3)}) == ("BETWEEN", (1, 2), ["NOW", "NEXT"])
    assert where({"etd": at(-3)}, {"eta": at(-1), "etd": at(2)}) == ("AT", (2,), ["PAST", "NEXT"])
    assert where({"etd": at(-3)}, {"etd": at(-2)}, {"eta": at(-1)}) == ("AFTER", (3,), ["PAST", "PAST"])


def test_what_has_no_coordinates_is_named() -> None:
    """A place that no list has is in the words and not in the picture; a leg that passes it over is marked; a route of such places alone
    has no picture, a section without places no map."""
    found = drawn("DEHAM", "XXZZZ", "SGSIN")
    assert found.missing == ("XXZZZ",)
    assert found.drawing is not None
    assert [leg.gap for leg in found.drawing.legs] == [True]
    assert drawn("XXZZZ").drawing is None
    assert route_map({}, SPOTS, NOW) is None


def test_reading_the_operators_lists(tmp_path: Path) -> None:
    """UN/LOCODE's own way of writing, degrees of other lists, which are finer; what is no place, no number or no file is passed over."""
    assert written("0116N 10351E") == pytest.approx((1 + 16 / 60, 103 + 51 / 60))
    assert written("3651S 17445W") == pytest.approx((-36.85, -174.75))
    assert written("9916N 10351E") is None
    (tmp_path / "unlocode.csv").write_text("locode,name,coordinates\nSGSIN,Singapore,0116N 10351E\nDEHAM,Hamburg,\nxx,x,0116N 10351E\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "seaports.csv").write_text(
        "locode,name,lat,lon\nSGSIN,Singapore,1.28,103.85\nAEJEA,Jebel Ali,x,55\nDEHAM,H,99,1\n"
    )
    (tmp_path / "places.csv").write_bytes(b"locode,lat,lon\n\xff\xfe")
    assert read_spots(tmp_path) == {"SGSIN": Spot("Singapore", 1.28, 103.85)}
    assert read_spots(None) == {}


async def test_the_map_on_the_page(sg: InProcess, my: InProcess, world: World) -> None:
    """Where the operator's lists have the places they are drawn; a node without lists says so. The ordered list stands there either way."""
    subject = await sent(sg, my, world)
    await eventually(lambda: sg.node.member.files.register_store.exists() and sg.node.reader().row(subject), what="the own alert")
    alice, bob = officer(my), officer(sg)
    await alice.choose()
    await bob.choose()
    page = await alice.get(f"/console/subjects/{subject.replace('/', '%2F')}")
    assert page.count("<polyline") == 2
    assert "Jebel Ali" in page
    page = await bob.get(f"/console/subjects/{subject.replace('/', '%2F')}")
    assert "No map: no place of the route has coordinates" in page
    assert re.findall(r"<strong><bdi>(\w{5})</bdi>", page) == ["DEHAM", "SGSIN", "AEJEA"]


def test_a_very_long_route() -> None:
    """Of more places than are drawn the list has every one, and those that are not drawn are named."""
    places = [{"role": "OTHER", "country": "XX", "locode": f"XX{number:03}"} for number in range(PLACES + 5)]
    spots = {str(each["locode"]): Spot("", number / 2, number) for number, each in enumerate(places)}
    found = route_map({"places": places}, spots, 0)
    assert found is not None
    assert found.drawing is not None
    assert [stop.code for stop in found.stops] == [each["locode"] for each in places]
    assert (len(found.drawing.legs), found.missing) == (PLACES - 1, tuple(f"XX{number:03}" for number in range(PLACES, PLACES + 5)))
