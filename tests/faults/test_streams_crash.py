"""A publisher dies, or is told that its disk failed, while it mends a stream: the next one finds the work done, or does it."""

from __future__ import annotations

import asyncio

import pytest

from broker.service.publisher import Publisher
from tests.faults.test_matrix import Blow, FailingPublisherStore, Fate
from tests.support.eventually import eventually
from tests.unit.service.rings import Ring, deliveries, publisher_of, store_at
from tests.unit.service.test_streams import UNKNOWN, bad_then_good, parked
from tests.unit.service.world import World, abandon


async def dying(world: World, blow: Blow, store: FailingPublisherStore) -> tuple[Publisher, list[bytes]]:
    """A publisher that makes a hole, with two messages behind it, and mends that until the blow falls. And the digests of all three."""
    ring = Ring(world.key_of("SG-CUSTOMS"))
    publisher = publisher_of(world, store, ring)
    await publisher.start()
    await bad_then_good(world, publisher, ring, UNKNOWN, 2)
    digests = [each.digest for each in store.unanswered()]
    await parked(world, 2)
    await eventually(lambda: blow.struck.is_set() or len(store.unanswered()) == 2, what="the hole's refusal")
    if not blow.struck.is_set():
        world.clock.advance(60_000)
    await asyncio.wait_for(blow.struck.wait(), 10)
    return publisher, digests


@pytest.mark.parametrize("fate", Fate, ids=lambda fate: fate.name.lower())
@pytest.mark.parametrize(("write", "number"), [("give_up", 1), ("settle", 2), ("reseat", 1), ("settle", 3)])
async def test_mending_is_cut_short(world: World, write: str, number: int, fate: Fate) -> None:
    """At each durable step (the stream is given up, the refusal kept, the records signed anew, the gap's receipt passed over) and in each
    way: afterwards the hole is refused, what was behind it is delivered once, in order, and one new stream was begun."""
    blow = Blow(fate, number)
    store = FailingPublisherStore(world.agency().member.files.publisher_store, {write: blow})
    old = store.stream()[0]
    publisher, digests = await dying(world, blow, store)
    await abandon(publisher)
    path = store.left if fate.kills else None
    assert (path is not None) == fate.kills
    await publisher.close()
    after = store_at(world, path)
    async with publisher_of(world, after) as successor:
        await eventually(lambda: after.stream()[0] != old, what="the old stream given up")
        world.clock.advance(60_000)
        await eventually(lambda: not after.unanswered(), what="all answered")
        new = after.stream()[0]
        receipt = await (await successor.publish(world.alert(4))).receipt(10)
        assert (receipt.outcome, receipt.stream, receipt.seq) == ("ACCEPTED", new, 3)
        outcomes = [world.receipts() and after.receipt(digest) for digest in digests]
        assert None not in outcomes
    assert deliveries(world) == [("2", 1), ("3", 1), ("4", 1)]
    assert {each.stream for each in world.receipts() if each.leaf is not None} <= {old, new}
    assert [each.code for each in world.receipts() if each.leaf is None] == ["UNKNOWN_KEY"]
