"""Everything fails at once, again and again: sends, commits, handlers. In the end each message did its work exactly once."""

from __future__ import annotations

import asyncio
import random

import pytest

from broker.service.subscriber import Delivery, Outcome, Retry
from broker.testing.exchange import Attempt, Fault
from tests.faults.checks import Ledger, check_inboxes
from tests.support.eventually import eventually
from tests.unit.service.world import World


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("seed", range(3))
async def test_storm(world: World, seed: int) -> None:
    """A third of all sends and commits are lost or end in doubt, the relay changes its worker, the subscriber dies and retries: every
    accepted message is in each inbox once, in order per subject, and once in the agency's own table."""
    dice = random.Random(seed)

    def faults(attempt: Attempt) -> Fault:
        agency = attempt.kind == "commit" or attempt.records[0].topic.startswith("out.")
        return dice.choice([Fault.APPLY] * 4 + [Fault.LOSE, Fault.KEEP]) if agency else Fault.APPLY

    ledger = Ledger(world)

    async def handle(delivery: Delivery) -> Outcome | None:
        await ledger(delivery)
        fate = dice.random()
        if fate < 0.1:
            raise Killed
        if fate < 0.2:
            raise RuntimeError("the case system is down")
        return Retry(0.5) if fate < 0.3 else None

    world.memory.faults = faults
    publisher = await world.agency().publisher()
    handles: list[asyncio.Task[object]] = []
    expected: list[tuple[str, int]] = []
    for revision in range(1, 9):
        for number in range(3):
            expected.append((f"SG-CUSTOMS/2026/{number:06}", revision))
            handles.append(asyncio.create_task(publisher.publish(world.alert(number, revision=revision))))
        if revision == 4:
            await asyncio.gather(*handles)
            await world.exchange.stop_relay()
            await world.exchange.start_relay("relay-2")
        try:
            await world.subscribe(handle)
        except Killed:
            world.clock.advance(300)
    await asyncio.gather(*handles)
    await eventually(lambda: len(world.inbox_values("MY-CUSTOMS")) == len(expected), what="all deliveries")
    for _ in range(60):
        world.clock.advance(400_000)
        try:
            await world.subscribe(handle, idle_timeout=0.02)
        except Killed:
            continue
        if len(ledger.rows()) == len(expected):
            break
    world.memory.faults = None
    rows = ledger.rows()
    assert sorted(rows) == sorted(expected)
    for subject in {subject for subject, _ in expected}:
        assert [revision for name, revision in rows if name == subject] == list(range(1, 9))
    await eventually(lambda: len({receipt.leaf for receipt in world.receipts()}) == len(expected), what="all receipts")
    check_inboxes(world, expected)
