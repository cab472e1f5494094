"""A recall through a whole exchange in memory: five agencies, one offline; who has it, who answered, and that the content is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import pytest

from broker import ids
from broker.app.parties import Operator
from broker.app.recall import Recalls
from broker.errors import UsageError
from broker.exchange.recall_status import RecallStatus
from broker.exchange.receive import Opened, open_delivery
from broker.exchange.topology import CURRENT
from broker.exchange.trace import Trace
from broker.families.clocks.dates import DAY_MS, HOUR_MS
from broker.families.clocks.duty import Chain, Contact
from broker.families.message import Audience, Message
from broker.families.recall_reply import reply_subject
from broker.register.answers import SubjectAnswer
from broker.service.subscriber import Reject, Retry
from broker.testing.clock import FixedClock
from broker.testing.local import LocalAgency, LocalExchange
from broker.testing.sample_answers import sample_ack, sample_feedback
from tests.support.deliveries import bytes_of
from tests.support.eventually import eventually
from tests.support.standing import reinstate, suspend
from tests.support.yesterday import BEFORE_RULES, TODAY
from tests.unit.service.world import COMMUNITY, NOW, Taker, World

ALERT = "SG-CUSTOMS/2026/000001"
MARKS = (b"Example Trading", b"CSQU3054383", b"END_USE_UNCLEAR")
"""Content of the parties, equipment and core sections."""
HOLDERS = ("AE-CUSTOMS", "DE-CUSTOMS", "MY-CUSTOMS", "TH-CUSTOMS", "VN-CUSTOMS")
CHAIN: Chain = (Contact("DUTY-DESK"), Contact("DIRECTOR", 24 * HOUR_MS))


@pytest.fixture
async def five(world: World) -> World:
    """Five customs services besides SG-CUSTOMS, each with a register."""
    for agency in HOLDERS:
        if agency not in world.exchange.agencies:
            await world.exchange.join(agency, "customs", [COMMUNITY])
    await world.learn()
    await caught_up(world, "SG-CUSTOMS")
    return world


def warning(world: World, revision: int, agencies: Iterable[str] = HOLDERS) -> Message:
    """The alert for these agencies and nobody else."""
    return replace(world.alert(1, revision=revision), audience=Audience(agencies=tuple(agencies)), tlp="RED")


async def caught_up(world: World, *agencies: str) -> None:
    """Read what is new into their registers."""
    for agency in agencies:
        await world.agency(agency).member.register(world.agency(agency).transport).catch_up()


def recalls(world: World, agency: str = "SG-CUSTOMS") -> Recalls:
    return world.agency(agency).member.recalls()


def held(world: World, agency: str) -> SubjectAnswer:
    """What an agency's register says of the alert."""
    here = world.agency(agency)
    with closing(here.member.register(here.transport).reader()) as reader:
        found = reader.subject(ALERT, world.now)
    assert found is not None
    return found


async def status(world: World) -> RecallStatus:
    """The owner's view after it has read its inbox."""
    await caught_up(world, "SG-CUSTOMS")
    owner = world.agency()
    with closing(owner.member.register(owner.transport).reader()) as reader:
        found = recalls(world).status(reader, ALERT, CHAIN)
    assert found is not None
    return found


async def traced(world: World) -> dict[str, Trace]:
    """The owner's trace."""
    await caught_up(world, "SG-CUSTOMS")
    owner = world.agency()
    with closing(owner.member.register(owner.transport).reader()) as reader:
        return {each.agency: each for each in recalls(world).trace(reader, ALERT)}


async def answer(world: World, agency: str, code: str, reason: str | None = None) -> None:
    """An answer by hand, after the agency has read its inbox."""
    await caught_up(world, agency)
    here = world.agency(agency)
    with closing(here.member.register(here.transport).reader()) as reader:
        message = recalls(world, agency).answer(reader, ALERT, code, reason)  # type: ignore[arg-type]
    assert (await here.publish(message)).outcome == "ACCEPTED"


async def take_back(world: World) -> None:
    """The recall."""
    receipt = await world.agency().publish(recalls(world).recall(ALERT, "COMPROMISED", action="DELETE"))
    assert (receipt.outcome, receipt.revision) == ("ACCEPTED", 2)


