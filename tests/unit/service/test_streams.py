"""What each refusal means for a stream, end to end: the table of ``broker/service/streams.py``, row by row.

Each time the good messages reach the recipient once, in one chain, and the bad one is refused and nothing else is."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from broker.exchange import relay as relaying
from broker.exchange import sequence, shard
from broker.exchange.topology import STATE
from broker.service import publisher as publishing
from broker.service.publisher import Publisher
from broker.storage.keys import FileSigner
from broker.storage.publisher_store import SqlitePublisherStore
from broker.testing.clock import FixedClock
from broker.testing.exchange import Attempt, Fault
from tests.support.eventually import eventually
from tests.support.parcels import key
from tests.support.standing import reinstate, suspend
from tests.unit.service.rings import Ring, as_stored, deliveries, enter_key, outbox, publisher_of, store_at, stream_of
from tests.unit.service.world import World, abandon, left_behind

UNKNOWN = key("a key that nobody registered")


async def parked(world: World, count: int = 1) -> None:
    """Wait until so many records wait at the relay."""
    await eventually(lambda: len({r.key for r in world.memory.records(STATE) if (r.key or b"").startswith(b"k/")}) >= count, what="parked")


async def bad_then_good(world: World, publisher: Publisher, ring: Ring, bad: FileSigner, good: int) -> list[publishing.Handle]:
    """With the relay away: message 1 under a bad key, and so many good ones behind it; then the relay comes back."""
    await world.exchange.stop_relay()
    mine, ring.key = ring.key, bad
    handles = [await publisher.publish(world.alert(1))]
    ring.key = mine
    handles += [await publisher.publish(world.alert(number)) for number in range(2, 2 + good)]
    await world.exchange.start_relay()
    return handles


async def test_refusal_in_its_turn_leaves_the_stream_as_it_is(world: World) -> None:
    """A message that is refused for what it says consumes its number: the next one goes on the same stream, at once."""
    store = store_at(world)
    async with publisher_of(world, store) as publisher:
        answers = [await (await publisher.publish(world.alert(number))).receipt(10) for number in (1, 1, 2)]
    assert [(each.code, each.seq) for each in answers] == [("", 1), ("STALE_REVISION", 2), ("", 3)]
    assert len({each.stream for each in answers}) == 1


async def test_suspended_agency_goes_on_with_its_stream(world: World) -> None:
    """AGENCY_SUSPENDED consumes the number: reinstated, the agency goes on with the next one."""
    store = store_at(world)
    publisher = publisher_of(world, store)
    await publisher.start()
    await world.exchange.stop_relay()
    await publisher.publish(world.alert(1))
    await publisher.close()
    await suspend(world.exchange.operator, "SG-CUSTOMS")
    await world.exchange.start_relay()
    assert [each.code for each in await world.answered(1)] == ["AGENCY_SUSPENDED"]
    await reinstate(world.exchange.operator, "SG-CUSTOMS")
    async with publisher_of(world, store_at(world)) as publisher:
        receipt = await (await publisher.publish(world.alert(2))).receipt(10)
    assert (receipt.outcome, receipt.seq) == ("ACCEPTED", 2)


@pytest.mark.parametrize("why", ["UNKNOWN_KEY", "KEY_NOT_VALID"])
async def test_hole_is_left_behind(world: World, why: str) -> None:
    """A message under a key that is not registered, or was revoked, is refused for good. What is published afterwards is accepted at
    once on a new stream; what had been signed behind it is signed anew when its minute is over, and delivered once."""
    bad = key("a second key")
    if why == "KEY_NOT_VALID":
        await enter_key(world, bad)
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    async with publisher_of(world, store, ring) as publisher:
        if why == "KEY_NOT_VALID":
            await enter_key(world, bad, status="revoked", compromised_since_ms=world.now, issued_at_ms=world.now + 1)
            await eventually(lambda: not publisher.knowledge.rules.directory.keys[bad.kid].usable(world.now))
        first, *behind = await bad_then_good(world, publisher, ring, bad, 2)
        refused = await first.receipt(10)
        assert (refused.code, refused.step) == (why, 2)
        later = await (await publisher.publish(world.alert(4))).receipt(10)
        assert (later.outcome, later.seq) == ("ACCEPTED", 1)
        await parked(world, 2)
        world.clock.advance(60_000)
        answers = [await handle.receipt(10) for handle in behind]
        assert [(each.outcome, each.stream, each.seq) for each in answers] == [("ACCEPTED", later.stream, seq) for seq in (2, 3)]
        assert [each.message_id for each in answers] == [bytes.fromhex(handle.message_id.replace("-", "")) for handle in behind]
        assert store.unanswered() == []
    assert deliveries(world) == [("4", 1), ("2", 1), ("3", 1)]
    assert sorted(item.code for item in world.quarantine()) == sorted([why, "SEQUENCE_GAP", "SEQUENCE_GAP"])


async def test_unreadable_header_makes_a_hole(world: World) -> None:
    """BAD_HEADER comes at step 8, and yet consumes no number, as nothing authentic was read: the stream is given up like for a bad
    key, and what was published behind the record is delivered."""
    store = store_at(world)
    author = world.author()
    author.stream = store.stream()[0]
    store.add([as_stored(author.write(world.alert(1), now_ms=world.now, revision=0))])
    async with publisher_of(world, store) as publisher:
        handle = await publisher.publish(world.alert(2))
        assert [each.code for each in await world.answered(1)] == ["BAD_HEADER"]
        await parked(world)
        world.clock.advance(60_000)
        assert (await handle.receipt(10)).outcome == "ACCEPTED"
        assert store.unanswered() == []
    assert deliveries(world) == [("2", 1)]


async def test_key_that_is_valid_in_a_minute_is_waited_for(world: World) -> None:
    """KEY_NOT_VALID, though the key is valid as far as this publisher can tell: not final. The same bytes are sent until the exchange's
    clock agrees, and are accepted once."""
    soon = key("soon")
    await enter_key(world, soon, valid_from_ms=world.now + 60_000)
    store = store_at(world)
    async with publisher_of(world, store, soon, FixedClock(world.now + 60_000)) as publisher:
        handles = [await publisher.publish(world.alert(number)) for number in (1, 2)]
        assert {each.code for each in await world.answered(2)} == {"KEY_NOT_VALID"}
        world.clock.advance(60_000)
        answers = [await handle.receipt(10) for handle in handles]
    assert [(each.outcome, each.seq) for each in answers] == [("ACCEPTED", 1), ("ACCEPTED", 2)]
    assert len(set(outbox(world))) == 2
    assert deliveries(world) == [("1", 1), ("2", 1)]


async def test_all_behind_a_hole_is_signed_anew_in_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More revisions of one subject stand behind a hole than may wait at the relay: the first to be refused for want of room is not
    the first in the stream, and yet all are accepted, in their order, without waiting for anybody's minute to be over."""
    monkeypatch.setattr(sequence, "PARKED_LIMIT", 3)
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    async with publisher_of(world, store, ring) as publisher:
        await world.exchange.stop_relay()
        mine, ring.key = ring.key, UNKNOWN
        await publisher.publish(world.alert(1))
        ring.key = mine
        handles = [await publisher.publish(world.alert(7, revision=revision)) for revision in range(1, 9)]
        await world.exchange.start_relay()
        answers = [await handle.receipt(10) for handle in handles]
        assert {each.outcome for each in answers} == {"ACCEPTED"}
        assert store.unanswered() == []
    assert deliveries(world) == [("7", revision) for revision in range(1, 9)]


