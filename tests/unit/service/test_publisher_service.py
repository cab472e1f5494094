"""The publisher: refuses before it sends, never has more under way than it may, and sends again byte for byte."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from broker.envelope import receipt as receipts
from broker.envelope.note import note_bytes
from broker.errors import BrokerError, ExchangeUnreachable, NotAuthorised, RefusedError, StoreError, UsageError
from broker.exchange import sequence, shard
from broker.exchange.topology import MESSAGE_LIMIT
from broker.families.message import Message
from broker.ports import PublisherStore, Signer, Stored
from broker.service import publisher as service
from broker.service.publisher import Handle, Publisher
from broker.storage.keys import FileSigner
from broker.storage.publisher_store import SqlitePublisherStore
from broker.testing.clock import SeededRandomness
from broker.testing.exchange import Attempt, Fault
from broker.testing.memory import MemoryTransport
from tests.support.eventually import eventually
from tests.support.parcels import catalogue, key, sign1
from tests.unit.families.samples import changed, good_licence
from tests.unit.service.world import World, left_behind


def outbox(world: World) -> list[bytes]:
    """What Kafka has of SG-CUSTOMS."""
    return [record.value or b"" for record in world.memory.records("out.SG-CUSTOMS")]


def with_store(world: World, store: PublisherStore, signer: Signer | None = None) -> Publisher:
    """A publisher of SG-CUSTOMS over another store or key."""
    member, transport = world.agency().member, world.agency().transport
    knowledge = member.knowledge(transport)
    return Publisher("SG-CUSTOMS", transport, knowledge, signer or member.files.signer(), store, world.clock, SeededRandomness(5))


def away(attempt: Attempt) -> Fault:
    """Kafka takes no record of anybody."""
    return Fault.LOSE if attempt.kind == "send" else Fault.APPLY


async def test_receipt_tells_what_became_of_it(world: World) -> None:
    """A handle names the message at once; the receipt says who got which sections."""
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1))
    assert (handle.subject, handle.revision) == ("SG-CUSTOMS/2026/000001", 1)
    receipt = await handle.receipt(10)
    assert (receipt.outcome, receipt.leaf) == ("ACCEPTED", handle.leaf)
    assert [(each.agency, each.withheld) for each in receipt.recipients] == [("AE-CUSTOMS", ("parties",)), ("MY-CUSTOMS", ())]


@pytest.mark.parametrize(
    ("section", "record", "code", "path"),
    [
        ("goods", {"colour": "red"}, "BAD_FIELD", "goods.colour"),
        ("equipment", {"units": [{"id": 7}]}, "BAD_FIELD", "equipment.units[0].id"),
        ("weather", {"wind": 3}, "UNKNOWN_SECTION", "weather"),
    ],
)
async def test_bad_content_is_refused_before_anything_is_sent(
    world: World, section: str, record: dict[str, object], code: str, path: str
) -> None:  # fmt: skip
    """An unknown field, a wrong type, an unknown section: the caller learns the path, the outbox stays empty, no number is used."""
    message = world.alert(1)
    bad: Message = replace(message, sections={**message.sections, section: {**message.sections.get(section, {}), **record}})
    with pytest.raises(RefusedError) as caught:
        await world.agency().publish(bad)
    assert (caught.value.refusal.code, caught.value.refusal.path) == (code, path)
    assert caught.value.advice
    assert outbox(world) == []
    assert (await world.agency().publish(message)).seq == 1


async def test_labels_owner_family_and_policy_are_checked_before_sending(world: World) -> None:
    """Another agency's subject, a family that is not this agency's, a label that is none: refused here."""
    licence = replace(changed(good_licence(), {"core.authority": "SG-CUSTOMS"}), subject="SG-CUSTOMS/2026/L-1")
    for message, code, path in (
        (world.alert(1, owner="MY-CUSTOMS"), "NOT_OWNER", "subject"),
        (licence, "MAY_NOT_PUBLISH", "family"),
        (replace(world.alert(1), tlp="PURPLE"), "BAD_LABELS", "header.tlp"),
    ):
        with pytest.raises(RefusedError) as caught:
            await world.agency().publish(message)
        assert (caught.value.refusal.code, caught.value.refusal.path) == (code, path)
    assert outbox(world) == []


async def test_oversize_is_refused_and_its_neighbours_go(world: World) -> None:
    """A message over the record limit, published among others, is refused alone; no number is lost by it."""
    message = world.alert(1)
    item = {**message.sections["goods"]["items"][0], "description": "x" * MESSAGE_LIMIT}
    large = replace(message, sections={**message.sections, "goods": {**message.sections["goods"], "items": [item]}})
    almost = {**item, "description": "x" * (MESSAGE_LIMIT - 1200)}
    larger = replace(message, sections={**message.sections, "goods": {**message.sections["goods"], "items": [almost]}})
    publisher = await world.agency().publisher()
    results = await asyncio.gather(
        *(publisher.publish(each) for each in (world.alert(2), large, larger, world.alert(3))), return_exceptions=True
    )  # fmt: skip
    codes = [result.refusal.code if isinstance(result, RefusedError) else "" for result in results]
    assert codes == ["", "BAD_FIELD", "TOO_LARGE", ""]
    assert [(await result.receipt(10)).seq for result in results if isinstance(result, Handle)] == [1, 2]


async def test_preview_sends_nothing(world: World) -> None:
    """A dry run answers who would see what and by which rule, and leaves no trace."""
    publisher = await world.agency().publisher()
    verdict, distribution = publisher.preview(world.alert(1))
    assert verdict.allowed
    assert [release.agency for release in distribution.releases] == ["AE-CUSTOMS", "MY-CUSTOMS"]
    assert outbox(world) == []
    receipt = await world.agency().publish(world.alert(1))
    assert [each.agency for each in receipt.recipients] == [release.agency for release in distribution.releases]


async def test_order_of_calls_is_order_of_numbers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages published one after the other get their numbers, and arrive, in that order, over the limits of queue and batch."""
    monkeypatch.setattr(service, "QUEUE", 16)
    monkeypatch.setattr(service, "BATCH", 5)
    publisher = await world.agency().publisher()
    tasks = [asyncio.create_task(publisher.publish(world.alert(number))) for number in range(60)]
    handles = await asyncio.gather(*tasks)
    receipts_ = [await handle.receipt(20) for handle in handles]
    assert [receipt.seq for receipt in receipts_] == list(range(1, 61))
    assert {receipt.outcome for receipt in receipts_} == {"ACCEPTED"}


