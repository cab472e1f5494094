"""Reading what an agency holds for a purpose: the commands as they run, over an exchange in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.app import process
from broker.app.left_out import LeftOut
from broker.app.parties import shipped_bundle
from broker.app.purpose import Purposed
from broker.app.register import Register
from broker.cli import messages, recall, register
from broker.cli.screen import Common
from broker.errors import ExchangeUnreachable, UsageError
from broker.exchange.rules import members_of
from broker.exchange.use import BOUND, RULES_UNKNOWN
from broker.families.consent_reply import consent_reply
from broker.families.message import PURPOSES, Audience, Message
from broker.policy.decide import Decider
from broker.policy.model import DEFAULT_DENY, Member
from broker.ports import Transport
from broker.service.knowledge import Knowledge
from broker.storage.home import TlsFiles
from broker.testing.memory import MemoryTransport
from broker.testing.sample_answers import sample_licence_usage
from broker.testing.sample_reports import sample_licence
from broker.testing.samples import sample_alert
from tests.support.deliveries import Kept
from tests.support.eventually import eventually
from tests.unit.register.scene import NOW, put
from tests.unit.service.world import COMMUNITY, World

MY = "MY-CUSTOMS"
KEYS = register.Keys(container="CSQU3054383")
TOLD = {"message_id", "family", "originator", "subject", "issued_at", "admitted_at", "valid_until", "withheld_here", "purpose", "reason"}
"""All that is told of a message that is not shown."""

Called = Callable[[Awaitable[int]], Awaitable[tuple[int, list[dict[str, Any]], str]]]


@pytest.fixture
def called(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Called:
    """Runs a command on the exchange in memory: its exit code, its JSON lines, and what it says beside them."""

    def connect(_bootstrap: str, principal: str, _files: TlsFiles) -> Transport:
        return MemoryTransport(world.memory, principal)

    for module in (register, messages, recall):
        monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setattr("broker.cli.register.SystemClock", lambda: world.clock)
    monkeypatch.setattr("broker.app.parties.SystemClock", lambda: world.clock)
    monkeypatch.setattr(process, "settle", lambda: None)

    async def call(command: Awaitable[int]) -> tuple[int, list[dict[str, Any]], str]:
        capsys.readouterr()
        code = await command
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return call


def common(world: World, *, as_json: bool = True) -> Common:
    return Common(home=world.exchange.home, json=as_json)


def watched(world: World, number: int, *purposes: str) -> Message:
    return replace(world.alert(number), purposes=purposes)


async def test_a_search_shows_what_is_for_its_purpose(world: World, called: Called) -> None:
    """Of two alerts about one container the one whose purposes name what is asked is shown in full, of the other nothing but that it is
    there; without a purpose both are shown; the exit code is the same."""
    await world.agency().publish(watched(world, 1, "STC_ENFORCEMENT", "LICENSING"))
    await world.agency().publish(watched(world, 2, "STC_ENFORCEMENT"))
    code, lines, _ = await called(register.find(as_=MY, keys=KEYS, common=common(world)))
    assert (code, [line["subject"][-1] for line in lines]) == (0, ["1", "2"])
    assert all(line["sections"] for line in lines)
    code, (shown, withheld), said = await called(register.find(as_=MY, keys=KEYS, purpose="LICENSING", common=common(world)))
    assert code == 0
    assert shown == lines[0]
    assert set(withheld) == TOLD | {"as_of", "reachable", "note"}
    assert (withheld["subject"], withheld["withheld_here"]) == ("SG-CUSTOMS/2026/000002", DEFAULT_DENY)
    assert "1 of 2 messages" in said


async def test_nothing_is_found_after_its_life(world: World, called: Called) -> None:
    """With --ended an alert past its time is found without a purpose; for one of its purposes a prohibition withholds it."""
    await world.agency().publish(watched(world, 1, "LICENSING"))
    world.clock.advance(30 * 86_400_000)
    _, (ended,), _ = await called(register.find(as_=MY, keys=KEYS, ended=True, common=common(world)))
    assert (ended["live"], bool(ended["sections"])) == (False, True)
    _, (withheld,), _ = await called(register.find(as_=MY, keys=KEYS, ended=True, purpose="LICENSING", common=common(world)))
    assert withheld["withheld_here"] == "stop-reading-after-life"
    assert "sections" not in withheld


async def test_people_are_told_why(world: World, called: Called, capsys: pytest.CaptureFixture[str]) -> None:
    """The text names message, purpose, rule and reason, and holds nothing of the content."""
    await world.agency().publish(watched(world, 1, "LICENSING"))
    assert await register.find(as_=MY, keys=KEYS, purpose="TRAINING", common=common(world, as_json=False)) == 0
    text = capsys.readouterr().out
    assert "SG-CUSTOMS/2026/000001" in text
    assert "not shown for TRAINING, by default-deny" in text
    assert "CSQU3054383" not in text


async def test_an_inbox_is_read_for_a_purpose(world: World, called: Called, tmp_path: Path) -> None:
    """What is read again and what comes for the first time is shown for a purpose of its own, and captured; what is not is neither, and the
    position moves past it."""
    await world.agency().publish(watched(world, 1, "STC_ENFORCEMENT", "LICENSING"))
    await world.agency().publish(watched(world, 2, "STC_ENFORCEMENT"))

    async def read(start: Any, purpose: str | None) -> tuple[int, list[dict[str, Any]], str]:
        capture = tmp_path / f"{start} {purpose}"
        command = messages.subscribe(as_=MY, from_=start, timeout=0.1, capture=capture, purpose=purpose, common=common(world))
        code, lines, said = await called(command)
        shown = {line["message_id"] for line in lines if "sections" in line}
        assert {path.stem for path in capture.iterdir()} == shown
        return code, lines, said

    for start in ("committed", "beginning"):
        code, (shown, withheld), said = await read(start, "LICENSING")
        assert code == 0
        assert (shown["subject"], shown["verified"]) == ("SG-CUSTOMS/2026/000001", True)
        assert set(withheld) == TOLD | {"taken_back"}
        assert (withheld["subject"], withheld["withheld_here"]) == ("SG-CUSTOMS/2026/000002", DEFAULT_DENY)
        assert "1 of 2 messages" in said
    assert (await read("committed", None))[1] == []
    assert len((await read("beginning", None))[1]) == 2


async def consented(world: World) -> None:
    """DE-BAFA has an alert by the owner's consent for licensing, though the alert names another purpose as well."""
    await world.exchange.join("DE-BAFA", "licensing")
    sg = world.agency()
    await sg.publish(watched(world, 1, "STC_ENFORCEMENT", "LICENSING"))
    until = datetime.fromtimestamp(world.now / 1000 + 86400, UTC)
    core: Any = {
        "decision": "GRANT", "consented_subject": "SG-CUSTOMS/2026/000001", "recipients": ["DE-BAFA"], "section_names": ["core", "goods"],
        "purposes": ["LICENSING"], "period_until": until,
    }  # fmt: skip
    audience = Audience(agencies=("MY-CUSTOMS",))
    await sg.publish(consent_reply(
        subject="SG-CUSTOMS/C/1", target="MY-CUSTOMS/Q/1", core=core, audience=audience, tlp="AMBER", purposes=("LICENSING",),
        legal_basis="CMAA:SG-MY",
    ))  # fmt: skip
    world.clock.advance(10)
    await eventually(lambda: bool(world.inbox_values("DE-BAFA")))