async def test_gap_longer_than_what_is_sent_at_once_heals(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record is gone from Kafka and many more stand behind it than wait at the relay, or are sent again at once: all of them
    are accepted though nothing more is published that would remind anybody of the rest."""
    monkeypatch.setattr(sequence, "PARKED_LIMIT", 2)
    monkeypatch.setattr(publishing, "HEAL_RECORDS", 4)
    store = store_at(world)
    async with publisher_of(world, store) as publisher:
        await world.exchange.stop_relay()
        handles = [await publisher.publish(world.alert(number)) for number in range(1, 15)]
        world.memory.log(("out.SG-CUSTOMS", 0)).entries[0] = None
        await world.exchange.start_relay()
        answers = [await handle.receipt(10) for handle in handles]
    assert {each.outcome for each in answers} == {"ACCEPTED"}
    assert deliveries(world) == [(str(number), 1) for number in range(1, 15)]


async def test_copied_store_gives_its_stream_up(world: World) -> None:
    """A store copied back from a backup uses numbers twice: what it had signed on the old stream is refused, and everything later is
    accepted on a stream of its own; the store that the copy was made of is not harmed."""
    await (await (await world.agency().publisher()).publish(world.alert(1))).receipt(10)
    await world.agency().close()
    backup = left_behind(world.agency().member.files.publisher_store)
    original = publisher_of(world, store_at(world))
    await original.start()
    assert (await (await original.publish(world.alert(2))).receipt(10)).seq == 2
    store = store_at(world, backup)
    async with publisher_of(world, store) as publisher:
        first = await (await publisher.publish(world.alert(3))).receipt(10)
        assert (first.code, first.seq) == ("EQUIVOCATION", 2)
        after = [await (await publisher.publish(world.alert(number))).receipt(10) for number in (4, 5)]
        assert [(each.outcome, each.seq) for each in after] == [("ACCEPTED", 1), ("ACCEPTED", 2)]
        assert store.unanswered() == []
    assert after[0].stream != first.stream
    more = await (await original.publish(world.alert(6))).receipt(10)
    assert (more.outcome, more.seq, more.stream) == ("ACCEPTED", 3, first.stream)
    await original.close()
    assert deliveries(world) == [("1", 1), ("2", 1), ("4", 1), ("5", 1), ("6", 1)]


async def test_copied_store_with_a_backlog_answers_for_each(world: World) -> None:
    """Several messages of the copy are under way at once: each gets an answer, none of them is delivered twice, and the publisher goes
    on with those that come later."""
    await world.agency().publisher()
    await world.agency().close()
    backup = left_behind(world.agency().member.files.publisher_store)
    for number in (1, 2):
        await world.agency().publish(world.alert(number))
    await world.agency().close()
    store = store_at(world, backup)
    async with publisher_of(world, store) as publisher:
        handles = await asyncio.gather(*(publisher.publish(world.alert(number)) for number in (3, 4, 5, 6)))
        answers = [await handle.receipt(10) for handle in handles]
        assert [each.code for each in answers[:3]] == ["EQUIVOCATION", "EQUIVOCATION", "BROKEN_CHAIN"]
        assert (await (await publisher.publish(world.alert(7))).receipt(10)).outcome == "ACCEPTED"
        assert store.unanswered() == []
    assert deliveries(world) == [("1", 1), ("2", 1), ("6", 1), ("7", 1)]


async def test_stale_copy_begins_a_stream(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy so old that the exchange does not remember its numbers any more (STALE_SEQUENCE): refused once, then on a new stream."""
    for module in (sequence, shard):
        monkeypatch.setattr(module, "WINDOW", 4)
    await world.agency().publisher()
    await world.agency().close()
    backup = left_behind(world.agency().member.files.publisher_store)
    for number in range(1, 8):
        await world.agency().publish(world.alert(number))
    await world.agency().close()
    store = store_at(world, backup)
    async with publisher_of(world, store) as publisher:
        answers = [await (await publisher.publish(world.alert(number))).receipt(10) for number in (20, 21)]
        assert store.unanswered() == []
    assert [(each.code, each.seq) for each in answers] == [("STALE_SEQUENCE", 1), ("", 1)]
    assert deliveries(world)[-1] == ("21", 1)


def limit_streams(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    for module in (shard, relaying):
        monkeypatch.setattr(module, "STREAMS_LIMIT", count)


async def test_too_many_streams_are_told_and_others_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many streams as it may have, an agency is told so for each message of another one; those that it has go on. As soon as
    there is room its publisher is accepted, without anything done to its store."""
    limit_streams(monkeypatch, 1)
    author = world.author()
    await world.put(author.write(world.alert(1), now_ms=world.now).value)
    await world.answered(1)
    store = store_at(world)
    async with publisher_of(world, store) as publisher:
        refused = [await (await publisher.publish(world.alert(number))).receipt(10) for number in (2, 3)]
        assert [(each.code, each.seq) for each in refused] == [("TOO_MANY_STREAMS", 1), ("TOO_MANY_STREAMS", 1)]
        await world.put(author.write(world.alert(4), now_ms=world.now).value)
        assert (await world.answered(4))[3].outcome == "ACCEPTED"
        limit_streams(monkeypatch, 2)
        assert (await (await publisher.publish(world.alert(5))).receipt(10)).outcome == "ACCEPTED"
    assert deliveries(world) == [("1", 1), ("4", 1), ("5", 1)]


async def test_gap_behind_a_refused_beginning_is_signed_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message of a stream found no room and the second did: the first is refused for good, so the second can never have its
    turn, and is signed anew rather than sent again and again."""
    limit_streams(monkeypatch, 1)
    await world.put(world.author().write(world.alert(9), now_ms=world.now).value)
    await world.answered(1)
    sent: list[bytes] = []

    def faults(attempt: Attempt) -> Fault:
        """The second record reaches Kafka only after the first was answered, and there is room by then."""
        if attempt.kind == "commit" or attempt.records[0].topic != "out.SG-CUSTOMS":
            return Fault.APPLY
        sent.append(attempt.records[0].value or b"")
        if len(sent) == 1:
            return Fault.APPLY
        if "TOO_MANY_STREAMS" not in [receipt.code for receipt in world.receipts()]:
            return Fault.LOSE
        limit_streams(monkeypatch, 9)
        return Fault.APPLY

    store = store_at(world)
    async with publisher_of(world, store) as publisher:
        world.memory.faults = faults
        first, second = await asyncio.gather(*(publisher.publish(world.alert(number)) for number in (1, 2)))
        assert (await first.receipt(10)).code == "TOO_MANY_STREAMS"
        await parked(world)
        world.clock.advance(60_000)
        answer = await second.receipt(10)
        assert (answer.outcome, answer.seq) == ("ACCEPTED", 1)
        assert answer.stream != (await first.receipt(10)).stream
        assert store.unanswered() == []
    assert deliveries(world) == [("9", 1), ("2", 1)]


async def test_two_publishers_of_one_agency(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two publishers of an agency, each with its own store, write into the same outbox at once: each has its stream in order, each
    gets its own answers, and nothing is lost."""
    monkeypatch.setattr(publishing, "BATCH", 3)
    other = world.agency().member.files.publisher_store.with_name("other.sqlite")
    stores: list[SqlitePublisherStore] = [store_at(world), store_at(world, other)]
    publishers = [publisher_of(world, store) for store in stores]
    for publisher in publishers:
        await publisher.start()
    calls = [publishers[number % 2].publish(world.alert(1 + number % 2, revision=1 + number // 2)) for number in range(40)]
    answers = [await handle.receipt(10) for handle in await asyncio.gather(*calls)]
    assert {each.outcome for each in answers} == {"ACCEPTED"}
    for part in (0, 1):
        mine = answers[part::2]
        assert [each.seq for each in mine] == list(range(1, 21))
        assert {each.stream for each in mine} == {stores[part].stream()[0]}
    for publisher in publishers:
        await publisher.close()
    found = deliveries(world)
    for subject in ("1", "2"):
        assert [revision for name, revision in found if name == subject] == list(range(1, 21))
    assert len(found) == 40


async def healed(world: World, store: SqlitePublisherStore, ring: Ring, publisher: Publisher) -> None:
    """A hole under an unknown key, and message 2 behind it, signed anew and accepted."""
    _, second = await bad_then_good(world, publisher, ring, UNKNOWN, 1)
    await parked(world)
    world.clock.advance(60_000)
    assert (await second.receipt(10)).outcome == "ACCEPTED"
    assert store.unanswered() == []


async def test_old_bytes_after_the_new_ones(world: World) -> None:
    """The key is registered after all and the operator resubmits the old stream: its first message is accepted, and the bytes that were
    signed anew meanwhile are refused as STALE_REVISION. Nothing is delivered twice, and the publisher is not confused."""
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    async with publisher_of(world, store, ring) as publisher:
        await healed(world, store, ring, publisher)
        before = len(world.receipts())
        old = outbox(world)[:2]
        await enter_key(world, UNKNOWN)
        await world.put(*old)
        assert [each.code for each in (await world.answered(before + 2))[before:]] == ["", "STALE_REVISION"]
        receipt = await (await publisher.publish(world.alert(3))).receipt(10)
        assert (receipt.outcome, receipt.seq) == ("ACCEPTED", 2)
        assert store.unanswered() == []
    assert deliveries(world) == [("2", 1), ("1", 1), ("3", 1)]


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies"])
async def test_old_bytes_before_the_new_ones(world: World, dies: bool) -> None:
    """The old stream is resubmitted before the bytes that were signed anew reach Kafka: the old ones are accepted, which answers for
    the message, and the store keeps that; the new ones are sent all the same, now or by the next publisher, and refused: what comes
    behind them on their stream would wait for ever otherwise."""
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    held: list[bytes] = []

    def faults(attempt: Attempt) -> Fault:
        value = attempt.records[0].value or b""
        if attempt.kind == "send" and attempt.principal == "SG-CUSTOMS#1" and stream_of(value, world) != old_stream:
            held.append(value)
            return Fault.LOSE
        return Fault.APPLY

    publisher = publisher_of(world, store, ring)
    await publisher.start()
    old_stream = store.stream()[0]
    _, second = await bad_then_good(world, publisher, ring, UNKNOWN, 1)
    old = outbox(world)[:2]
    await parked(world)
    world.memory.faults = faults
    world.clock.advance(60_000)
    await eventually(lambda: bool(held), what="signed anew")
    await enter_key(world, UNKNOWN)
    await world.put(*old, owner=False)
    receipt = await second.receipt(10)
    assert (receipt.outcome, receipt.stream) == ("ACCEPTED", old_stream)
    if dies:
        left = left_behind(world.agency().member.files.publisher_store)
        await abandon(publisher)
        await publisher.close()
        store = store_at(world, left)
        publisher = publisher_of(world, store)
        await publisher.start()
    world.memory.faults = None
    later = await (await publisher.publish(world.alert(3))).receipt(10)
    assert (later.outcome, later.seq) == ("ACCEPTED", 2)
    assert {each.seq: each.code for each in world.receipts() if each.stream == later.stream} == {1: "STALE_REVISION", 2: ""}
    assert store.unanswered() == []
    assert store.receipt(receipt.digest) == store.receipt(hashlib.sha256(held[0]).digest())
    assert store.receipt(receipt.digest) in [record.value for record in world.memory.records("in.SG-CUSTOMS")]
    await publisher.close()
    assert deliveries(world) == [("1", 1), ("2", 1), ("3", 1)]


async def test_signed_anew_twice(world: World) -> None:
    """The stream on which a message was signed anew has a hole too: it is signed anew once more. Its oldest bytes, accepted after all
    before any newer ones reach Kafka, answer for it; none of its forms is delivered beside another."""
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    held: set[bytes] = set()
    let = set[bytes]()

    def faults(attempt: Attempt) -> Fault:
        """Of later streams only what is let reaches Kafka."""
        if attempt.kind == "commit" or attempt.principal != "SG-CUSTOMS#1":
            return Fault.APPLY
        stream = stream_of(attempt.records[0].value or b"", world)
        held.add(stream)
        return Fault.APPLY if stream in let else Fault.LOSE

    async with publisher_of(world, store, ring) as publisher:
        streams = [store.stream()[0]]
        first, second = await bad_then_good(world, publisher, ring, UNKNOWN, 1)
        await parked(world)
        assert (await first.receipt(10)).code == "UNKNOWN_KEY"
        streams.append(store.stream()[0])
        world.memory.faults = faults
        mine, ring.key = ring.key, UNKNOWN
        third = asyncio.create_task(publisher.publish(world.alert(3)))
        await eventually(lambda: store.stream()[1] == 1, what="the second stream's hole")
        ring.key = mine
        world.clock.advance(60_000)
        await eventually(lambda: store.stream()[1] == 2, what="signed anew behind it")
        let.add(streams[1])
        assert (await (await third).receipt(10)).code == "UNKNOWN_KEY"
        streams.append(store.stream()[0])
        await parked(world, 2)
        world.clock.advance(60_000)
        await eventually(lambda: streams[2] in held, what="signed anew once more")
        await enter_key(world, UNKNOWN)
        await world.put(*outbox(world)[:2], owner=False)
        receipt = await second.receipt(10)
        assert (receipt.outcome, receipt.stream) == ("ACCEPTED", streams[0])
        world.memory.faults = None
        await eventually(lambda: world.receipts()[-1].stream == streams[2], what="the newest bytes' answer")
        assert world.receipts()[-1].code == "STALE_REVISION"
        await eventually(lambda: not store.unanswered(), what="that answer taken")
        assert len(publisher._answers) == 0  # pyright: ignore[reportPrivateUsage]
    assert len(set(streams)) == 3
    assert deliveries(world) == [("1", 1), ("2", 1)]


async def test_answers_read_at_once_after_an_absence(world: World) -> None:
    """The publisher was away while all this happened, and reads it in one go: a hole, a second message refused behind it, the gap of the
    third. The second stays refused, only the third is signed anew, and their new stream goes on."""
    store, ring = store_at(world), Ring(world.key_of("SG-CUSTOMS"))
    publisher = publisher_of(world, store, ring)
    await publisher.start()
    await world.exchange.stop_relay()
    mine, ring.key = ring.key, UNKNOWN
    await publisher.publish(world.alert(1))
    await publisher.publish(world.alert(2))
    ring.key = mine
    await publisher.publish(world.alert(3))
    digests = [each.digest for each in store.unanswered()]
    await publisher.close()
    await world.exchange.start_relay()
    await parked(world)
    world.clock.advance(60_000)
    assert [each.code for each in await world.answered(3)] == ["UNKNOWN_KEY", "UNKNOWN_KEY", "SEQUENCE_GAP"]
    store = store_at(world)
    async with publisher_of(world, store) as publisher:
        later = await (await publisher.publish(world.alert(4))).receipt(10)
        assert (later.outcome, later.seq) == ("ACCEPTED", 2)
        assert store.unanswered() == []
        notes = [record.value for record in world.memory.records("in.SG-CUSTOMS")]
        assert [store.receipt(digest) for digest in digests] == [notes[0], notes[1], notes[3]]
    assert deliveries(world) == [("3", 1), ("4", 1)]