async def test_failed_sends_are_repeated_byte_for_byte_in_order(world: World) -> None:
    """Whatever Kafka loses or does not confirm is sent again as the same bytes; everything is delivered once, in order."""
    publisher = await world.agency().publisher()
    fate = iter([Fault.LOSE, Fault.APPLY, Fault.KEEP, Fault.LOSE, Fault.KEEP, Fault.APPLY, Fault.LOSE])
    sent: list[bytes] = []

    def faults(attempt: Attempt) -> Fault:
        if attempt.kind == "send":
            sent.append(attempt.records[0].value or b"")
            return next(fate, Fault.APPLY)
        return Fault.APPLY

    world.memory.faults = faults
    handles = await asyncio.gather(*(publisher.publish(world.alert(number)) for number in range(4)))
    receipts_ = [await handle.receipt(10) for handle in handles]
    assert [(receipt.seq, receipt.outcome) for receipt in receipts_] == [(seq, "ACCEPTED") for seq in (1, 2, 3, 4)]
    assert len(set(sent)) == 4
    assert len(sent) > 4
    assert [delivery.subject[-1] for delivery in await world.agency("MY-CUSTOMS").deliveries(9)] == ["0", "1", "2", "3"]


async def test_receipt_may_come_before_the_acknowledgement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka stored the record but did not say so: the relay's answer overtakes the acknowledgement, and the caller gets both."""
    publisher = await world.agency().publisher()
    waits = asyncio.Event()

    def faults(attempt: Attempt) -> Fault:
        if attempt.kind == "send" and not waits.is_set():
            waits.set()
            return Fault.KEEP
        return Fault.APPLY

    world.memory.faults = faults
    monkeypatch.setattr(service, "RESEND_S", 0.2)
    handle = await publisher.publish(world.alert(1))
    assert len(world.receipts()) >= 1
    assert (await handle.receipt(10)).outcome == "ACCEPTED"