async def test_what_consent_gives_is_read_for_its_purposes_alone(world: World, called: Called) -> None:
    """An agency that has an alert by the owner's consent for one purpose reads and finds it for that one, though the alert names others as
    well; for another, and where none is given, nothing but that it is there is told, by inbox and register alike."""
    await consented(world)
    for purpose, shown in (("LICENSING", True), ("STC_ENFORCEMENT", False), (None, False)):
        read = messages.subscribe(as_="DE-BAFA", from_="beginning", timeout=0.1, purpose=purpose, common=common(world))
        code, (delivered,), _ = await called(read)
        assert (code, "sections" in delivered) == (0, shown), purpose
        hs = register.Keys(hs="8479")
        code, (found,), said = await called(register.find(as_="DE-BAFA", keys=hs, purpose=purpose, common=common(world)))
        assert (code, "sections" in found) == (0, shown), purpose
        if not shown:
            assert delivered["withheld_here"] == found["withheld_here"] == BOUND
            assert "the owner consented to it for LICENSING alone" in delivered["reason"]
            assert "1 of 1 messages are not shown" in said


async def test_only_what_was_shown_is_acknowledged_and_traced(world: World, called: Called) -> None:
    """Nobody has read what was not shown, so nothing is acknowledged; an acknowledgement has its alert's purposes, and the owner sees it in
    a trace for these alone."""
    for number, purposes in ((1, ("STC_ENFORCEMENT", "LICENSING")), (2, ("STC_ENFORCEMENT",))):
        await world.agency().publish(watched(world, number, *purposes))
    read = messages.subscribe(as_=MY, timeout=0.1, ack="L3", purpose="LICENSING", common=common(world))
    code, (shown, withheld), _ = await called(read)
    assert (code, bool(shown["ack"]), "ack" in withheld) == (0, True, False)
    assert [receipt.outcome for receipt in world.receipts(MY)] == ["ACCEPTED"]
    await world.agency().close()
    for purpose, acks, told in (("LICENSING", ["L3"], 0), ("TRAINING", [], 1)):
        tracing = recall.trace("SG-CUSTOMS/2026/000001", as_="SG-CUSTOMS", purpose=purpose, common=common(world))
        code, lines, _ = await called(tracing)
        mine = next(line for line in lines if line.get("agency") == MY)
        assert (code, [each["code"] for each in mine["acks"]], len(mine["deliveries"])) == (0, acks, 1)
        assert [line["family"] for line in lines if "withheld_here" in line] == ["ack"] * told


