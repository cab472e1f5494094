"""Reading first messages again: what is there, no more than is allowed, and never for long."""

from __future__ import annotations

import asyncio

import pytest

from broker.exchange.topology import TopicSpec
from broker.ports import Outgoing
from broker.service import proofs
from broker.service.proofs import BURST, ProofReader
from broker.testing.exchange import MemoryExchange
from broker.testing.memory import MemoryTransport
from tests.unit.service.slow import StuckTransport, values

FIRST, SECOND = "out.SG-CUSTOMS", "out.MY-CUSTOMS"


def made(count: int = 100) -> MemoryExchange:
    """Two outboxes whose records say where they lie."""
    exchange = MemoryExchange()
    exchange.create(TopicSpec(FIRST), TopicSpec(SECOND))
    for topic in (FIRST, SECOND):
        for offset in range(count):
            exchange.append(Outgoing(topic, None, f"{topic}/{offset}".encode()))
    return exchange


async def test_records_at_their_places() -> None:
    """Exactly the records asked for, each once, though one is asked for twice."""
    reader = ProofReader(MemoryTransport(made()))
    places = [(FIRST, 0, 7), (SECOND, 0, 99), (FIRST, 0, 7), (FIRST, 0, 0)]
    found = await reader.read(places)
    assert sorted(values(found), key=str) == [b"out.MY-CUSTOMS/99", b"out.SG-CUSTOMS/0", b"out.SG-CUSTOMS/7"]


async def test_trimmed_message_does_not_hide_the_others() -> None:
    """What was trimmed away is left out, and so is what never was; whatever else was asked for in the same batch is read."""
    exchange = made()
    await MemoryTransport(exchange).trim((FIRST, 0), 50)
    found = await ProofReader(MemoryTransport(exchange)).read([(FIRST, 0, 49), (FIRST, 0, 5000), (FIRST, 0, 50), (SECOND, 0, 1)])
    assert values(found) == [b"out.SG-CUSTOMS/50", b"out.MY-CUSTOMS/1"]


async def test_topic_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outbox that is gone is no failure of the relay."""
    assert await ProofReader(MemoryTransport(made())).read([("out.XX-GONE", 0, 1)]) == []


async def test_allowance_is_spent_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A burst of them, then none, then as many as time allows, and never more than a burst."""
    monkeypatch.setattr(proofs, "PER_SECOND", 0.0)
    transport = StuckTransport(made(), None)
    reader = ProofReader(transport)
    places = [(FIRST, 0, offset) for offset in range(BURST + 5)]
    assert len(await reader.read(places)) == BURST
    assert await reader.read(places) == []
    assert await reader.read([]) == []
    assert transport.opened == 1
    monkeypatch.setattr(proofs, "PER_SECOND", 1e9)
    assert len(await reader.read(places)) == BURST


@pytest.mark.parametrize(("hangs", "expected"), [("open", 0), (2, 1), ("close", 3)])
async def test_slow_exchange_holds_up_nobody(monkeypatch: pytest.MonkeyPatch, hangs: object, expected: int) -> None:
    """Where opening, reading or closing hangs, the batch goes on when its patience is over, with what was read until then."""
    monkeypatch.setattr(proofs, "PATIENCE_S", 0.05)
    reader = ProofReader(StuckTransport(made(), hangs))
    async with asyncio.timeout(5):
        found = await reader.read([(FIRST, 0, 1), (FIRST, 0, 2), (FIRST, 0, 3)])
    assert values(found) == [f"out.SG-CUSTOMS/{offset}".encode() for offset in (1, 2, 3)][:expected]
    closing = set(reader._closing)  # pyright: ignore[reportPrivateUsage]
    assert bool(closing) == (hangs != "open")
    for task in closing:
        if hangs == "close":
            task.cancel()
    await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), 5)
