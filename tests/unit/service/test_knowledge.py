"""What a process knows of the exchange: only what was signed for it, never less than before, and news without a restart."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from broker.app.parties import shipped_bundle
from broker.errors import ExchangeUnreachable, UsageError
from broker.exchange import notices
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
from tests.support.parcels import key
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
    async with world.exchange.operator.registrar() as registrar:
        await registrar.set_standing("MY-CUSTOMS", "suspended", "x")
    await eventually(lambda: knowledge.rules.directory.agencies["MY-CUSTOMS"].status == "suspended")
    write(world, DIRECTORY, old, b"agency/MY-CUSTOMS")
    await world.exchange.join("TH-CUSTOMS", "customs")
    await eventually(lambda: "TH-CUSTOMS" in knowledge.rules.directory.agencies)
    assert knowledge.rules.directory.agencies["MY-CUSTOMS"].status == "suspended"
    await ended(knowledge, task)


async def test_bad_and_old_bundles_are_ignored(world: World) -> None:
    """A bundle that was forged, altered, made for another environment, or does not validate leaves the last good one in force; one
    of a lower or equal version as well."""
    knowledge, task = await followed(world)
    decider = knowledge.decider
    shipped = shipped_bundle(2)
    broken = json.loads(bundle_record(shipped))
    broken["policies"] += "permit (principal, action, resource);"
    bad = [
        notice(world, bundle_record(shipped), by=key("mallory")),
        notice(world, bundle_record(shipped), env="production"),
        notice(world, bundle_record(shipped), kind=notices.SCHEMA_TYPE),
        notice(world, json.dumps(broken).encode()),
        notice(world, b"not json"),
        notice(world, bundle_record(shipped))[:-1],
        b"garbage",
    ]
    for value in bad:
        write(world, POLICY, value)
    await eventually(lambda: knowledge.ignored == len(bad))
    assert knowledge.rules.policy_version == 1
    assert knowledge.decider is decider
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(3))))
    await eventually(lambda: knowledge.rules.policy_version == 3)
    assert knowledge.decider is not decider
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(2))))
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(3))))
    write(world, POLICY, notice(world, bundle_record(shipped_bundle(4))))
    await eventually(lambda: knowledge.rules.policy_version == 4)
    assert knowledge.ignored == len(bad)
    await ended(knowledge, task)


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
    poll, away = MemoryInlet.poll, [True]

    async def flaky(self: Inlet, *, max_records: int, timeout: float) -> list[Record]:
        if away and isinstance(self, MemoryInlet) and (POLICY, 0) in self._next and self._principal == "relay":  # pyright: ignore[reportPrivateUsage]
            raise ExchangeUnreachable("no route to the exchange")
        return list(await poll(self, max_records=max_records, timeout=timeout))  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(MemoryInlet, "poll", flaky)
    async with world.exchange.operator.registrar() as registrar:
        await registrar.apply(shipped_bundle(2))
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
