"""Where places are: coordinates by UN/LOCODE, from the operator's folder of code lists. No coordinates come with the program.

Read are, in the folder or directly below it:

- ``unlocode.csv`` where it has the column ``coordinates``, as UN/LOCODE writes them: ``0116N 10351E`` (degrees and minutes);
- ``seaports.csv``, ``airports.csv`` and ``places.csv`` with the columns ``locode``, ``lat`` and ``lon`` (degrees) and perhaps ``name``.

A row that is no place is passed over: a map that lacks a place says so.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from broker.storage.codelists import SIZE_LIMIT

FILES: Final = ("unlocode.csv", "airports.csv", "seaports.csv", "places.csv")
"""In the order in which they are read: a later one, which is finer, takes the place of an earlier one."""
_CODE: Final = re.compile(r"[A-Z]{2}[A-Z2-9]{3}", re.ASCII)
_WRITTEN: Final = re.compile(r"(\d\d)(\d\d)([NS]) (\d\d\d)(\d\d)([EW])", re.ASCII)


class Spot(NamedTuple):
    """A place: its name (empty where the list has none), latitude and longitude in degrees, north and east positive (WGS 84)."""

    name: str
    lat: float
    lon: float


def read_spots(folder: Path | None) -> Mapping[str, Spot]:
    """Every place of the folder's lists, by its UN/LOCODE; empty where there is no folder. A file that cannot be read is passed over."""
    found: dict[str, Spot] = {}
    for name in FILES if folder is not None else ():
        for path in (*sorted((folder or Path()).glob(f"*/{name}")), (folder or Path()) / name):
            with suppress(OSError, UnicodeDecodeError, csv.Error):
                if path.stat().st_size <= SIZE_LIMIT:
                    found.update(_spots(path))
    return found


def _spots(path: Path) -> Iterator[tuple[str, Spot]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = set(reader.fieldnames or ())
        if "locode" not in columns or not ({"lat", "lon"} <= columns or "coordinates" in columns):
            return
        for row in reader:
            code = row["locode"] or ""
            where = _degrees(row.get("lat"), row.get("lon")) if "lat" in columns else written(row.get("coordinates") or "")
            if where is not None and _CODE.fullmatch(code):
                yield code, Spot((row.get("name") or "")[:70], *where)


def written(text: str) -> tuple[float, float] | None:
    """Latitude and longitude as UN/LOCODE writes them (manual, 2.8): ``0116N 10351E``; None for what is none."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    south, west = found[3] == "S", found[6] == "W"
    lat, lon = int(found[1]) + int(found[2]) / 60, int(found[4]) + int(found[5]) / 60
    return _degrees(-lat if south else lat, -lon if west else lon)


def _degrees(lat: object, lon: object) -> tuple[float, float] | None:
    try:
        north, east = float(str(lat)), float(str(lon))
    except ValueError:
        return None
    return (north, east) if -90 <= north <= 90 and -180 <= east <= 180 else None