def states(found: RecallStatus) -> dict[str, str]:
    return {holder.agency: holder.state for holder in found.holders}


def compact(world: World) -> None:
    """As a log cleaner would after the times of the topics."""
    for topic in (CURRENT, *(ids.inbox(agency) for agency in world.exchange.agencies)):
        world.memory.log((topic, 0)).compact()


def lying(world: World, agency: str) -> bytes:
    """Every byte of the files an agency keeps of what it received, and of its inbox."""
    files = world.agency(agency).member.files
    kept = [path for path in (files.register_store, files.subscriber_store) if path.exists()]
    return b"".join([*(bytes_of(path) for path in kept), *world.inbox_values(agency)])


async def test_a_recall_is_counted_until_everybody_has_answered(five: World) -> None:
    """Four of five answer; the fifth is away: silence goes to the owner, a day later to the duty contact, then to the director. It comes
    back, reads its inbox that was compacted meanwhile, never sees the content, answers: five of five. No byte of the content is left in
    any register, inbox, or in `exchange.current`."""
    away, online = HOLDERS[-1], HOLDERS[:-1]
    await five.agency().publish(warning(five, 1))
    await caught_up(five, *online)
    for agency in online:
        assert all(mark in lying(five, agency) for mark in MARKS)
    await take_back(five)
    first = await status(five)
    assert (first.confirmed, len(first.holders), first.complete) == (0, 5, False)
    assert set(states(first).values()) == {"OPEN"}
    assert (first.told, first.next_to) == ((), "SG-CUSTOMS")
    await answer(five, "AE-CUSTOMS", "STOPPED")
    await answer(five, "DE-CUSTOMS", "DELETED")
    await answer(five, "MY-CUSTOMS", "CANNOT", "COURT_ORDER")
    await answer(five, "TH-CUSTOMS", "STOPPED")
    await answer(five, "TH-CUSTOMS", "DELETED")
    five.clock.advance(DAY_MS)
    late = await status(five)
    assert (late.confirmed, late.complete, states(late)[away]) == (4, False, "SILENT")
    assert states(late) | {away: ""} == {
        "AE-CUSTOMS": "STOPPED", "DE-CUSTOMS": "DELETED", "MY-CUSTOMS": "CANNOT", "TH-CUSTOMS": "DELETED", away: "",
    }  # fmt: skip
    assert {holder.agency: holder.reason for holder in late.holders if holder.reason} == {"MY-CUSTOMS": "COURT_ORDER"}
    assert [(step.to, step.duty.debtor) for step in late.told] == [("SG-CUSTOMS", away)]
    assert (late.next_to, late.next_ms) == ("DUTY-DESK", late.holders[-1].due_ms + DAY_MS)
    five.clock.advance(DAY_MS)
    assert [step.to for step in (await status(five)).told] == ["SG-CUSTOMS", "DUTY-DESK"]
    five.clock.advance(DAY_MS)
    longest = await status(five)
    assert ([step.to for step in longest.told], longest.next_ms) == (["SG-CUSTOMS", "DUTY-DESK", "DIRECTOR"], None)
    compact(five)
    seen = Taker()
    await five.subscribe(seen, away)
    assert [(each.family, each.taken_back, set(each.sections)) for each in seen.taken] == [("recall", True, {"core"})]
    await answer(five, away, "DELETED")
    done = await status(five)
    assert (done.confirmed, done.complete, done.told, done.next_ms) == (5, True, (), None)
    for agency in HOLDERS:
        assert held(five, agency).row.state == "ERASED"
        assert not any(mark in lying(five, agency) for mark in MARKS), agency
    current = [record.value or b"" for record in five.memory.records(CURRENT) if record.key == ALERT.encode()]
    assert len(current) == 1
    assert not any(mark in current[0] for mark in MARKS)


