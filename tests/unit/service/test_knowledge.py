"""What a process knows of the exchange: only what was signed for it, never less than before, and news without a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from broker.app.parties import shipped_bundle
from broker.errors import ExchangeUnreachable, RefusedError, UsageError
from broker.exchange import notices
from broker.exchange.policy_chain import PolicyChain
from broker.exchange.topology import DIRECTORY, POLICY, SCHEMAS
from broker.policy.bundle import bundle_record
from broker.ports import Inlet, Record
from broker.schema.avsc import read_text
from broker.schema.canonical import schema_id
from broker.service.knowledge import Knowledge, Pin
from broker.storage.keys import FileSigner
from broker.storage.schemas import schema_texts
from broker.testing.exchange import Entry
from broker.testing.memory import MemoryInlet, MemoryTransport
from broker.trust.directory import unsigned_agency
from tests.support.eventually import eventually
from tests.support.officers import NO_PARTIES, change, masters, next_bundle, proposed, shipped_files, signed, state
from tests.support.parcels import key
from tests.support.standing import suspend
from tests.unit.service.slow import LateTransport
from tests.unit.service.world import World


def write(world: World, topic: str, value: bytes, key_: bytes = b"k") -> None:
    """Write to a public topic whatever an administrator of Kafka could write."""
    world.memory.log((topic, 0)).append(Entry(world.now, key_, value))
    world.memory.ring()


def notice(world: World, payload: bytes, kind: str = notices.POLICY_TYPE, *, by: FileSigner | None = None, env: str = "test") -> bytes:
    """A notice signed by the registrar, or by somebody else."""
    signer = by or world.exchange.operator.files.registrar()
    aad = notices.context("local.test", env)
    signature = signer.sign_now(notices.notice_to_sign(kind, payload, aad, alg=signer.alg, kid=signer.kid))
    return notices.notice_bytes(kind, payload, signature, alg=signer.alg, kid=signer.kid)


async def followed(world: World) -> tuple[Knowledge, asyncio.Task[None]]:
    """A reader that has loaded and follows."""
    knowledge = world.exchange.operator.knowledge(MemoryTransport(world.memory, "relay"))
    await knowledge.load()
    return knowledge, asyncio.create_task(knowledge.follow())


async def ended(knowledge: Knowledge, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await knowledge.close()


async def test_forged_directory_entries_are_ignored(world: World) -> None:
    """An entry that another key signed, an altered one, one of another exchange, and garbage change nothing and are counted; the
    next good one is taken."""
    knowledge, task = await followed(world)
    before = knowledge.rules.directory
    registrar = world.exchange.operator.files.registrar()
    entry = replace(before.agencies["SG-CUSTOMS"], kind="police", version=before.version + 1)
    for by, exchange in ((key("mallory"), "local.test"), (registrar, "other.exchange")):
        unsigned = unsigned_agency(entry, by, exchange, "test")
        write(world, DIRECTORY, unsigned.signed(by.sign_now(unsigned.to_be_signed)), b"agency/SG-CUSTOMS")
    genuine = unsigned_agency(entry, registrar, "local.test", "test")
    value = genuine.signed(registrar.sign_now(genuine.to_be_signed))
    write(world, DIRECTORY, value[:-1] + bytes([value[-1] ^ 1]))
    write(world, DIRECTORY, b"garbage")
    await eventually(lambda: knowledge.ignored == 4)
    assert knowledge.rules.directory == before
    write(world, DIRECTORY, value, b"agency/SG-CUSTOMS")
    await eventually(lambda: knowledge.rules.directory.agencies["SG-CUSTOMS"].kind == "police")
    await ended(knowledge, task)


async def test_rolled_back_directory_is_not_believed(world: World) -> None:
    """An older entry, genuine and played in again, changes nothing: a suspended agency stays suspended."""
    knowledge, task = await followed(world)
    old = [record for record in world.memory.records(DIRECTORY) if record.key == b"agency/MY-CUSTOMS"][-1].value or b""
    await suspend(world.exchange.operator, "MY-CUSTOMS")
    await eventually(lambda: knowledge.rules.directory.agencies["MY-CUSTOMS"].status == "suspended")
    write(world, DIRECTORY, old, b"agency/MY-CUSTOMS")
    await world.exchange.join("TH-CUSTOMS", "customs")
    await eventually(lambda: "TH-CUSTOMS" in knowledge.rules.directory.agencies)
    assert knowledge.rules.directory.agencies["MY-CUSTOMS"].status == "suspended"
    await ended(knowledge, task)


async def test_bad_and_old_bundles_are_ignored(world: World) -> None:
    """A bundle that was forged, altered, made for another environment, or that the operator alone made leaves the last good one in
    force; the next one of two officers is taken, and nothing older after it."""
    knowledge, task = await followed(world)
    operator, decider = world.exchange.operator, knowledge.decider
    genuine = await next_bundle(operator, shipped_files(stop=NO_PARTIES))
    one = await next_bundle(operator, shipped_files(stop=NO_PARTIES), by=["SG-CUSTOMS"])
    bad = [
        notice(world, bundle_record(shipped_bundle(2))),
        notice(world, genuine.text(), notices.BUNDLE_TYPE, by=key("mallory")),
        notice(world, genuine.text(), notices.BUNDLE_TYPE, env="production"),
        notice(world, genuine.text(), notices.SCHEMA_TYPE),
        notice(world, one.text(), notices.BUNDLE_TYPE),
        notice(world, b"not json", notices.BUNDLE_TYPE),
        notice(world, genuine.text(), notices.BUNDLE_TYPE)[:-1],
        b"garbage",
    ]
    for value in bad:
        write(world, POLICY, value)
    await eventually(lambda: knowledge.ignored == len(bad))
    assert knowledge.rules.policy_version == 1
    assert knowledge.decider is decider
    write(world, POLICY, notice(world, genuine.text(), notices.BUNDLE_TYPE), b"bundle/2")
    await eventually(lambda: knowledge.rules.policy_version == 2)
    assert knowledge.decider is not decider
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(1))))
    write(world, POLICY, notice(world, genuine.text(), notices.BUNDLE_TYPE))
    await eventually(lambda: knowledge.ignored == len(bad) + 1)
    assert knowledge.policy.digest == genuine.manifest.digest
    await ended(knowledge, task)


async def test_bundle_before_its_directory_waits(world: World) -> None:
    """A bundle made under a directory that this reader has not read yet is not taken, and is once the directory came; so is the one
    that follows it."""
    knowledge, task = await followed(world)
    chain, directory = await state(world.exchange.operator)
    pens = masters(world.exchange.operator, "SG-CUSTOMS", "MY-CUSTOMS")
    second = signed(proposed(chain, directory, shipped_files(), directory_version=directory.version + 1), directory, *pens)
    after = PolicyChain(second.bundle, second.manifest.digest, second.manifest.officers)
    third = signed(proposed(after, directory, shipped_files(stop=NO_PARTIES)), directory, *pens)
    write(world, POLICY, notice(world, second.text(), notices.BUNDLE_TYPE), b"bundle/2")
    write(world, POLICY, notice(world, third.text(), notices.BUNDLE_TYPE), b"bundle/3")
    await eventually(lambda: knowledge.ignored == 1)
    assert knowledge.rules.policy_version == 1
    await world.exchange.join("TH-CUSTOMS", "customs")
    await eventually(lambda: knowledge.rules.policy_version == 3)
    await ended(knowledge, task)


async def test_late_reader_comes_to_the_same_bundle(world: World) -> None:
    """A reader that comes after three bundles, one of whose officers is suspended since, has the same bundle in force as one that was
    there all the time."""
    knowledge, task = await followed(world)
    await change(world.exchange.operator, shipped_files(stop=NO_PARTIES))
    await change(world.exchange.operator, shipped_files(stop=NO_PARTIES, more=NO_PARTIES.replace("stop-parties", "stop-again")))
    world.clock.advance(1000)
    await suspend(world.exchange.operator, "MY-CUSTOMS")
    await eventually(lambda: knowledge.rules.directory.agencies["MY-CUSTOMS"].status == "suspended")
    chain, _ = await state(world.exchange.operator)
    assert (chain.version, chain.digest) == (3, knowledge.policy.digest)
    with pytest.raises(RefusedError, match="TOO_FEW_OFFICERS: MY-CUSTOMS is suspended"):
        await change(world.exchange.operator, shipped_files(stop=NO_PARTIES))
    await ended(knowledge, task)


async def test_registrar_carries_only_what_readers_take(world: World) -> None:
    """The operator cannot carry a bundle with one signature, one of an older version, or one that widens and does not say so."""
    operator = world.exchange.operator
    one = await next_bundle(operator, shipped_files(stop=NO_PARTIES), by=["SG-CUSTOMS"])
    old = await change(operator, shipped_files(stop=NO_PARTIES))
    await change(operator, shipped_files(stop=NO_PARTIES, more=NO_PARTIES.replace("stop-parties", "stop-again")))
    wide = await next_bundle(operator, shipped_files(stop=NO_PARTIES))
    async with operator.registrar() as registrar:
        for file, code in ((one, "BUNDLE_OUT_OF_ORDER"), (old, "BUNDLE_OUT_OF_ORDER"), (wide, "BUNDLE_WIDENS")):
            with pytest.raises(RefusedError, match=code):
                await registrar.carry(file)
    assert (await state(operator))[0].version == 3


async def test_last_good_bundle_is_found_at_the_start_too(world: World) -> None:
    """A reader that starts on a topic where a forged bundle lies behind the genuine one decides by the genuine one."""
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(9)), by=key("mallory")))
    knowledge, task = await followed(world)
    assert (knowledge.rules.policy_version, knowledge.ignored) == (1, 1)
    await ended(knowledge, task)


def with_field(text: str, name: str, kind: Any, **more: Any) -> str:
    """A schema with one more field."""
    schema: Any = json.loads(text)
    schema["fields"].append({"name": name, "type": kind, "doc": "Something new.", **more})
    return json.dumps(schema)


async def test_new_schema_is_taken_and_a_bad_one_is_not(world: World) -> None:
    """A schema that the registrar announces is known at once by its content id, and what the program itself writes and shows stays as
    it was; a forged one, one that the lint rejects, one that is no schema, one that cannot stand beside the version known, and
    another under a name that is taken are ignored."""
    knowledge, task = await followed(world)
    known = len(knowledge.rules.catalogue)
    text = schema_texts()["alert", "value", 1]
    new, taken = with_field(text, "insured", ["null", "string"], default=None), with_field(text, "insured", "string", default="")
    bad = with_field(text, "insured", "string")
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 2), new), notices.SCHEMA_TYPE, by=key("mallory")))
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 2), "{}"), notices.SCHEMA_TYPE))
    write(world, SCHEMAS, notice(world, b"[]", notices.SCHEMA_TYPE))
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 2), bad), notices.SCHEMA_TYPE))
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 1), new), notices.SCHEMA_TYPE))
    await eventually(lambda: knowledge.ignored == 5)
    assert len(knowledge.rules.catalogue) == known
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 2), new), notices.SCHEMA_TYPE))
    await eventually(lambda: len(knowledge.rules.catalogue) == known + 1)
    catalogue = knowledge.rules.catalogue
    announced = catalogue.by_id(schema_id(read_text(new)))
    assert announced is not None
    assert announced.name == "alert/v2/value"
    assert catalogue.current("alert", "value") == catalogue.written("alert", "value") == catalogue.named("alert", "value", 1)
    write(world, SCHEMAS, notice(world, notices.schema_payload(("alert", "value", 2), taken), notices.SCHEMA_TYPE))
    await eventually(lambda: knowledge.ignored == 6)
    assert knowledge.rules.catalogue.by_id(schema_id(read_text(taken))) is None
    await ended(knowledge, task)


async def test_waits_for_a_view_as_new_as_asked(world: World) -> None:
    """Asking for a version that is there returns at once, for a later one when it comes, for one that never comes after the time
    given."""
    knowledge, task = await followed(world)
    version = knowledge.rules.directory.version
    assert await knowledge.at_least(1, version, 0.0)
    assert not await knowledge.at_least(2, version, 0.01)
    waiting = asyncio.create_task(knowledge.at_least(1, version + 2, 5.0))
    await world.exchange.join("TH-CUSTOMS", "customs")
    assert await waiting
    await ended(knowledge, task)


async def test_directory_records_can_be_handed_on(world: World) -> None:
    """The last signed record of each entry is kept: enough to build the same directory elsewhere."""
    knowledge, task = await followed(world)
    directory = world.exchange.operator.files.settings().directory()
    for value in knowledge.entries:
        applied = directory.applied(value)
        assert isinstance(applied, type(directory))
        directory = applied
    assert directory == knowledge.rules.directory
    await ended(knowledge, task)


async def test_network_trouble_is_waited_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that cannot read for a while keeps its view, and takes the news when it can read again."""
    monkeypatch.setattr("broker.service.knowledge.asyncio.sleep", _no_sleep(asyncio.sleep))
    knowledge, task = await followed(world)
    file = await next_bundle(world.exchange.operator, shipped_files(stop=NO_PARTIES))
    poll, away = MemoryInlet.poll, [True]

    async def flaky(self: Inlet, *, max_records: int, timeout: float) -> list[Record]:
        if away and isinstance(self, MemoryInlet) and (POLICY, 0) in self._next and self._principal == "relay":  # pyright: ignore[reportPrivateUsage]
            raise ExchangeUnreachable("no route to the exchange")
        return list(await poll(self, max_records=max_records, timeout=timeout))  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(MemoryInlet, "poll", flaky)
    async with world.exchange.operator.registrar() as registrar:
        await registrar.carry(file)
    await asyncio.sleep(0.05)
    assert knowledge.rules.policy_version == 1
    assert not task.done()
    away.clear()
    await eventually(lambda: knowledge.rules.policy_version == 2)
    await ended(knowledge, task)


