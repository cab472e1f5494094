"""The agencies of a script at work on a real exchange, and the operator's view of what lies on its topics.

Each agency has a real subscriber from the beginning of the run. The watch reads outboxes, inboxes and the quarantine topic with
the operator's rights, so that "nobody got anything else" can be told: it knows how many records lie in an inbox.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.app.parties import Member, Operator
from broker.app.scenario.border import ExitOffice
from broker.envelope.receipt import Receipt
from broker.errors import BrokerError, ExchangeUnreachable, Refusal
from broker.exchange.quarantine import Quarantined, read_quarantined
from broker.exchange.receive import is_receipt, read_receipt
from broker.exchange.topology import QUARANTINE
from broker.ports import Inlet, Outgoing, Outlet, Position, Record, Source
from broker.service.publisher import Publisher
from broker.service.subscriber import DONE, Delivery, Outcome, Subscriber
from broker.storage.subscriber_store import SqliteSubscriberStore

PATIENCE_S: Final = 30.0
"""How long the exchange may take to answer one record, or an agency to take what lies in its inbox."""
QUIET_S: Final = 0.5
"""How long nothing may have come before a run counts as over."""
_LOOK_S: Final = 0.005
"""How often it is looked whether an agency has caught up."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery in the hands of an agency's own code, and when (seconds of the event loop's clock)."""

    delivery: Delivery
    at: float