async def test_a_licence_is_shown_for_its_purpose(world: World, called: Called) -> None:
    """`licence show` ends with 0 where the licence is here, shown or not, and with 1 where it is not."""
    bafa = await world.exchange.join("DE-BAFA", "licensing", [COMMUNITY])
    await bafa.publish(replace(sample_licence(), purposes=("LICENSING",), audience=Audience(agencies=(MY,))))
    code, (shown,), _ = await called(register.show("2026-0815", as_=MY, purpose="LICENSING", common=common(world)))
    assert (code, shown["status"]) == (0, "VALID")
    code, (withheld,), _ = await called(register.show("2026-0815", as_=MY, purpose="STC_ENFORCEMENT", common=common(world)))
    assert (code, withheld["family"], withheld["withheld_here"], "status" in withheld) == (0, "licence", DEFAULT_DENY, False)
    code, (none,), _ = await called(register.show("2026-0816", as_=MY, purpose="LICENSING", common=common(world)))
    assert (code, none["status"]) == (1, None)


async def test_an_unknown_purpose_is_wrong_use(world: World, called: Called) -> None:
    """A slip of the pen would withhold everything: each command refuses it, with the purposes that there are."""
    for command in (
        register.find(as_=MY, keys=KEYS, purpose="ENFORCEMENT", common=common(world)),
        register.show("2026-0815", as_=MY, purpose="ENFORCEMENT", common=common(world)),
        register.flags(as_=MY, purpose="ENFORCEMENT", common=common(world)),
        messages.subscribe(as_=MY, purpose="ENFORCEMENT", common=common(world)),
        recall.trace("MY-CUSTOMS/2026/1", as_=MY, purpose="ENFORCEMENT", common=common(world)),
    ):
        with pytest.raises(UsageError, match="there is no purpose `ENFORCEMENT`") as caught:
            await called(command)
        assert all(purpose in (caught.value.advice or "") for purpose in PURPOSES)


async def test_flags_need_their_whole_cause(world: World, called: Called) -> None:
    """A flag that follows from two owners' alerts is shown for a purpose of both; where one is not for it, that message is told instead."""
    await world.agency().publish(watched(world, 1, "STC_ENFORCEMENT", "LICENSING"))
    other = replace(world.alert(7, owner="AE-CUSTOMS"), purposes=("STC_ENFORCEMENT",), audience=Audience(agencies=(MY, "SG-CUSTOMS")))
    await world.agency("AE-CUSTOMS").publish(other)
    await called(register.flags(as_="SG-CUSTOMS", common=common(world)))  # from now on its own messages come into its register
    await world.agency().close()
    await world.agency().publish(watched(world, 2, "STC_ENFORCEMENT", "LICENSING"))
    _, (flag,), _ = await called(register.flags(as_="SG-CUSTOMS", common=common(world), purpose="STC_ENFORCEMENT"))
    assert (flag["code"], flag["subjects"]) == ("SAME_CONTAINER", ["AE-CUSTOMS/2026/000007", "SG-CUSTOMS/2026/000002"])
    _, (withheld,), _ = await called(register.flags(as_="SG-CUSTOMS", common=common(world), purpose="LICENSING"))
    assert (withheld["subject"], withheld["withheld_here"]) == ("AE-CUSTOMS/2026/000007", DEFAULT_DENY)