async def test_the_trace_says_who_received_what(five: World) -> None:
    """One line for each recipient: revisions, sections, when, under which rule, what it acknowledged, reported and answered. The rules are
    those of the slips that the recipient has."""
    await five.agency().publish(warning(five, 1))
    my = five.agency("MY-CUSTOMS")
    await my.publish(sample_ack("MY-CUSTOMS/2026/A-1", target=ALERT, level="L1", now_ms=five.now))
    five.clock.advance(1000)
    await my.publish(sample_ack("MY-CUSTOMS/2026/A-2", target=ALERT, level="L3", now_ms=five.now))
    await my.publish(sample_feedback("MY-CUSTOMS/2026/F-1", target=ALERT, now_ms=five.now))
    at, _ = five.now, five.clock.advance(1000)
    await five.agency().publish(warning(five, 2, HOLDERS[:-1]))
    await five.agency().publish(recalls(five).recall(ALERT, "ERROR"))
    await answer(five, "MY-CUSTOMS", "DELETED")
    found = await traced(five)
    assert tuple(found) == HOLDERS
    mine = found["MY-CUSTOMS"]
    assert [(sent.revision, sent.admitted_at, sent.rule) for sent in mine.sent] == [
        (1, at - 1000, "receive-named"), (2, at + 1000, "receive-named"), (3, at + 1000, "recall-reaches-holders"),
    ]  # fmt: skip
    assert "parties" in mine.sent[0].sections
    assert (mine.codes("ACK"), mine.codes("RECALL_REPLY")) == (("L1", "L3"), ("DELETED",))
    assert len(mine.codes("FEEDBACK")) == 1
    dropped = found["VN-CUSTOMS"].sent[1]
    assert (dropped.withdrawn, dropped.sections, dropped.rule) == (True, (), "no-longer-disclosed")
    assert set(dropped.withheld) == set(found["VN-CUSTOMS"].sent[0].sections)
    for agency, trace in found.items():
        opened = [open_delivery(value, five.rules) for value in five.inbox_values(agency)]
        slips = [(each.slip.rule, dict(each.slip.withheld)) for each in opened if isinstance(each, Opened)]
        assert [(sent.rule, dict(zip(sent.withheld, sent.withheld_by, strict=True))) for sent in trace.sent] == slips


async def test_receipts_without_rules_stay_readable() -> None:
    """Those of version 1 in the publisher's store: the trace tells their facts without a rule, and those of later revisions with it. The
    relay writes version 2 only when its operator has announced it."""
    async with LocalExchange(clock=FixedClock(NOW), shards=1, schemas=BEFORE_RULES) as exchange:
        owner = await exchange.join("SG-CUSTOMS", "customs", [COMMUNITY])
        await exchange.join("MY-CUSTOMS", "customs", [COMMUNITY])
        world = World(exchange, FixedClock(NOW))
        await owner.publish(warning(world, 1, ["MY-CUSTOMS"]))
        await exchange.stop_relay()
        connects = exchange._connect, exchange._connect_admin  # pyright: ignore[reportPrivateUsage]
        exchange.operator = Operator(exchange.home, *connects, bootstrap="memory:0", clock=world.clock, schemas=TODAY)
        await exchange.start_relay()
        await owner.publish(warning(world, 2, ["MY-CUSTOMS"]))
        async with exchange.operator.registrar() as registrar:
            assert await registrar.announce(TODAY) == ["receipt/v2/receipt"]
        await exchange.stop_relay()
        await exchange.start_relay()
        await owner.publish(warning(world, 3, ["MY-CUSTOMS"]))
        await world.learn()
        assert [[each.rule for each in receipt.recipients] for receipt in world.receipts()] == [[None], [None], ["receive-named"]]
        found = await traced(world)
    sent = found["MY-CUSTOMS"].sent
    assert [(each.revision, each.rule, each.policy_version) for each in sent] == [
        (1, None, 1), (2, None, 1), (3, "receive-named", 1),
    ]  # fmt: skip
    assert len({each.sections for each in sent}) == 1


