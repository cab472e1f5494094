"""Confidential operations on an exchange in memory: members are reached between their dates, and none knows of another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from broker import ids
from broker.app.parties import pin_of
from broker.errors import NotAuthorised, RefusedError, UsageError
from broker.exchange import notices
from broker.exchange.memberships import Operation
from broker.exchange.topology import DAY_MS, MEMBERSHIPS
from broker.families.message import Message
from broker.policy.facts_file import read_operation
from broker.service.knowledge import Knowledge
from broker.storage.keys import FileSigner
from broker.storage.schemas import schema_texts
from broker.testing.exchange import Entry
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.support.parcels import key
from tests.unit.service.world import COMMUNITY, NOW, Taker, World

OPERATION = "OP-X"
DESTINATION = "AE-CUSTOMS"
ALWAYS: dict[str, str] = {}


@pytest_asyncio.fixture(name="world")
async def with_another(world: World) -> World:
    """The exchange, with one more member that is in no community and on no route."""
    await world.exchange.join("ID-CUSTOMS", "customs")
    return world


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def operation(
    members: dict[str, dict[str, str]], *, name: str = OPERATION, until_ms: int = NOW + 10 * DAY_MS, title: str = "A team"
) -> Any:
    return {
        "id": name, "title": title, "basis": "made up", "from": iso(NOW - DAY_MS), "until": iso(until_ms), "members": members,
    }  # fmt: skip


async def announce(world: World, content: Any) -> Operation:
    """The registrar announces an operation; the relay has read it when this returns."""
    async with world.exchange.operator.registrar() as registrar:
        announced = await registrar.operate(read_operation(content))
    await world.learn()
    relay = world.exchange.relay
    assert relay is not None
    await eventually(lambda: relay._knowledge.rules.deciding == world.rules.deciding)  # pyright: ignore[reportPrivateUsage]
    return announced


def message(world: World, number: int, *, revision: int = 1) -> Message:
    return sample_alert(f"SG-CUSTOMS/2026/{number:06}", now_ms=world.now, communities=[OPERATION], revision=revision)


async def sent(world: World, number: int, *, revision: int = 1) -> list[str]:
    """Publish a message to the operation; whom its receipt names besides the customs of the destination, who are no members."""
    receipt = await world.agency().publish(message(world, number, revision=revision))
    assert receipt.outcome == "ACCEPTED"
    recipients = {each.agency: each.rule for each in receipt.recipients}
    assert recipients.pop(DESTINATION) != (by_membership := "receive-community")
    assert set(recipients.values()) <= {by_membership}
    return list(recipients)


async def seen(world: World, agency: str) -> list[tuple[str, int]]:
    """What an agency's subscriber hands over from where it was."""
    taker = Taker()
    counts = await world.subscribe(taker, agency)
    assert (counts.refused, counts.gaps, counts.duplicates) == (0, 0, 0)
    return taker.seen


def note(world: World, made: Operation, *, by: FileSigner | None = None, payload: bytes | None = None, kind: str = "") -> bytes:
    """The record of an operation, signed by the registrar or by somebody else."""
    signer, content_type = by or world.exchange.operator.files.registrar(), kind or notices.OPERATION_TYPE
    aad, content = notices.context("local.test", "test"), made.payload if payload is None else payload
    signature = signer.sign_now(notices.notice_to_sign(content_type, content, aad, alg=signer.alg, kid=signer.kid))
    return notices.notice_bytes(content_type, content, signature, alg=signer.alg, kid=signer.kid)


def write(world: World, *values: bytes) -> None:
    """Write to the topic whatever an administrator of Kafka could write."""
    for value in values:
        world.memory.log((MEMBERSHIPS, 0)).append(Entry(world.now, b"operation/OP-X", value))
    world.memory.ring()


