"""The judge of the storms finds what it is there to find."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.faults.plan import Planned
from tests.faults.verdict import Verdict, judge_rows

AGENCY: Final = "DE-BAFA"
ORIGINATOR: Final = "SG-CUSTOMS"
Rows = list[list[Any]]


def good() -> tuple[Rows, dict[Any, Any]]:
    """The table of a recipient to whom everything came, and what it was promised."""
    rows: Rows = []
    promised: dict[Any, Any] = {}
    for planned in (Planned(ORIGINATOR, seq) for seq in range(1, 300)):
        if AGENCY not in planned.entitled:
            continue
        given, withheld, leaf = planned.entitled[AGENCY], planned.withheld(AGENCY), planned.seq.to_bytes(32, "big")
        text = f"{ORIGINATOR} number {planned.seq} due 1000"
        sections = json.dumps(sorted(given)), json.dumps(sorted(withheld))
        rows.append([ORIGINATOR, planned.seq, planned.subject, planned.revision, *sections, text, leaf, 13, 0, 1000, 1001, 1002])
        promised[ORIGINATOR, planned.seq] = (leaf, given, withheld)
    return rows, promised


def lose(rows: Rows) -> None:
    del rows[7]


def double(rows: Rows) -> None:
    rows.insert(8, rows[7])


def swap(rows: Rows) -> None:
    rows[7], rows[8] = rows[8], rows[7]


def disclose(rows: Rows) -> None:
    rows[7][4], rows[7][5] = json.dumps(["core", "goods", "parties"]), json.dumps(["equipment", "route"])


def withhold(rows: Rows) -> None:
    rows[7][4], rows[7][5] = json.dumps(["core"]), json.dumps(["equipment", "goods", "parties", "route"])


def invent(rows: Rows) -> None:
    rows.append(
        [ORIGINATOR, 10_000, "SG-CUSTOMS/2026/000000", 1, "[]", "[]", f"{ORIGINATOR} number 10000 due 1", bytes(32), 13, 0, 1, 1, 1]
    )


def exchange_contents(rows: Rows) -> None:
    rows[7][6] = rows[8][6]


def alter(rows: Rows) -> None:
    rows[7][7] = bytes(32)


def test_a_good_table_is_good() -> None:
    """Nothing is found where everything is as it must be."""
    verdict, (rows, promised) = Verdict(), good()
    judge_rows(verdict, AGENCY, rows, promised)
    assert verdict.wrong == []
    assert verdict.delivered == {AGENCY: len(rows)}
    assert len(verdict.effects) == len(rows) > 150


@pytest.mark.parametrize("spoil", [lose, double, swap, disclose, withhold, invent, exchange_contents, alter])
def test_each_wrong_is_found(spoil: Callable[[Rows], None]) -> None:
    """One delivery lost, doubled, out of order, with a section too much or too few, invented, with another's content or leaf."""
    verdict, (rows, promised) = Verdict(), good()
    spoil(rows)
    judge_rows(verdict, AGENCY, rows, promised)
    assert verdict.wrong
