"""Publishing: typed message in, stored, signed, sent, answered.

Every record is stored before its first send and sent again byte for byte until the relay's receipt is stored too, so a crash
at any point loses nothing and doubles nothing: the relay drops a duplicate by its leaf and gives the same receipt again.

=========================  ===========================================================================
the process dies           then
=========================  ===========================================================================
before the store commits   ``publish`` did not return; nothing was sent; the number is free
after it, before the ack   the record is sent again at the next start
after the ack              sent again; the relay answers the duplicate with the receipt it gave before
=========================  ===========================================================================

A stream that stalls is mended while the publisher runs: :mod:`broker.service.streams` says what each refusal means for it. How receipts
are read and kept is :mod:`broker.service.answers`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Awaitable, Coroutine
from dataclasses import replace
from typing import Any, Final

import structlog

from broker import ids
from broker.envelope.receipt import Receipt
from broker.errors import BrokerError, ExchangeUnreachable, Finding, Refusal, RefusedError, UsageError
from broker.exchange.publish import URGENT, Draft, Encoded, Sealing, Seat, encode_sections, prepare, preview
from broker.exchange.recall import foreseen
from broker.families.message import Message
from broker.policy.model import Distribution, Verdict
from broker.ports import Clock, Inlet, Outgoing, Outlet, OwnCopies, Position, PublisherStore, Randomness, Signer, Stored, Transport
from broker.service.answers import Answers, look_at
from broker.service.handle import Handle as Handle
from broker.service.knowledge import Knowledge
from broker.service.streams import Streams

QUEUE: Final = 512
"""Messages that may wait to be encoded; ``publish`` waits when there are more (bounded memory)."""
BATCH: Final = 256
"""Most messages of one signing and one store transaction."""
GATHER_S: Final = 0.02
"""How long a batch waits for more messages, and only while earlier records are under way."""
UNACKED: Final = 4096
"""Most records sent and not yet acknowledged by Kafka."""
RESEND_S: Final = 1.0
"""Wait before records are sent again after a failure."""
CLOSE_S: Final = 10.0
"""How long :meth:`Publisher.close` goes on sending; what Kafka does not take until then is sent at the next start."""

HEAL_S: Final = 60.0
"""Longest wait before unanswered records of a stalled stream are sent again; the first wait is :data:`RESEND_S`, each next twice it."""
HEAL_RECORDS: Final = 2000
"""Most records that are sent again at once: twice what may wait at the relay for an earlier one."""

_log = structlog.get_logger("publisher")


class _Waiting:
    """A message between ``publish`` and Kafka's acknowledgement."""

    __slots__ = ("acked", "answer", "encoded", "issued_ms", "message", "message_id", "stored")

    def __init__(self, message: Message, encoded: Encoded, message_id: bytes | None, issued_ms: int | None) -> None:
        self.message, self.encoded = message, encoded
        self.message_id, self.issued_ms = message_id, issued_ms
        self.stored: Stored | None = None
        self.answer: asyncio.Future[Receipt] | None = None
        self.acked: asyncio.Future[Handle] = asyncio.get_running_loop().create_future()

    def confirm(self) -> None:
        """Kafka has it. The answer may have come before."""
        if self.stored is not None and self.answer is not None and not self.acked.done():
            self.acked.set_result(Handle(self.stored, self.answer, self.encoded.findings))

    def fail(self, error: BrokerError) -> None:
        """Tell the caller, unless it went away."""
        if not self.acked.done():
            self.acked.set_exception(error)


