"""Every write of every party fails in every way: it dies before it, it dies after it, it is told that it failed though it took place,
and it is told so rightly. Each time four revisions go from agency to agency, and in the end each has had its effect once, in order.

``make faults`` prints what was found as a table: one row for each write.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import pytest

from broker.errors import BrokerError, StoreError
from broker.exchange.topology import DIRECTORY
from broker.ports import Stored
from broker.service.publisher import Publisher
from broker.storage.clock import SystemRandomness
from broker.storage.publisher_store import SqlitePublisherStore
from broker.storage.subscriber_store import SqliteSubscriberStore
from broker.testing.exchange import Attempt, Fault
from tests.faults.checks import Ledger, check_inboxes
from tests.faults.matrix import PROPERTY
from tests.support.eventually import eventually
from tests.unit.service.world import World, abandon, left_behind

SUBJECT: Final = "SG-CUSTOMS/2026/000001"
REVISIONS: Final = 4


class Fate(Enum):
    """What becomes of one write, and of the one who does it."""

    BEFORE = "killed before it"
    AFTER = "killed after it"
    TOOK_PLACE = "told it failed, but it took place"
    FAILED = "told it failed, and it did"

    @property
    def kills(self) -> bool:
        """The process does not go on."""
        return self in (Fate.BEFORE, Fate.AFTER)

    @property
    def stores(self) -> bool:
        """The write takes place."""
        return self in (Fate.AFTER, Fate.TOOK_PLACE)


IN_MEMORY: Final = {Fate.BEFORE: Fault.HANG, Fate.AFTER: Fault.KEEP, Fate.TOOK_PLACE: Fault.KEEP, Fate.FAILED: Fault.LOSE}


class Killed(BaseException):
    """The process dies here."""


class Blow:
    """Strikes the write of this number, once."""

    def __init__(self, fate: Fate, number: int) -> None:
        self.fate, self._number = fate, number
        self._count = 0
        self.struck = asyncio.Event()

    @property
    def now(self) -> bool:
        """Counts a write; whether it is the one."""
        self._count += 1
        if self._count == self._number:
            self.struck.set()
        return self._count == self._number

    def on_store(self, write: Callable[[], Any], error: Exception, before: Callable[[], None] = lambda: None) -> Any:
        """Do a write of a store, or what becomes of it. ``before`` is called where the process dies, with the file as it is left."""
        if not self.now:
            return write()
        if self.fate.stores:
            write()
        if self.fate.kills:
            before()
            raise Killed
        raise error

    def on_exchange(self, wanted: Callable[[Attempt], bool], die: Callable[[], None] = lambda: None) -> Callable[[Attempt], Fault]:
        """A hook for the exchange in memory."""

        def faults(attempt: Attempt) -> Fault:
            if not wanted(attempt) or not self.now:
                return Fault.APPLY
            die()
            return IN_MEMORY[self.fate]

        return faults


class FailingPublisherStore(SqlitePublisherStore):
    """A publisher's store that a blow falls on. ``left``: what lies on the disk when the process dies."""

    def __init__(self, path: Path, blows: dict[str, Blow]) -> None:
        super().__init__(path, "SG-CUSTOMS", bytes(16))
        self._path, self._blows = path, blows
        self.left: Path | None = None

    def leave(self) -> None:
        """The process dies."""
        self.left = left_behind(self._path)

    def add(self, messages: Sequence[Stored]) -> None:
        self._struck("add", lambda: super(FailingPublisherStore, self).add(messages))

    def settle(self, receipts: Sequence[tuple[bytes, bytes]], position: int) -> frozenset[bytes]:
        return self._struck("settle", lambda: super(FailingPublisherStore, self).settle(receipts, position))

    def give_up(self, stream: bytes, successor: bytes, *, hole: int | None) -> None:
        self._struck("give_up", lambda: super(FailingPublisherStore, self).give_up(stream, successor, hole=hole))

    def reseat(self, moves: Sequence[tuple[bytes, Stored]]) -> None:
        self._struck("reseat", lambda: super(FailingPublisherStore, self).reseat(moves))

    def _struck(self, name: str, write: Callable[[], Any]) -> Any:
        blow = self._blows.get(name)
        return blow.on_store(write, StoreError("the disk has failed", advice="try another"), self.leave) if blow else write()


