"""An agency's durable outbox: what is accepted is kept before it is answered, and sent when the exchange can be reached.

::

    accept ──► intake (SQLite) ──► publisher's store ──► Kafka ──► receipt
               id and answer       signed, in the same
               are told            file, one transaction

Accepting needs no Kafka. While the rules of the exchange are known, read or kept from before, a message is judged as its publisher would;
where they are not, by its own form alone, and what the rules say against it is told later, by its id. Sending begins again
by itself whenever the exchange is there: each message is in exactly one of the two places, so each is sent under one id, and the relay
drops what it gets twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from broker import ids
from broker.app.begun_anew import begun_anew
from broker.app.message_forms import message_of
from broker.app.parties import Member
from broker.app.recall import stored_receipt
from broker.app.rules_in_force import RulesInForce
from broker.envelope.receipt import Receipt
from broker.errors import BrokerError, Finding, Refusal, RefusedError, StoreInUse, UsageError
from broker.exchange.publish import encode_sections, preview
from broker.families.message import Message
from broker.ports import Transport
from broker.schema import json_form
from broker.service.publisher import Publisher
from broker.storage.clock import SystemRandomness
from broker.storage.intake import KEPT_MS, Answered, Depth, KeyTaken, SqliteIntake, Standing, Waiting
from broker.storage.publisher_store import SqlitePublisherStore
from broker.storage.schemas import load_catalogue

WINDOW: Final = 400
"""Most messages on their way to the publisher at a time: fewer than its queue holds, so that it takes them in their order."""
LOOK_S: Final = 1.0
"""How often the publisher is looked at while nothing comes."""
TOGETHER: Final = 256
"""Most requests of one transaction."""

_DIGITS: Final = msgspec.json.Encoder(decimal_format="number")
"""JSON whose fractions stay numbers, digit for digit."""
_log = structlog.get_logger("outbox")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that is kept: the id that it has for good, what its JSON form is, and what is remarked on it."""

    message_id: str
    message: Message
    body: str
    accepted_ms: int
    findings: tuple[Finding, ...]


