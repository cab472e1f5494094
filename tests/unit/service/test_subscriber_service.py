"""The subscriber: verified deliveries to the agency's code, effects once, order per subject, nothing taken on trust."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker.errors import NotAuthorised, StoreError
from broker.exchange.receive import is_receipt
from broker.families.message import Message
from broker.ports import Record
from broker.service import subscriber as service
from broker.service.subscriber import DONE, Delivery, Outcome, Reject, Retry, Subscriber
from broker.testing.exchange import Entry
from tests.support.parcels import parcel, put
from tests.unit.families.samples import changed, good_seizure
from tests.unit.service.world import Taker, World, left_behind


async def send(world: World, *numbers: int, revision: int = 1) -> None:
    """Publish alerts and wait until they are accepted."""
    publisher = await world.agency().publisher()
    handles = [await publisher.publish(world.alert(number, revision=revision)) for number in numbers]
    assert {(await handle.receipt(10)).outcome for handle in handles} == {"ACCEPTED"}


def deliveries(world: World, inbox: str = "MY-CUSTOMS") -> list[Record]:
    return [record for record in world.memory.records(f"in.{inbox}") if not is_receipt(record.key)]


def rewrite(world: World, record: Record, value: bytes | None) -> None:
    """Exchange what lies in an inbox, or take it out, as somebody with Kafka's disks could."""
    log = world.memory.log((record.topic, 0))
    log.entries[record.offset] = None if value is None else Entry(record.timestamp_ms, record.key, value)


async def test_delivery_is_complete(world: World) -> None:
    """The handler gets decoded sections, what was withheld and by which rule, header, slip, and the record as evidence."""
    await send(world, 1)
    my, ae = Taker(), Taker()
    await world.subscribe(my, "MY-CUSTOMS")
    await world.subscribe(ae, "AE-CUSTOMS")
    (delivery,) = my.taken
    assert (delivery.family, delivery.originator, delivery.subject) == ("alert", "SG-CUSTOMS", "SG-CUSTOMS/2026/000001")
    assert (delivery.revision, delivery.attempt, delivery.redelivered) == (1, 1, False)
    assert delivery.sections["parties"]["parties"][0]["name"] == "Example Trading FZE"
    assert delivery.value == world.inbox_values()[0]
    assert (delivery.slip.recipient, delivery.slip.counter) == ("MY-CUSTOMS", 1)
    assert "parties" not in ae.taken[0].sections
    assert ae.taken[0].withheld == {"parties": "default-deny"}


async def test_goes_on_where_it_left_off(world: World) -> None:
    """A later run hands over what came since, nothing twice, and the end of a limited run is no crash."""
    await send(world, 1, 2, 3)
    first, second, third = Taker(), Taker(), Taker()
    assert (await world.subscribe(first, limit=2)).delivered == 2
    await world.subscribe(second)
    await world.subscribe(third)
    assert (first.seen, second.seen, third.seen) == ([("000001", 1), ("000002", 1)], [("000003", 1)], [])
    assert [delivery.redelivered for delivery in first.taken + second.taken] == [False] * 3


async def test_where_reading_begins(world: World) -> None:
    """From the beginning: everything again. From now: only what comes later, and the chain is taken up where it stands."""
    await send(world, 1, 2)
    first, again = Taker(), Taker()
    await world.subscribe(first)
    counts = await world.subscribe(again, start="beginning")
    assert first.seen == again.seen
    assert (counts.duplicates, counts.gaps) == (0, 0)
    now = Taker()
    await world.subscribe(now, start="now")
    assert now.seen == []
    await send(world, 3)
    counts = await world.subscribe(now)
    assert now.seen == [("000003", 1)]
    assert counts.gaps == 0


async def test_now_passes_over_what_is_there(world: World) -> None:
    """A new subscriber that begins now reports no gap for what lies before."""
    await send(world, 1, 2)
    taker = Taker()
    await world.subscribe(taker, start="now")
    await send(world, 3)
    counts = await world.subscribe(taker)
    assert (taker.seen, counts.gaps) == ([("000003", 1)], 0)


