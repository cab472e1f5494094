"""Publishers of SG-CUSTOMS over any key and store, and keys that come into the directory when a test wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from broker.errors import Refusal
from broker.exchange.receive import Received, receive
from broker.exchange.topology import DIRECTORY, MESSAGE_LIMIT
from broker.ports import Clock, PublisherStore, Signer, Stored
from broker.service.publisher import Publisher
from broker.storage.clock import SystemRandomness
from broker.storage.keys import FileSigner
from broker.storage.publisher_store import SqlitePublisherStore
from broker.testing.exchange import Entry
from broker.trust.entries import KeyEntry, directory_key, new_message_key, unsigned_key, unsigned_key_statement
from broker.trust.keys import VerifyKey
from tests.support.eventually import eventually
from tests.support.parcels import parcel
from tests.unit.service.world import World


class Ring:
    """A signer whose key is exchanged by hand."""

    def __init__(self, key: FileSigner) -> None:
        self.key = key

    @property
    def alg(self) -> int:
        return self.key.alg

    @property
    def kid(self) -> bytes:
        return self.key.kid

    async def sign(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        return await self.key.sign(messages)


def store_at(world: World, path: Path | None = None) -> SqlitePublisherStore:
    """The store of SG-CUSTOMS, or one at this path."""
    return SqlitePublisherStore(path or world.agency().member.files.publisher_store, "SG-CUSTOMS", SystemRandomness().take(16))


def publisher_of(world: World, store: PublisherStore, signer: Signer | None = None, clock: Clock | None = None) -> Publisher:
    """A publisher of SG-CUSTOMS."""
    member, transport = world.agency().member, world.agency().transport
    knowledge = member.knowledge(transport)
    return Publisher("SG-CUSTOMS", transport, knowledge, signer or member.files.signer(), store, clock or world.clock, SystemRandomness())


async def enter_key(world: World, signer: FileSigner, **changes: Any) -> None:
    """A message key of SG-CUSTOMS in the directory, where the relay knows it; ``changes`` are to its entry."""
    verify = VerifyKey.from_spki(signer.spki)
    assert not isinstance(verify, Refusal)
    directory = (await world.learn()).directory
    known = directory.keys.get(signer.kid)
    entry: KeyEntry = replace(known or new_message_key("SG-CUSTOMS", verify, now_ms=world.now), **changes)
    master, registrar = world.agency().member.files.master(), world.exchange.operator.files.registrar()
    statement = unsigned_key_statement(entry, master)
    nested = statement.nested(master.sign_now(statement.to_be_signed))
    unsigned = unsigned_key(nested, directory.version + 1, registrar, "local.test", "test")
    value = unsigned.signed(registrar.sign_now(unsigned.to_be_signed))
    world.memory.log((DIRECTORY, 0)).append(Entry(world.now, directory_key(entry), value))
    world.memory.ring()
    version = (await world.learn()).directory.version
    assert signer.kid in world.rules.directory.keys
    relay = world.exchange.relay
    if relay is not None:
        await eventually(lambda: relay._knowledge.rules.directory.version >= version)  # pyright: ignore[reportPrivateUsage]


def outbox(world: World) -> list[bytes]:
    """What Kafka has of SG-CUSTOMS."""
    return [record.value or b"" for record in world.memory.records("out.SG-CUSTOMS")]


def deliveries(world: World, agency: str = "MY-CUSTOMS") -> list[tuple[str, int]]:
    """Subject number and revision of each delivery in an inbox, verified, and in one unbroken chain."""
    names: list[tuple[str, int]] = []
    before: bytes | None = None
    for number, value in enumerate(world.inbox_values(agency), 1):
        found = receive(value, world.rules, recipient=agency)
        assert isinstance(found, Received), found
        assert (found.slip.counter, found.slip.prev) == (number, before)
        before = found.leaf
        names.append((found.header.subject.rpartition("/")[2].lstrip("0"), found.header.revision))
    return names


def stream_of(value: bytes, world: World) -> bytes:
    """The stream that a record value names."""
    assert len(value) <= MESSAGE_LIMIT
    header: Any = world.rules.schema("header").codec.decode(parcel(value).statement.payload, logical=False)
    return header["stream"]


def as_stored(made: Any) -> Stored:
    """A message that was written by hand, as a publisher would have stored it."""
    header = made.header
    digest = hashlib.sha256(made.value).digest()
    return Stored(header.seq, header.message_id, header.subject, header.revision, made.leaf, digest, made.value)