async def publish_rest(world: World, publisher: Publisher, store: SqlitePublisherStore) -> None:
    """Go on after the revision that the store knows, each with its receipt, then wait for those of before."""
    for revision in range(store.stream()[1] + 1, REVISIONS + 1):
        await (await publisher.publish(world.alert(1, revision=revision))).receipt(10)
    await eventually(lambda: not store.unanswered(), what="all receipts")


def publisher_on(world: World, store: SqlitePublisherStore) -> Publisher:
    """A publisher of SG-CUSTOMS."""
    member, transport = world.agency().member, world.agency().transport
    return Publisher("SG-CUSTOMS", transport, member.knowledge(transport), member.files.signer(), store, world.clock, SystemRandomness())


async def strike_publisher(world: World, fate: Fate, write: str) -> None:
    """The publisher's third write of a sort: storing records, sending one, storing receipts."""
    blow, path = Blow(fate, 3), world.agency().member.files.publisher_store
    store = FailingPublisherStore(path, {} if write == "send" else {write: blow})
    if write == "send":
        wanted = _sends_to("out.SG-CUSTOMS")
        world.memory.faults = blow.on_exchange(wanted, store.leave if fate.kills else lambda: None)
    publisher = publisher_on(world, store)
    await publisher.start()
    work = asyncio.create_task(publish_rest(world, publisher, store))
    struck = asyncio.create_task(blow.struck.wait())
    await asyncio.wait({struck}, timeout=10)
    assert struck.done(), "nothing was struck"
    if fate.kills:
        await abandon(publisher)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert store.left is not None
        path = store.left
    else:
        failed = (await asyncio.gather(work, return_exceptions=True))[0]
        assert failed is None or isinstance(failed, BrokerError), failed
        await publisher.close()
    world.memory.faults = None
    after = SqlitePublisherStore(path, "SG-CUSTOMS", bytes(16))
    async with publisher_on(world, after) as successor:
        await publish_rest(world, successor, after)


def _sends_to(topic: str) -> Callable[[Attempt], bool]:
    return lambda attempt: attempt.kind == "send" and attempt.records[0].topic == topic


async def publish_all(world: World, revisions: range) -> None:
    """Without any fault."""
    publisher = await world.agency().publisher()
    for revision in revisions:
        await (await publisher.publish(world.alert(1, revision=revision))).receipt(10)


async def strike_relay(world: World, fate: Fate, _write: str) -> None:
    """The relay's second transaction: deliveries, receipts, journal, state and positions are one write."""
    blow = Blow(fate, 2)
    world.memory.faults = blow.on_exchange(lambda attempt: attempt.kind == "commit")
    work = asyncio.create_task(publish_all(world, range(1, REVISIONS + 1)))
    await asyncio.wait_for(blow.struck.wait(), 10)
    if fate.kills:
        running = world.exchange._running  # pyright: ignore[reportPrivateUsage]
        assert running is not None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await world.exchange.start_relay("relay-2")
    await work


class FailingSubscriberStore(SqliteSubscriberStore):
    """A subscriber's store that a blow falls on."""

    def __init__(self, world: World, name: str, blow: Blow) -> None:
        super().__init__(world.agency("MY-CUSTOMS").member.files.subscriber_store, "MY-CUSTOMS")
        self._name, self._blow = name, blow

    def attempt(self, before: int) -> None:
        self._struck("attempt", lambda: super(FailingSubscriberStore, self).attempt(before))

    def commit(self) -> None:
        self._struck("commit", super().commit)

    def _struck(self, name: str, write: Callable[[], None]) -> None:
        if name == self._name:
            self._blow.on_store(write, sqlite3.OperationalError("disk I/O error"))
        else:
            write()