class Participant:
    """One agency: its subscriber, started at once; its publisher and a bare outlet, opened when first used."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.agency = member.files.agency
        self.arrivals: list[Arrival] = []
        self.office = ExitOffice()
        self._transport = member.transport()
        self._store = SqliteSubscriberStore(member.files.subscriber_store, self.agency)
        self._subscriber: Subscriber = member.subscriber(self._transport, store=self._store)
        self._running = asyncio.create_task(self._subscriber.run(self._take))
        self._publisher: Publisher | None = None
        self._outlet: Outlet | None = None

    async def _take(self, delivery: Delivery) -> Outcome:
        """The agency's own code: what a customs system would do with a delivery."""
        self.arrivals.append(Arrival(delivery, asyncio.get_running_loop().time()))
        self.office.take(delivery)
        return DONE

    @property
    def taken(self) -> int:
        """How many records of its inbox this agency has dealt with, receipts aside."""
        counts = self._subscriber.counts
        return counts.delivered + counts.duplicates + counts.refused

    @property
    def refused(self) -> list[tuple[str, str]]:
        """Code and reason of each delivery that this agency's own checks refused."""
        return [(code, reason) for _offset, code, reason, _at in self._store.quarantined()]

    async def caught_up(self, records: int) -> None:
        """Wait until this agency has dealt with so many records of its inbox; gives up after :data:`PATIENCE_S`."""
        await self._until(lambda: self.taken >= records)

    async def got(self, message_id: str) -> None:
        """Wait until this agency has taken a message; gives up after :data:`PATIENCE_S`."""
        await self._until(lambda: any(arrival.delivery.message_id == message_id for arrival in self.arrivals))

    async def _until(self, reached: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while not reached() and loop.time() < deadline:
            if self._running.done():
                self._running.result()
                raise ExchangeUnreachable(f"the subscriber of {self.agency} has stopped", advice="see the log lines above")
            await asyncio.sleep(_LOOK_S)

    async def publisher(self) -> Publisher:
        """This agency's publisher, started."""
        if self._publisher is None:
            self._publisher = self.member.publisher(self._transport)
            await self._publisher.start()
        return self._publisher

    async def put(self, value: bytes) -> Position:
        """Write bytes into the own outbox, past the publisher: all that it takes is the agency's TLS key."""
        if self._outlet is None:
            self._outlet = await self._transport.outlet()
        return await (await self._outlet.send(Outgoing(ids.outbox(self.agency), None, value)))

    async def close(self) -> None:
        """Stop subscriber and publisher, and hang up."""
        self._subscriber.stop()
        try:
            if self._publisher is not None:
                await self._publisher.close()
            await asyncio.gather(self._running, return_exceptions=True)
        finally:
            await self._transport.close()


class Watch:
    """What lies on the topics, read as it comes with the operator's rights. Receipts are verified."""

    def __init__(self, operator: Operator, agencies: tuple[str, ...]) -> None:
        self._transport = operator.transport("registrar")
        self.knowledge = operator.knowledge(self._transport)
        self._sources: list[Source] = [(topic(agency), 0) for agency in agencies for topic in (ids.outbox, ids.inbox)]
        self._inlet: Inlet | None = None
        self._outlet: Outlet | None = None
        self.written: dict[bytes, bytes] = {}
        """Outbox records by the SHA-256 of their value."""
        self.answers: dict[bytes, list[tuple[Receipt, bytes]]] = {}
        """Receipts, each with its signed note, by the digest of the record that they answer; a repeated one stands twice."""
        self.in_inbox: dict[str, int] = dict.fromkeys(agencies, 0)
        """How many deliveries lie in each inbox."""
        self.quarantined: list[Quarantined] = []

    async def start(self) -> None:
        """Read the directory, and the topics from their beginnings."""
        await self.knowledge.load()
        self._inlet = await self._transport.inlet()
        await self._inlet.assign(dict.fromkeys([*self._sources, (QUARANTINE, 0)], "beginning"))

    async def catch_up(self) -> None:
        """Read to where the topics end now."""
        inlet = self._reading()
        ends = await inlet.ends()
        while any(inlet.position(source) < end for source, end in ends.items()):
            for record in await inlet.poll(max_records=1000, timeout=0.5):
                self._take(record)

    async def answered(self, digest: bytes, times: int = 1) -> tuple[Receipt, bytes]:
        """The last receipt of a record and its note, once it was answered so often. Raises ExchangeUnreachable."""
        await self._until(lambda: len(self.answers.get(digest, ())) >= times)
        return self.answers[digest][-1]

    async def in_quarantine(self, topic: str, offset: int) -> Quarantined:
        """The refused record of an outbox. Raises ExchangeUnreachable."""

        def found() -> list[Quarantined]:
            return [item for item in self.quarantined if (item.topic, item.offset) == (topic, offset)]

        await self._until(lambda: bool(found()))
        return found()[0]

    async def quiet(self) -> None:
        """Return when nothing has come for a while."""
        while records := await self._reading().poll(max_records=1000, timeout=QUIET_S):
            for record in records:
                self._take(record)

    async def _until(self, reached: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while not reached():
            if loop.time() > deadline:
                raise ExchangeUnreachable("the relay has not answered a record", advice="see its log lines above")
            for record in await self._reading().poll(max_records=1000, timeout=0.5):
                self._take(record)

    async def put_into_inbox(self, agency: str, subject: str, value: bytes) -> None:
        """Write into an agency's inbox past the relay, as only an operator could; returns when it can be read there."""
        if self._outlet is None:
            self._outlet = await self._transport.outlet()
        before = self.in_inbox[agency]
        await (await self._outlet.send(Outgoing(ids.inbox(agency), b"s/" + subject.encode(), value)))
        await self._until(lambda: self.in_inbox[agency] > before)

    async def close(self) -> None:
        """Hang up."""
        await self.knowledge.close()
        await self._transport.close()

    def _reading(self) -> Inlet:
        if self._inlet is None:
            raise LookupError("the watch is not started")
        return self._inlet

    def _take(self, record: Record) -> None:
        if record.value is None:
            return
        if record.topic == QUARANTINE:
            self.quarantined.append(read_quarantined(record.value))
        elif record.topic.startswith("out."):
            self.written[hashlib.sha256(record.value).digest()] = record.value
        elif is_receipt(record.key):
            receipt = read_receipt(record.value, self.knowledge.rules)
            if isinstance(receipt, Refusal):
                raise BrokerError(f"a receipt does not verify: {receipt.reason}", advice="keep the home for an auditor")
            self.answers.setdefault(receipt.digest, []).append((receipt, record.value))
        else:
            self.in_inbox[record.topic.partition(".")[2]] += 1


class World:
    """All of it, for the length of one run."""

    def __init__(self, operator: Operator, members: Mapping[str, Member]) -> None:
        self.clock = operator.clock
        self.watch = Watch(operator, tuple(members))
        self.participants = {agency: Participant(member) for agency, member in members.items()}

    async def settle(self, receipt: Receipt | None = None) -> None:
        """Wait until every recipient that the receipt names has the message, and every agency has taken what lies in its inbox.

        A transaction is committed as a whole, and yet becomes readable on one topic sooner than on another: what a receipt promises
        has to be waited for, and a delivery that it does not name may be seen a step later, at the latest in :meth:`quiet`.
        """
        if receipt is not None and receipt.message_id is not None:
            message_id = ids.uuid_text(receipt.message_id)
            await asyncio.gather(*(self.participants[each.agency].got(message_id) for each in receipt.recipients))
        await self.watch.catch_up()
        await asyncio.gather(*(each.caught_up(self.watch.in_inbox[agency]) for agency, each in self.participants.items()))

    async def quiet(self) -> None:
        """The end of a run: wait until nothing comes any more, and everything was taken."""
        await self.watch.quiet()
        await self.settle()

    async def close(self) -> None:
        """Stop everything. What fails while stopping is not what the run is about."""
        await asyncio.gather(*(each.close() for each in self.participants.values()), self.watch.close(), return_exceptions=True)
