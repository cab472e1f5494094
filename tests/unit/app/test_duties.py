"""Duties through a whole exchange in memory: both sides see them, silence is told once a rung, an acknowledgement ends it."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from broker.app.acknowledging import Acknowledger, ack_subject
from broker.app.register import Register
from broker.errors import UsageError
from broker.families.ack import AckLevel
from broker.families.clocks.dates import DAY_MS, MINUTE_MS
from broker.families.clocks.duty import Escalation
from broker.families.message import Audience, Message
from broker.ports import Transport
from broker.register.answers import OpenDuty
from broker.service.subscriber import DONE, Delivery, Outcome
from broker.testing.local import LocalAgency
from broker.testing.sample_answers import sample_recall, sample_recall_reply
from tests.support.eventually import eventually
from tests.unit.app.test_register import Slow
from tests.unit.register.scene import changed, with_container
from tests.unit.service.world import World

SG, MY = "SG-CUSTOMS", "MY-CUSTOMS"
ALERT = "SG-CUSTOMS/2026/000001"
CONTACTS = {"contacts": [{"name": "DUTY_OFFICER"}, {"name": "HEAD_OF_TARGETING", "after_minutes": 60}]}


def register_of(agency: LocalAgency) -> Register:
    return agency.member.register(agency.transport)


def alert_of(world: World, revision: int = 1, **labels: Any) -> Message:
    """SG-CUSTOMS's alert that reaches MY-CUSTOMS alone: nothing of it goes to the Emirates."""
    message = replace(world.alert(1, revision=revision), audience=Audience(agencies=(MY,)), **labels)
    route = message.sections["route"]
    places = [{**place, "country": "MY", "locode": "MYPKG"} if place["country"] == "AE" else place for place in route["places"]]
    countries = [{**each, "country": "MY"} if each["country"] == "AE" else each for each in route["countries"]]
    return changed(message, "route", places=places, countries=countries)


async def looked_at(agency: LocalAgency, world: World, **how: Any) -> tuple[list[OpenDuty], list[Escalation]]:
    """What the agency sees now, and who is to be told that was not yet."""
    told: list[Escalation] = []
    await register_of(agency).catch_up(tell=told.append)
    with closing(register_of(agency).reader()) as reader:
        return reader.duties(world.now, **how), told


def of_kind(found: list[OpenDuty], kind: str) -> list[tuple[str, str]]:
    return [(each.duty.debtor, each.duty.creditor) for each in found if each.duty.kind == kind]


async def acknowledged(agency: LocalAgency, level: AckLevel, **how: Any) -> tuple[Acknowledger, list[str | None]]:
    """The agency reads its inbox and acknowledges what it finds."""
    subjects: list[str | None] = []
    refused: list[str] = []
    acknowledger = Acknowledger(
        await agency.publisher(), level, agency.member.clock.now_ms, lambda subject, reason: refused.append(f"{subject}: {reason}")
    )

    async def answer(delivery: Delivery) -> Outcome:
        subjects.append(await acknowledger.acknowledge(delivery))
        return DONE

    await agency.member.subscriber(agency.transport).run(answer, idle_timeout=0.1, **how)
    await acknowledger.finish()
    assert refused == []
    return acknowledger, subjects


