"""Subscribing: verified deliveries, each handed to the agency's code, position kept in the agency's own store.

Deliveries are taken in batches; one store transaction holds the position, what was seen, and whatever the handler wrote
through ``delivery.transaction``: such effects happen once. Any other effect of a handler may happen again after a crash, and
the delivery then says ``redelivered``.

A handler answers with :data:`DONE`, :class:`Retry` (tried again after a delay; later revisions of the subject wait behind it,
everything else goes on) or :class:`Reject` (kept in the local quarantine with the reason). A handler that raises is a handler
that says retry, with growing delays, and after eight tries its delivery is rejected. Nothing ever loops hot.

A recall, and a delivery without a section (the audience was narrowed, and this agency dropped out), take their subject back: what the
store holds of it for another try goes with them, whatever families the handler asked for, and they do not wait behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, dataclass, field, replace
from typing import Any, Final, Literal

import structlog

from broker import ids
from broker.envelope.header import Header
from broker.envelope.slip import Slip
from broker.errors import BrokerError, ExchangeUnreachable, Refusal
from broker.exchange.admit import UNHEARD
from broker.exchange.recall import taken_back
from broker.exchange.receive import ChainGap, Received, accept, follow_chain, is_receipt, open_delivery, receive
from broker.exchange.topology import DAY_MS
from broker.ports import Clock, Held, Inlet, Record, Start, SubscriberStore, Transport
from broker.service.knowledge import Knowledge

BATCH: Final = 200
"""Most deliveries of one store transaction."""
POLL_S: Final = 0.5
"""Longest wait for records before the clock is looked at."""
CATCH_UP_S: Final = 30.0
"""How long a delivery waits for the directory and policy versions it was decided under."""
TELL_S: Final = 5.0
"""How often a reader that moves on tells the exchange how far it is,"""
STILL_S: Final = 15.0
"""and how often one that does not says that it is still there."""
KEPT_MS: Final = 30 * DAY_MS
"""Younger deliveries are all kept by the inbox: a gap among them is a finding, never compaction."""
ATTEMPTS: Final = 8
"""Tries of a handler that raises."""

_log = structlog.get_logger("subscriber")


@dataclass(frozen=True, slots=True)
class Done:
    """The delivery is dealt with."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after ``after`` seconds."""

    after: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """Keep it in the local quarantine: this agency cannot use it."""

    reason: str