async def test_members_get_it_between_their_dates(world: World) -> None:
    """A message to an operation reaches its members while they are members, and nobody else: not who comes tomorrow before tomorrow, who
    then gets it by itself, and nobody when the operation is over; then the members are told to erase what they had of it."""
    await announce(world, operation({"MY-CUSTOMS": ALWAYS, "ID-CUSTOMS": {"from": iso(NOW + DAY_MS)}}))
    assert await sent(world, 1) == ["MY-CUSTOMS"]
    assert await seen(world, "MY-CUSTOMS") == [("000001", 1)]
    assert await seen(world, "ID-CUSTOMS") == []
    world.clock.advance(DAY_MS + 1)
    await eventually(lambda: bool(world.inbox_values("ID-CUSTOMS")), what="what lay behind")
    assert await sent(world, 2) == ["ID-CUSTOMS", "MY-CUSTOMS"]
    assert await seen(world, "ID-CUSTOMS") == [("000001", 1), ("000002", 1)]
    world.clock.advance(9 * DAY_MS)
    assert await sent(world, 3) == []
    await eventually(lambda: len(world.inbox_values("ID-CUSTOMS")) == 4, what="that the operation is over")
    for agency in ("MY-CUSTOMS", "ID-CUSTOMS"):
        taker = Taker()
        await world.subscribe(taker, agency)
        assert [(each.subject[-1], each.taken_back) for each in taker.taken[-2:]] == [("1", True), ("2", True)]


async def test_member_added_later_is_served(world: World) -> None:
    """Who is added by a later version of the operation is sent what is live; who is left out gets nothing more and has to erase what it
    had; the owner is told of both."""
    first = await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    assert await sent(world, 1) == ["MY-CUSTOMS"]
    second = await announce(world, operation({"ID-CUSTOMS": ALWAYS}))
    assert (first.version, second.version) == (1, 2)
    await eventually(lambda: bool(world.inbox_values("ID-CUSTOMS")), what="what lay behind")
    assert await seen(world, "ID-CUSTOMS") == [("000001", 1)]
    later = (await world.answered(2))[-1]
    assert [(each.agency, each.withdrawn) for each in later.recipients] == [("ID-CUSTOMS", False), ("MY-CUSTOMS", True)]
    assert await sent(world, 2) == ["ID-CUSTOMS"]


async def test_nothing_new_is_not_announced(world: World) -> None:
    """The same operation twice has one record; another title has another, and nothing is decided again for it."""
    content = operation({"MY-CUSTOMS": ALWAYS})
    assert (await announce(world, content)).version == 1
    deciding = world.rules.deciding
    assert (await announce(world, content)).version == 1
    assert len(world.memory.records(MEMBERSHIPS)) == 1
    assert (await announce(world, {**content, "title": "Another"})).version == 2
    assert world.rules.deciding == deciding
    await announce(world, {**content, "until": iso(NOW + DAY_MS)})
    assert world.rules.deciding != deciding


async def test_members_are_hidden_from_each_other(world: World) -> None:
    """No byte of a member's name is in what another agency is sent, delivery, slip or receipt, nor on a topic that agencies read but in the
    directory; the operation's own name is on none. Only the owner's receipt names the recipients."""
    await world.exchange.join("TH-POLICE", "police")
    await announce(world, operation({"MY-CUSTOMS": ALWAYS, "ID-CUSTOMS": ALWAYS}))
    assert await sent(world, 1) == ["ID-CUSTOMS", "MY-CUSTOMS"]
    await announce(world, operation({"MY-CUSTOMS": ALWAYS, "ID-CUSTOMS": ALWAYS, "TH-POLICE": ALWAYS}))
    await eventually(lambda: bool(world.inbox_values("TH-POLICE")), what="what lay behind")
    assert await sent(world, 1, revision=2) == ["ID-CUSTOMS", "MY-CUSTOMS", "TH-POLICE"]
    answers = world.inbox_values("SG-CUSTOMS") + [record.value or b"" for record in world.memory.records(ids.inbox("SG-CUSTOMS"))]
    assert any(b"MY-CUSTOMS" in value for value in answers)
    members = {"MY-CUSTOMS", "ID-CUSTOMS", "TH-POLICE"}
    for agency in {*members, DESTINATION}:
        records = world.memory.records(ids.inbox(agency))
        assert len(records) >= 2
        for record in records:
            carried = (record.key or b"") + (record.value or b"")
            assert agency.encode() in carried  # its own name is on the slip: the search can find names
            assert [other for other in members - {agency} if other.encode() in carried] == []
            assert OPERATION.encode() not in carried
    public = [record.value or b"" for topic in ("exchange.directory", "exchange.policy") for record in world.memory.records(topic)]
    assert not any(OPERATION.encode() in value for value in public)