async def test_queue_is_bounded_and_callers_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Kafka confirms nothing, no more than the queue, one batch and the unacknowledged are taken: the other callers wait, and
    all get their answer once Kafka is back."""
    monkeypatch.setattr(service, "QUEUE", 8)
    monkeypatch.setattr(service, "UNACKED", 4)
    monkeypatch.setattr(service, "BATCH", 2)
    publisher = await world.agency().publisher()
    world.memory.faults = away
    tasks = [asyncio.create_task(publisher.publish(world.alert(number))) for number in range(40)]
    await asyncio.sleep(0.1)
    store = SqlitePublisherStore(left_behind(world.agency().member.files.publisher_store), "SG-CUSTOMS", bytes(16))
    assert 4 <= len(store.unanswered()) <= 8
    store.close()
    assert not any(task.done() for task in tasks)
    world.memory.faults = None
    handles = await asyncio.gather(*tasks)
    assert [(await handle.receipt(10)).seq for handle in handles] == list(range(1, 41))


async def test_everything_unanswered_is_sent_again_at_the_next_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that came while the publisher was away are collected first; what has none is sent again as it was stored, however much
    it is, and nothing is delivered twice."""
    monkeypatch.setattr(service, "UNACKED", 16)
    await world.exchange.stop_relay()
    publisher = await world.agency().publisher()
    for number in range(50):
        await publisher.publish(world.alert(number))
    first = outbox(world)
    assert len(first) == 50
    await world.agency().close()
    again = await asyncio.wait_for(world.agency().publisher(), 5)
    assert outbox(world) == first + first
    await world.exchange.start_relay()
    handle = await again.publish(world.alert(99))
    assert (await handle.receipt(10)).seq == 51
    assert len(await world.agency("MY-CUSTOMS").deliveries(200)) == 51
    await world.agency().close()
    await world.agency().publisher()
    assert len(outbox(world)) == 101