async def test_silence_is_told_and_an_acknowledgement_ends_it(world: World) -> None:
    """An IMMEDIATE alert is to be acknowledged within 30 minutes. Nobody does: its originator is told, after another 30 minutes its duty
    officer, an hour later the next, each once, however often it is looked at. The recipient sees the same duty from its side, and tells its
    own duty officer only. Then it acknowledges: closed at both."""
    sg, my = world.agency(SG), world.agency(MY)
    for agency in (sg, my):
        agency.member.files.contacts_file.write_text(json.dumps(CONTACTS))
        assert await looked_at(agency, world) == ([], [])
    receipt = await sg.publish(alert_of(world, urgency="IMMEDIATE"))
    assert [recipient.agency for recipient in receipt.recipients] == [MY]
    for agency in (sg, my):
        found, told = await looked_at(agency, world)
        assert of_kind(found, "ACKNOWLEDGE") == of_kind(found, "FEEDBACK") == [(MY, SG)]
        assert found[0].duty.due_ms == world.now + 30 * MINUTE_MS
        assert (found[0].late_ms, told) == (None, [])
    world.clock.advance(29 * MINUTE_MS)
    assert (await looked_at(sg, world, overdue=True)) == ([], [])
    late = 0
    for minutes, first, contact in ((1, [SG], []), (30, [], ["DUTY_OFFICER"]), (60, [], ["HEAD_OF_TARGETING"])):
        world.clock.advance(minutes * MINUTE_MS)
        late += minutes * MINUTE_MS
        for agency, expected in ((sg, first + contact), (my, contact)):
            found, told = await looked_at(agency, world, overdue=True)
            assert ([step.to for step in told], [each.late_ms for each in found]) == (expected, [late - MINUTE_MS]), agency.agency
            assert (await looked_at(agency, world))[1] == []
    (duty,) = (await looked_at(sg, world, overdue=True))[0]
    assert [(each.rung, each.to) for each in duty.told] == [(0, SG), (1, "DUTY_OFFICER"), (2, "HEAD_OF_TARGETING")]
    await acknowledged(my, "L3")
    for agency in (sg, my):
        found, told = await looked_at(agency, world)
        assert (of_kind(found, "ACKNOWLEDGE"), of_kind(found, "FEEDBACK"), told) == ([], [(MY, SG)], [])


async def test_a_rung_that_is_configured_later(world: World) -> None:
    """Without contacts only the originator is told. Once there is one, it is told of what is late already, and the originator not again."""
    sg = world.agency(SG)
    await looked_at(sg, world)
    await sg.publish(alert_of(world))
    world.clock.advance(3 * DAY_MS)
    assert [step.to for step in (await looked_at(sg, world))[1]] == [SG]
    sg.member.files.contacts_file.write_text(json.dumps({"contacts": [{"name": "DUTY_OFFICER"}]}))
    assert [step.to for step in (await looked_at(sg, world))[1]] == ["DUTY_OFFICER"]
    sg.member.files.contacts_file.write_text('{"contacts": "everybody"}')
    with pytest.raises(UsageError, match="no list of contacts"):
        await register_of(sg).catch_up()


async def test_told_while_it_is_followed(world: World) -> None:
    """A process that keeps the register tells as soon as the time has come, without anything arriving."""
    sg = world.agency(SG)
    await looked_at(sg, world)
    await sg.publish(alert_of(world))
    told: list[str] = []
    keeper = register_of(sg)
    following = asyncio.create_task(keeper.follow(tell=lambda step: told.append(step.to)))
    with closing(register_of(sg).reader()) as reader:
        await eventually(lambda: reader.duties(world.now), what="the duty")
        assert told == []
        world.clock.advance(2 * DAY_MS)
        await eventually(lambda: told, what="the escalation")
        assert [[each.to for each in duty.told] for duty in reader.duties(world.now, overdue=True)] == [[SG]]
    keeper.stop()
    await following
    assert told == [SG]


