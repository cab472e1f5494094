"""Whoever becomes entitled to what lies behind gets it: late joiners, reinstated members, new communities, ended embargoes, new bundles;
and from whom it is taken by these, it is gone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio

from broker.envelope.receipt import Receipt
from broker.exchange.receive import read_receipt
from broker.exchange.shard import ShardState
from broker.exchange.topology import DAY_MS, STATE
from broker.families.message import Audience, Message
from broker.families.recall import recall
from broker.service.subscriber import KEPT_MS, Retry
from broker.storage.publisher_store import SqlitePublisherStore
from broker.storage.register import RegisterStore
from broker.testing.local import LocalAgency
from broker.testing.samples import sample_alert
from tests.support.deliveries import bytes_of
from tests.support.eventually import eventually
from tests.support.latecomers import Rows, known_in, put_into
from tests.support.officers import change, files_without, shipped_files
from tests.support.standing import reinstate, suspend
from tests.unit.service.world import COMMUNITY, Taker, World
from tests.unit.service.world import world as running

NEWCOMER = "ID-CUSTOMS"


@pytest_asyncio.fixture
async def several() -> AsyncGenerator[World]:
    """An exchange of four shards."""
    async with running(shards=4) as made:
        yield made


async def publish(world: World, *messages: Message, agency: str = "SG-CUSTOMS") -> None:
    """Publish, and wait until all are accepted."""
    publisher = await world.agency(agency).publisher()
    handles = [await publisher.publish(message) for message in messages]
    assert {(await handle.receipt(10)).outcome for handle in handles} == {"ACCEPTED"}


async def send(world: World, *numbers: int, revision: int = 1) -> None:
    await publish(world, *(world.alert(number, revision=revision) for number in numbers))


async def settled(world: World) -> None:
    """Wait until every shard that has subjects has decided all of them under the rules of now."""
    rules = await world.learn()

    def all_decided() -> bool:
        states = [ShardState(number) for number in range(world.memory.partitions(STATE))]
        for state in states:
            for record in world.memory.records(STATE, state.number):
                state.load(record)
        return all(state.sweep.position is None and state.sweep.deciding == rules.deciding for state in states if state.subjects)

    await eventually(all_decided, 20, what="the end of the sweeps")


async def seen(world: World, agency: str) -> list[tuple[str, int]]:
    """What the agency's subscriber hands over from where it was, without anything refused or missing."""
    taker = Taker()
    counts = await world.subscribe(taker, agency)
    assert (counts.refused, counts.gaps, counts.duplicates) == (0, 0, 0)
    return taker.seen


async def known(agency: LocalAgency) -> Rows:
    """The agency's register, brought up to date."""
    await agency.member.register(agency.transport).follow(until_end=True)
    with contextlib.closing(RegisterStore(agency.member.files.register_store, agency.agency)) as store:
        return known_in(store)


def taken_back(world: World, number: int, revision: int) -> Message:
    core: Any = {"reason": "ERROR", "action": "DELETE", "due": datetime.fromtimestamp((world.now + DAY_MS) / 1000, UTC)}
    subject = f"SG-CUSTOMS/2026/{number:06}"
    return recall(subject=subject, revision=revision, audience=Audience(communities=(COMMUNITY,)), core=core)


async def test_late_joiner_knows_what_the_others_know(several: World) -> None:
    """An agency that joins when all is published, of two originators in different shards, has the register of one that was there from the
    beginning: each subject's last revision, nothing recalled; and the originators' receipts name it."""
    world = several
    await send(world, 1, 2, 3)
    await publish(world, *(world.alert(number, owner="AE-CUSTOMS") for number in (7, 8)), agency="AE-CUSTOMS")
    await send(world, 1, revision=2)
    await publish(world, taken_back(world, 2, 2))
    newcomer = await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    now, then = await known(newcomer), await known(world.agency("MY-CUSTOMS"))
    assert [row[0][-1] for row in now["subject"]] == ["7", "8", "1", "3"]
    gone = "SG-CUSTOMS/2026/000002"
    assert [row for row in then["subject"] if row[0] != gone] == now["subject"]
    for table in ("content", "look"):
        assert now[table] == [row for row in then[table] if gone not in row]
        assert len(now[table]) > 0
    told = [receipt for receipt in world.receipts() if any(each.agency == NEWCOMER for each in receipt.recipients)]
    assert sorted(((receipt.subject or "")[-1], receipt.revision) for receipt in told) == [("1", 2), ("3", 1)]


