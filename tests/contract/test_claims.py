"""Who holds which shard: every shard has one holder, and shards move when a worker leaves or joins. In memory and on Kafka."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from broker.ports import Admin, ShardClaims
from tests.contract.worlds import World
from tests.support.eventually import eventually


async def settled(claims: Sequence[ShardClaims], shards: int) -> list[frozenset[int]]:
    """What each holds, once together they hold every shard exactly once and nobody holds nothing."""
    held = [frozenset[int]() for _ in claims]
    async with asyncio.timeout(20):
        while sorted(shard for each in held for shard in each) != list(range(shards)) or not all(held):
            held = list(await asyncio.gather(*(each.changed(0.2) for each in claims)))
    return held


def member(which: str) -> str:
    """A worker's name."""
    return f"{which}-{uuid.uuid4().hex[:8]}"


async def test_shards_are_shared_and_move(world: World) -> None:
    """One worker holds all; with a second each holds a part; when one leaves, the other has all again, without delay."""
    shards = await world.shards()
    transport = world.operator()
    first = await transport.shard_claims(member("a"))
    assert await first.changed(5.0) == frozenset(range(shards))
    second = await transport.shard_claims(member("b"))
    held = await settled([first, second], shards)
    assert max(map(len, held)) - min(map(len, held)) <= 1
    began = asyncio.get_running_loop().time()
    await first.close()
    await settled([second], shards)
    assert asyncio.get_running_loop().time() - began < 1.9  # sooner than the session of 2 s ends: it said that it leaves
    await first.close()
    await second.close()


async def test_who_holds_what_is_told(world: World) -> None:
    """The registrar's view agrees with what the workers hold, by the names under which they joined; with nobody there it is empty."""
    shards, transport, admin = await world.shards(), world.operator(), world.admin()
    names = [member("a"), member("b")]
    claims = [await transport.shard_claims(name) for name in names]
    held = await settled(claims, shards)
    wanted = {shard: name for name, each in zip(names, held, strict=True) for shard in each}
    await eventually(lambda: _is(admin, wanted), what="the workers as they are")
    for each in claims:
        await each.close()
    await eventually(lambda: _is(admin, {}), what="nobody")
    await admin.close()


async def _is(admin: Admin, wanted: dict[int, str]) -> bool:
    return dict(await admin.workers()) == wanted


async def test_the_first_answer_comes_at_once_and_the_next_when_something_changes(world: World) -> None:
    """``changed`` does not wait for what it has not told yet; after that an unchanged holding is told when time is over."""
    shards = await world.shards()
    claims = await world.operator().shard_claims(member("solo"))
    began = asyncio.get_running_loop().time()
    assert await claims.changed(30.0) == frozenset(range(shards))
    assert asyncio.get_running_loop().time() - began < 5
    assert await claims.changed(0.05) == frozenset(range(shards))
    await claims.close()
