"""A whole run: connect everybody, take the steps one by one, compare, count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from broker import ids
from broker.app.parties import Member, Operator
from broker.app.scenario import judge
from broker.app.scenario.events import Began, Ended, Event, Summary
from broker.app.scenario.moves import Moves
from broker.app.scenario.script import Script
from broker.app.scenario.world import World


async def perform(script: Script, operator: Operator, members: Mapping[str, Member], tell: Callable[[Event], None]) -> Summary:
    """Run the script on an exchange where its agencies have been admitted; everything is told as it happens, the summary last.

    Raises UsageError where the script asks for something that cannot be, and what the services raise where the exchange fails.
    """
    world = World(operator, members)
    try:
        senders = {step.agency for step in script.steps if step.do in ("publish", "preview")}
        await asyncio.gather(world.watch.start(), *(world.participants[agency].publisher() for agency in sorted(senders)))
        moves = Moves(script, world, tell, world.clock.now_ms())
        found: list[str] = []
        for number, step in enumerate(script.steps, 1):
            tell(Began(number, step))
            arrived, quarantined = _arrived(world), len(world.watch.quarantined)
            happened = replace(
                await moves.make(step),
                arrived={agency: count - arrived[agency] for agency, count in _arrived(world).items()},
                quarantined=tuple(item.code for item in world.watch.quarantined[quarantined:]),
            )
            differences = tuple(judge.differences(step.do, step.expect, happened, tuple(members)))
            found += [f"{step.name}: {line}" for line in differences]
            tell(Ended(step, differences))
        await world.quiet()
        summary = _summary(script, world, found)
        tell(summary)
        return summary
    finally:
        await world.close()


def _arrived(world: World) -> dict[str, int]:
    return {agency: len(each.arrivals) for agency, each in world.participants.items()}


def _summary(script: Script, world: World, found: list[str]) -> Summary:
    """Counted from receipts, from what was taken out of the inboxes, and from the quarantine topic; from nothing that was meant."""
    answers = [answers[0][0] for answers in world.watch.answers.values()]
    accepted = [receipt for receipt in answers if receipt.outcome == "ACCEPTED"]
    arrivals = [(agency, a.delivery) for agency, each in world.participants.items() for a in each.arrivals]
    taken = {(agency, delivery.message_id) for agency, delivery in arrivals}
    promised = [(each.agency, ids.uuid_text(r.message_id or bytes(16))) for r in accepted for each in r.recipients]
    agencies = tuple(world.participants)
    summary = Summary(
        published=len(accepted),
        delivered=len(arrivals),
        withheld=sum(len(delivery.withheld) for _, delivery in arrivals),
        refused=len(world.watch.quarantined) + sum(len(each.refused) for each in world.participants.values()),
        duplicates=sum(len(answers) - 1 for answers in world.watch.answers.values()),
        lost=sum(each not in taken for each in promised),
        expectations=len(script.totals) + sum(judge.count(step.do, step.expect, agencies) for step in script.steps),
        differences=(),
    )
    return replace(summary, differences=(*found, *judge.totals({"lost": 0, **script.totals}, summary)))