async def test_what_a_latecomer_owes_is_reckoned_from_when_it_came(world: World) -> None:
    """An alert of two days ago is not overdue for who gets it now: its time to acknowledge begins when it came."""
    await send(world, 1)
    world.clock.advance(2 * DAY_MS)
    newcomer = await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    await known(newcomer)
    await known(world.agency("MY-CUSTOMS"))
    due: dict[str, int] = {}
    for agency in (NEWCOMER, "MY-CUSTOMS"):
        with contextlib.closing(world.agency(agency).member.register(world.agency(agency).transport).reader()) as reader:
            (due[agency],) = [each.duty.due_ms for each in reader.duties(world.now) if each.duty.kind == "ACKNOWLEDGE"]
            assert [each.duty.kind for each in reader.duties(world.now, overdue=True)] == ([] if agency == NEWCOMER else ["ACKNOWLEDGE"])
    assert due[NEWCOMER] - due["MY-CUSTOMS"] == 2 * DAY_MS


async def test_owner_keeps_whom_it_reached_later(world: World) -> None:
    """The publisher's store has the further receipt beside the first, once, also when the publisher was not running when it came."""
    await send(world, 1)
    sg = world.agency()
    await sg.close()
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    await sg.publisher()
    await send(world, 2)
    await sg.close()
    with contextlib.closing(SqlitePublisherStore(sg.member.files.publisher_store, sg.agency, bytes(16))) as store:
        (note,) = store.later("SG-CUSTOMS/2026/000001")
        assert store.later("SG-CUSTOMS/2026/000002") == []
    receipt = read_receipt(note, world.rules)
    assert isinstance(receipt, Receipt)
    assert [each.agency for each in receipt.recipients] == [NEWCOMER]


async def test_traffic_goes_on_meanwhile(world: World) -> None:
    """Messages published while a newcomer is served reach everybody, the newcomer as well, each once and in order per subject."""
    await send(world, *range(1, 40))
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await send(world, *range(1, 40, 3), revision=2)
    await settled(world)
    found = await seen(world, NEWCOMER)
    assert len(found) == len(set(found))
    assert {name: max(revision for each, revision in found if each == name) for name, _ in found} == {
        f"{number:06}": 2 if number % 3 == 1 else 1 for number in range(1, 40)
    }
    assert len(await seen(world, "MY-CUSTOMS")) == 39 + 13


async def test_reinstated(world: World) -> None:
    """While an agency is suspended nothing reaches its inbox, whatever else changes; when it is back, what it missed does."""
    await send(world, 1, 2)
    await suspend(world.exchange.operator, "MY-CUSTOMS")
    await settled(world)
    await send(world, 1, revision=2)
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    assert len(world.inbox_values("MY-CUSTOMS")) == 2
    await reinstate(world.exchange.operator, "MY-CUSTOMS")
    await settled(world)
    assert await seen(world, "MY-CUSTOMS") == [("000001", 1), ("000002", 1), ("000001", 2)]


async def test_community_is_given(world: World) -> None:
    """An agency that the registrar puts into a community gets what was published to it; who had it already gets nothing again."""
    await publish(world, *(sample_alert(f"SG-CUSTOMS/2026/{n:06}", now_ms=world.now, communities=["STCE-PACIFIC"]) for n in (1, 2)))
    assert (world.inbox_values("MY-CUSTOMS"), len(world.inbox_values("AE-CUSTOMS"))) == ([], 2)
    await put_into(world.exchange.operator, "MY-CUSTOMS", [COMMUNITY, "STCE-PACIFIC"])
    await settled(world)
    assert await seen(world, "MY-CUSTOMS") == [("000001", 1), ("000002", 1)]
    assert len(world.inbox_values("AE-CUSTOMS")) == 2