async def test_family_filter_passes_over_the_rest(world: World) -> None:
    """Only the families asked for reach the handler; the rest counts as read and leaves no gap."""
    sg = world.agency()
    seizure = replace(
        changed(good_seizure(), {"core.place.country": "SG", "core.occurred_at": world.now}),
        subject="SG-CUSTOMS/2026/S-1",
        audience=world.alert().audience,
    )
    await send(world, 1)
    assert (await sg.publish(_timely(world, seizure))).outcome == "ACCEPTED"
    await send(world, 2)
    taker, rest = Taker(), Taker()
    counts = await world.subscribe(taker, families=["seizure"])
    assert [delivery.family for delivery in taker.taken] == ["seizure"]
    assert counts.gaps == 0
    await world.subscribe(rest)
    assert rest.seen == []


def _timely(world: World, message: Message) -> Message:
    return replace(message, valid_until_ms=world.now + 86_400_000)


async def test_duplicates_are_dropped(world: World) -> None:
    """The same delivery again, at another place of the inbox, is dropped by its leaf and counted."""
    await send(world, 1)
    await world.slip_in("MY-CUSTOMS", world.inbox_values()[0], key=b"s/SG-CUSTOMS/2026/000001")
    taker = Taker()
    counts = await world.subscribe(taker)
    assert taker.seen == [("000001", 1)]
    assert counts.duplicates == 1


async def test_altered_delivery_is_kept_apart_and_the_next_one_comes(world: World) -> None:
    """A delivery with a stripped section, one meant for another agency, and garbage lie in the local quarantine with their codes;
    good ones before and behind are handed over, and the refused ones show as gaps in the chain."""
    await send(world, 1, 2, 3)
    records = deliveries(world)
    held = parcel(records[1].value or b"")
    stripped = {name: carried for name, carried in held.sections.items() if name != "parties"}
    rewrite(world, records[1], put(held, sections=stripped))
    await world.slip_in("MY-CUSTOMS", world.inbox_values("AE-CUSTOMS")[0])
    await world.slip_in("MY-CUSTOMS", b"garbage")
    taker = Taker()
    counts = await world.subscribe(taker)
    assert taker.seen == [("000001", 1), ("000003", 1)]
    assert (counts.refused, counts.gaps) == (3, 1)
    store = world.store()
    assert [(row[1], row[3]) for row in store.quarantined()] == [
        ("BAD_SLIP", world.now), ("NOT_FOR_ME", world.now), ("NOT_A_PARCEL", world.now),
    ]  # fmt: skip
    store.close()


async def test_dropped_delivery_is_noticed(world: World) -> None:
    """A delivery that somebody took out of the inbox leaves a gap in the relay's count, also the very first and also hidden under a
    receipt's key; one that compaction removed after 30 days is no finding."""
    await send(world, 1, 2, 3, 4)
    records = deliveries(world)
    rewrite(world, records[0], None)
    log = world.memory.log(("in.MY-CUSTOMS", 0))
    log.entries[records[2].offset] = Entry(records[2].timestamp_ms, b"r/hidden", records[2].value)
    taker = Taker()
    counts = await world.subscribe(taker)
    assert (taker.seen, counts.gaps) == ([("000002", 1), ("000004", 1)], 2)

    world.clock.advance(service.KEPT_MS + 1)
    old = Taker()
    assert (await world.subscribe(old, start="beginning")).gaps == 0
    assert old.seen == taker.seen


async def test_retry_holds_back_later_revisions_of_the_subject_only(world: World) -> None:
    """While a delivery waits for its next try, later revisions of its subject wait behind it; others go on. When its time comes, it
    and then they are handed over in order."""
    await send(world, 1)
    await send(world, 1, revision=2)
    await send(world, 2)
    await send(world, 1, revision=3)
    taker = Taker({"000001": [Retry(60.0, "the case system is down")]})
    counts = await world.subscribe(taker)
    assert taker.seen == [("000001", 1), ("000002", 1)]
    assert (counts.retried, counts.delivered) == (1, 1)
    world.clock.advance(59_999)
    await world.subscribe(taker)
    assert len(taker.taken) == 2
    world.clock.advance(1)
    await world.subscribe(taker)
    assert taker.seen[2:] == [("000001", 1), ("000001", 2), ("000001", 3)]
    assert [(delivery.attempt, delivery.redelivered) for delivery in taker.taken[2:]] == [(2, True), (1, False), (1, False)]


async def test_revision_that_comes_while_another_waits(world: World) -> None:
    """A revision that arrives in a later run still waits behind the held one."""
    taker = Taker({"000001": [Retry(60.0)]})
    await send(world, 1)
    await world.subscribe(taker)
    await send(world, 1, revision=2)
    await world.subscribe(taker)
    assert taker.seen == [("000001", 1)]
    world.clock.advance(60_000)
    await world.subscribe(taker)
    assert taker.seen == [("000001", 1), ("000001", 1), ("000001", 2)]