class Publisher:
    """Publishes for one agency through one store. Use as ``async with``; many tasks may call :meth:`publish` at once."""

    def __init__(
        self,
        agency: str,
        transport: Transport,
        knowledge: Knowledge,
        signer: Signer,
        store: PublisherStore,
        clock: Clock,
        randomness: Randomness,
        copies: OwnCopies | None = None,
    ) -> None:
        self.agency = ids.agency_id(agency)
        self._copies = copies
        self._transport, self.knowledge, self._signer = transport, knowledge, signer
        self._store, self._clock, self._randomness = store, clock, randomness
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE)
        self._room = asyncio.Semaphore(UNACKED)
        self._order = asyncio.Lock()
        self._batch: list[_Waiting] = []
        self._unacked: deque[tuple[Stored, Awaitable[Position], _Waiting | None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._outlet: Outlet | None = None
        self._inlet: Inlet | None = None
        self._sent = asyncio.Event()
        self._flush = asyncio.Event()
        self._heal_s = RESEND_S
        self._more = False
        self._streams = Streams(store, knowledge, signer, clock, randomness)
        self._answers = Answers(self.agency, knowledge, store, self._streams, self._answered, copies)
        self._failure: BrokerError | None = None

    async def __aenter__(self) -> Publisher:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Read directory and policy, collect receipts that came meanwhile, send again what has none."""
        try:
            await self.knowledge.load()
            self._outlet = await self._transport.outlet()
            self._inlet = await self._transport.inlet()
            await self._answers.catch_up(self._inlet)
            # More may be unanswered than may be unacknowledged: acknowledgements are followed while old records are sent.
            self._tasks.append(self._watched(self._ack_loop()))
            for stored in self._store.unanswered():
                self._answers.expect(stored)
                await self._send(stored, None)
            loops = (self.knowledge.follow(), self._encode_loop(), self._receipt_loop(), self._heal_loop())
            self._tasks += [self._watched(loop) for loop in loops]
        except BaseException:
            await self._stop()
            raise

    def _watched(self, loop: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A loop that ends with an error takes everybody with it who waits for what it would have done."""
        task = asyncio.create_task(loop)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("the publisher has failed", reason=str(error))
            failure = error if isinstance(error, BrokerError) else BrokerError(f"the publisher has failed: {error!r}")
            self._give_up(failure, failure)

    async def publish(self, message: Message, *, message_id: bytes | None = None, issued_ms: int | None = None) -> Handle:
        """Store, sign and send one message; returns when Kafka has it. Raises RefusedError before anything is stored or sent
        if the message is not right, NotAuthorised, or ExchangeUnreachable (then it is stored and will be sent).

        ``message_id`` (16 bytes) and ``issued_ms`` are those of a message that was accepted earlier, and whose id was told then; by
        default a new id, and now."""
        waiting = _Waiting(message, self._checked(message, issued_ms), message_id, issued_ms)
        await self._queue.put(waiting)
        if message.urgency in URGENT or self._queue.qsize() >= BATCH - 1:
            self._flush.set()
        if self._failure is not None:
            raise self._failure
        return await waiting.acked

    def preview(self, message: Message) -> tuple[Verdict, Distribution]:
        """A dry run: may it be published, and who would see which sections by which rule, or lose the subject. Raises RefusedError."""
        now_ms = self._clock.now_ms()
        labels = preview(message, self._encoded(message), originator=self.agency, now_ms=now_ms)
        decider = self.knowledge.decider
        decided = foreseen(labels, self._store.receipts(message.subject), decider.distribute(labels, now_ms), self.knowledge.rules)
        return decider.may_publish(labels, now_ms), decided

    def findings(self, message: Message) -> tuple[Finding, ...]:
        """What would be remarked on a message, without sending it; the first answer of a run begins with remarks on the code lists
        themselves, the last say which members are not shown. Raises RefusedError."""
        return (*self._remarked(self._encoded(message)).findings, *self.knowledge.not_shown(message))

    def check(self, message: Message) -> tuple[Finding, ...]:
        """What :meth:`publish` would remark on a message that it would take. Raises RefusedError for one that it would not."""
        return self._checked(message).findings

    @property
    def failure(self) -> BrokerError | None:
        """What ended this publisher, if anything did: nothing is sent by it any more."""
        return self._failure

    def acknowledged(self, subject: str) -> bool:
        """Whether the acknowledgement of this subject was published through this store: it is stored, and sent until it is answered."""
        return self._store.acknowledged(subject)

    def stored(self, subject: str) -> bool:
        """Whether a message of this subject was stored for sending: it is sent until it is answered."""
        return self._store.stored(subject)

    async def close(self) -> None:
        """Send what was accepted, then stop. Records without a receipt stay in the store for the next start."""
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained(), CLOSE_S)
        await self._stop()

    async def _drained(self) -> None:
        """Wait until nothing is under way."""
        while self._failure is None and (self._batch or self._unacked or not self._queue.empty()):
            self._sent.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sent.wait(), 0.1)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._give_up(
            ExchangeUnreachable("the publisher was closed first", advice="the message is stored, and sent at the next start"),
            UsageError("the publisher was closed before it stored the message", advice="publish it again"),
        )
        for part in (self._outlet, self._inlet, self.knowledge):
            if part is not None:
                await part.close()
        self._store.close()
        if self._copies is not None:
            self._copies.close()

    def _encoded(self, message: Message, issued_ms: int | None = None) -> Encoded:
        now_ms = self._clock.now_ms() if issued_ms is None else issued_ms
        encoded = encode_sections(message, self.agency, self.knowledge.rules, issued_ms=now_ms)
        if isinstance(encoded, Refusal):
            raise RefusedError(encoded)
        return encoded

    def _remarked(self, encoded: Encoded) -> Encoded:
        """With what the run was not told yet of its code lists, so that it is told once, on the first message."""
        remarks = self.knowledge.list_remarks()
        return replace(encoded, findings=(*remarks, *encoded.findings)) if remarks else encoded

    def _checked(self, message: Message, issued_ms: int | None = None) -> Encoded:
        """Everything that can be refused here rather than at the relay."""
        if not self._tasks:
            raise UsageError("the publisher is not started, or closed", advice="use `async with publisher:`")
        if self._failure is not None:
            raise self._failure
        encoded = self._encoded(message, issued_ms)
        now_ms = self._clock.now_ms()
        labels = preview(message, encoded, originator=self.agency, now_ms=now_ms)
        verdict = self.knowledge.decider.may_publish(labels, now_ms)
        if not verdict.allowed:
            raise RefusedError(Refusal("MAY_NOT_PUBLISH", verdict.reason, "family"))
        return self._remarked(encoded)

    async def _encode_loop(self) -> None:
        """Take what waits, give each its place in the stream, sign all at once, store all at once, send in order."""
        while True:
            self._batch = [await self._queue.get()]
            await self._gather()
            await self._store_and_send(self._batch)
            self._batch = []
            self._sent.set()

    async def _gather(self) -> None:
        """Fill the batch. It is sent at once when nothing is under way, when it is full, and when a message is urgent."""
        if self._unacked:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GATHER_S):
                    await self._flush.wait()
        while len(self._batch) < BATCH and not self._queue.empty():
            self._batch.append(self._queue.get_nowait())
        if self._queue.empty():
            self._flush.clear()

    async def _store_and_send(self, batch: list[_Waiting]) -> None:
        async with self._streams.seat:
            stored = await self._store_all(batch)
        for waiting, record in stored:
            await self._send(record, waiting)

    async def _store_all(self, batch: list[_Waiting]) -> list[tuple[_Waiting, Stored]]:
        """Numbers, signatures, and the store: everything but the sending. Who holds the seat has the stream to itself."""
        stream, seq, prev = self._store.stream()
        drafts: list[tuple[_Waiting, Draft]] = []
        for waiting in batch:
            now_ms = self._clock.now_ms() if waiting.issued_ms is None else waiting.issued_ms
            draft = prepare(
                waiting.message,
                waiting.encoded,
                self.knowledge.rules,
                originator=self.agency,
                seat=Seat(stream, seq + 1, prev),
                message_id=waiting.message_id or ids.message_id(now_ms, self._randomness.take(10)),
                salts=self._randomness.take,
                now_ms=now_ms,
                alg=self._signer.alg,
                kid=self._signer.kid,
            )
            if isinstance(draft, Refusal):
                waiting.fail(RefusedError(draft))
                continue
            seq, prev = seq + 1, draft.leaf
            drafts.append((waiting, draft))
        sealing = Sealing([draft for _, draft in drafts], self.knowledge.rules)
        values = sealing.values(await self._signer.sign(sealing.to_be_signed))
        stored: list[Stored] = []
        for (_, draft), value in zip(drafts, values, strict=True):
            header, digest = draft.header, hashlib.sha256(value).digest()
            stored.append(Stored(header.seq, header.message_id, header.subject, header.revision, draft.leaf, digest, value))
        self._store.add(stored)
        for (waiting, _), record in zip(drafts, stored, strict=True):
            waiting.stored, waiting.answer = record, self._answers.expect(record)
        return [(waiting, record) for (waiting, _), record in zip(drafts, stored, strict=True)]

    async def _send(self, stored: Stored, waiting: _Waiting | None) -> None:
        await self._room.acquire()
        if self._failure is not None:
            raise self._failure
        async with self._order:
            self._unacked.append((stored, await self._handed_over(stored), waiting))
            self._sent.set()

    async def _handed_over(self, stored: Stored) -> Awaitable[Position]:
        if self._outlet is None:
            raise UsageError("the publisher is closed", advice="open a new one")
        return await self._outlet.send(Outgoing(ids.outbox(self.agency), stored.subject.encode(), stored.value))

    async def _ack_loop(self) -> None:
        """Follow the acknowledgements in order; after a failure everything unacknowledged is sent again, in order."""
        while True:
            if not self._unacked:
                self._flush.set()
                self._sent.clear()
                await self._sent.wait()
                continue
            _, ack, waiting = self._unacked[0]
            try:
                await ack
            except ExchangeUnreachable as error:
                _log.warning("sending again", code=error.code, reason=str(error), records=len(self._unacked))
                await self._send_again()
                continue
            self._unacked.popleft()
            self._room.release()
            if waiting is not None:
                waiting.confirm()
            self._sent.set()

    async def _send_again(self) -> None:
        """Everything unacknowledged once more. It keeps its room, and new records wait behind it."""
        await asyncio.sleep(RESEND_S)
        async with self._order:
            for _, ack, _ in self._unacked:
                with contextlib.suppress(BrokerError):
                    await ack
            for number, (stored, _, waiting) in enumerate(list(self._unacked)):
                self._unacked[number] = (stored, await self._handed_over(stored), waiting)

    async def _heal_loop(self) -> None:
        """Send again what is unanswered, from the first on, when the relay misses a record: later and later while that does not help."""
        while True:
            await self._answers.stalled.wait()
            await asyncio.sleep(self._heal_s)
            self._heal_s = min(2 * self._heal_s, HEAL_S)
            self._answers.stalled.clear()
            unanswered = self._store.unanswered(HEAL_RECORDS)
            self._more = len(unanswered) == HEAL_RECORDS
            _log.warning("sending again what is unanswered", records=len(unanswered))
            for stored in unanswered:
                self._answers.expect(stored)
                await self._send(stored, None)

    def _answered(self) -> None:
        """The stream goes on: no more patience than at first."""
        self._heal_s = RESEND_S
        if self._more:
            self._answers.stalled.set()  # what comes behind what was sent again has to follow it, and no refusal will ask for it

    def _give_up(self, stored: BrokerError, unstored: BrokerError) -> None:
        """Nobody goes on waiting: ``stored`` goes to those whose message is kept for the next start, ``unstored`` to the others."""
        self._failure = self._failure or stored
        for _, ack, waiting in self._unacked:
            self._room.release()
            if isinstance(ack, asyncio.Future):
                ack.add_done_callback(look_at)
            if waiting is not None:
                waiting.fail(stored)
        for waiting in self._batch:
            waiting.fail(unstored if waiting.stored is None else stored)
        while not self._queue.empty():
            self._queue.get_nowait().fail(unstored)
        self._answers.give_up(stored)
        self._unacked, self._batch = deque(), []
        self._sent.set()

    async def _receipt_loop(self) -> None:
        while self._inlet is not None:
            try:
                await self._answers.take(self._inlet, 5.0)
            except ExchangeUnreachable as error:
                _log.warning("receipts not readable", reason=str(error))
                await asyncio.sleep(RESEND_S)
