"""When a publisher's batch is sent: at once where nothing is under way, else with what comes within a moment, never behind an urgent
message's back. Over the exchange in memory; only the acknowledgements are held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from broker.envelope.batch import Proof
from broker.ports import Outgoing, Outlet, Position
from broker.service import publisher as publishing
from broker.service.publisher import Handle, Publisher
from broker.testing.local import LocalExchange
from broker.testing.memory import MemoryTransport
from broker.testing.samples import sample_alert
from tests.support.parcels import parcel

PATIENCE_S = 30.0
"""For what must come; a test that waits so long has failed."""
NEVER_S = 3600.0
"""For a moment that must not be waited out."""


class HeldTransport(MemoryTransport):
    """Records are stored at once, and acknowledged when the gate is open."""

    def __init__(self, exchange: LocalExchange) -> None:
        super().__init__(exchange.memory)
        self.gate = asyncio.Event()
        self.values: list[bytes] = []
        self._more = asyncio.Event()

    def take(self, value: bytes) -> None:
        """A record was sent."""
        self.values.append(value)
        self._more.set()

    async def arrived(self, count: int) -> None:
        """Return when this many records were sent."""
        while len(self.values) < count:
            self._more.clear()
            await self._more.wait()

    async def outlet(self) -> Outlet:
        return HeldOutlet(await super().outlet(), self)

    @property
    def proofs(self) -> list[Proof | None]:
        """The form of each record sent so far."""
        return [parcel(value).statement.proof for value in self.values]

    @property
    def places(self) -> list[tuple[int, int]]:
        """Index and size of the batch of each record sent so far; (0, 1) in direct form."""
        return [(proof.index, proof.size) if proof else (0, 1) for proof in self.proofs]


class HeldOutlet:
    """See above."""

    def __init__(self, inner: Outlet, held: HeldTransport) -> None:
        self._inner, self._held = inner, held

    async def send(self, record: Outgoing) -> Awaitable[Position]:
        self._held.take(record.value or b"")
        return asyncio.ensure_future(self._answer(await self._inner.send(record)))

    async def _answer(self, answer: Awaitable[Position]) -> Position:
        await self._held.gate.wait()
        return await answer

    async def close(self) -> None:
        await self._inner.close()


class Desk:
    """A publisher whose acknowledgements are held, and the messages given to it."""

    def __init__(self, publisher: Publisher, transport: HeldTransport) -> None:
        self.publisher, self.transport = publisher, transport
        self.tasks: list[asyncio.Task[Handle]] = []

    async def give(self, *urgencies: str) -> None:
        """Publish a message of each urgency from a task of its own, and let everybody run who can without time passing."""
        for urgency in urgencies:
            message = sample_alert(f"SG-CUSTOMS/2026/{len(self.tasks) + 1:06}", agencies=["MY-CUSTOMS"])
            task = asyncio.create_task(self.publisher.publish(replace(message, urgency=urgency)))
            self.tasks.append(task)
        for _ in range(50):
            await asyncio.sleep(0)

    async def sent(self, count: int) -> list[tuple[int, int]]:
        """The places of all records, as soon as this many were sent."""
        async with asyncio.timeout(PATIENCE_S):
            await self.transport.arrived(count)
        return self.transport.places

    async def answered(self) -> None:
        """Let the acknowledgements pass; every message must be accepted by the relay."""
        self.transport.gate.set()
        for handle in await asyncio.gather(*self.tasks):
            assert (await handle.receipt(PATIENCE_S)).outcome == "ACCEPTED"


@asynccontextmanager
async def opened() -> AsyncGenerator[Desk]:
    """A desk at an exchange with two customs administrations."""
    async with LocalExchange() as exchange:
        sender = await exchange.join("SG-CUSTOMS", "customs")
        await exchange.join("MY-CUSTOMS", "customs")
        transport = HeldTransport(exchange)
        async with sender.member.publisher(transport) as publisher:
            desk = Desk(publisher, transport)
            yield desk
            await desk.answered()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment of gathering never ends by itself: what is sent was flushed."""
    monkeypatch.setattr(publishing, "GATHER_S", NEVER_S)