async def test_a_narrowed_audience_is_a_recall_for_those_who_drop_out(five: World) -> None:
    """Their registers erase at once and owe an answer; the owner counts them; who comes back into the audience is asked no more and has
    the subject again."""
    await five.agency().publish(warning(five, 1))
    await caught_up(five, *HOLDERS)
    receipt = await five.agency().publish(warning(five, 2, ["MY-CUSTOMS"]))
    assert {each.agency: each.withdrawn for each in receipt.recipients} == {agency: agency != "MY-CUSTOMS" for agency in HOLDERS}
    await caught_up(five, *HOLDERS)
    compact(five)
    assert held(five, "MY-CUSTOMS").row.state == "LIVE"
    for agency in set(HOLDERS) - {"MY-CUSTOMS"}:
        assert (held(five, agency).row.state, held(five, agency).row.reason) == ("ERASED", "WITHDRAWN")
        assert not any(mark in lying(five, agency) for mark in MARKS), agency
    asked = await status(five)
    assert (asked.recall, asked.confirmed, len(asked.holders)) == (None, 0, 4)
    await answer(five, "AE-CUSTOMS", "DELETED")
    assert (await status(five)).confirmed == 1
    await five.agency().publish(warning(five, 3))
    await caught_up(five, *HOLDERS)
    assert {held(five, agency).row.state for agency in HOLDERS} == {"LIVE"}
    with closing(five.agency().member.register(five.agency().transport).reader()) as reader:
        assert recalls(five).status(reader, ALERT) is None
    await five.agency().publish(recalls(five).recall(ALERT, "ERROR"))
    assert (await status(five)).confirmed == 0  # the answer to the withdrawal is none to the recall
    assert len((await status(five)).holders) == 5


async def test_who_never_held_it_counts_for_nothing(five: World) -> None:
    """An agency outside gets no recall, and an answer of it changes no count."""
    await five.agency().publish(warning(five, 1, ["MY-CUSTOMS"]))
    await take_back(five)
    assert five.inbox_values("AE-CUSTOMS") == []
    with pytest.raises(UsageError, match="no recall of"):
        await caught_up(five, "AE-CUSTOMS")
        here = five.agency("AE-CUSTOMS")
        with closing(here.member.register(here.transport).reader()) as reader:
            recalls(five, "AE-CUSTOMS").answer(reader, ALERT, "DELETED")
    await answer(five, "MY-CUSTOMS", "STOPPED")
    done = await status(five)
    assert (states(done), done.complete) == ({"MY-CUSTOMS": "STOPPED"}, True)


async def test_a_suspended_holder_is_counted_as_unreached(five: World) -> None:
    """The exchange does not deliver to it; the owner sees that it holds content and was not told, and counts it when it is back."""
    await five.agency().publish(warning(five, 1, ["MY-CUSTOMS", "AE-CUSTOMS"]))
    await suspend(five.exchange.operator, "AE-CUSTOMS")
    await five.learn()
    relay = five.exchange.relay
    assert relay is not None
    await eventually(lambda: relay_version(five) >= five.rules.directory.version, what="the suspension at the relay")
    await take_back(five)
    found = await status(five)
    assert states(found) == {"AE-CUSTOMS": "UNREACHED", "MY-CUSTOMS": "OPEN"}
    five.clock.advance(DAY_MS)
    assert [step.duty.debtor for step in (await status(five)).told] == ["AE-CUSTOMS", "MY-CUSTOMS"]
    await reinstate(five.exchange.operator, "AE-CUSTOMS")
    await eventually(lambda: five.inbox_values("AE-CUSTOMS")[1:], what="the recall, delivered to the agency that is back")
    await answer(five, "AE-CUSTOMS", "DELETED")
    assert states(await status(five)) == {"AE-CUSTOMS": "DELETED", "MY-CUSTOMS": "SILENT"}


def relay_version(world: World) -> int:
    """The directory version under which the relay decides."""
    relay = world.exchange.relay
    assert relay is not None
    return relay._knowledge.rules.directory.version


async def test_a_recall_needs_something_published(five: World) -> None:
    """Without a revision given, one is taken from the publisher's own store; where nothing is there, that is said."""
    with pytest.raises(UsageError, match="was not published from this home") as caught:
        recalls(five).recall(ALERT, "ERROR")
    assert "--revision" in caught.value.advice
    assert recalls(five).recall(ALERT, "ERROR", revision=4).revision == 4


