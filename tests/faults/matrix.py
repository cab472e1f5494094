"""The table at the end of ``make faults``: each write, each way in which it failed, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

PROPERTY: Final = "fault"
"""Name of the property under which a test says which write it lets fail, and how."""


def matrix_lines(reports: Iterable[Any]) -> list[str]:
    """One line for each write, one column for each way, from pytest's reports."""
    found: dict[str, dict[str, str]] = {}
    ways: list[str] = []
    for report in reports:
        cell = dict(report.user_properties).get(PROPERTY)
        if cell is None or report.when != "call":
            continue
        write, way = cell
        found.setdefault(write, {})[way] = "once, in order" if report.outcome == "passed" else report.outcome.upper()
        if way not in ways:
            ways.append(way)
    rows = [["write", *ways], *([write, *(cells.get(way, "-") for way in ways)] for write, cells in found.items())]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows] if found else []