def _no_sleep(sleep: object) -> object:
    async def short(_seconds: float) -> None:
        await sleep(0.001)  # type: ignore[operator]

    return short


async def test_without_an_exchange_nobody_works(world: World) -> None:
    """Topics without an exchange entry, without a policy bundle, or of another exchange than the one pinned: an error with advice."""
    settings = world.exchange.operator.files.settings()
    pin = Pin(settings.exchange_id, settings.environment, settings.registrar_spki)
    transport = MemoryTransport(world.memory)
    with pytest.raises(UsageError, match="registrar's key"):
        Knowledge(transport, replace(pin, registrar_spki=b"no key"), schema_texts())
    for stranger in (replace(pin, exchange_id="other"), replace(pin, environment="production"), replace(pin, registrar_spki=key("x").spki)):
        knowledge = Knowledge(transport, stranger, schema_texts())
        with pytest.raises(UsageError, match="names no exchange"):
            await knowledge.load()
        await knowledge.close()
    await world.exchange.stop_relay()
    world.memory.log((POLICY, 0)).entries.clear()
    knowledge = Knowledge(transport, pin, schema_texts())
    with pytest.raises(ExchangeUnreachable, match="no policy bundle"):
        await knowledge.load()
    await knowledge.close()
    assert knowledge.rules.policy_version == 0