async def test_reject_goes_to_the_local_quarantine(world: World) -> None:
    """What the agency cannot use is kept with its reason and bytes; later revisions are handed over."""
    taker = Taker({"000001": [Reject("no such port")]})
    await send(world, 1)
    await send(world, 1, revision=2)
    counts = await world.subscribe(taker)
    assert (counts.rejected, counts.delivered) == (1, 1)
    store = world.store()
    assert [row[1:] for row in store.quarantined()] == [("REJECTED_HERE", "no such port", world.now)]
    assert store.transaction.execute("SELECT value FROM quarantine").fetchone()[0] == taker.taken[0].value
    store.close()


async def test_handler_that_raises_is_tried_again_with_growing_delays(world: World) -> None:
    """An exception is a retry after 2, 4, 8 ... seconds, at most 300, and after eight tries a rejection: never a hot loop, and never
    the end of the subscriber."""
    taker = Taker({"000001": [RuntimeError("boom") for _ in range(20)]})
    await send(world, 1, 2)
    await world.subscribe(taker)
    assert taker.seen == [("000001", 1), ("000002", 1)]
    waited: list[int] = []
    for _ in range(7):
        store = world.store()
        due = store.next_due()
        store.close()
        assert due is not None
        waited.append((due - world.now) // 1000)
        world.clock.advance(due - world.now)
        await world.subscribe(taker)
        assert len(taker.taken) == 2 + len(waited)
    assert waited == [2, 4, 8, 16, 32, 64, 128]
    assert [delivery.attempt for delivery in taker.taken if delivery.subject.endswith("1")] == list(range(1, 9))
    store = world.store()
    assert [row[1:3] for row in store.quarantined()] == [("REJECTED_HERE", "the handler raised RuntimeError")]
    assert store.next_due() is None
    store.close()


async def test_effects_in_the_transaction_happen_once(world: World) -> None:
    """What a handler writes through the delivery's transaction is committed with the position: undone where the handler asks for a
    retry, fails or rejects, and there exactly once in the end."""
    await send(world, 1, 2, 3, 4)
    store = world.store()
    store.transaction.execute("CREATE TABLE cases (subject TEXT)")
    store.close()
    taker = Taker({"000002": [Retry(1.0), RuntimeError("boom")], "000003": [Reject("unusable")]})

    async def handle(delivery: Delivery) -> Outcome | None:
        delivery.transaction.execute("INSERT INTO cases VALUES (?)", (delivery.subject[-1],))
        return await taker(delivery)

    for _ in range(4):
        await world.subscribe(handle)
        world.clock.advance(5_000)
    store = world.store()
    assert store.transaction.execute("SELECT subject FROM cases ORDER BY rowid").fetchall() == [("1",), ("4",), ("2",)]
    store.close()


class Killed(BaseException):
    """The process dies here."""


async def test_crash_in_the_handler_hands_over_again_and_says_so(world: World) -> None:
    """A process that dies in its handler hands the batch over again, marked as redelivered; effects in the transaction are there
    once, and what was committed before does not come again."""
    await send(world, 1)
    store = world.store()
    store.transaction.execute("CREATE TABLE cases (subject TEXT)")
    store.close()
    done: list[tuple[str, bool]] = []

    async def handle(delivery: Delivery) -> Outcome:
        done.append((delivery.subject[-1], delivery.redelivered))
        delivery.transaction.execute("INSERT INTO cases VALUES (?)", (delivery.subject[-1],))
        if done == [("1", False), ("2", False), ("3", False)]:
            raise Killed
        return DONE

    await world.subscribe(handle)
    await send(world, 2, 3)
    with pytest.raises(Killed):
        await world.subscribe(handle)
    await send(world, 4)
    await world.subscribe(handle)
    assert done == [("1", False), ("2", False), ("3", False), ("2", True), ("3", True), ("4", False)]
    store = world.store()
    assert [row[0] for row in store.transaction.execute("SELECT subject FROM cases")] == ["1", "2", "3", "4"]
    store.close()


async def test_crash_while_a_held_delivery_is_tried(world: World) -> None:
    """The same for a delivery that had waited behind another: after the crash it is marked as redelivered."""
    taker = Taker({"000001": [Retry(1.0)]})
    await send(world, 1)
    await send(world, 1, revision=2)
    await world.subscribe(taker)
    world.clock.advance(1_000)
    crashes = [True]

    async def handle(delivery: Delivery) -> Outcome | None:
        await taker(delivery)
        if delivery.revision == 2 and crashes:
            crashes.pop()
            raise Killed
        return DONE

    with pytest.raises(Killed):
        await world.subscribe(handle)
    await world.subscribe(handle)
    assert taker.seen == [("000001", 1), ("000001", 1), ("000001", 2), ("000001", 2)]
    assert [(each.redelivered, each.attempt) for each in taker.taken[2:]] == [(False, 1), (True, 2)]


async def test_stop_ends_after_the_delivery_under_way(world: World) -> None:
    """A handler or a signal may stop the subscriber: what was handed over is committed, the rest comes next time."""
    await send(world, 1, 2, 3)
    subscriber = world.agency("MY-CUSTOMS").member.subscriber(world.agency("MY-CUSTOMS").transport)
    seen: list[str] = []

    async def handle(delivery: Delivery) -> Outcome:
        seen.append(delivery.subject[-1])
        if len(seen) == 2:
            subscriber.stop()
        return DONE

    await asyncio.wait_for(subscriber.run(handle), 5)
    assert seen == ["1", "2"]
    taker = Taker()
    await world.subscribe(taker)
    assert [(delivery.subject[-1], delivery.redelivered) for delivery in taker.taken] == [("3", False)]


async def test_waits_until_the_directory_is_as_new_as_the_decision(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscriber whose view of the directory lags behind does not refuse a message of an agency it has not heard of: it waits."""
    monkeypatch.setattr(world.memory, "patience", 0.01)
    taker = Taker()
    member, transport = world.agency("MY-CUSTOMS").member, world.agency("MY-CUSTOMS").transport
    subscriber: Subscriber = member.subscriber(transport)
    follow = subscriber.knowledge.follow
    gate = asyncio.Event()

    async def late() -> None:
        await gate.wait()
        await follow()

    monkeypatch.setattr(subscriber.knowledge, "follow", late)
    running = asyncio.create_task(subscriber.run(taker))
    await world.exchange.join("TH-CUSTOMS", "customs", ["STCE-ASEAN"])
    await world.learn()
    await world.agency("TH-CUSTOMS").publish(world.alert(1, owner="TH-CUSTOMS"))
    await asyncio.sleep(0.05)
    assert taker.taken == []
    gate.set()
    for _ in range(200):
        if taker.taken:
            break
        await asyncio.sleep(0.01)
    subscriber.stop()
    counts = await running
    assert [delivery.originator for delivery in taker.taken] == ["TH-CUSTOMS"]
    assert counts.refused == 0


async def test_receipts_and_tombstones_are_passed_over(world: World) -> None:
    """An agency's own receipts and null records in its inbox are nothing for the handler."""
    await send(world, 1)
    log = world.memory.log(("in.SG-CUSTOMS", 0))
    log.entries.append(Entry(world.now, b"s/SG-CUSTOMS/2026/000001", None))
    taker = Taker()
    counts = await world.subscribe(taker, "SG-CUSTOMS")
    assert taker.taken == []
    assert (counts.refused, counts.duplicates) == (0, 0)


async def test_one_subscriber_at_a_time(world: World) -> None:
    """A second process on the same store is kept out; a run that cannot begin lets go of the store."""
    member, transport = world.agency("MY-CUSTOMS").member, world.agency("MY-CUSTOMS").transport
    first = member.subscriber(transport)
    with pytest.raises(StoreError, match="another process"):
        member.subscriber(transport)
    granted = world.memory.grants.pop("MY-CUSTOMS#1")
    with pytest.raises(NotAuthorised):
        await first.run(Taker())
    world.memory.grants["MY-CUSTOMS#1"] = granted
    await world.subscribe(Taker())


async def test_killed_subscriber_goes_on_from_its_store(world: World) -> None:
    """The store of a process that was killed between two batches, as it lies on the disk, is enough to go on without loss or
    repetition."""
    await send(world, 1, 2)
    taker = Taker()
    await world.subscribe(taker)
    path = left_behind(world.agency("MY-CUSTOMS").member.files.subscriber_store)
    await send(world, 3)
    world.agency("MY-CUSTOMS").member.files.subscriber_store.unlink()
    path.rename(world.agency("MY-CUSTOMS").member.files.subscriber_store)
    rest = Taker()
    counts = await world.subscribe(rest)
    assert (rest.seen, counts.gaps) == ([("000003", 1)], 0)
