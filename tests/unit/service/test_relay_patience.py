"""A key that the relay does not know yet: it looks again before it refuses, seldom, and nobody else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from broker.service import relay
from broker.service.knowledge import Knowledge
from broker.service.publisher import Publisher
from tests.support.eventually import eventually
from tests.support.parcels import key
from tests.unit.service.rings import deliveries, enter_key, outbox, publisher_of, store_at
from tests.unit.service.slow import LateTransport
from tests.unit.service.world import World
from tests.unit.service.world import world as running

NEW = key("a new key")


class Looks:
    """Counts how often the directory is looked at, and how many look at the same time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.now = self.most = 0
        look = Knowledge.catch_up

        async def counted(knowledge: Knowledge, timeout: float) -> None:
            self.count += 1
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await look(knowledge, timeout)
            finally:
                self.now -= 1

        monkeypatch.setattr(Knowledge, "catch_up", counted)


@asynccontextmanager
async def late_relay(world: World) -> AsyncGenerator[LateTransport]:
    """The relay hears of the directory later than everybody else."""
    await world.exchange.stop_relay()
    transport = LateTransport(world.memory)
    worker = world.exchange.operator.relay(transport, "relay-late")
    task = asyncio.create_task(worker.run())
    await worker.ready()
    await eventually(lambda: bool(worker.serving))
    try:
        yield transport
    finally:
        worker.stop()
        await task


async def publish_under(world: World, publisher: Publisher) -> asyncio.Task[str]:
    """A message, and what becomes of it."""

    async def publish() -> str:
        return (await (await publisher.publish(world.alert(1))).receipt(10)).outcome

    return asyncio.create_task(publish())


async def test_key_that_comes_while_the_relay_looks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory entry reaches the relay a moment after the message: it looks, and accepts the message without a refusal."""
    looks = Looks(monkeypatch)
    async with late_relay(world) as transport:
        await enter_key(world, NEW)
        async with publisher_of(world, store_at(world), NEW) as publisher:
            result = await publish_under(world, publisher)
            await eventually(lambda: looks.now == 1, what="the relay looks")
            transport.arrive()
            assert await result == "ACCEPTED"
    assert (looks.count, world.quarantine(), len(outbox(world))) == (1, [], 1)


async def test_key_that_comes_too_late_is_healed_by_the_publisher(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """UNKNOWN_KEY, though the directory has the key: the publisher knows better, sends the same bytes again, and they are accepted when
    the entry has reached the relay; on the same stream, delivered once, and what was published behind it as well."""
    monkeypatch.setattr(relay, "REFRESH_WAIT_S", 0.01)
    store = store_at(world)
    stream = store.stream()[0]
    async with late_relay(world) as transport:
        await enter_key(world, NEW)
        async with publisher_of(world, store, NEW) as publisher:
            handles = [await publisher.publish(world.alert(number)) for number in (1, 2, 3)]
            assert {each.code for each in await world.answered(3)} == {"UNKNOWN_KEY"}
            assert len(store.unanswered()) == 3
            transport.arrive()
            answers = [await handle.receipt(10) for handle in handles]
    assert [(each.outcome, each.stream, each.seq) for each in answers] == [("ACCEPTED", stream, seq) for seq in (1, 2, 3)]
    assert len(set(outbox(world))) == 3
    assert deliveries(world) == [("1", 1), ("2", 1), ("3", 1)]


async def test_flood_of_unknown_keys_makes_few_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two outboxes of two shards full of messages under keys that nobody has: the directory is looked at once a second at most, by one
    of them at a time, and every record is refused."""
    looks = Looks(monkeypatch)
    async with running(shards=4) as world:
        began = asyncio.get_running_loop().time()
        for agency in ("SG-CUSTOMS", "MY-CUSTOMS"):
            author = world.author(agency)
            made = [author.write(world.alert(number, owner=agency), now_ms=world.now, by=NEW) for number in range(30)]
            await world.put(*(each.value for each in made), outbox=agency)
        for agency in ("SG-CUSTOMS", "MY-CUSTOMS"):
            assert {each.code for each in await world.answered(30, agency)} == {"UNKNOWN_KEY"}
        assert looks.most == 1
        assert 1 <= looks.count <= 1 + (asyncio.get_running_loop().time() - began) / relay.REFRESH_S


async def test_other_shards_go_on_while_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one shard waits for the directory, an agency of another shard is served, and its own new key is not waited for."""
    monkeypatch.setattr(relay, "REFRESH_WAIT_S", 30.0)
    looks = Looks(monkeypatch)
    async with running(shards=4) as world, late_relay(world) as transport:
        await enter_key(world, NEW)
        async with publisher_of(world, store_at(world), NEW) as publisher:
            result = await publish_under(world, publisher)
            await eventually(lambda: looks.now == 1, what="the relay looks")
            receipt = await world.agency("MY-CUSTOMS").publish(world.alert(5, owner="MY-CUSTOMS"))
            assert receipt.outcome == "ACCEPTED"
            author = world.author("AE-CUSTOMS")
            await world.put(author.write(world.alert(6, owner="AE-CUSTOMS"), now_ms=world.now, by=NEW).value, outbox="AE-CUSTOMS")
            assert [each.code for each in await world.answered(1, "AE-CUSTOMS")] == ["UNKNOWN_KEY"]
            assert not result.done()
            transport.arrive()
            assert await result == "ACCEPTED"
    assert looks.most == 1