class _Request:
    """What one caller wants kept, all or nothing."""

    __slots__ = ("answer", "done", "messages")

    def __init__(self, messages: Sequence[Waiting], answer: Answered | None) -> None:
        self.messages, self.answer = messages, answer
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Outbox:
    """The outbox of one agency; one process at a time. Run :meth:`run` in a task, and :meth:`close` at the end."""

    def __init__(self, member: Member, transport: Callable[[], Transport], rules: RulesInForce) -> None:
        """``transport`` opens a connection; it is called anew whenever sending begins. ``rules`` are those that are known while there is no
        publisher. Raises StoreInUse, StoreError."""
        self.agency = member.files.agency
        self._member, self._transport, self._clock = member, transport, member.clock
        self._randomness = SystemRandomness()
        self.catalogue = load_catalogue()
        path = member.files.publisher_store
        SqlitePublisherStore(path, self.agency, self._randomness.take(16)).close()  # makes the file, or brings it to this version
        self._store = SqliteIntake(path)
        self._in_force = rules
        self._bare = member.knowledge(transport()).rules
        self._publisher: Publisher | None = None
        self._requests: asyncio.Queue[_Request] = asyncio.Queue(4 * TOGETHER)
        self._news = asyncio.Event()
        self._stopping = False
        self.citing: Callable[[Message, str], None] = lambda _message, _message_id: None
        """Called with each message and its id before it is kept: files that it cites are to be sent when it was accepted."""
        self._writing = asyncio.Lock()

    @property
    def publisher(self) -> Publisher | None:
        """The publisher, while there is one that works: it knows the rules, and gives dry runs."""
        return self._publisher if self._publisher is not None and self._publisher.failure is None else None

    def read(self, value: object) -> Accepted | Refusal:
        """A message from its JSON form, judged, with an id: not kept yet. Never raises for what a client can send."""
        message = message_of(value, self.catalogue)
        if isinstance(message, Refusal):
            return message
        findings = self._check(message)
        if isinstance(findings, Refusal):
            return findings
        now_ms = self._clock.now_ms()
        message_id = ids.uuid_text(ids.message_id(now_ms, self._randomness.take(10)))
        return Accepted(message_id, message, _DIGITS.encode(value).decode(), now_ms, findings)

    def _check(self, message: Message) -> tuple[Finding, ...] | Refusal:
        publisher = self.publisher
        try:
            if publisher is not None:
                return publisher.check(message)
        except RefusedError as error:
            return error.refusal
        except BrokerError as error:
            _log.warning("judged by its form alone", code=error.code)
        known, now_ms = self._in_force.known, self._clock.now_ms()
        encoded = encode_sections(message, self.agency, known.rules if known is not None else self._bare, issued_ms=now_ms)
        if isinstance(encoded, Refusal):
            return encoded
        decider = self._in_force.decider
        if decider is not None:
            verdict = decider.may_publish(preview(message, encoded, originator=self.agency, now_ms=now_ms), now_ms)
            if not verdict.allowed:
                return Refusal("MAY_NOT_PUBLISH", verdict.reason, "family")
        return encoded.findings

    async def keep(self, messages: Sequence[Accepted], answer: Answered | None = None) -> None:
        """Keep messages and the answer that tells of them, in one transaction: durable when it returns. Raises StoreError, and KeyTaken
        where another request under the same key came first.

        Requests that come at the same time share a transaction, and so the disk's time."""
        if self._stopping:
            raise UsageError("the node is being stopped", advice="send it again in a moment")
        rows = [
            Waiting(
                0, bytes.fromhex(each.message_id.replace("-", "")), each.message.subject, each.message.revision, each.accepted_ms, each.body
            )
            for each in messages
        ]
        for each in messages:
            self.citing(each.message, each.message_id)
        request = _Request(rows, answer)
        await self._requests.put(request)
        await asyncio.shield(request.done)

    def answered(self, client: str, key: str) -> Answered | None:
        """What this client was answered under this idempotency key."""
        return self._store.answered(client, key)

    def standing(self, message_id: str) -> Standing | None:
        """Where a message is, by its id; None for one that did not come through here."""
        try:
            return self._store.standing(bytes.fromhex(message_id.replace("-", "")))
        except ValueError:
            return None

    def recent(self, limit: int) -> list[str]:
        """The ids of the messages that came last, the newest first."""
        return [ids.uuid_text(each) for each in self._store.recent(limit)]

    def receipt(self, standing: Standing) -> Receipt | None:
        """The relay's answer to a message that was answered."""
        return None if standing.receipt is None else stored_receipt(standing.receipt, self.catalogue)

    def last_revision(self, subject: str) -> int | None:
        """The highest revision of a subject that was accepted here."""
        return self._store.last_revision(subject)

    def depth(self) -> Depth:
        """How much waits."""
        return self._store.depth()

    async def run(self) -> None:
        """Keep what comes, and send it while the exchange can be reached, until cancelled."""
        tasks = [asyncio.create_task(loop) for loop in (self._keep_loop(), self._send_loop())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_loop(self) -> None:
        while True:
            batch = [await self._requests.get()]
            while len(batch) < TOGETHER and not self._requests.empty():
                batch.append(self._requests.get_nowait())
            await self._keep_all(batch)

    async def _keep_all(self, batch: Sequence[_Request]) -> None:
        kept: list[bool] = []
        requests = [(request.messages, request.answer) for request in batch]
        error = await self._written(lambda: kept.extend(self._store.accept(requests, self._clock.now_ms())))
        for number, request in enumerate(batch):
            if request.done.done():
                continue
            if error is not None:
                request.done.set_exception(error)
            elif kept[number]:
                request.done.set_result(None)
            else:
                request.done.set_exception(KeyTaken("this idempotency key was used a moment ago", advice="ask again"))
        self._news.set()

    async def _written(self, write: Callable[[], None]) -> BrokerError | None:
        """Write beside the loop, one at a time; what went wrong, if anything did."""
        async with self._writing:
            try:
                await asyncio.to_thread(write)
            except BrokerError as error:
                _log.error("the outbox cannot be written", code=error.code, reason=str(error))
                return error
        return None

    async def _send_loop(self) -> None:
        def failed(error: BrokerError) -> None:
            _log.warning("nothing is sent", code=error.code, reason=str(error))
            if isinstance(error, StoreInUse):
                _log.error("another process publishes from this home")

        await begun_anew(self._send_while_it_works, failed)

    async def _send_while_it_works(self) -> None:
        transport = self._transport()
        try:
            async with self._member.publisher(transport) as publisher:
                self._publisher = publisher
                _log.info("sending", unanswered=self.depth().unanswered)
                await self._written(lambda: self._store.forget(self._clock.now_ms() - KEPT_MS))
                await self._pump(publisher)
        finally:
            self._publisher = None
            await transport.close()

    async def _pump(self, publisher: Publisher) -> None:
        """Hand over what waits, in order, until the publisher ends."""
        reached, under_way = 0, set[asyncio.Task[None]]()
        try:
            while publisher.failure is None:
                self._news.clear()
                rows = self._store.waiting(reached, WINDOW - len(under_way)) if len(under_way) < WINDOW else []
                for row in rows:
                    reached = row.number
                    task = asyncio.create_task(self._one(publisher, row))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    task.add_done_callback(lambda _: self._news.set())
                if not rows:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await self._news.wait()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        raise publisher.failure

    async def _one(self, publisher: Publisher, row: Waiting) -> None:
        """Hand over one. Where the publisher fails it is in its store, or here still: in both cases it goes out with the next one."""
        message = message_of(json_form.read_json(row.body), self.catalogue)
        if isinstance(message, Refusal):
            await self._refuse(row, message)
            return
        try:
            await publisher.publish(message, message_id=row.message_id, issued_ms=row.accepted)
        except RefusedError as error:
            await self._refuse(row, error.refusal)
        except BrokerError as error:
            _log.warning("not sent yet", message_id=ids.uuid_text(row.message_id), code=error.code)

    async def _refuse(self, row: Waiting, refusal: Refusal) -> None:
        _log.error("not sent after all", message_id=ids.uuid_text(row.message_id), code=refusal.code, path=refusal.path)
        await self._written(lambda: self._store.refuse(row.message_id, refusal.code, refusal.path, refusal.reason))

    async def close(self) -> None:
        """Keep what was asked for already, then let go of the files. Call it when :meth:`run` has ended."""
        self._stopping = True
        batch: list[_Request] = []
        while not self._requests.empty():
            batch.append(self._requests.get_nowait())
        if batch:
            await self._keep_all(batch)
        self._store.close()
