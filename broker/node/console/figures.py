"""Figures: ``GET /console/figures``: what came of alerts, by indicator and by originator, and what others said of this agency's own.

Counted is what may be used for the purpose, and nothing else. The hit rate is confirmed among examined, with its interval (Wilson, 95 %):
three of four is not the same as thirty of forty.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from broker.app.agency_node import AgencyNode
from broker.app.purpose import Purposed
from broker.errors import StoreError
from broker.node import access
from broker.node.answers import AnyRequest
from broker.node.console.pages import page
from broker.node.messages import node_of
from broker.storage.register_figures import ALERTS, ANSWERS, Answered

DAYS: Final = (7, 30, 90, 365)
"""Periods that can be chosen, counted by when the alert was admitted."""
DAY_MS: Final = 86_400_000
BARS: Final = 20
"""Most bars of a chart; the table has more."""
ROWS: Final = 200
Z: Final = 1.959964
"""Two-sided 95 %."""
POSITIVE: Final = "EXAMINED_POSITIVE"
EXAMINED: Final = (POSITIVE, "EXAMINED_NEGATIVE")


@dataclass(slots=True)
class Tally:
    """What came of the alerts of one indicator or agency: alerts, those with feedback, and results, of each agency's newest feedback."""

    name: str
    alerts: int = 0
    answered: int = 0
    results: Counter[str] = field(default_factory=Counter[str])

    @property
    def examined(self) -> int:
        """How many were examined, with or without a result that confirms the alert."""
        return sum(self.results[each] for each in EXAMINED)

    @property
    def confirmed(self) -> int:
        """How many of these were confirmed."""
        return self.results[POSITIVE]

    @property
    def interval(self) -> tuple[float, float] | None:
        """Between which shares the hit rate lies; None where nothing was examined."""
        return wilson(self.confirmed, self.examined) if self.examined else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Tallies, the largest first, of others' alerts and of this agency's own; how many were not counted for the purpose; and of how many
    alerts at most that is, where the period may hold more (0: of all)."""

    by_indicator: tuple[Tally, ...]
    by_originator: tuple[Tally, ...]
    own_by_indicator: tuple[Tally, ...]
    own_by_agency: tuple[Tally, ...]
    received: Tally
    own: Tally
    withheld: int
    cut: int


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The interval of a share (Wilson score, 95 %), between 0 and 1. ``of`` is more than 0."""
    share, square = hits / of, Z * Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def counted(rows: Iterable[Answered], agency: str, use: Purposed) -> Figures:
    """The figures of these rows, for a purpose. Of each agency's feedback on an alert the newest counts."""
    alerts: dict[str, tuple[Answered, dict[str, Answered]]] = {}
    read = 0
    for row in rows:
        read += 1
        said = alerts.setdefault(row.alert, (row, {}))[1]
        before = said.get(row.agency)
        if row.feedback and (before is None or before.at <= row.at):
            said[row.agency] = row
    if read >= ANSWERS and len(alerts) > 1:
        alerts.popitem()  # the oldest: not all of its feedback was read
    cut = len(alerts) if read >= ANSWERS or len(alerts) >= ALERTS else 0
    found: tuple[dict[str, Tally], ...] = ({}, {}, {}, {})
    received, own = Tally(""), Tally("")
    for alert, said in alerts.values():
        if not use.counts(alert.alert):
            continue
        mine = alert.originator == agency
        told = [each for who, each in said.items() if (mine or who == agency) and use.counts(each.feedback)]
        results = [each.result for each in told]
        codes = alert.indicators or ("–",)
        _add(own if mine else received, results)
        for code in codes:
            _add(found[2 if mine else 0].setdefault(code, Tally(code)), results)
        if not mine:
            _add(found[1].setdefault(alert.originator, Tally(alert.originator)), results)
        for each in told if mine else ():
            _add(found[3].setdefault(each.agency, Tally(each.agency)), [each.result])
    first, second, third, fourth = (tuple(sorted(each.values(), key=lambda one: (-one.alerts, one.name)))[:ROWS] for each in found)
    return Figures(first, second, third, fourth, received, own, len(use.withheld), cut)


def _add(tally: Tally, results: list[str]) -> None:
    tally.alerts += 1
    tally.answered += bool(results)
    tally.results.update(results)


def figures_of(node: AgencyNode, purpose: str, days: int) -> Figures:
    """The figures of a period; reads the register over a connection of its own, so that it may run in another thread."""
    now_ms = node.now_ms()
    reader = node.own_reader()
    try:
        use = Purposed(reader, node.agency, node.inbox.decider, purpose, now_ms)
        return counted(reader.answered(now_ms - days * DAY_MS), node.agency, use)
    finally:
        reader.close()


@get("/figures", opt={"roles": access.STAFF, "content": True}, operation_id="consoleFigures")
async def figures(
    request: AnyRequest, state: State, days: Annotated[int, QueryParameter(name="days", ge=1, le=3650)] = 90
) -> Response[str]:
    """The page."""
    node, purpose = node_of(state), access.purpose_of(request)
    try:
        async with state["counting"]:  # each asks the rules of thousands of messages: one at a time
            found = await asyncio.to_thread(figures_of, node, purpose, days)
    except StoreError:
        found = None  # nothing has come yet
    return page(request, state, "figures.html", figures=found, days=days, periods=sorted({*DAYS, days}), bars=BARS)
