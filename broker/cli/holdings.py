"""``broker agency holdings``: what an agency was given of others and holds, for the operator who suspends it. Content is never shown."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from rich.markup import escape

from broker import ids
from broker.app import Operator
from broker.app.connect import connect, connect_admin
from broker.app.holdings import read_holdings
from broker.cli.screen import COMMON, Common, Screen, iso, printable
from broker.errors import UsageError
from broker.exchange.holdings import HELD, UNREADABLE, Holding
from broker.storage.holdings import HoldingsTable


async def holdings(agency: str, /, *, common: Common = COMMON) -> int:
    """At the operator: what an agency was given of others: subject, owner, latest revision, sections, when. Content is never shown.

    It is read from the agency's inbox. Whether the agency fetched the last ones, or erased what it was told to, the exchange cannot see.

    Example: broker agency holdings SG-CUSTOMS --json

    Parameters
    ----------
    agency
        Whose.
    """
    await list_holdings(Screen(as_json=common.json), common, ids.agency_id(agency))
    return 0


async def list_holdings(screen: Screen, common: Common, agency: str, *, quiet_s: float = 0.0) -> None:
    """Print the list, one subject a line; progress and the sum go to standard error. ``quiet_s`` as :func:`read_holdings` has it."""
    operator = Operator(common.home, connect, connect_admin, bootstrap=common.bootstrap)
    transport = operator.transport("registrar")
    knowledge = operator.knowledge(transport)
    try:
        await knowledge.load()
        if knowledge.rules.directory.agency(agency) is None:
            raise UsageError(f"{agency} is not a member", advice="see `broker agency list`")
        with closing(HoldingsTable()) as table:
            with screen.counting(f"reading the inbox of {agency}", None) as bar:
                await read_holdings(
                    transport, knowledge.rules, agency, table, quiet_s=quiet_s,
                    progress=lambda done, end: bar.update(bar.task_ids[0], completed=done, total=end),
                )  # fmt: skip
            for each in table:
                screen.result(_json(each), _line(each))
            screen.note(_sum(agency, table))
    finally:
        await knowledge.close()
        await transport.close()


def _json(holding: Holding) -> dict[str, Any]:
    return {
        "subject": holding.subject, "owner": holding.owner, "family": holding.family, "revision": holding.revision,
        "sections": list(holding.sections), "earlier_sections": list(holding.earlier), "delivered_at": iso(holding.delivered_ms),
        "rule": holding.rule, "state": holding.state,
    }  # fmt: skip


def _line(holding: Holding) -> str:
    sections = " ".join(holding.sections) or "-"
    earlier = f", before also {' '.join(holding.earlier)}" if holding.earlier else ""
    text = f"{holding.subject}  {holding.family} {holding.revision}  {iso(holding.delivered_ms)}  {sections}{earlier}"
    state = "" if holding.state == HELD else f"  [yellow]{holding.state.lower()}[/yellow]"
    return escape(printable(text)) + state


def _sum(agency: str, table: HoldingsTable) -> str:
    counts = table.counts()
    total = sum(counts.values())
    if not total:
        return f"{agency} was given nothing"
    told = f"{agency} was given {total:,} subjects (owners: {table.owners():,}): it holds {counts.get(HELD, 0):,}"
    erase = total - counts.get(HELD, 0) - counts.get(UNREADABLE, 0)
    told += f", and was told to erase {erase:,}" if erase else ""
    unreadable = counts.get(UNREADABLE, 0)
    return told + (f"; [red]{unreadable:,} records cannot be read: tell an auditor[/red]" if unreadable else "")
