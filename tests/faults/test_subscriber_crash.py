"""A subscriber is killed at any point: every delivery reaches the agency's own table once."""

from __future__ import annotations

import pytest

from broker.service.subscriber import Delivery, Outcome, Retry
from broker.storage.subscriber_store import SqliteSubscriberStore
from tests.faults.checks import Ledger
from tests.unit.service.world import World, left_behind

SUBJECT = "SG-CUSTOMS/2026/000001"


class Killed(BaseException):
    """The process dies here."""


class DyingStore(SqliteSubscriberStore):
    """A store whose process dies at a commit: before it took place, or after."""

    def __init__(self, world: World, *, at: int, after: bool) -> None:
        super().__init__(world.agency("MY-CUSTOMS").member.files.subscriber_store, "MY-CUSTOMS")
        self._at, self._after = at, after

    def commit(self) -> None:
        self._at -= 1
        if self._at == 0 and not self._after:
            raise Killed
        super().commit()
        if self._at == 0:
            raise Killed


async def send(world: World, revisions: range) -> None:
    publisher = await world.agency().publisher()
    for revision in revisions:
        assert (await (await publisher.publish(world.alert(1, revision=revision))).receipt(10)).outcome == "ACCEPTED"


@pytest.mark.parametrize("after", [False, True])
async def test_killed_at_a_commit(world: World, after: bool) -> None:
    """Died before the commit: the batch comes again, marked. Died after it: nothing comes again. The agency's table has each revision
    once, in order, either way."""
    ledger = Ledger(world)
    await send(world, range(1, 3))
    await world.subscribe(ledger)
    await send(world, range(3, 5))
    my = world.agency("MY-CUSTOMS")
    dying = my.member.subscriber(my.transport, store=DyingStore(world, at=1, after=after))
    with pytest.raises(Killed):
        await dying.run(ledger, idle_timeout=0.05)
    await send(world, range(5, 6))
    await world.subscribe(ledger)
    assert ledger.rows() == [(SUBJECT, revision) for revision in range(1, 6)]
    again = [(revision, redelivered) for _, revision, redelivered in ledger.calls[4:]]
    assert again == ([(5, False)] if after else [(3, True), (4, True), (5, False)])


@pytest.mark.parametrize("at", [1, 2, 3])
async def test_killed_in_the_handler(world: World, at: int) -> None:
    """The store as it lies on the disk in the middle of a handler holds nothing of the batch under way but the mark that it was
    begun; a subscriber on it does the batch once more, and the table has each revision once."""
    ledger = Ledger(world)
    await send(world, range(1, 4))
    my = world.agency("MY-CUSTOMS")

    async def handle(delivery: Delivery) -> Outcome | None:
        await ledger(delivery)
        if delivery.revision == at:
            left = left_behind(my.member.files.subscriber_store)
            left.rename(left.with_name("left.sqlite"))
            left.with_name(left.name + "-wal").rename(left.with_name("left.sqlite-wal"))
            raise Killed
        return None

    with pytest.raises(Killed):
        await world.subscribe(handle)
    assert ledger.rows() == []
    store = SqliteSubscriberStore(my.member.files.subscriber_store.with_name("left.sqlite"), "MY-CUSTOMS")
    assert store.position() is None
    assert store.attempted() == world.memory.records("in.MY-CUSTOMS")[-1].offset + 1
    subscriber = my.member.subscriber(my.transport, store=store)
    ledger.calls.clear()
    counts = await subscriber.run(ledger, idle_timeout=0.05)
    assert ledger.calls == [(SUBJECT, revision, True) for revision in (1, 2, 3)]
    assert (counts.delivered, counts.gaps, counts.duplicates) == (3, 0, 0)


async def test_killed_while_something_waits(world: World) -> None:
    """What waited for another try still waits after a crash, and is then done once, before the later revisions."""
    ledger = Ledger(world)
    answers: list[Outcome] = [Retry(10.0, "not now")]

    async def handle(delivery: Delivery) -> Outcome | None:
        await ledger(delivery)
        return answers.pop() if answers else None

    await send(world, range(1, 3))
    my = world.agency("MY-CUSTOMS")
    dying = my.member.subscriber(my.transport, store=DyingStore(world, at=1, after=True))
    with pytest.raises(Killed):
        await dying.run(handle, idle_timeout=0.05)
    assert ledger.rows() == []
    await send(world, range(3, 4))
    await world.subscribe(handle)
    assert ledger.rows() == []
    world.clock.advance(10_000)
    await world.subscribe(handle)
    assert ledger.rows() == [(SUBJECT, revision) for revision in (1, 2, 3)]
    assert [revision for _, revision, _ in ledger.calls] == [1, 1, 2, 3]