async def strike_subscriber(world: World, fate: Fate, write: str) -> None:
    """The subscriber's mark that a batch is begun, and the batch itself: position, effects and what was seen are one write."""
    ledger, blow, my = Ledger(world), Blow(fate, 1), world.agency("MY-CUSTOMS")
    await publish_all(world, range(1, 3))
    await world.subscribe(ledger)
    await publish_all(world, range(3, REVISIONS + 1))
    dying = my.member.subscriber(my.transport, store=FailingSubscriberStore(world, write, blow))
    with pytest.raises((Killed, sqlite3.OperationalError)):
        await dying.run(ledger, idle_timeout=0.05)
    assert blow.struck.is_set()


async def strike_registrar(world: World, fate: Fate, write: str) -> None:
    """The directory entries of an admission; the operator repeats it. Then the new member's first message is as good as any."""
    blow = Blow(fate, int(write[-1]))
    world.memory.faults = blow.on_exchange(_sends_to(DIRECTORY))
    if fate is Fate.BEFORE:
        call = asyncio.create_task(world.exchange.join("DE-CUSTOMS", "customs"))
        await asyncio.wait_for(blow.struck.wait(), 10)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    else:
        with pytest.raises(BrokerError):
            await world.exchange.join("DE-CUSTOMS", "customs")
    world.memory.faults = None
    newcomer = await world.exchange.join("DE-CUSTOMS", "customs")
    rules = await world.learn()
    assert rules.directory.agencies["DE-CUSTOMS"].status == "active"
    receipt = await newcomer.publish(world.alert(7, owner="DE-CUSTOMS"))
    assert receipt.outcome == "ACCEPTED"
    values = [value for agency in ("MY-CUSTOMS", "AE-CUSTOMS") for value in world.inbox_values(agency)]
    assert len(values) == len(receipt.recipients) - ("SG-CUSTOMS" in {each.agency for each in receipt.recipients})


Strike = Callable[[World, Fate, str], Awaitable[None]]
WRITES: Final[dict[str, tuple[Strike, str]]] = {
    "publisher stores records": (strike_publisher, "add"),
    "publisher sends a record": (strike_publisher, "send"),
    "publisher stores receipts": (strike_publisher, "settle"),
    "relay commits a batch": (strike_relay, "commit"),
    "subscriber marks a batch": (strike_subscriber, "attempt"),
    "subscriber commits a batch": (strike_subscriber, "commit"),
}


@pytest.mark.parametrize("fate", Fate, ids=lambda fate: fate.name.lower())
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.replace(" ", "-"))
async def test_write_fails(world: World, write: str, fate: Fate, record_property: Callable[[str, object], None]) -> None:
    """Whatever becomes of a write, each revision is in each inbox once, in order, in one chain, and in the reader's own table once."""
    record_property(PROPERTY, (write, fate.value))
    strike, name = WRITES[write]
    await strike(world, fate, name)
    ledger = Ledger(world)
    await world.subscribe(ledger)
    expected = [(SUBJECT, revision) for revision in range(1, REVISIONS + 1)]
    assert ledger.rows() == expected
    check_inboxes(world, expected)


@pytest.mark.parametrize("fate", Fate, ids=lambda fate: fate.name.lower())
@pytest.mark.parametrize("entry", ["1", "2"])
async def test_admission_fails(world: World, entry: str, fate: Fate, record_property: Callable[[str, object], None]) -> None:
    """An admission that broke off at any directory entry is repeated, and then the agency is a member as if nothing had been."""
    record_property(PROPERTY, (f"registrar writes entry {entry}", fate.value))
    await strike_registrar(world, fate, entry)