async def test_nobody_is_told_before_the_answers_were_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The acknowledgement came while the originator's register was not kept, and its time is over when it is kept again: whoever looks at
    the clock before the inbox would complain of silence that there never was."""
    monkeypatch.setattr("broker.app.register.OWN_S", 0)
    sg, my = world.agency(SG), world.agency(MY)
    await looked_at(sg, world)
    await sg.publish(alert_of(world))
    await looked_at(sg, world)
    await acknowledged(my, "L3")
    world.clock.advance(2 * DAY_MS)
    slow: Transport = Slow(sg.transport)  # type: ignore[assignment]
    keeper, told = sg.member.register(slow), list[Escalation]()
    following = asyncio.create_task(keeper.follow(tell=told.append))
    with closing(register_of(sg).reader()) as reader:
        await eventually(lambda: not of_kind(reader.duties(world.now), "ACKNOWLEDGE"), what="the acknowledgement")
    keeper.stop()
    await following
    assert told == []


async def test_a_look_up_tells_nobody(world: World) -> None:
    """A look-up for something else leaves what is to be told to those who asked for it."""
    sg = world.agency(SG)
    await looked_at(sg, world)
    await sg.publish(alert_of(world))
    world.clock.advance(2 * DAY_MS)
    await register_of(sg).catch_up()
    assert [step.to for step in (await looked_at(sg, world))[1]] == [SG]


async def test_reading_again_acknowledges_once(world: World) -> None:
    """The whole inbox is read twice and more: one acknowledgement for each revision and level, at the relay too. Another level is another
    one; below L3 it does not end the duty. Answers and recalls are not acknowledged."""
    sg, my = world.agency(SG), world.agency(MY)
    for agency in (sg, my):
        await looked_at(agency, world)
    await sg.publish(alert_of(world))
    await sg.publish(alert_of(world, revision=2))
    first, subjects = await acknowledged(my, "L1", start="beginning")
    again, same = await acknowledged(my, "L1", start="beginning")
    assert (first.published, again.published) == (2, 0)
    assert subjects == same == [ack_subject(MY, ALERT, revision, "L1") for revision in (1, 2)]
    assert of_kind((await looked_at(sg, world))[0], "ACKNOWLEDGE") == [(MY, SG)] * 2
    assert (await acknowledged(my, "L3", start="beginning"))[0].published == 2
    await my.close()
    my.member.files.publisher_store.unlink()
    assert (await acknowledged(my, "L3", start="beginning"))[0].published == 2  # a lost store: the relay has them, and takes none again
    assert of_kind((await looked_at(sg, world))[0], "ACKNOWLEDGE") == []
    _, of_sg = await acknowledged(sg, "L3", start="beginning")
    assert len(of_sg) == 4
    assert set(of_sg) == {None}


async def test_a_recall_ends_all_but_its_answer(world: World) -> None:
    """After a recall nothing is owed about the alert any more but the recipient's word, which the owner waits for and then has."""
    sg, my = world.agency(SG), world.agency(MY)
    for agency in (sg, my):
        await looked_at(agency, world)
    await sg.publish(alert_of(world))
    await looked_at(my, world)
    await sg.publish(sample_recall(ALERT, agencies=[MY], now_ms=world.now, revision=2))
    for agency in (sg, my):
        assert [(each.duty.kind, each.duty.debtor) for each in (await looked_at(agency, world))[0]] == [("ANSWER_RECALL", MY)]
    reply = sample_recall_reply(f"{MY}/2026/X-1", target=ALERT, target_revision=2, now_ms=world.now)
    assert (await my.publish(reply)).outcome == "ACCEPTED"
    for agency in (sg, my):
        assert (await looked_at(agency, world))[0] == []


async def test_flags_are_shown_to_those_they_are_for(world: World) -> None:
    """Two owners' alerts name one container: both owners see the flag, a third agency that holds both alerts does not."""
    th = await world.exchange.join("TH-CUSTOMS", "customs", ["STCE-ASEAN"])
    sg, my = world.agency(SG), world.agency(MY)
    for agency in (sg, my, th):
        await register_of(agency).catch_up()
    await sg.publish(with_container(world.alert(1), "MSKU9070323"))
    await my.publish(with_container(world.alert(1, owner=MY), "MSKU9070323"))
    seen: dict[str, list[str]] = {}
    for agency in (sg, my, th):
        await register_of(agency).catch_up()
        with closing(register_of(agency).reader()) as reader:
            seen[agency.agency] = [flag.code for flag in reader.flags(world.now, agency=agency.agency)]
            assert [flag.code for flag in reader.flags(world.now)] == ["SAME_CONTAINER"]
    assert seen == {SG: ["SAME_CONTAINER"], MY: ["SAME_CONTAINER"], "TH-CUSTOMS": []}