@pytest.mark.usefixtures("endless")
async def test_nothing_waits_while_nothing_is_under_way() -> None:
    """The first message is sent at once, alone; what is given together at once is sent together."""
    async with opened() as desk:
        await desk.give("ROUTINE")
        assert await desk.sent(1) == [(0, 1)]
        desk.transport.gate.set()
        await desk.tasks[0]
        await desk.give("ROUTINE", "PRIORITY", "ROUTINE")
        assert await desk.sent(4) == [(0, 1), (0, 3), (1, 3), (2, 3)]


@pytest.mark.usefixtures("endless")
async def test_what_comes_while_records_are_under_way_is_sent_together() -> None:
    """With a record unacknowledged, messages that come one after another wait for each other, until the acknowledgement comes."""
    async with opened() as desk:
        await desk.give("ROUTINE")
        await desk.sent(1)
        for _ in range(4):
            await desk.give("ROUTINE")
        assert desk.transport.places == [(0, 1)]
        desk.transport.gate.set()
        assert await desk.sent(5) == [(0, 1), (0, 4), (1, 4), (2, 4), (3, 4)]


async def test_the_wait_is_short() -> None:
    """Without any acknowledgement, what was gathered is sent when the moment is over."""
    async with opened() as desk:
        await desk.give("ROUTINE")
        await desk.sent(1)
        begun = asyncio.get_running_loop().time()
        await desk.give("ROUTINE")
        await desk.give("ROUTINE")
        places = await desk.sent(3)
        assert asyncio.get_running_loop().time() - begun >= publishing.GATHER_S
        assert places == [(0, 1), (0, 2), (1, 2)]
        assert not desk.tasks[0].done()


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("urgency", ["FLASH", "IMMEDIATE"])
async def test_an_urgent_message_flushes_what_waits(urgency: str) -> None:
    """An urgent message goes at once, and in its place in the stream: what was published before it goes before it, in batch form."""
    async with opened() as desk:
        await desk.give("ROUTINE")
        await desk.sent(1)
        await desk.give("ROUTINE")
        await desk.give("PRIORITY")
        assert len(desk.transport.values) == 1
        await desk.give(urgency)
        assert await desk.sent(4) == [(0, 1), (0, 2), (1, 2), (0, 1)]
        await desk.give(urgency)
        assert await desk.sent(5) == [(0, 1), (0, 2), (1, 2), (0, 1), (0, 1)]
        await desk.give("ROUTINE")
        assert len(desk.transport.values) == 5


@pytest.mark.usefixtures("endless")
async def test_a_full_batch_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a batch holds are sent without waiting for more, and no batch has more."""
    assert publishing.BATCH == 256
    monkeypatch.setattr(publishing, "BATCH", 8)
    async with opened() as desk:
        await desk.give("ROUTINE")
        await desk.sent(1)
        await desk.give("ROUTINE")
        await desk.give(*["ROUTINE"] * 6)
        assert len(desk.transport.values) == 1
        await desk.give(*["ROUTINE"] * 10)
        assert (await desk.sent(9))[1:9] == [(number, 8) for number in range(8)]
        desk.transport.gate.set()
        assert max(size for _, size in await desk.sent(18)) == 8


@pytest.mark.usefixtures("endless")
async def test_closing_sends_what_was_gathered() -> None:
    """A publisher that is closed while messages wait for company sends them, as soon as its records are acknowledged."""
    async with opened() as desk:
        await desk.give("ROUTINE")
        await desk.sent(1)
        await desk.give("ROUTINE")
        closing = asyncio.create_task(desk.publisher.close())
        await asyncio.sleep(0)
        desk.transport.gate.set()
        await closing
        assert desk.transport.places == [(0, 1), (0, 1)]
        assert all(task.done() for task in desk.tasks)
        desk.tasks.clear()