async def test_agencies_may_not_read_the_topic(world: World) -> None:
    """An agency whose program asks for the confidential operations gets nothing at all; one that does not ask knows none of them."""
    await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    agency = world.agency("MY-CUSTOMS")
    usual = agency.member.knowledge(agency.transport)
    await usual.load()
    assert usual.memberships.operations == {}
    assert usual.rules.deciding != world.rules.deciding
    await usual.close()
    settings = agency.member.files.settings()
    curious = Knowledge(agency.transport, pin_of(settings), schema_texts(), confidential=True)
    with pytest.raises(NotAuthorised):
        await curious.load()
    await curious.close()


async def test_bad_records_are_ignored(world: World) -> None:
    """A record of another signer, of another kind, in another form, of an older version, or with other content under a version known is
    logged and changes nothing; traffic goes on, and the next good version counts."""
    made = await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    other = Operation(read_operation(operation({"ID-CUSTOMS": ALWAYS})), made.version)
    relay = world.exchange.relay
    assert relay is not None
    bad = [
        note(world, replace(other, version=2), by=key("mallory")),
        note(world, replace(other, version=2), kind=notices.SCHEMA_TYPE),
        note(world, other, payload=other.payload.replace(b'"version":1', b'"version": 2')),
        note(world, other, payload=b"[]"),
        note(world, other, payload=b"not json"),
        note(world, other),
        note(world, replace(other, version=2))[:-1],
        b"garbage",
    ]
    with capture_logs() as lines:
        write(world, *bad)
        await eventually(lambda: relay._knowledge.ignored == len(bad))  # pyright: ignore[reportPrivateUsage]
    assert {line["event"] for line in lines if line["log_level"] == "error"} == {"confidential operation ignored"}
    assert await sent(world, 1) == ["MY-CUSTOMS"]
    write(world, note(world, replace(other, version=7)))
    await eventually(lambda: bool(world.inbox_values("ID-CUSTOMS")), what="the good version")
    write(world, note(world, made))
    assert await sent(world, 2) == ["ID-CUSTOMS"]


async def test_public_names_are_refused(world: World) -> None:
    """A confidential operation cannot have the name of a community or of an agreement, nor can an agency be given its name as a community;
    one that is found on the topic nevertheless puts nobody into that community."""
    async with world.exchange.operator.registrar() as registrar:
        for name in (COMMUNITY, "EVERYWHERE"):
            with pytest.raises(RefusedError, match="NAME_TAKEN"):
                await registrar.operate(read_operation(operation({"ID-CUSTOMS": ALWAYS}, name=name)))
        with pytest.raises(UsageError, match="TH-CUSTOMS is not a member"):
            await registrar.operate(read_operation(operation({"TH-CUSTOMS": ALWAYS})))
    assert world.memory.records(MEMBERSHIPS) == []
    await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    with pytest.raises(RefusedError, match="NAME_TAKEN"):
        await world.exchange.join("TH-CUSTOMS", "customs", [OPERATION])
    deciding = world.rules.deciding
    write(world, note(world, Operation(read_operation(operation({"ID-CUSTOMS": ALWAYS}, name=COMMUNITY)), 1)))
    assert (await world.learn()).deciding == deciding
    receipt = await world.agency().publish(world.alert(1))
    assert [each.agency for each in receipt.recipients] == [DESTINATION, "MY-CUSTOMS"]


async def test_a_dry_run_says_whom_it_does_not_show(world: World) -> None:
    """The publisher names no member of an operation in a dry run, and says so; of a public community there is no remark."""
    await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    publisher = await world.agency().publisher()
    _, shown = publisher.preview(message(world, 1))
    assert [each.agency for each in shown.releases] == [DESTINATION]
    assert [(each.severity, each.code) for each in publisher.findings(message(world, 1)) if OPERATION in each.reason] == [
        ("INFO", "MEMBERS_NOT_SHOWN")
    ]
    assert "MEMBERS_NOT_SHOWN" not in [each.code for each in publisher.findings(world.alert(1))]


async def test_a_relay_that_starts_late_knows_them(world: World) -> None:
    """A relay that starts on the topic as it lies decides as one that was there all the time."""
    await announce(world, operation({"ID-CUSTOMS": ALWAYS}))
    await announce(world, operation({"MY-CUSTOMS": ALWAYS}))
    await world.exchange.stop_relay()
    world.memory.compact(MEMBERSHIPS)
    await world.exchange.start_relay("relay-2")
    assert await asyncio.wait_for(sent(world, 1), 10) == ["MY-CUSTOMS"]
