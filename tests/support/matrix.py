"""Who may do what to which thing, cell by cell: what was found, what was expected, where they differ, and all of it as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

YES, NO, OUT = "yes", "no", "no connection"
"""It was done, access control refused it, or Kafka took no connection. Any other answer is Kafka's name of an error."""


class Cell(NamedTuple):
    """One principal, one thing, one act (a letter)."""

    who: str
    thing: str
    act: str


Matrix = dict[Cell, str]


def differences(found: Mapping[Cell, str], expected: Mapping[Cell, str]) -> list[str]:
    """A line for each cell that is not as expected, or that only one of the two has."""
    return [
        f"{cell.who}  {cell.act}  {cell.thing}: found {found.get(cell, 'nothing')!r}, expected {expected.get(cell, 'nothing')!r}"
        for cell in sorted(found.keys() | expected.keys())
        if found.get(cell) != expected.get(cell)
    ]


def table(found: Mapping[Cell, str], legend: str = "") -> str:
    """Things down, principals across, in each cell the acts that were done; who was not let in is listed below."""
    who, things = _in_order(cell.who for cell in found), _in_order(cell.thing for cell in found)
    inside = [name for name in who if any(answer != OUT for cell, answer in found.items() if cell.who == name)]
    rows = [["", *inside], *([thing, *(_done(found, name, thing) for name in inside)] for thing in things)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(inside) + 1)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    outside = [name for name in who if name not in inside]
    return "\n".join([*([legend] if legend else []), *lines, *(f"not let in: {name}" for name in outside)])


def _in_order(names: Iterable[str]) -> Sequence[str]:
    return list(dict.fromkeys(names))


def _done(found: Mapping[Cell, str], who: str, thing: str) -> str:
    answers = [(cell.act, answer) for cell, answer in found.items() if (cell.who, cell.thing) == (who, thing)]
    odd = "!" if any(answer not in (YES, NO, OUT) for _, answer in answers) else ""
    return "".join(act for act, answer in answers if answer == YES) + odd or "."