async def test_embargo_ends_by_the_clock(world: World) -> None:
    """Nobody does anything: the date comes, and the audience has it, once."""
    until = world.now + DAY_MS
    message = sample_alert("SG-CUSTOMS/2026/000001", now_ms=world.now, communities=[COMMUNITY], embargo_until_ms=until)
    await publish(world, message)
    assert world.inbox_values("MY-CUSTOMS") == []
    world.clock.advance(DAY_MS + 1)
    await eventually(lambda: len(world.inbox_values("MY-CUSTOMS")) == 1)
    await settled(world)
    assert await seen(world, "MY-CUSTOMS") == [("000001", 1)]


async def test_bundle_that_gives_more(world: World) -> None:
    """A bundle that discloses more sections makes a delivery of the same message: its handler gets it once more, marked as seen before,
    with all sections, and the register has them then."""
    operator = world.exchange.operator
    await change(operator, files_without("read-shipment"))
    await settled(world)
    relay = world.exchange.relay
    assert relay is not None
    await eventually(lambda: relay._knowledge.rules.policy_version == 2)  # pyright: ignore[reportPrivateUsage]
    await send(world, 1)
    first, second = Taker(), Taker()
    await world.subscribe(first)
    my = world.agency("MY-CUSTOMS")
    assert [row[0] for row in (await known(my))["look"] if row[0] == "CONTAINER"] == []
    await change(operator, shipped_files(), widens=["read-shipment"])
    await settled(world)
    counts = await world.subscribe(second)
    assert (counts.delivered, counts.duplicates, counts.gaps) == (1, 0, 0)
    (before,), (after,) = first.taken, second.taken
    assert (before.redelivered, after.redelivered, after.slip.redelivery) == (False, True, True)
    assert before.slip.leaf == after.slip.leaf
    assert set(after.sections) - set(before.sections) == {"equipment", "goods", "route"}
    assert "equipment" in (await known(my))["content"][0][1]
    await change(operator, files_without("read-shipment"))
    await settled(world)
    third = Taker()
    assert (await world.subscribe(third)).delivered == 1
    (taken,) = third.taken
    assert (set(taken.sections), taken.redelivered) == (set(before.sections), True)


async def test_what_a_bundle_takes_is_in_no_byte(world: World) -> None:
    """A section that the rules of now do not give is, once the register has read on, in no byte of the agency's files, in no key that a
    subject is found by, and, once compacted, in no record of its inbox."""
    await send(world, 1)
    my = world.agency("MY-CUSTOMS")
    before = await known(my)
    (container,) = [row[1] for row in before["look"] if row[0] == "CONTAINER"]
    assert container.encode() in bytes_of(my.member.files.register_store)
    await change(world.exchange.operator, files_without("read-shipment"))
    await settled(world)
    after = await known(my)
    assert [row for row in after["look"] if row[0] == "CONTAINER"] == []
    assert container.encode() not in bytes_of(my.member.files.register_store)
    assert any(container.encode() in value for value in world.inbox_values("MY-CUSTOMS"))
    world.clock.advance(KEPT_MS + DAY_MS)
    world.memory.compact("in.MY-CUSTOMS")
    assert not any(container.encode() in value for value in world.inbox_values("MY-CUSTOMS"))


