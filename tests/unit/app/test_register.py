"""An agency's register over an exchange: kept up to date, answering without it, own messages in it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from decimal import Decimal

import pytest

from broker.app.register import Register
from broker.errors import ExchangeUnreachable, StoreError, StoreInUse
from broker.families.message import Audience, Message
from broker.ports import Transport
from broker.storage import register_reader as look
from broker.testing.sample_answers import sample_licence_usage, sample_recall
from broker.testing.sample_reports import sample_licence
from tests.support.deliveries import bytes_of
from tests.support.eventually import eventually
from tests.unit.register.scene import changed
from tests.unit.service.world import COMMUNITY, World

CONTAINER = look.container_is("CSQU3054383")


def decided(decision_type: str, revision: int, **core: object) -> Message:
    """A licence decision of BAFA's for the two customs services."""
    message = replace(sample_licence(), revision=revision, audience=Audience(agencies=("SG-CUSTOMS", "MY-CUSTOMS")))
    return changed(message, "core", decision_type=decision_type, **core)


async def test_look_ups_follow_the_inbox(world: World) -> None:
    """An alert published is found after the next catch-up, with the time it was admitted; nothing is read twice."""
    my = world.agency("MY-CUSTOMS")
    await world.agency().publish(world.alert(1))
    freshness = await my.member.register(my.transport).catch_up()
    assert (freshness.reachable, freshness.as_of, freshness.note) == (True, world.now, "")
    with closing(my.member.register(my.transport).reader()) as reader:
        (found,) = reader.find([CONTAINER], world.now)
    assert (found.row.subject, found.row.admitted_at) == ("SG-CUSTOMS/2026/000001", world.now)
    world.clock.advance(1000)
    await world.agency().publish(world.alert(1, revision=2))
    counts = await my.member.register(my.transport).follow(until_end=True)
    assert (counts.delivered, counts.duplicates) == (1, 0)


async def test_another_subscriber_takes_nothing_from_the_register(world: World) -> None:
    """What `broker subscribe` has read before is in the register all the same: each has its own position."""
    my = world.agency("MY-CUSTOMS")
    await world.agency().publish(world.alert(1))
    assert len(await my.deliveries(1)) == 1
    await my.member.register(my.transport).catch_up()
    with closing(my.member.register(my.transport).reader()) as reader:
        assert len(reader.find([CONTAINER], world.now)) == 1


class Away:
    """A transport to an exchange that cannot be reached, or does not answer."""

    def __init__(self, transport: Transport, *, hangs: bool) -> None:
        self._transport, self._hangs = transport, hangs

    async def inlet(self) -> object:
        if self._hangs:
            await asyncio.Event().wait()
        raise ExchangeUnreachable("no answer from 192.0.2.1:9093")

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


@pytest.mark.parametrize("hangs", [False, True])
async def test_answers_while_the_exchange_is_away(world: World, hangs: bool) -> None:
    """What is stored is answered, with its age and the reason; an empty register has nothing to say and ends as unreachable."""
    my = world.agency("MY-CUSTOMS")
    away: Transport = Away(my.transport, hangs=hangs)  # type: ignore[assignment]
    with pytest.raises(ExchangeUnreachable, match="the register is empty"):
        await my.member.register(away).catch_up(0.05)
    await world.agency().publish(world.alert(1))
    await my.member.register(my.transport).catch_up()
    at, _ = world.now, world.clock.advance(3_600_000)
    freshness = await my.member.register(away).catch_up(0.1 if hangs else 5.0)
    assert (freshness.as_of, freshness.reachable) == (at, False)
    assert ("did not answer" if hangs else "192.0.2.1") in freshness.note
    with closing(my.member.register(away).reader()) as reader:
        assert len(reader.find([CONTAINER], world.now)) == 1


async def test_one_process_keeps_it_and_others_read_it(world: World) -> None:
    """While it is followed, an alert is there within a second of its delivery, and another look-up reads it without waiting."""
    my = world.agency("MY-CUSTOMS")
    keeper = my.member.register(my.transport)
    following = asyncio.create_task(keeper.follow())
    await world.agency().publish(world.alert(1))
    reader = await eventually_reader(my.member.register(my.transport))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await eventually(lambda: reader.find([CONTAINER], world.now), what="the alert in the register")
    assert loop.time() - began < 1
    other = my.member.register(my.transport)
    freshness = await other.catch_up()
    assert (freshness.reachable, freshness.note) == (None, "another process keeps this register")
    with pytest.raises(StoreInUse):
        await other.follow()
    reader.close()
    keeper.stop()
    await following


async def eventually_reader(register: Register) -> look.RegisterReader:
    """A reader, once the keeper has made the file."""
    found: list[look.RegisterReader] = []

    def there() -> bool:
        try:
            found.append(register.reader())
        except StoreError:
            return False
        return True

    await eventually(there, what="a register")
    return found[0]


