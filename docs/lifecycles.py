"""The page of lifecycles and clocks: a picture and a table for each machine, drawn from the same data that judges messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from broker.families.clocks.arising import ACKNOWLEDGE_MS, ANSWER_MS
from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS
from broker.families.clocks.duty import KINDS
from broker.families.clocks.dwell import LIMIT_DAYS, WARNING_DAYS
from broker.families.lifecycles.machine import Machine, Move
from broker.families.lifecycles.tables import HANDLING, MACHINES, PUBLICATION

_NOTE: Final = "<!-- Written by `python -m docs.generate`. Do not edit. -->\n"
_CROWD: Final = 3
"""A recall from more states than these is said in words: its arrows would hide the others."""


def _edges(moves: tuple[Move, ...]) -> Iterator[str]:
    joined: dict[tuple[str, str], list[str]] = {}
    for move in moves:
        for source in move.sources:
            joined.setdefault((source, move.target), []).append(move.name)
    for (source, target), names in joined.items():
        yield f"    {source} --> {target}: {', '.join(dict.fromkeys(names))}"


def diagram(machine: Machine) -> str:
    """The Mermaid state diagram of a table."""
    drawn = tuple(move for move in machine.moves if move.name != "RECALL" or len(move.sources) <= _CROWD)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {machine.initial}", *_edges(drawn)]
    lines += [f"    {state} --> [*]" for state in machine.states if state in machine.final]
    lines.append("```\n")
    if len(drawn) < len(machine.moves):
        lines.append("Not drawn: RECALL, from every published state.\n")
    return "\n".join(lines)


def _used(machine: Machine) -> str:
    published = [family for family, tables in PUBLICATION.items() if machine in tables]
    handled = [family for family, table in HANDLING.items() if table is machine]
    words = [f"publication of family {family}" for family in published] + [
        f"a recipient's handling of family {family}" for family in handled
    ]
    return f" Table of: {', '.join(words)}." if words else ""


def _table(machine: Machine) -> Iterator[str]:
    yield "| move | from | to | by | a message says it as | condition |\n| --- | --- | --- | --- | --- | --- |"
    for move in machine.moves:
        guard = "; ".join(filter(None, (move.guard, f"needs {', '.join(f'`core.{name}`' for name in move.needs)}" if move.needs else "")))
        yield f"| {move.name} | {', '.join(move.sources)} | {move.target} | {move.actor} | {move.said_by} | {guard} |"
    yield ""


def _span(span_ms: int) -> str:
    for unit, name in ((DAY_MS, "days"), (HOUR_MS, "hours"), (MINUTE_MS, "minutes")):
        if span_ms % unit == 0 and span_ms > unit:
            return f"{span_ms // unit} {name}"
    return "24 hours"


def _clocks() -> Iterator[str]:
    yield "## Clocks\n"
    yield "A duty is open until a message discharges it. When it is due its creditor is told, later the duty contact of the chain that is"
    yield "configured; each is told once. Dates come by themselves, and nobody is late. Years are of the calendar, UTC: what began on"
    yield "29 February ends on 28 February.\n"
    yield "| urgency | acknowledge (L3) within | answer within, where the request names no time |\n| --- | --- | --- |"
    for urgency, allowance in ACKNOWLEDGE_MS.items():
        yield f"| {urgency} | {_span(allowance)} | {_span(ANSWER_MS[urgency])} |"
    yield "\n| duty | is |\n| --- | --- |"
    for kind, meaning in KINDS.items():
        yield f"| {kind} | {meaning} |"
    yield "\nGoods in transhipment may be in a free zone until the day given, the day of entry being day 0:\n"
    yield "| mode | last day | warning on day |\n| --- | --- | --- |"
    for mode, days in LIMIT_DAYS.items():
        yield f"| {mode} | {days} | {days - WARNING_DAYS} |"


def lifecycles_page() -> str:
    """Every machine, then the clocks."""
    lines = [
        _NOTE,
        "# Lifecycles and clocks\n",
        "Two layers are kept apart. The **publication** of a subject is its owner's: the exchange refuses a revision that its table does",
        "not allow with `ILLEGAL_MOVE`, and the signed receipt lists the moves that are allowed. The **handling** is each recipient's: the",
        "owner follows it by the acknowledgements, feedback and answers that name the subject as their target. Families without a table",
        "of their own are *statements*. Only the owner amends and recalls; others propose (family correction).\n",
        "The issuer's revision orders decisions, in whatever order they arrive: a late revision never overwrites a newer one.\n",
    ]
    for machine in MACHINES:
        lines += [f"## {machine.name}\n", f"{machine.doc}{_used(machine)}\n", diagram(machine), *_table(machine)]
    lines += _clocks()
    return "\n".join(lines) + "\n"