async def test_who_leaves_erases_and_who_comes_back_has_it_again(world: World) -> None:
    """An agency that is put out of the community that was addressed is told to erase, its owner has that as a further receipt, and in the
    community again the agency has the subject as before."""
    await send(world, 1)
    my = world.agency("MY-CUSTOMS")
    first = await known(my)
    await put_into(world.exchange.operator, "MY-CUSTOMS", ["OTHERS"])
    await settled(world)
    gone = await known(my)
    assert (gone["content"], gone["look"]) == ([], [])
    last = world.receipts()[-1]
    assert [(each.agency, each.withdrawn) for each in last.recipients] == [("MY-CUSTOMS", True)]
    assert [finding.code for finding in last.findings] == ["DISCLOSED_LESS"]
    await put_into(world.exchange.operator, "MY-CUSTOMS", [COMMUNITY])
    await settled(world)
    again = await known(my)
    assert (again["content"], again["look"]) == (first["content"], first["look"])


async def test_what_waits_for_another_try_is_not_handed_over_once_it_was_taken(world: World) -> None:
    """A delivery that the agency's handler put off waits in its store with all its sections; when rules take some away, it is handed over
    as it is then, and the old one is not tried any more."""
    await send(world, 1)
    later = Taker({"000001": [Retry(1, "the case system is down")]})
    await world.subscribe(later)
    assert "equipment" in later.taken[0].sections
    await change(world.exchange.operator, files_without("read-shipment"))
    await settled(world)
    taker = Taker()
    await world.subscribe(taker)
    world.clock.advance(5000)
    await world.subscribe(taker)
    assert [set(each.sections) for each in taker.taken] == [{"core"}]


async def test_redelivery_that_comes_again_is_a_duplicate(world: World) -> None:
    """A late delivery that somebody copies into the inbox once more is dropped: its number is not a new one."""
    await send(world, 1)
    await world.exchange.join(NEWCOMER, "customs", [COMMUNITY])
    await settled(world)
    (value,) = world.inbox_values(NEWCOMER)
    await world.slip_in(NEWCOMER, value)
    taker = Taker()
    counts = await world.subscribe(taker, NEWCOMER)
    assert (counts.delivered, counts.duplicates, counts.gaps) == (1, 1, 0)


async def test_away_for_months(world: World) -> None:
    """After 40 days the inbox is compacted: an agency that was away reads each subject's last revision, the gaps in its chain are no
    finding, and it knows what one knows that was there."""
    await send(world, 1, 2, 3)
    assert len(await seen(world, "MY-CUSTOMS")) == 3
    there = world.agency("AE-CUSTOMS")
    world.clock.advance(1000)
    for revision in range(2, 5):
        await publish(world, *(_lasting(world, number, revision) for number in (1, 2)))
        await known(there)
    world.clock.advance(KEPT_MS + DAY_MS)
    await publish(world, _lasting(world, 1, 5))
    world.memory.compact("in.MY-CUSTOMS")
    assert await seen(world, "MY-CUSTOMS") == [("000002", 4), ("000001", 5)]
    now, then = await known(world.agency("MY-CUSTOMS")), await known(there)
    assert [row[:4] for row in now["subject"]] == [row[:4] for row in then["subject"]]


def _lasting(world: World, number: int, revision: int) -> Message:
    return sample_alert(f"SG-CUSTOMS/2026/{number:06}", now_ms=world.now, communities=[COMMUNITY], revision=revision)


async def test_dropped_delivery_among_young_ones_is_still_a_finding(world: World) -> None:
    """That the last delivery before a gap is older than the inbox keeps makes the gap normal; a gap behind a young one is a finding, at
    an agency that was away as well."""
    await send(world, 1)
    assert len(await seen(world, "MY-CUSTOMS")) == 1
    world.clock.advance(KEPT_MS + DAY_MS)
    await send(world, 2, 3, 4, revision=1)
    log = world.memory.log(("in.MY-CUSTOMS", 0))
    (third,) = [r for r in world.memory.records("in.MY-CUSTOMS") if r.key == b"s/SG-CUSTOMS/2026/000003"]
    log.entries[third.offset] = None
    taker = Taker()
    assert (await world.subscribe(taker)).gaps == 1
    assert taker.seen == [("000002", 1), ("000004", 1)]