async def test_backlog_beyond_the_window_stays_accepted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backlog longer than the relay's window of receipts, sent twice, is refused as stale the second time; the first receipt, that
    it was accepted, is the one that is kept."""
    for module in (sequence, shard):
        monkeypatch.setattr(module, "WINDOW", 8)
    await world.exchange.stop_relay()
    publisher = await world.agency().publisher()
    await asyncio.gather(*(publisher.publish(world.alert(number)) for number in range(20)))
    await world.agency().close()
    await world.agency().publisher()
    await world.exchange.start_relay()
    await eventually(lambda: len(world.receipts()) == 40, what="all answers")
    assert {receipt.code for receipt in world.receipts()[20:]} == {"", "STALE_SEQUENCE"}
    await world.agency().close()
    store = SqlitePublisherStore(world.agency().member.files.publisher_store, "SG-CUSTOMS", bytes(16))
    assert store.unanswered() == []
    notes = {store.receipt(receipt.digest) for receipt in world.receipts()}
    store.close()
    assert len(notes) == 20
    assert not any(b"STALE_SEQUENCE" in (note or b"") for note in notes)


async def test_lost_store_starts_a_new_stream(world: World) -> None:
    """With its store gone an agency publishes on, in a stream of its own, from number 1."""
    first = await world.agency().publish(world.alert(1))
    await world.agency().close()
    world.agency().member.files.publisher_store.unlink()
    second = await world.agency().publish(world.alert(2))
    assert (second.seq, second.outcome) == (1, "ACCEPTED")
    assert second.stream != first.stream


async def test_forged_receipts_are_ignored(world: World) -> None:
    """An answer that no relay signed, or that the relay gave another agency for a copy of the record, is not believed; the true
    answer is waited for."""
    await world.exchange.stop_relay()
    publisher = await world.agency().publisher()
    handle = await publisher.publish(world.alert(1))
    value = outbox(world)[0]
    await world.put(value, outbox="MY-CUSTOMS")
    schema = catalogue().current("receipt", "receipt")
    assert schema is not None
    # The relay serves the copy first: its answer to MY-CUSTOMS has our record's digest.
    log = world.memory.log(("out.SG-CUSTOMS", 0))
    held, log.entries[0] = log.entries[0], None
    await world.exchange.start_relay()
    (copied,) = await world.answered(1, "MY-CUSTOMS")
    await world.exchange.stop_relay()
    assert (copied.code, copied.digest) == ("WRONG_OUTBOX", hashlib.sha256(value).digest())
    genuine = world.memory.records("in.MY-CUSTOMS")[-1].value or b""
    forged = sign1(schema.codec.encode(receipts.receipt_record(copied)), receipts.CONTENT_TYPE, key("nobody"), world.rules.aad)
    for note in (genuine, note_bytes(forged.protected, forged.payload, forged.signature), b"garbage", b""):
        await world.slip_in("SG-CUSTOMS", note, key=b"r/SG-CUSTOMS/2026/000001")
    with pytest.raises(ExchangeUnreachable):
        await handle.receipt(0.2)
    log.entries.append(held)
    await world.exchange.start_relay()
    assert (await handle.receipt(10)).outcome == "ACCEPTED"


async def test_gap_refusals_are_not_final(world: World) -> None:
    """SEQUENCE_GAP leaves a record unanswered: everything unanswered is sent again by itself, from the first on, and then accepted."""
    publisher = await world.agency().publisher()
    await world.exchange.stop_relay()
    handle = await publisher.publish(world.alert(1))
    second = await publisher.publish(world.alert(2))
    log = world.memory.log(("out.SG-CUSTOMS", 0))
    log.entries[0] = None  # the first record is gone from Kafka
    await world.exchange.start_relay()
    await eventually(lambda: bool(world.memory.records("exchange.state")))
    world.clock.advance(60_000)
    assert [receipt.code for receipt in await world.answered(1)] == ["SEQUENCE_GAP"]
    assert [(await each.receipt(10)).outcome for each in (handle, second)] == ["ACCEPTED", "ACCEPTED"]
    assert [receipt.code for receipt in await world.answered(3)] == ["SEQUENCE_GAP", "", ""]


async def test_denied_agency_is_told(world: World) -> None:
    """Without its rights at Kafka, publishing ends with NotAuthorised for everybody who waits and for later calls."""
    publisher = await world.agency().publisher()
    world.memory.grants["SG-CUSTOMS#1"] = frozenset(
        grant for grant in world.memory.grants["SG-CUSTOMS#1"] if not (grant.operation == "WRITE" and grant.resource == "TOPIC")
    )
    results = await asyncio.gather(*(publisher.publish(world.alert(number)) for number in range(5)), return_exceptions=True)
    assert all(isinstance(result, NotAuthorised) for result in results)
    with pytest.raises(NotAuthorised):
        await publisher.publish(world.alert(9))
    await asyncio.wait_for(world.agency().close(), 2)


async def test_close_sends_what_was_accepted(world: World) -> None:
    """Closing waits for what is under way: every call made before it gets its handle."""
    publisher = await world.agency().publisher()
    tasks = [asyncio.create_task(publisher.publish(world.alert(number))) for number in range(40)]
    await asyncio.sleep(0)
    await publisher.close()
    assert all(isinstance(result, Handle) for result in await asyncio.gather(*tasks))
    with pytest.raises(UsageError):
        await publisher.publish(world.alert(400))


async def test_close_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With Kafka away, closing gives up after its patience; callers learn that their message is stored, and it is sent later."""
    monkeypatch.setattr(service, "CLOSE_S", 0.05)
    publisher = await world.agency().publisher()
    world.memory.faults = away
    tasks = [asyncio.create_task(publisher.publish(world.alert(number))) for number in range(3)]
    await asyncio.sleep(0.02)
    await asyncio.wait_for(world.agency().close(), 5)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, ExchangeUnreachable) and "next start" in result.advice for result in results)
    world.memory.faults = None
    await world.agency().publisher()
    assert [receipt.outcome for receipt in await world.answered(3)] == ["ACCEPTED"] * 3


async def test_cancelled_caller_does_not_stop_the_others(world: World) -> None:
    """A caller that goes away leaves its message published and the publisher working."""
    publisher = await world.agency().publisher()
    world.memory.faults = away
    task = asyncio.create_task(publisher.publish(world.alert(1)))
    await asyncio.sleep(0.02)
    task.cancel()
    world.memory.faults = None
    assert (await world.agency().publish(world.alert(2))).seq == 2
    assert {(receipt.seq, receipt.outcome) for receipt in world.receipts()} == {(1, "ACCEPTED"), (2, "ACCEPTED")}


class Token:
    """A key on a token, slow and perhaps pulled out."""

    def __init__(self, signer: FileSigner, *, works: bool) -> None:
        self._signer, self._works = signer, works
        self.alg, self.kid = signer.alg, signer.kid

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        await asyncio.sleep(0.01)
        if not self._works:
            raise BrokerError("the token is gone", advice="plug it in")
        return await self._signer.sign(messages)


