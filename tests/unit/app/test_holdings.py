"""What an agency holds, read out of its inbox by the operator: what it was given last, what it had before, what it was told to erase."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from dataclasses import replace

from broker import ids
from broker.app.holdings import read_holdings
from broker.exchange.holdings import HELD, RECALLED, UNREADABLE, WITHDRAWN, Holding
from broker.ports import Outgoing
from broker.storage.holdings import HoldingsTable
from broker.testing.memory import MemoryTransport
from broker.testing.samples import sample_alert
from tests.unit.service.world import World, world


async def listed(world: World, agency: str = "MY-CUSTOMS") -> list[Holding]:
    """The list, and that its progress ends where the inbox does."""
    told: list[tuple[int, int]] = []
    with closing(HoldingsTable()) as table:
        transport = world.exchange.operator.transport("registrar")
        await read_holdings(transport, await world.learn(), agency, table, progress=lambda done, end: told.append((done, end)))
        assert not told or told[-1][0] == told[-1][1]
        return list(table)


def short(holding: Holding) -> tuple[str, int, str, str, str]:
    return holding.subject[-1], holding.revision, " ".join(holding.sections), " ".join(holding.earlier), holding.state


async def test_what_was_given_and_what_was_taken_back() -> None:
    """One subject held, one revised, one withdrawn by a narrower audience, one recalled; the owner, in whose inbox are
    receipts alone, holds nothing."""
    async with world() as made:
        one, two, three, four = (made.alert(number) for number in range(1, 5))
        agency = made.agency()
        for message in (one, two, three, four):
            assert (await agency.publish(message)).outcome == "ACCEPTED"
        narrower = {name: body for name, body in two.sections.items() if name in ("core", "goods")}
        assert (await agency.publish(replace(two, revision=2, sections=narrower))).outcome == "ACCEPTED"
        alone = sample_alert(three.subject, now_ms=made.now, agencies=["AE-CUSTOMS"], revision=2)
        assert (await agency.publish(alone)).outcome == "ACCEPTED"
        recall = agency.member.recalls().recall(four.subject, "ERROR", action="DELETE")
        assert (await agency.publish(recall)).outcome == "ACCEPTED"
        found = await listed(made)
        given = " ".join(found[0].sections)
        assert [short(each) for each in found] == [
            ("1", 1, given, "", HELD),
            ("2", 2, "core goods", " ".join(sorted(set(given.split()) - {"core", "goods"})), HELD),
            ("3", 2, "", given, WITHDRAWN),
            ("4", 2, "", given, RECALLED),
        ]
        assert {(each.owner, each.family, each.delivered_ms) for each in found} == {("SG-CUSTOMS", "alert", made.now)}
        assert short((await listed(made, "AE-CUSTOMS"))[2])[:2] == ("3", 2)
        assert await listed(made, "SG-CUSTOMS") == []


async def test_what_is_no_delivery() -> None:
    """Bytes that somebody put into the inbox past the relay are listed as such, and a record that only frees space is none."""
    async with world() as made:
        await made.agency().publish(made.alert(1))
        await made.slip_in("MY-CUSTOMS", b"not a parcel", key=b"s/SG-CUSTOMS/2026/000009")
        outlet = await MemoryTransport(made.memory).outlet()
        await (await outlet.send(Outgoing(ids.inbox("MY-CUSTOMS"), b"s/SG-CUSTOMS/2026/000008", None)))
        assert [(each.subject[-1], each.state) for each in await listed(made)] == [("1", HELD), ("9", UNREADABLE)]


def test_many_subjects_take_no_more_memory() -> None:
    """Twenty thousand subjects, each delivered twice, are counted and listed in order; what Python holds meanwhile stays under 1 MB."""
    tracemalloc.start()
    with closing(HoldingsTable()) as table:
        for revision in (1, 2):
            for first in range(0, 20_000, 500):
                table.take(
                    Holding(f"SG-CUSTOMS/2026/{number:06}", "SG-CUSTOMS", "alert", revision, ("core",), (), revision, "rule", HELD)
                    for number in range(first, first + 500)
                )
        last, count = "", 0
        for each in table:
            assert (each.subject > last, each.revision) == (True, 2)
            last, count = each.subject, count + 1
        assert (count, table.counts(), table.owners()) == (20_000, {HELD: 20_000}, 1)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
