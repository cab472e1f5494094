"""A publisher is killed at any point: what it took is delivered once, what it did not store was never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from broker.service.publisher import Publisher
from broker.storage.clock import SystemRandomness
from broker.storage.publisher_store import SqlitePublisherStore
from broker.testing.exchange import Attempt, Fault
from tests.faults.checks import check_inboxes, received
from tests.support.eventually import eventually
from tests.unit.service.world import World, abandon, left_behind


class Kill:
    """Stops the publisher at its send of this number, and keeps what its store holds at that moment."""

    def __init__(self, world: World, number: int, fault: Fault) -> None:
        self._world, self._number, self._fault = world, number, fault
        self._sends = 0
        self.left: Path | None = None
        world.memory.faults = self

    def __call__(self, attempt: Attempt) -> Fault:
        if attempt.kind != "send" or not attempt.records[0].topic.startswith("out."):
            return Fault.APPLY
        self._sends += 1
        if self._sends < self._number:
            return Fault.APPLY
        if self._sends > self._number:
            return Fault.HANG
        self.left = left_behind(self._world.agency().member.files.publisher_store)
        return self._fault


@pytest.mark.parametrize("number", [1, 3, 4])
@pytest.mark.parametrize("fault", [Fault.HANG, Fault.KEEP, Fault.LOSE])
async def test_killed_at_a_send(world: World, fault: Fault, number: int) -> None:
    """Killed before Kafka has the record, after it, or in doubt: a publisher on the store that is left sends the same bytes again, and
    each message that was stored is delivered once, in order."""
    kill = Kill(world, number, fault)
    publisher = await world.agency().publisher()
    calls = [asyncio.create_task(publisher.publish(world.alert(1, revision=revision))) for revision in (1, 2, 3, 4)]
    await eventually(lambda: kill.left is not None)
    await abandon(publisher)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    world.memory.faults = None
    assert kill.left is not None
    member = world.agency().member
    async with member.publisher(world.agency().transport, kill.left) as successor:
        handle = await successor.publish(world.alert(1, revision=9))
        receipt = await handle.receipt(10)
        assert (receipt.outcome, receipt.seq) == ("ACCEPTED", 5)
        await eventually(lambda: len(received(world, "MY-CUSTOMS")) == 5)
    check_inboxes(world, [(handle.subject, revision) for revision in (1, 2, 3, 4, 9)])
    values = {record.value for record in world.memory.records("out.SG-CUSTOMS")}
    assert len(values) == 5


def at_sends(fault: Fault, attempt: Attempt) -> Fault:
    """The same fate for every send."""
    return fault if attempt.kind == "send" else Fault.APPLY


class SlowKey:
    """A key whose process dies while it signs. ``left`` is the store as it is then."""

    def __init__(self, world: World) -> None:
        signer = world.key_of("SG-CUSTOMS")
        self.alg, self.kid = signer.alg, signer.kid
        self._path = world.agency().member.files.publisher_store
        self.left: Path | None = None

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        self.left = left_behind(self._path)
        await asyncio.Event().wait()
        return messages


async def test_killed_before_the_store_was_written(world: World) -> None:
    """What a publisher had not stored when it died was not sent either: its number is free for the next message, and nobody waits
    for a message that never was."""
    member, transport, key = world.agency().member, world.agency().transport, SlowKey(world)
    store = SqlitePublisherStore(member.files.publisher_store, "SG-CUSTOMS", bytes(16))
    dying = Publisher("SG-CUSTOMS", transport, member.knowledge(transport), key, store, world.clock, SystemRandomness())
    await dying.start()
    call = asyncio.create_task(dying.publish(world.alert(1)))
    await eventually(lambda: key.left is not None)
    await abandon(dying)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    async with member.publisher(transport, key.left) as successor:
        receipt = await (await successor.publish(world.alert(2))).receipt(10)
    await dying.close()
    assert (receipt.seq, receipt.outcome) == (1, "ACCEPTED")
    check_inboxes(world, [("SG-CUSTOMS/2026/000002", 1)])


async def test_killed_between_answer_and_store(world: World) -> None:
    """Killed with receipts in its inbox that it had not read: the next start collects them and sends nothing again."""
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1))
    path = left_behind(world.agency().member.files.publisher_store)
    await handle.receipt(10)
    await world.agency().close()
    before = len(world.memory.records("out.SG-CUSTOMS"))
    async with world.agency().member.publisher(world.agency().transport, path):
        assert len(world.memory.records("out.SG-CUSTOMS")) == before
    check_inboxes(world, [(handle.subject, 1)])


async def test_killed_again_and_again(world: World) -> None:
    """A publisher that dies at every start, having sent one record more or less, gets through in the end, without a repetition."""
    await world.exchange.stop_relay()
    publisher = await world.agency().publisher()
    for revision in (1, 2, 3):
        await publisher.publish(world.alert(1, revision=revision))
    path = left_behind(world.agency().member.files.publisher_store)
    await abandon(publisher)
    member, transport = world.agency().member, world.agency().transport
    for fault in (Fault.KEEP, Fault.LOSE, Fault.KEEP):
        world.memory.faults = partial(at_sends, fault)
        broken = member.publisher(transport, path)
        await broken.start()
        copy = left_behind(path)
        await abandon(broken)
        path = copy
    world.memory.faults = None
    await world.exchange.start_relay()
    async with member.publisher(transport, path) as last:
        receipt = await (await last.publish(world.alert(1, revision=4))).receipt(10)
        assert (receipt.seq, receipt.outcome) == (4, "ACCEPTED")
    check_inboxes(world, [("SG-CUSTOMS/2026/000001", revision) for revision in (1, 2, 3, 4)])
