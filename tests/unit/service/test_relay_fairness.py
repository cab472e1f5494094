"""A busy outbox, or thousands of them, and one message of somebody else: at most one more batch stands before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from broker import ids
from broker.errors import Refusal
from broker.exchange import relay as relaying
from broker.exchange.receive import is_receipt
from broker.exchange.topology import DIRECTORY, agency_specs
from broker.testing.exchange import Attempt, Entry, Fault
from broker.trust.entries import directory_key, new_message_key, unsigned_agency
from broker.trust.keys import VerifyKey
from tests.support.eventually import eventually
from tests.support.parcels import Author, key
from tests.unit.exchange.bench import Desk
from tests.unit.service.rings import deliveries
from tests.unit.service.world import World
from tests.unit.service.world import world as running


class Commits:
    """Watches the relay's transactions: which of them answered whom. At the one of number ``at``, from 1, something happens."""

    def __init__(self, world: World, *, at: int = 0, happens: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self.answered: dict[str, list[int]] = {}
        self._at, self._happens = at, happens
        world.memory.faults = self

    def __call__(self, attempt: Attempt) -> Fault:
        if attempt.kind == "commit":
            self.count += 1
            for record in attempt.records:
                if is_receipt(record.key) and record.topic.startswith("in."):
                    self.answered.setdefault(record.topic.partition(".")[2], []).append(self.count)
            if self.count == self._at:
                self._happens()
        return Fault.APPLY


def lay(world: World, agency: str, *values: bytes) -> None:
    """Records in an outbox, at once."""
    for value in values:
        world.memory.log((ids.outbox(agency), 0)).append(Entry(world.now, None, value))
    world.memory.ring()


def alert_of(world: World, agency: str, number: int = 1) -> bytes:
    """One good message."""
    return world.author(agency, seed=number).write(world.alert(number, owner=agency), now_ms=world.now).value


async def test_ten_thousand_records_delay_another_outbox_by_no_batch(world: World) -> None:
    """10,000 records wait in one outbox when the relay comes; one waits in another: it is in the first transaction."""
    await world.exchange.stop_relay()
    lay(world, "SG-CUSTOMS", *(b"garbage" for _ in range(10_000)))
    lay(world, "MY-CUSTOMS", alert_of(world, "MY-CUSTOMS"))
    commits = Commits(world)
    await world.exchange.start_relay()
    await world.answered(1, "MY-CUSTOMS")
    assert commits.answered["MY-CUSTOMS"] == [1]
    assert len(world.receipts("SG-CUSTOMS")) < 10_000


async def test_message_that_comes_in_the_middle_of_a_flood(world: World) -> None:
    """It comes while a batch of the flood is being committed and another is taken in, and is in the one after that."""
    await world.exchange.stop_relay()
    lay(world, "SG-CUSTOMS", *(b"garbage" for _ in range(10_000)))
    commits = Commits(world, at=3, happens=lambda: lay(world, "MY-CUSTOMS", alert_of(world, "MY-CUSTOMS")))
    await world.exchange.start_relay()
    await world.answered(1, "MY-CUSTOMS")
    assert commits.answered["MY-CUSTOMS"][0] <= 5


async def test_flood_of_large_messages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch is full after a few messages, and what was read of the flood is left over for many batches: the message of another
    outbox that comes meanwhile is in the third batch from then at the latest, and nothing of the flood is lost or reordered."""
    monkeypatch.setattr(relaying, "BUDGET", 40_000)
    await world.exchange.stop_relay()
    author = world.author("SG-CUSTOMS")
    flood = [author.write(world.alert(number), now_ms=world.now).value for number in range(1, 201)]
    lay(world, "SG-CUSTOMS", *flood)
    commits = Commits(world, at=3, happens=lambda: lay(world, "MY-CUSTOMS", alert_of(world, "MY-CUSTOMS")))
    await world.exchange.start_relay()
    assert {each.outcome for each in await world.answered(200)} == {"ACCEPTED"}
    assert commits.count > 15
    assert commits.answered["MY-CUSTOMS"][0] <= 6
    assert [each.seq for each in world.receipts()] == list(range(1, 201))
    assert deliveries(world) == [(str(number), 1) for number in range(1, 201)]


async def test_backlog_that_is_released_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of messages wait for one, which comes at last: they take many batches, and leave room in each for the outboxes of
    others, and those that wait likewise in another agency's stream have their turns with them."""
    await world.exchange.stop_relay()
    lines: dict[str, list[bytes]] = {}
    for agency in ("MY-CUSTOMS", "SG-CUSTOMS"):
        author = world.author(agency)
        lines[agency] = [author.write(world.alert(number, owner=agency), now_ms=world.now).value for number in range(1, 101)]
        lay(world, agency, *lines[agency][1:])
    await world.exchange.start_relay()
    relay = world.exchange.relay
    assert relay is not None
    await eventually(lambda: relay.totals.get("parked", 0) == 198)
    monkeypatch.setattr(relaying, "BUDGET", 40_000)
    commits = Commits(world, at=4, happens=lambda: lay(world, "AE-CUSTOMS", alert_of(world, "AE-CUSTOMS")))
    lay(world, "MY-CUSTOMS", lines["MY-CUSTOMS"][0])
    lay(world, "SG-CUSTOMS", lines["SG-CUSTOMS"][0])
    for agency in lines:
        await world.answered(100, agency)
        assert [each.seq for each in world.receipts(agency)] == list(range(1, 101))
    assert commits.count > 15
    assert commits.answered["AE-CUSTOMS"][0] <= 7
    for place in (25, 50, 75):
        reached = [commits.answered[agency][place] for agency in lines]
        assert max(reached) - min(reached) <= 8


async def test_full_batches_survive_failures(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that are full, and every third of them fails, kept or lost: the records left over are neither lost nor taken twice."""
    monkeypatch.setattr(relaying, "BUDGET", 40_000)
    await world.exchange.stop_relay()
    author = world.author()
    made = [author.write(world.alert(number), now_ms=world.now).value for number in range(1, 61)]
    lay(world, "SG-CUSTOMS", *made[30:], *made[:30])
    count = 0

    def faults(attempt: Attempt) -> Fault:
        nonlocal count
        count += attempt.kind == "commit"
        return (Fault.LOSE, Fault.KEEP)[count // 3 % 2] if attempt.kind == "commit" and count % 3 == 0 else Fault.APPLY

    world.memory.faults = faults
    await world.exchange.start_relay()
    await world.answered(60)
    assert deliveries(world) == [(str(number), 1) for number in range(1, 61)]
    assert {each.outcome for each in world.receipts()} == {"ACCEPTED"}
    assert count > 6


OUTBOXES = 2000


def enter_agencies(world: World, names: list[str]) -> None:
    """Members with their keys in the directory, and their topics."""
    registrar = world.exchange.operator.files.registrar()
    desk = Desk("local.test", "test", registrar)
    desk.directory = world.rules.directory
    log = world.memory.log((DIRECTORY, 0))
    known = desk.directory.agencies["AE-CUSTOMS"]
    for name in names:
        entry = replace(known, agency=name, master_spki=key(f"{name} master").spki, version=desk.next)
        value = desk.signed(unsigned_agency(entry, registrar, *desk.names))
        desk.enter(value)
        log.append(Entry(world.now, directory_key(entry), value))
        verify = VerifyKey.from_spki(key(name).spki)
        assert not isinstance(verify, Refusal)
        message_key = new_message_key(name, verify, now_ms=world.now)
        value = desk.key_entry(message_key)
        desk.enter(value)
        log.append(Entry(world.now, directory_key(message_key), value))
        world.memory.create(*agency_specs(name))


async def test_two_thousand_outboxes_in_one_shard() -> None:
    """A worker takes a shard of 2,000 outboxes and serves them: one record lies in each, and a flood in one. All are served within the
    batches that they fill, none twice, and the worker is as good as ever for a single message afterwards."""
    async with running(shards=1) as world:
        await world.exchange.stop_relay()
        names = [f"AE-N{number:04}" for number in range(OUTBOXES)]
        enter_agencies(world, names)
        lay(world, "SG-CUSTOMS", *(b"garbage" for _ in range(3000)))
        for number, name in enumerate(names):
            good = number % 100 == 0
            author = Author(name, key(name), world.rules)
            lay(world, name, author.write(world.alert(1, owner=name), now_ms=world.now).value if good else b"garbage")
        commits = Commits(world)
        began = time.monotonic()
        await world.exchange.start_relay()
        relay = world.exchange.relay
        assert relay is not None
        await eventually(lambda: sum(name in commits.answered for name in names) == OUTBOXES, 60, what="an answer for each")
        assert time.monotonic() - began < 60
        assert max(commits.answered[name][0] for name in names) <= 10
        assert all(len(commits.answered[name]) == 1 for name in names)
        await eventually(lambda: relay.totals.get("NOT_A_PARCEL", 0) == 3000 + OUTBOXES - 20, 60)
        assert relay.totals["accepted"] == 20
        began = time.monotonic()
        author = Author(names[-1], key(names[-1]), world.rules)
        lay(world, names[-1], author.write(world.alert(1, owner=names[-1]), now_ms=world.now).value)
        await eventually(lambda: relay.totals["accepted"] == 21)
        assert time.monotonic() - began < 2