async def test_key_that_cannot_be_used(world: World) -> None:
    """Where the key fails nothing is stored or sent, and the callers get the key's own error."""
    store = SqlitePublisherStore(None, "SG-CUSTOMS", bytes(16))
    async with with_store(world, store, Token(world.key_of("SG-CUSTOMS"), works=False)) as publisher:
        results = await asyncio.gather(*(publisher.publish(world.alert(number)) for number in range(3)), return_exceptions=True)
        assert [str(result) for result in results] == ["the token is gone"] * 3
        assert store.stream()[1] == 0
    assert outbox(world) == []


async def test_close_waits_for_a_slow_key(world: World) -> None:
    """A batch that is being signed when the publisher is closed is signed, stored and sent."""
    store = SqlitePublisherStore(None, "SG-CUSTOMS", bytes(16))
    publisher = with_store(world, store, Token(world.key_of("SG-CUSTOMS"), works=True))
    await publisher.start()
    task = asyncio.create_task(publisher.publish(world.alert(1)))
    await asyncio.sleep(0.005)
    await publisher.close()
    assert isinstance(await task, Handle)


class FullStore(SqlitePublisherStore):
    """A store on a full disk."""

    def add(self, messages: Sequence[Stored]) -> None:
        raise StoreError("the store cannot be written: the disk is full", advice="make room")


async def test_full_disk_reaches_the_callers(world: World) -> None:
    """What cannot be stored is not sent, and nobody is left waiting."""
    async with with_store(world, FullStore(None, "SG-CUSTOMS", bytes(16))) as publisher:
        with pytest.raises(StoreError):
            await asyncio.wait_for(publisher.publish(world.alert(1)), 2)
    assert outbox(world) == []


class BuggyStore(SqlitePublisherStore):
    """A store with a bug."""

    def add(self, messages: Sequence[Stored]) -> None:
        raise ZeroDivisionError


async def test_bug_in_a_loop_leaves_nobody_waiting(world: World) -> None:
    """An error that nobody foresaw ends the publisher and is told to every caller, instead of leaving them to wait for ever."""
    async with with_store(world, BuggyStore(None, "SG-CUSTOMS", bytes(16))) as publisher:
        with pytest.raises(BrokerError, match="ZeroDivisionError"):
            await asyncio.wait_for(publisher.publish(world.alert(1)), 2)


async def test_start_that_fails_lets_go_of_the_store(world: World) -> None:
    """A start without rights at Kafka fails with that, and the store is free for the next try."""
    granted = world.memory.grants.pop("SG-CUSTOMS#1")
    with pytest.raises(NotAuthorised):
        await world.agency().member.publisher(world.agency().transport).start()
    world.memory.grants["SG-CUSTOMS#1"] = granted
    async with world.agency().member.publisher(world.agency().transport) as publisher:
        assert (await (await publisher.publish(world.alert(1))).receipt(10)).outcome == "ACCEPTED"


async def test_not_started_publisher(world: World) -> None:
    """Publishing before the start is an error with advice, and closing it is harmless."""
    publisher = with_store(world, SqlitePublisherStore(None, "SG-CUSTOMS", bytes(16)))
    with pytest.raises(UsageError, match="not started"):
        await publisher.publish(world.alert(1))
    await publisher.close()
    await publisher.close()


async def test_restored_backup_is_found_out(world: World) -> None:
    """A store copied back from a backup uses numbers twice: the relay keeps both messages as evidence and says so."""
    await world.agency().publisher()
    await world.agency().close()
    backup = left_behind(world.agency().member.files.publisher_store)
    receipt = await world.agency().publish(world.alert(1))
    await world.agency().close()
    async with with_store(world, SqlitePublisherStore(backup, "SG-CUSTOMS", bytes(16))) as publisher:
        answer = await (await publisher.publish(world.alert(2))).receipt(10)
    assert (receipt.outcome, answer.code) == ("ACCEPTED", "EQUIVOCATION")
    assert (receipt.stream, receipt.seq) == (answer.stream, answer.seq)


async def test_transport_of_another_agency_cannot_publish(world: World) -> None:
    """Kafka's own fence: under another agency's certificate the outbox cannot be written."""
    store = SqlitePublisherStore(None, "SG-CUSTOMS", bytes(16))
    transport = MemoryTransport(world.memory, "MY-CUSTOMS#1")
    member = world.agency().member
    knowledge = member.knowledge(transport)
    stranger = Publisher("SG-CUSTOMS", transport, knowledge, member.files.signer(), store, world.clock, SeededRandomness())
    with pytest.raises(NotAuthorised):
        await stranger.start()