async def test_where_the_rules_are_not_known_nothing_is_shown(world: World, called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the exchange is away a look-up answers without a purpose; for one it tells what is there, and why it is not shown."""
    await world.agency().publish(watched(world, 1, "LICENSING"))
    await called(register.find(as_=MY, keys=KEYS, common=common(world)))

    async def away(_: MemoryTransport) -> None:
        raise ExchangeUnreachable("no answer from 192.0.2.1:9093")

    monkeypatch.setattr(MemoryTransport, "inlet", away)
    _, (shown,), _ = await called(register.find(as_=MY, keys=KEYS, common=common(world)))
    assert (shown["reachable"], bool(shown["sections"])) == (False, True)
    code, (withheld,), _ = await called(register.find(as_=MY, keys=KEYS, purpose="LICENSING", common=common(world)))
    assert (code, withheld["withheld_here"]) == (0, RULES_UNKNOWN)
    assert "could not be read" in withheld["reason"]


async def test_the_rules_are_read_where_another_process_keeps_the_register(world: World, called: Called) -> None:
    """A look-up beside `register follow` reads the rules by itself."""
    await world.agency().publish(watched(world, 1, "LICENSING"))
    my = world.agency(MY)
    keeper = my.member.register(my.transport)
    await keeper.catch_up()
    following = asyncio.create_task(keeper.follow())
    await eventually(lambda: keeper._running is not None, what="the keeper")  # pyright: ignore[reportPrivateUsage]
    _, (shown,), _ = await called(register.find(as_=MY, keys=KEYS, purpose="LICENSING", common=common(world)))
    assert (shown["reachable"], bool(shown["sections"])) == (None, True)
    keeper.stop()
    await following


async def test_what_is_left_of_a_licence_tells_of_its_write_offs(world: World) -> None:
    """The balance of a licence is shown for a purpose of the licence and of each write-off; where one is not for it, the licence is shown
    without its items, and the write-off told."""
    kept = Kept(agency=MY)
    licence = replace(sample_licence(), purposes=("LICENSING", "STATISTICS"))
    usage = replace(sample_licence_usage(), purposes=("LICENSING",))
    kept.take(*(replace(put(each), labels=json.dumps({"purposes": each.purposes})) for each in (licence, usage)))
    my = world.agency(MY).member.register(world.agency(MY).transport)
    await my.catch_up()
    decider = await my.decider()
    with closing(kept.store):
        (answer,) = kept.reader.licence("2026-0815", NOW)
        assert answer.items is not None
        whole = Purposed(kept.reader, MY, decider, "LICENSING", NOW)
        assert whole.licence(answer) == answer
        part = Purposed(kept.reader, MY, decider, "STATISTICS", NOW)
        assert part.licence(answer) == answer._replace(items=None)
        assert (list(part.withheld), part.looked_at) == ([usage.subject], 2)
        none = Purposed(kept.reader, MY, decider, "TRAINING", NOW)
        assert none.licence(answer) is None
        assert list(none.withheld) == [licence.subject]


async def test_what_an_agreement_that_has_ended_withholds(world: World, called: Called, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under rules of now without an agreement the parties that were delivered are withheld for any purpose: neither shown nor found by
    name, in the register and in the inbox, and not captured; without a purpose they are shown."""
    await world.agency().publish(watched(world, 1, "LICENSING"))
    party, folder = register.Keys(party="Example Trading FZE"), world.exchange.home / "captured"
    _, (before,), _ = await called(register.find(as_=MY, keys=party, purpose="LICENSING", common=common(world)))
    assert "parties" in before["sections"]
    without = Decider(shipped_bundle(), members_of(world.rules.directory))

    async def now(_register: Register, _seconds: float) -> Decider:
        return without

    monkeypatch.setattr(Register, "decider", now)
    monkeypatch.setattr(Knowledge, "decider", property(lambda _: without))
    _, (shown,), _ = await called(register.find(as_=MY, keys=KEYS, purpose="LICENSING", common=common(world)))
    assert ("parties" in shown["sections"], "parties" in shown["withheld"]) == (False, True)
    assert set(shown["sections"]) == set(before["sections"]) - {"parties"}
    _, (named,), _ = await called(register.find(as_=MY, keys=party, purpose="LICENSING", common=common(world)))
    assert named["withheld_here"] == "stop-personal-without-agreement"
    read = messages.subscribe(as_=MY, from_="beginning", timeout=0.3, purpose="LICENSING", capture=folder, common=common(world))
    _, (delivered,), _ = await called(read)
    assert delivered["withheld_by"]["parties"] == "stop-personal-without-agreement"
    assert "parties" not in delivered["sections"]
    assert list(folder.iterdir()) == []
    _, (whole,), _ = await called(messages.subscribe(as_=MY, from_="beginning", timeout=0.3, common=common(world)))
    assert "parties" in whole["sections"]


def test_what_is_bound_is_in_no_answer_of_a_register() -> None:
    """Items of a licence, and containers of an alert, to which the owner consented for one purpose: without it the items are not shown, the
    alert is found by no container and tells none, and a flag that follows from it is not raised; for it all is there."""
    kept = Kept(agency=MY)
    licence = replace(
        put(sample_licence()), labels=json.dumps({"purposes": ["LICENSING", "STATISTICS"], "bound": {"items": ["LICENSING"]}})
    )
    alerts = [put(sample_alert(f"{owner}-CUSTOMS/2026/000001")) for owner in ("SG", "TH")]
    one = replace(alerts[0], labels=json.dumps({"purposes": ["STC_ENFORCEMENT"], "bound": {"equipment": ["LICENSING"]}}))
    other = replace(alerts[1], labels=json.dumps({"purposes": ["LICENSING", "STC_ENFORCEMENT"]}))
    kept.take(licence, one, other)
    with closing(kept.store):
        (answer,) = kept.reader.licence("2026-0815", NOW)
        assert answer.items is not None
        without = Purposed(kept.reader, MY, None, None, NOW)
        shown = without.licence(answer)
        assert shown is not None
        assert shown.items is None
        alert = kept.reader.subject("SG-CUSTOMS/2026/000001", NOW)
        assert alert is not None
        seen = without.subject(alert)
        assert seen is not None
        assert "equipment" not in seen.content
        assert not [key for key in seen.keys if key.kind == "CONTAINER"]
        assert without.subject(alert, found_by={"CONTAINER"}) is None
        assert list(without.withheld) == ["SG-CUSTOMS/2026/000001"]
        told = LeftOut.of_register(without).json()
        assert (told["messages_by_rule"], told["sections_by_rule"]) == ({BOUND: 1}, {BOUND: 2})
        flags = [flag for flag in kept.reader.flags(NOW) if flag.code == "SAME_CONTAINER"]
        assert (len(flags) > 0, without.flags(flags)) == (True, ())


@pytest.mark.parametrize("purpose", ["LICENSING", "STC_ENFORCEMENT"])
def test_what_is_found_for_another_section_says_nothing_of_its_core(purpose: str) -> None:
    """An alert whose containers alone are consented to for licensing: it is found for that, and neither counted nor told by its core, nor
    is a flag raised that follows from it; for its own purpose it tells its core, and is not counted whole."""
    kept = Kept(agency=MY)
    alerts = [put(sample_alert(f"{owner}-CUSTOMS/2026/000001")) for owner in ("SG", "TH")]
    labels = json.dumps({"purposes": ["STC_ENFORCEMENT"], "bound": {"equipment": ["LICENSING"]}})
    one, other = (replace(each, labels=labels) for each in alerts)
    kept.take(one, other)
    members = {each: Member(each, each[:2], "customs", (), suspended=False) for each in (MY, "SG-CUSTOMS", "TH-CUSTOMS")}
    decider = Decider(shipped_bundle(), members)
    with closing(kept.store):
        use = Purposed(kept.reader, MY, decider, purpose, NOW)
        subject = "SG-CUSTOMS/2026/000001"
        assert use.may(subject)
        assert use.says(subject) == (purpose == "STC_ENFORCEMENT")
        assert not use.counts(subject)
        assert subject in use.withheld
        flags = [flag for flag in kept.reader.flags(NOW) if flag.code == "SAME_CONTAINER"]
        assert (len(flags) > 0, use.flags(flags)) == (True, ())
