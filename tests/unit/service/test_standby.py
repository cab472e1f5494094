"""A standby knows what the holder of a shard wrote, no more and no less, and lets go of it where there is too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from broker.exchange.records import Record
from broker.exchange.shard import ShardState
from broker.exchange.topology import STATE
from broker.service.standby import Standby, Warm
from broker.testing.memory import MemoryTransport
from tests.support.eventually import eventually
from tests.unit.service.world import World


def from_scratch(world: World) -> ShardState:
    """What reading the whole state topic gives."""
    state = ShardState(0)
    for offset, record in enumerate(world.memory.records(STATE)):
        state.load(Record(STATE, 0, offset, world.now, record.key, record.value))
    return state


def facts(state: ShardState) -> tuple[object, ...]:
    """Everything that a relay goes by."""
    return state.positions, state.streams, state.subjects, state.chains, state.accounts, state.waiting


@asynccontextmanager
async def following(world: World, **how: int) -> AsyncGenerator[Standby]:
    """A standby of the exchange's one shard, reading."""
    standby = Standby(MemoryTransport(world.memory, "relay"), 1, **how)
    task = asyncio.create_task(standby.follow())
    try:
        yield standby
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def published(world: World, *numbers: int, revision: int = 1) -> None:
    """Alerts of these numbers, each with its receipt."""
    for number in numbers:
        await world.agency().publish(world.alert(number, revision=revision))


async def all_read(world: World, standby: Standby) -> None:
    """Wait until everything that was written was read."""
    await eventually(lambda: standby.rows.get(0, -1) >= len(world.memory.records(STATE)), what="the standby")


async def test_it_follows_what_the_holder_writes(world: World) -> None:
    """Messages, later revisions, what waits for its turn: read as it is written, the state is the one that reading it all gives."""
    async with following(world) as standby:
        await published(world, 1, 2, 3)
        author = world.author(seed=5)
        author.write(world.alert(50), now_ms=world.now)
        await world.put(author.write(world.alert(51), now_ms=world.now).value)  # its predecessor never comes
        await published(world, 1, revision=2)
        await eventually(lambda: bool(from_scratch(world).waiting), what="a message that waits")
        await all_read(world, standby)
        warm = standby.take(0)
    assert facts(warm.state) == facts(from_scratch(world))
    assert warm.rows == len(world.memory.records(STATE))


async def test_what_was_taken_is_followed_no_more(world: World) -> None:
    """The new holder owns the state: the standby adds nothing to it, and begins anew, from the beginning, when it is given back."""
    async with following(world) as standby:
        await published(world, 1)
        await all_read(world, standby)
        warm = standby.take(0)
        before, rows = facts(from_scratch(world)), warm.rows
        await published(world, 2)
        assert (facts(warm.state), warm.rows) == (before, rows)
        assert standby.rows == {}
        standby.release([0])
        await all_read(world, standby)
        again = standby.take(0)
    assert again.state is not warm.state
    assert facts(again.state) == facts(from_scratch(world))


async def test_a_shard_that_was_never_read_begins_at_the_beginning(world: World) -> None:
    """Without a warm copy everything is read, as if there were no standby."""
    standby = Standby(MemoryTransport(world.memory, "relay"), 1)
    standby.take(0)
    warm = standby.take(0)
    assert isinstance(warm, Warm)
    assert (warm.position, warm.rows, facts(warm.state)) == ("beginning", 0, facts(ShardState(0)))


async def test_too_much_is_let_go(world: World) -> None:
    """Beyond the limit the largest shard is dropped and not read again, so memory stays bounded; whoever takes it reads all."""
    await published(world, 1, 2, 3)
    async with following(world, rows_limit=5) as standby:
        await eventually(lambda: standby.given_up == frozenset({0}), what="the shard to be let go")
        await published(world, 4)
        assert standby.rows == {0: 0}
        warm = standby.take(0)
    assert (warm.position, facts(warm.state)) == ("beginning", facts(ShardState(0)))


async def test_a_worker_takes_over_from_its_warm_copy(world: World) -> None:
    """The second worker has read the state before the first one ends: it takes the shard, reads the rest, and answers a duplicate with
    the receipt that the first one gave."""
    author = world.author()
    first, second = (author.write(world.alert(number), now_ms=world.now).value for number in (1, 2))
    await world.put(first)
    (receipt,) = await world.answered(1)
    await world.exchange.stop_relay()
    await world.exchange.start_relay("relay-2")
    await world.put(first, second)
    answers = await world.answered(3)
    assert answers[1] == receipt
    assert [answer.outcome for answer in answers] == ["ACCEPTED"] * 3