async def test_catching_up_ends_when_all_is_read(world: World) -> None:
    """What lay on the public topics when it was called is in the view when it returns, also while more is written."""
    knowledge, task = await followed(world)
    file = await next_bundle(world.exchange.operator, shipped_files(stop=NO_PARTIES))
    write(world, POLICY, notice(world, file.text(), notices.BUNDLE_TYPE))
    await knowledge.catch_up(10)
    assert knowledge.rules.policy_version == 2
    await ended(knowledge, task)


async def test_catching_up_gives_up(world: World) -> None:
    """Where the news does not come, it returns after its time; nothing is raised, and the view stays as it was."""
    transport = LateTransport(world.memory)
    knowledge = world.exchange.operator.knowledge(transport)
    await knowledge.load()
    task = asyncio.create_task(knowledge.follow())
    before = knowledge.rules
    await world.exchange.join("TH-CUSTOMS", "customs")
    await knowledge.catch_up(0.02)
    assert knowledge.rules is before
    transport.arrive()
    await knowledge.catch_up(10)
    assert "TH-CUSTOMS" in knowledge.rules.directory.agencies
    await ended(knowledge, task)


async def test_catching_up_without_a_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has loaded, after it was closed, and while the exchange cannot be asked for its ends: back at once, without an error."""
    knowledge = world.exchange.operator.knowledge(MemoryTransport(world.memory, "relay"))
    await asyncio.wait_for(knowledge.catch_up(60), 5)
    await knowledge.load()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryInlet, "ends", _unreachable)
        await asyncio.wait_for(knowledge.catch_up(60), 5)
    await knowledge.close()
    await asyncio.wait_for(knowledge.catch_up(60), 5)


async def _unreachable(_inlet: MemoryInlet) -> None:
    raise ExchangeUnreachable("no answer", advice="try again")
