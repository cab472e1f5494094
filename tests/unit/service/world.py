"""An exchange in memory with a clock that stands still, and eyes and hands on its topics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from broker import ids
from broker.envelope.receipt import Receipt
from broker.exchange.quarantine import Quarantined, read_quarantined
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.rules import Rules
from broker.exchange.topology import QUARANTINE
from broker.families.message import Message
from broker.ports import Outgoing
from broker.service.publisher import Publisher
from broker.service.subscriber import Counts, Delivery, Handler, Outcome
from broker.storage.keys import FileSigner
from broker.storage.subscriber_store import SqliteSubscriberStore
from broker.testing.clock import FixedClock
from broker.testing.local import LocalAgency, LocalExchange
from broker.testing.memory import MemoryTransport
from broker.testing.samples import sample_alert
from tests.support.eventually import eventually
from tests.support.parcels import Author

NOW: Final = 1_795_478_400_000
COMMUNITY: Final = "STCE-ASEAN"


class World:
    """One exchange with SG-CUSTOMS and MY-CUSTOMS in a community, and AE-CUSTOMS outside of it."""

    def __init__(self, exchange: LocalExchange, clock: FixedClock) -> None:
        self.exchange, self.clock = exchange, clock
        self.memory = exchange.memory
        self.rules: Rules

    async def learn(self) -> Rules:
        """Read directory, policy and schemas as they are now."""
        knowledge = self.exchange.operator.knowledge(self.exchange.operator.transport("relay"))
        await knowledge.load()
        await knowledge.close()
        self.rules = knowledge.rules
        return self.rules

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    def agency(self, agency: str = "SG-CUSTOMS") -> LocalAgency:
        return self.exchange.agencies[agency]

    def key_of(self, agency: str) -> FileSigner:
        """An agency's message key."""
        return self.agency(agency).member.files.signer()

    def author(self, agency: str = "SG-CUSTOMS", *, seed: int = 0) -> Author:
        """A stream that is written by hand."""
        return Author(agency, self.key_of(agency), self.rules, seed=seed)

    def alert(self, number: int = 1, *, owner: str = "SG-CUSTOMS", revision: int = 1) -> Message:
        """A good alert for the community."""
        return sample_alert(f"{owner}/2026/{number:06}", now_ms=self.now, communities=[COMMUNITY], revision=revision)

    async def put(self, *values: bytes | None, outbox: str = "SG-CUSTOMS", owner: bool = True) -> None:
        """Write raw records into an outbox, as its owner can; ``owner`` false: whatever its rights are now."""
        outlet = await MemoryTransport(self.memory, f"{outbox}#1" if owner else None).outlet()
        for value in values:
            await (await outlet.send(Outgoing(ids.outbox(outbox), b"k", value)))
        await outlet.close()

    async def slip_in(self, inbox: str, value: bytes, *, key: bytes = b"s/x") -> None:
        """Write into an inbox, as the operator's administrator could."""
        outlet = await MemoryTransport(self.memory).outlet()
        await (await outlet.send(Outgoing(ids.inbox(inbox), key, value)))
        await outlet.close()

    def receipts(self, agency: str = "SG-CUSTOMS") -> list[Receipt]:
        """All receipts in an inbox, verified."""
        found: list[Receipt] = []
        for record in self.memory.records(ids.inbox(agency)):
            if is_receipt(record.key):
                receipt = read_receipt(record.value or b"", self.rules)
                assert isinstance(receipt, Receipt), receipt
                found.append(receipt)
        return found

    async def answered(self, count: int, agency: str = "SG-CUSTOMS") -> list[Receipt]:
        """Wait until an inbox holds so many receipts."""
        await eventually(lambda: len(self.receipts(agency)) >= count, what=f"{count} receipts for {agency}")
        return self.receipts(agency)

    def quarantine(self) -> list[Quarantined]:
        """What the relay refused."""
        return [read_quarantined(record.value or b"") for record in self.memory.records(QUARANTINE)]

    def inbox_values(self, agency: str = "MY-CUSTOMS") -> list[bytes]:
        """Deliveries in an inbox."""
        return [record.value or b"" for record in self.memory.records(ids.inbox(agency)) if not is_receipt(record.key)]

    async def subscribe(self, handler: Handler, agency: str = "MY-CUSTOMS", *, families: Sequence[str] | None = None, **how: Any) -> Counts:
        """Run a subscriber on the agency's own store until nothing comes any more."""
        subscriber = self.agency(agency).member.subscriber(self.agency(agency).transport, families=families)
        how.setdefault("idle_timeout", 0.05)
        return await subscriber.run(handler, **how)

    def store(self, agency: str = "MY-CUSTOMS") -> SqliteSubscriberStore:
        """The agency's subscriber store, while no subscriber runs. The caller closes it."""
        return SqliteSubscriberStore(self.agency(agency).member.files.subscriber_store, agency)


def left_behind(path: Path) -> Path:
    """A copy of a store as it lies on the disk now: what a process that is killed at this moment leaves behind."""
    copy = path.with_name(f"left-{len(list(path.parent.iterdir()))}.sqlite")
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            copy.with_name(copy.name + suffix).write_bytes(part.read_bytes())
    return copy


async def abandon(publisher: Publisher) -> None:
    """The publisher's process is gone: no loop of it runs any more, nothing is closed."""
    tasks = publisher._tasks  # pyright: ignore[reportPrivateUsage]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()


class Taker:
    """A handler that keeps what it got, and answers what it is told for a subject's number, one answer after the other, then DONE."""

    def __init__(self, answers: Mapping[str, Sequence[Outcome | Exception]] | None = None) -> None:
        self._answers = {subject: list(each) for subject, each in (answers or {}).items()}
        self.taken: list[Delivery] = []

    async def __call__(self, delivery: Delivery) -> Outcome | None:
        self.taken.append(delivery)
        waiting = self._answers.get(delivery.subject.rpartition("/")[2], [])
        answer = waiting.pop(0) if waiting else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def seen(self) -> list[tuple[str, int]]:
        """Subject number and revision, in order."""
        return [(delivery.subject.rpartition("/")[2], delivery.revision) for delivery in self.taken]


@asynccontextmanager
async def world(*, shards: int = 1) -> AsyncGenerator[World]:
    """The exchange, running."""
    clock = FixedClock(NOW)
    async with LocalExchange(clock=clock, shards=shards) as exchange:
        made = World(exchange, clock)
        for agency, communities in (("SG-CUSTOMS", [COMMUNITY]), ("MY-CUSTOMS", [COMMUNITY]), ("AE-CUSTOMS", [])):
            await exchange.join(agency, "customs", communities)
        await made.learn()
        yield made
