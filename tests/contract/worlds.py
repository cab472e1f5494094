"""The two worlds that the contract suite runs in: an exchange in memory, and a real Kafka."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from broker import ids
from broker.exchange.topology import SHARDS, Grant, TopicSpec, agency_grants, agency_specs, exchange_specs
from broker.kafka import wire
from broker.kafka.admin import KafkaAdmin
from broker.kafka.ledger import TRANSACTION_TIMEOUT_MS, KafkaLedger
from broker.kafka.tls import ssl_context
from broker.kafka.transport import KafkaTransport
from broker.ports import Admin, Inlet, Outgoing, Record, Source, Transport
from broker.testing.exchange import Attempt, Fault
from broker.testing.memory import MemoryAdmin, MemoryExchange, MemoryTransport
from tests.support.kafka_node import KafkaNode


@dataclass(frozen=True)
class Pending:
    """A commit that has written its records and waits before the last step. ``go_on`` takes that step and gives its outcome."""

    go_on: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


class World(ABC):
    """An exchange for tests: topics under names of their own, connections under any principal."""

    def __init__(self) -> None:
        self._opened: list[Transport] = []

    async def topic(self, *, partitions: int = 1, settings: Mapping[str, str] | None = None) -> str:
        """A new topic that takes records up to Kafka's limit."""
        name = f"t.{uuid.uuid4().hex}"
        large = {"max.message.bytes": str(wire.REQUEST_BYTES)}
        await self.prepare([TopicSpec(name, partitions, {**large, **(settings or {})})], [])
        return name

    async def agency(self) -> str:
        """A new agency with its topics, and its grants as generation 1."""
        agency = f"SG-{uuid.uuid4().hex[:8].upper()}"
        await self.prepare(agency_specs(agency), agency_grants(agency, 1))
        return agency

    async def shards(self) -> int:
        """The exchange's own topics, with however many shards they have."""
        count = await self.operator().partitions(SHARDS)
        if count == 0:
            count = 4
            await self.prepare(exchange_specs(count), [])
        return count

    def operator(self) -> Transport:
        """A connection that may do everything."""
        transport = self.connect(None)
        self._opened.append(transport)
        return transport

    def member(self, agency: str) -> Transport:
        """A connection under an agency's own certificate."""
        transport = self.connect(ids.principal(agency, 1))
        self._opened.append(transport)
        return transport

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._opened:
            await transport.close()

    @abstractmethod
    async def prepare(self, specs: list[TopicSpec], grants: list[Grant]) -> None:
        """Make topics and grants."""

    @abstractmethod
    def connect(self, principal: str | None) -> Transport:
        """A connection; None is subject to no access control."""

    @abstractmethod
    def admin(self) -> Admin:
        """A registrar's connection for administration; who asks for it closes it."""

    @abstractmethod
    async def pend(self, name: str, records: Sequence[Outgoing]) -> Pending:
        """Open the ledger of this name, write the records, and stop before the commit itself."""


class MemoryWorld(World):
    """In memory."""

    def __init__(self) -> None:
        super().__init__()
        self.exchange = MemoryExchange()

    async def prepare(self, specs: list[TopicSpec], grants: list[Grant]) -> None:
        self.exchange.create(*specs)
        self.exchange.grant(grants)

    def connect(self, principal: str | None) -> Transport:
        return MemoryTransport(self.exchange, principal)

    def admin(self) -> Admin:
        return MemoryAdmin(self.exchange)

    async def pend(self, name: str, records: Sequence[Outgoing]) -> Pending:
        ledger = await self.operator().ledger(name)
        asked = asyncio.Event()

        def hang(attempt: Attempt) -> Fault:
            asked.set()
            return Fault.HANG if attempt.kind == "commit" else Fault.APPLY

        self.exchange.faults = hang
        committing = asyncio.ensure_future(ledger.commit(records))
        await asked.wait()
        self.exchange.faults = None

        async def go_on() -> None:
            if self.exchange.is_hanging(name):
                self.exchange.release(name)
            await committing

        return Pending(go_on, ledger.close)


class KafkaWorld(World):
    """On a real Kafka over mutual TLS."""

    def __init__(self, node: KafkaNode) -> None:
        super().__init__()
        self.node = node

    async def prepare(self, specs: list[TopicSpec], grants: list[Grant]) -> None:
        await self.node.prepare(specs, grants)

    def address(self, principal: str) -> wire.Address:
        """Where the node is, under a principal's certificate."""
        return wire.Address(self.node.bootstrap, ssl_context(self.node.tls_for(principal)), "contract")

    def connect(self, principal: str | None) -> KafkaTransport:
        context = ssl_context(self.node.tls_for(principal or "registrar"))
        return KafkaTransport(self.node.bootstrap, context, f"contract-{principal or 'operator'}")

    def admin(self) -> Admin:
        return KafkaAdmin(self.node.bootstrap, self.node.tls_for("registrar"))

    async def pend(self, name: str, records: Sequence[Outgoing]) -> Pending:
        producer = self.address("registrar").transactional(name, TRANSACTION_TIMEOUT_MS)
        commit = producer.commit_transaction
        asked, gate = asyncio.Event(), asyncio.Event()

        async def gated() -> None:
            asked.set()
            await gate.wait()
            await commit()

        producer.commit_transaction = gated  # pyright: ignore[reportAttributeAccessIssue]
        await producer.start()
        ledger = KafkaLedger(producer, name)
        committing = asyncio.ensure_future(ledger.commit(records))
        await asked.wait()

        async def go_on() -> None:
            gate.set()
            await committing

        return Pending(go_on, ledger.close)


def out(topic: str, value: bytes, *, key: bytes | None = None, partition: int = 0) -> Outgoing:
    """A record to write."""
    return Outgoing(topic, key, value, partition)


async def send_all(transport: Transport, records: Sequence[Outgoing]) -> None:
    """Send records through an outlet of their own, all confirmed when this returns."""
    outlet = await transport.outlet()
    answers = [await outlet.send(record) for record in records]
    for answer in answers:
        await answer
    await outlet.close()


async def read(inlet: Inlet, count: int, *, seconds: float = 20.0) -> list[Record]:
    """Poll until that many records came, or fail."""
    found: list[Record] = []
    async with asyncio.timeout(seconds):
        while len(found) < count:
            found += await inlet.poll(max_records=count - len(found), timeout=1.0)
    return found


async def read_to_end(inlet: Inlet, *, seconds: float = 20.0, max_records: int = 500) -> list[Record]:
    """Read as a service does that rebuilds its state: ask for the ends, poll until the positions are there."""
    ends: Mapping[Source, int] = await inlet.ends()
    found: list[Record] = []
    async with asyncio.timeout(seconds):
        while any(inlet.position(source) < end for source, end in ends.items()):
            found += await inlet.poll(max_records=max_records, timeout=5.0)
    return found


async def nothing(inlet: Inlet, *, seconds: float = 0.3) -> None:
    """Fail if anything arrives within so long."""
    assert await inlet.poll(max_records=10, timeout=seconds) == []