DONE: Final = Done()
Outcome = Done | Retry | Reject


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified message as disclosed to this agency.

    ``sections`` holds decoded records by section name, always in the newest version that this program has; ``written`` is the version
    each was written in: if that is higher, ``value`` holds fields that this program cannot show. ``withheld`` names the sections
    policy kept back, each with its rule. ``taken_back``: the owner's word that the subject may not be held any longer, by a recall or by
    a statement without a section; what this agency keeps of it has to go.
    ``value`` is the record as it lay in the inbox: the evidence. ``attempt`` counts from 1.

    ``redelivered``: this message may have reached the handler before. So after a crash, after another try, and where ``slip.redelivery``
    says that the exchange decided it again: the sections are then those of now, and take the place of what came with the earlier slip.

    ``transaction`` is a ``sqlite3.Connection`` whose writes commit with the position. ``arrived_ms`` is when the exchange wrote it into the
    inbox (Unix ms): later than ``slip.admitted_at`` by days where it came late.
    """

    message_id: str
    family: str
    originator: str
    subject: str
    revision: int
    issued_at_ms: int
    header: Header
    slip: Slip
    sections: dict[str, dict[str, Any]]
    withheld: dict[str, str]
    redelivered: bool
    attempt: int
    transaction: Any
    value: bytes
    written: dict[str, int] = field(default_factory=dict[str, int])
    arrived_ms: int = 0

    @property
    def taken_back(self) -> bool:
        """See the class."""
        return taken_back(self.family, self.sections)


Handler = Callable[[Delivery], Awaitable[Outcome | None]]


@dataclass(slots=True)
class Counts:
    """What a subscriber did since it started."""

    delivered: int = 0
    duplicates: int = 0
    refused: int = 0
    retried: int = 0
    rejected: int = 0
    gaps: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(mine + others for mine, others in zip(astuple(self), astuple(other), strict=True)))


class Teller:
    """Leaves word at the exchange how far an agency has read its inbox: at once where it has moved, else every :data:`STILL_S` seconds."""

    def __init__(self, transport: Transport, agency: str) -> None:
        self._transport, self._agency = transport, agency
        self._told: tuple[int, int] | None = None

    async def tell(self, position: int, now_ms: int) -> None:
        """All before ``position`` is read. Raises NotAuthorised, ExchangeUnreachable."""
        if self._told is not None and self._told[0] == position and now_ms - self._told[1] < 1000 * STILL_S:
            return
        await self._transport.tell_read(ids.inbox_group(self._agency), (ids.inbox(self._agency), 0), position, now_ms)
        self._told = position, now_ms


class Subscriber:
    """Reads one agency's inbox. ``families`` narrows what reaches the handler (None: all); the rest is passed over."""

    def __init__(
        self,
        agency: str,
        transport: Transport,
        knowledge: Knowledge,
        store: SubscriberStore,
        clock: Clock,
        *,
        families: Sequence[str] | None = None,
        tells: bool = False,
    ) -> None:
        """``tells``: leave word at the exchange how far the agency has read, for its operator to see who is behind."""
        self.agency = ids.agency_id(agency)
        self._transport, self.knowledge, self._store, self._clock = transport, knowledge, store, clock
        self._families = frozenset(families) if families else None
        self._source = (ids.inbox(self.agency), 0)
        self._tells = tells
        self.reached = 0
        """The offset of the inbox before which all was read by this run; the marks of transactions behind the last record count too."""
        self._stopping = asyncio.Event()
        self._limit: int | None = None
        self._end: int | None = None
        self.counts = Counts()

    def stop(self) -> None:
        """End :meth:`run` after the batch under way is committed."""
        self._stopping.set()

    async def run(
        self,
        handler: Handler,
        *,
        start: Literal["beginning", "now", "committed"] = "committed",
        limit: int | None = None,
        idle_timeout: float | None = None,
        until_end: bool = False,
    ) -> Counts:
        """Hand deliveries to ``handler`` until :meth:`stop`, until ``limit`` were handed over, until nothing came for
        ``idle_timeout`` seconds, or, with ``until_end``, until all is read that the inbox held when reading began. ``committed`` goes
        on where this store left off (the beginning, for a new store)."""
        self._limit = limit
        async with contextlib.AsyncExitStack() as opened:
            opened.callback(self._store.close)
            opened.push_async_callback(self.knowledge.close)
            await self.knowledge.load()
            following = asyncio.create_task(self.knowledge.follow())
            opened.push_async_callback(_ended, following)
            inlet = await self._transport.inlet()
            opened.push_async_callback(inlet.close)
            await inlet.assign({self._source: await self._start(inlet, start)})
            self._end = (await inlet.ends())[self._source] if until_end else None
            if self._tells:
                opened.push_async_callback(_ended, asyncio.create_task(self._tell()))
            await self._read(inlet, handler, following, idle_timeout)
        return self.counts

    async def _read(self, inlet: Inlet, handler: Handler, following: asyncio.Task[None], idle_timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while not self._over() and not self._reached(inlet):
            if following.done():
                following.result()  # whoever no longer hears of revoked keys must not go on
            if await self._try_held(handler):
                last = loop.time()
            records: Sequence[Record] = () if self._over() else await self._poll(inlet, idle_timeout)
            if records:
                await self._take(records, handler)
                last = loop.time()
            elif not self._over():
                self.reached = inlet.position(self._source)
            if not records and idle_timeout is not None and loop.time() - last >= idle_timeout:
                break

    async def _tell(self) -> None:
        """Say now and then how far this agency has read. What goes wrong with it is no reason not to read."""
        teller = Teller(self._transport, self.agency)
        while True:
            with contextlib.suppress(BrokerError):
                await teller.tell(max(self.reached, self._store.position() or 0), self._clock.now_ms())
            await asyncio.sleep(TELL_S)

    def _over(self) -> bool:
        return self._stopping.is_set() or (self._limit is not None and self.counts.delivered >= self._limit)

    def _reached(self, inlet: Inlet) -> bool:
        return self._end is not None and inlet.position(self._source) >= self._end

    async def _start(self, inlet: Inlet, start: str) -> Start:
        position = self._store.position()
        if start == "beginning":
            self._store.restart(0, follow_chains=True)
            return "beginning"
        if start == "now":
            await inlet.assign({self._source: "end"})
            end = (await inlet.ends())[self._source]
            self._store.restart(end, follow_chains=False)
            return end
        return "beginning" if position is None else position

    async def _poll(self, inlet: Inlet, idle_timeout: float | None) -> Sequence[Record]:
        wait = POLL_S if idle_timeout is None else min(POLL_S, idle_timeout)
        due = self._store.next_due()
        if due is not None:
            wait = max(0.01, min(wait, (due - self._clock.now_ms()) / 1000))
        try:
            return await inlet.poll(max_records=BATCH, timeout=wait)
        except ExchangeUnreachable as error:
            _log.warning("inbox not readable", reason=str(error))
            await asyncio.sleep(1.0)
            return []

    async def _take(self, records: Sequence[Record], handler: Handler) -> None:
        """One batch in one transaction. The intention is stored first, so that a crash is told apart from a first delivery."""
        again_before = reached = self._store.attempted()
        self._store.attempt(max(again_before, records[-1].offset + 1))
        self._store.begin()
        try:
            for record in records:
                if self._over():
                    break
                await self._one(record, handler, redelivered=record.offset < again_before)
                reached = max(reached, record.offset + 1)
                self._store.move(record.offset + 1)
                self.reached = record.offset + 1
            self._store.attempt(reached)
        except BaseException:
            self._store.rollback()
            raise
        self._store.commit()

    async def _one(self, record: Record, handler: Handler, *, redelivered: bool) -> None:
        if record.value is None or is_receipt(record.key):
            return
        received = await self._received(record.value, record.offset)
        if isinstance(received, Refusal):
            self.counts.refused += 1
            _log.error("delivery refused", code=received.code, step=received.step, reason=received.reason, offset=record.offset)
            self._store.quarantine(record, received.code, received.reason, self._clock.now_ms())
            return
        before = self._store.seen(received.leaf)
        if before and not self._decided_anew(received):
            self.counts.duplicates += 1
            return
        self._follow(received, record)
        self._store.take(received.leaf)
        if before or taken_back(received.header.family, received.sections):
            # Nothing older of it is tried again, and this waits for nothing: it may hold sections that were taken away since.
            self._store.forget(received.header.subject)
        if self._families is not None and received.header.family not in self._families:
            return
        if self._store.holds(received.header.subject):
            self._store.hold(Held(record, received.header.subject, 0, self._clock.now_ms()), "an earlier revision waits")
            return
        await self._hand_over(received, Held(record, received.header.subject, 0, 0), handler, redelivered=redelivered or before)

    def _decided_anew(self, received: Received) -> bool:
        """Whether a message that was taken before was decided and delivered anew since, with other sections: the slip says that it
        comes again, and its number is a new one. The same delivery seen twice has an old number."""
        last = self._store.chain(received.slip.shard)
        return received.slip.redelivery and last is not None and received.slip.counter > last[0]

    async def _received(self, value: bytes, offset: int) -> Received | Refusal:
        """Verify a delivery under a view at least as new as the one it was decided under.

        A schema is announced before the relay delivers what was written with it: one that is not known yet is waited for.
        """
        opened = open_delivery(value, self.knowledge.rules)
        if isinstance(opened, Refusal):
            return opened
        if not await self.knowledge.at_least(opened.slip.policy_version, opened.slip.directory_version, CATCH_UP_S):
            _log.warning("directory or policy is older than a delivery", offset=offset)
        received = accept(opened, self.knowledge.rules, recipient=self.agency)
        if isinstance(received, Refusal) and received.code in UNHEARD:
            await self.knowledge.catch_up(CATCH_UP_S)
            received = accept(opened, self.knowledge.rules, recipient=self.agency)
        return received

    def _follow(self, received: Received, record: Record) -> None:
        """The relay numbers what it puts into this inbox; a number left out is a delivery somebody dropped."""
        slip = received.slip
        last = self._store.chain(slip.shard)
        gap = follow_chain(last, slip) if last is not None or self._store.follows_chains else None
        since = self._store.followed_ms(slip.shard) if last is not None else self._member_since()
        if gap is not None:
            self._report(gap, record, since)
        self._store.follow(slip.shard, slip.counter, received.leaf, record.timestamp_ms)

    def _member_since(self) -> int:
        """Before this moment nothing can have lain in the inbox. Unix ms, 0 where that is not known."""
        entry = self.knowledge.rules.directory.agency(self.agency)
        return entry.since_ms if entry else 0

    def _report(self, gap: ChainGap, record: Record, since_ms: int) -> None:
        """``since_ms``: what is missing came after it. The inbox keeps all that is younger than :data:`KEPT_MS`; of what is older, the
        last of each subject."""
        if self._clock.now_ms() - since_ms > KEPT_MS:
            _log.info("older revisions were compacted away", shard=gap.shard, expected=gap.expected, got=gap.got)
            return
        self.counts.gaps += 1
        _log.error("a delivery is missing", shard=gap.shard, expected=gap.expected, got=gap.got, offset=record.offset)

    async def _hand_over(self, received: Received, held: Held, handler: Handler, *, redelivered: bool) -> None:
        """Run the handler and do what it says."""
        outcome = await self._ask(handler, self._delivery(received, held, redelivered=redelivered))
        match outcome:
            case Retry(after, reason):
                self.counts.retried += 1
                due = self._clock.now_ms() + max(10, int(after * 1000))
                self._store.hold(Held(held.record, held.subject, held.attempts + 1, due), reason)
            case Reject(reason):
                self.counts.rejected += 1
                self._store.quarantine(held.record, "REJECTED_HERE", reason, self._clock.now_ms())
                self._store.release(held)
            case _:
                self.counts.delivered += 1
                self._store.release(held)

    async def _ask(self, handler: Handler, delivery: Delivery) -> Outcome:
        self._store.mark()
        try:
            outcome = await handler(delivery) or DONE
        except Exception as error:  # noqa: BLE001 - the handler is the agency's code: whatever it raises must not end the loop
            _log.exception("the handler failed", message_id=delivery.message_id, attempt=delivery.attempt)
            reason = f"the handler raised {type(error).__name__}"
            outcome = Reject(reason) if delivery.attempt >= ATTEMPTS else Retry(min(300.0, 2.0**delivery.attempt), reason)
        if not isinstance(outcome, Done):
            self._store.undo()
        return outcome

    def _delivery(self, received: Received, held: Held, *, redelivered: bool) -> Delivery:
        header = received.header
        return Delivery(
            message_id=ids.uuid_text(header.message_id),
            family=header.family,
            originator=header.originator,
            subject=header.subject,
            revision=header.revision,
            issued_at_ms=header.issued_at,
            header=header,
            slip=received.slip,
            sections=received.sections,
            withheld=received.withheld,
            redelivered=redelivered or held.attempts > 0,
            attempt=held.attempts + 1,
            transaction=self._store.transaction,
            value=held.record.value or b"",
            written=received.written,
            arrived_ms=held.record.timestamp_ms,
        )

    async def _try_held(self, handler: Handler) -> bool:
        """Deliveries whose time for another try has come; whether there were any."""
        due = self._store.due(self._clock.now_ms())
        for held in due:
            if self._over():
                break
            # Stored before the try: after a crash it counts, and the delivery says that it comes again.
            self._store.hold(replace(held, attempts=held.attempts + 1), "being tried")
            self._store.begin()
            try:
                received = receive(held.record.value or b"", self.knowledge.rules, recipient=self.agency)
                if isinstance(received, Refusal):
                    self.counts.refused += 1
                    self._store.quarantine(held.record, received.code, received.reason, self._clock.now_ms())
                    self._store.release(held)
                else:
                    await self._hand_over(received, held, handler, redelivered=False)
            except BaseException:
                self._store.rollback()
                raise
            self._store.commit()
        return bool(due)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