async def test_a_revocation_flags_within_a_second(world: World) -> None:
    """The alert cites a licence; the authority revokes it; the follower's register flags the alert with the instruction at once."""
    bafa = await world.exchange.join("DE-BAFA", "licensing", [COMMUNITY])
    my = world.agency("MY-CUSTOMS")
    ref = {"authority": "DE-BAFA", "licence_no": "2026-0815", "resolved": False}
    await world.agency().publish(changed(world.alert(1), "core", licence_refs=[ref]))
    await bafa.publish(decided("GRANT", 1))
    keeper = my.member.register(my.transport)
    following = asyncio.create_task(keeper.follow())
    reader = await eventually_reader(my.member.register(my.transport))
    await eventually(lambda: reader.licence("2026-0815", world.now), what="the licence")
    assert reader.flags(world.now) == ()
    receipt = await bafa.publish(decided("REVOKE", 2, shipments_in_transit_instruction="RETURN"))
    assert receipt.outcome == "ACCEPTED"
    began = asyncio.get_running_loop().time()
    await eventually(lambda: reader.flags(world.now), what="the flag")
    assert asyncio.get_running_loop().time() - began < 1
    (flag,) = reader.flags(world.now)
    assert (flag.code, flag.subject, flag.instruction) == ("LICENCE_REVOKED", "SG-CUSTOMS/2026/000001", "RETURN")
    reader.close()
    keeper.stop()
    await following


async def test_own_messages_are_in_the_register(world: World) -> None:
    """The authority's own decision never comes back to it; its register has it all the same, whole, and in it the alert that cites the
    licence in vain. What was decided before the agency kept a register is not there."""
    bafa = await world.exchange.join("DE-BAFA", "licensing", [COMMUNITY])
    assert (await bafa.publish(decided("GRANT", 1))).outcome == "ACCEPTED"
    await bafa.close()
    await bafa.member.register(bafa.transport).catch_up()
    with closing(bafa.member.register(bafa.transport).reader()) as reader:
        assert reader.licence("2026-0815", world.now) == []
    assert (await bafa.publish(decided("REVOKE", 2, shipments_in_transit_instruction="HOLD"))).outcome == "ACCEPTED"
    await bafa.member.register(bafa.transport).catch_up()
    with closing(bafa.member.register(bafa.transport).reader()) as reader:
        (answer,) = reader.licence("2026-0815", world.now)
    assert (answer.status, answer.revision, answer.withheld) == ("REVOKED", 2, ())
    assert answer.items is not None
    await bafa.member.register(bafa.transport).catch_up()
    assert b"hot isostatic press" not in bytes_of(bafa.member.files.own_copies)


async def test_the_authority_finds_its_licence_overdrawn(world: World) -> None:
    """A customs service reports that it wrote off nine of four: the finding is in the register of the authority, whose own decision the
    licence is."""
    bafa = await world.exchange.join("DE-BAFA", "licensing", [COMMUNITY])
    de = await world.exchange.join("DE-CUSTOMS", "customs", [COMMUNITY])
    await bafa.member.register(bafa.transport).catch_up()
    assert (await bafa.publish(decided("GRANT", 1))).outcome == "ACCEPTED"
    usage = sample_licence_usage(now_ms=world.now)
    (row,) = usage.sections["core"]["lines"]
    receipt = await de.publish(changed(usage, "core", lines=[{**row, "quantity": Decimal(9)}]))
    assert receipt.outcome == "ACCEPTED"
    await bafa.member.register(bafa.transport).catch_up()
    with closing(bafa.member.register(bafa.transport).reader()) as reader:
        (answer,) = reader.licence("2026-0815", world.now)
    assert [(flag.code, flag.addressees) for flag in answer.flags] == [("QUANTITY_OVERDRAWN", ("DE-BAFA",))]


async def test_a_recall_erases_at_once(world: World) -> None:
    """Through the whole exchange: the alert's content is in no byte of the register after the recall was taken."""
    my = world.agency("MY-CUSTOMS")
    await world.agency().publish(world.alert(1))
    await my.member.register(my.transport).catch_up()
    assert b"Example Trading" in bytes_of(my.member.files.register_store)
    recall = sample_recall("SG-CUSTOMS/2026/000001", agencies=["MY-CUSTOMS"], now_ms=world.now, revision=2)
    assert (await world.agency().publish(recall)).outcome == "ACCEPTED"
    await my.member.register(my.transport).catch_up()
    assert b"Example Trading" not in bytes_of(my.member.files.register_store)
    with closing(my.member.register(my.transport).reader()) as reader:
        answer = reader.subject("SG-CUSTOMS/2026/000001", world.now)
        assert [duty.kind for duty in reader.duties("MY-CUSTOMS")] == ["RECALL_REPLY"]
    assert answer is not None
    assert (answer.row.state, answer.row.revision, answer.row.reason) == ("ERASED", 2, "ERROR")


async def test_withheld_sections_never_reach_the_disk(world: World) -> None:
    """Through the whole exchange: the recipient's register has no byte of a section that policy kept back."""
    await world.exchange.join("AE-ZONES", "zone", [COMMUNITY])
    zone = world.agency("AE-ZONES")
    await world.agency().publish(world.alert(1))
    await zone.member.register(zone.transport).catch_up()
    with closing(zone.member.register(zone.transport).reader()) as reader:
        answer = reader.subject("SG-CUSTOMS/2026/000001", world.now)
    lying = bytes_of(zone.member.files.register_store)
    assert answer is not None
    assert "parties" in answer.row.withheld
    assert b"END_USE_UNCLEAR" in lying
    assert b"Example Trading" not in lying
    assert b"example trading" not in lying