@asynccontextmanager
async def following(here: LocalAgency) -> AsyncGenerator[None]:
    """The register followed, with automatic answers."""
    register = here.member.register(here.transport)
    async with here.member.answering(here.transport) as answers:
        task = asyncio.create_task(register.follow(look=answers.look))
        try:
            yield
        finally:
            register.stop()
            await task


async def test_a_register_that_answers_by_itself_answers_once(five: World) -> None:
    """Followed with automatic answers it says DELETED after the content is gone from its files; ended and started again at any point, it
    says nothing a second time, and a person may still say more."""
    my = five.agency("MY-CUSTOMS")
    await five.agency().publish(warning(five, 1, ["MY-CUSTOMS"]))
    async with following(my):
        await take_back(five)
        await five.answered(1, "MY-CUSTOMS")
        assert not any(mark in bytes_of(my.member.files.register_store) for mark in MARKS)
    done = await status(five)
    assert (states(done), done.complete) == ({"MY-CUSTOMS": "DELETED"}, True)
    async with following(my):
        await five.agency().publish(five.alert(2))
        await eventually(lambda: b"000002" in bytes_of(my.member.files.register_store), what="the next alert in the register")
    assert len(five.receipts("MY-CUSTOMS")) == 1
    await answer(five, "MY-CUSTOMS", "DELETED")
    assert [receipt.revision for receipt in five.receipts("MY-CUSTOMS")] == [1, 2]


async def test_an_automatic_answer_survives_a_crash(five: World) -> None:
    """The process ends after the answer was stored and before it was sent or answered: the next start sends what is stored, and makes no
    other one."""
    my = five.agency("MY-CUSTOMS")
    await five.agency().publish(warning(five, 1, ["MY-CUSTOMS"]))
    await take_back(five)
    await caught_up(five, "MY-CUSTOMS")
    await five.exchange.stop_relay()
    with closing(my.member.register(my.transport).reader()) as reader:
        async with my.member.answering(my.transport) as answers:
            await answers.look(reader)
            await answers.look(reader)
        assert recalls(five, "MY-CUSTOMS").unanswered(reader) == []
    await five.exchange.start_relay()
    async with following(my):
        receipts = await five.answered(1, "MY-CUSTOMS")
    (leaf,) = {receipt.leaf for receipt in receipts}  # the record may have been sent twice: its receipt then came twice
    assert leaf is not None
    assert (receipts[0].outcome, receipts[0].subject) == ("ACCEPTED", reply_subject("MY-CUSTOMS", ALERT, 2))
    done = await status(five)
    assert (states(done), done.complete) == ({"MY-CUSTOMS": "DELETED"}, True)


@pytest.mark.parametrize("outcome", [Retry(3600), Reject("not usable here")])
async def test_what_a_subscriber_keeps_for_another_try_goes_too(five: World, outcome: Retry | Reject) -> None:
    """An agency's own handler put the alert off, or rejected it: with the recall its bytes are gone from the store, and the recall waits
    for nothing. So it is with a narrowed audience, and where the handler asked for alerts only."""
    await five.agency().publish(warning(five, 1, ["MY-CUSTOMS", "AE-CUSTOMS"]))
    takers = {agency: Taker({"000001": [outcome]}) for agency in ("MY-CUSTOMS", "AE-CUSTOMS")}
    for agency, taker in takers.items():
        await five.subscribe(taker, agency)
        assert MARKS[0] in bytes_of(five.agency(agency).member.files.subscriber_store)
    await five.agency().publish(warning(five, 2, ["AE-CUSTOMS"]))
    await five.agency().publish(recalls(five).recall(ALERT, "ERROR"))
    await five.subscribe(takers["MY-CUSTOMS"], "MY-CUSTOMS")
    await five.subscribe(takers["AE-CUSTOMS"], "AE-CUSTOMS", families=["alert"])
    assert [(each.family, each.revision, each.taken_back) for each in takers["MY-CUSTOMS"].taken] == [
        ("alert", 1, False), ("alert", 2, True), ("recall", 3, True),
    ]  # fmt: skip
    for agency in takers:
        assert MARKS[0] not in bytes_of(five.agency(agency).member.files.subscriber_store)
