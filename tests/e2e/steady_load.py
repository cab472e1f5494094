"""Publishers at a steady rate, as processes of their own: ``python -m tests.e2e.steady_load live|prepared OWNER HOME RATE [COUNT]``.

``live`` is the publisher as it is. ``prepared`` does all of its work but the sending beforehand: each message is checked, decided,
encoded, chained in its stream, signed and stored as the publisher does it, in batches as large as would gather at this rate; then it says
so, waits for a line, and sends the stored bytes at the rate. Its receipts are read when the sending is over. So what an agency's own
machine would do does not take the processor from Kafka and the relay, which see the same bytes at the same times.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from broker import ids, logs
from broker.app.connect import connect
from broker.app.parties import Member
from broker.errors import BrokerError, Refusal
from broker.exchange.publish import Draft, Sealing, Seat, encode_sections, prepare
from broker.families.message import Message
from broker.ports import Outgoing, Position, Signer, Stored, Transport
from broker.service.knowledge import Knowledge
from broker.service.receipts import receipt_in
from broker.storage.clock import SystemClock, SystemRandomness
from broker.storage.publisher_store import SqlitePublisherStore
from broker.testing.samples import sample_alert

OTHERS: Final = ("MY-CUSTOMS", "TH-CUSTOMS")
OUT: Final = "AE-CUSTOMS"
"""The agency that is suspended."""
SHARE: Final = 4
"""Every so many messages of the owners go to it too."""
STEP_S: Final = 0.02
"""How often the messages that are due are sent."""
BURST: Final = 200
"""Most messages given to a publisher at once."""
UNANSWERED: Final = 2000
"""Most records on their way to Kafka."""
STORED: Final = 500
"""Records of one store transaction while preparing."""
STOP_S: Final = 5.0
LAST_S: Final = 30.0
"""The last messages have arrived within this, or they are lost."""


def alert(owner: str, number: int) -> Message:
    """To the others; every so many of the owners' to the agency too."""
    to = [*OTHERS, OUT] if owner != OUT and number % SHARE == 0 else OTHERS
    return sample_alert(f"{owner}/2026/{number:06}", now_ms=SystemClock().now_ms(), agencies=to)


class Pace:
    """How many messages are due, at a rate per second; a machine that cannot keep up is not made to, beyond one second."""

    def __init__(self, rate: float) -> None:
        self._rate, self._behind = rate, time.time()

    def due(self) -> int:
        """Since the last call; at most :data:`BURST`."""
        now = time.time()
        self._behind = max(self._behind, now - 1.0)
        due = min(int((now - self._behind) * self._rate), BURST)
        self._behind += due / self._rate
        return due


@asynccontextmanager
async def standard_input() -> AsyncGenerator[asyncio.StreamReader]:
    """Standard input, to be waited for."""
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        yield reader
    finally:
        pipe.close()


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


# --- live


async def live(home: Path, owner: str, rate: float) -> None:
    """Messages at a steady rate until standard input ends or Kafka refuses, then one line with what became of them."""
    member = Member(home, owner, connect)
    handles, ended = list[Any](), ""
    publisher = member.publisher(member.transport())
    await publisher.start()
    async with standard_input() as commands:
        begun, pace, closed = time.time(), Pace(rate), asyncio.create_task(commands.read())
        try:
            while not closed.done():
                messages = [alert(owner, len(handles) + number) for number in range(1, pace.due() + 1)]
                handles += await asyncio.gather(*(publisher.publish(message) for message in messages))
                await asyncio.sleep(STEP_S)
        except BrokerError as error:
            ended = error.code
        closed.cancel()
    told, outcomes, last = Counter[str](), Counter[str](), time.time()
    for handle in handles if not ended else []:
        answer = await handle.receipt(LAST_S)
        outcomes[answer.outcome] += 1
        told.update(each.agency for each in answer.recipients)
    tell(sent=len(handles), seconds=last - begun, outcomes=outcomes, told=told, ended=ended, at=last)
    with contextlib.suppress(BrokerError, TimeoutError):
        await asyncio.wait_for(publisher.close(), STOP_S)


# --- prepared


class Prepared:
    """An owner's messages, ready to be sent."""

    def __init__(self, member: Member, transport: Transport) -> None:
        self._member, self._transport = member, transport
        self._owner = member.files.agency
        self._randomness, self._clock = SystemRandomness(), SystemClock()
        self._knowledge: Knowledge = member.knowledge(transport)
        self._signer: Signer = member.files.signer()
        self._store = SqlitePublisherStore(member.files.publisher_store, self._owner, self._randomness.take(16))
        self.records = deque[Stored]()

    async def prepare(self, count: int, together: int) -> None:
        """Check, encode, chain, sign in batches of ``together``, and store."""
        await self._knowledge.load()
        unsaved = list[Stored]()
        place = self._store.stream()
        for first in range(1, count + 1, together):
            batch = await self._signed([alert(self._owner, number) for number in range(first, min(first + together, count + 1))], place)
            place = (place[0], batch[-1].seq, batch[-1].leaf)
            unsaved += batch
            if len(unsaved) >= STORED or first + together > count:
                self._store.add(unsaved)
                self.records.extend(unsaved)
                unsaved = []

    async def _signed(self, messages: Sequence[Message], place: tuple[bytes, int, bytes | None]) -> list[Stored]:
        (stream, seq, prev), drafts = place, list[Draft]()
        for message in messages:
            drafts.append(self._draft(message, Seat(stream, seq + 1, prev)))
            seq, prev = seq + 1, drafts[-1].leaf
        sealing = Sealing(drafts, self._knowledge.rules)
        values = sealing.values(await self._signer.sign(sealing.to_be_signed))
        return [
            Stored(each.header.seq, each.header.message_id, each.header.subject, 1, each.leaf, hashlib.sha256(value).digest(), value)
            for each, value in zip(drafts, values, strict=True)
        ]

    def _draft(self, message: Message, seat: Seat) -> Draft:
        now_ms, rules = self._clock.now_ms(), self._knowledge.rules
        encoded = encode_sections(message, self._owner, rules, issued_ms=now_ms)
        assert not isinstance(encoded, Refusal), encoded
        draft = prepare(
            message, encoded, rules, originator=self._owner, seat=seat, message_id=ids.message_id(now_ms, self._randomness.take(10)),
            salts=self._randomness.take, now_ms=now_ms, alg=self._signer.alg, kid=self._signer.kid,
        )  # fmt: skip
        assert not isinstance(draft, Refusal), draft
        assert self._knowledge.decider.may_publish(draft.labels, now_ms).allowed
        return draft

    async def send(self, rate: float, closed: asyncio.Task[bytes]) -> int:
        """At the rate, until standard input ends or there are none left; how many Kafka has."""
        outlet, pace, acks, sent = await self._transport.outlet(), Pace(rate), deque[Awaitable[Position]](), 0
        while not closed.done() and self.records:
            for _ in range(min(pace.due(), len(self.records))):
                record = self.records.popleft()
                acks.append(await outlet.send(Outgoing(ids.outbox(self._owner), record.subject.encode(), record.value)))
                sent += 1
            while len(acks) > UNANSWERED:
                await acks.popleft()
            await asyncio.sleep(STEP_S)
        await asyncio.gather(*acks)
        await outlet.close()
        return sent

    async def answers(self, count: int) -> tuple[Counter[str], Counter[str]]:
        """The verified receipts of the first ``count`` messages, by outcome, and how many name each recipient."""
        outcomes, told, seen = Counter[str](), Counter[str](), set[bytes]()
        inlet, source = await self._transport.inlet(), (ids.inbox(self._owner), 0)
        await inlet.assign({source: "beginning"})
        last = time.monotonic()
        while len(seen) < count and time.monotonic() - last < LAST_S:
            for record in await inlet.poll(max_records=2000, timeout=0.5):
                receipt, last = receipt_in(record, self._owner, self._knowledge.rules), time.monotonic()
                if receipt is not None and receipt.digest not in seen:
                    seen.add(receipt.digest)
                    outcomes[receipt.outcome] += 1
                    told.update(each.agency for each in receipt.recipients)
        await inlet.close()
        return outcomes, told

    async def close(self) -> None:
        await self._knowledge.close()
        self._store.close()
        await self._transport.close()


async def prepared(home: Path, owner: str, rate: float, count: int) -> None:
    """Prepare, say so, wait for a line, send until standard input ends, and tell what became of it."""
    member, begun = Member(home, owner, connect), time.time()
    work = Prepared(member, member.transport())
    await work.prepare(count, max(1, round(rate * STEP_S)))
    tell(prepared=count, seconds=time.time() - begun)
    async with standard_input() as commands:
        await commands.readline()
        begun, closed = time.time(), asyncio.create_task(commands.read())
        sent, last = await work.send(rate, closed), time.time()
        await closed
    outcomes, told = await work.answers(sent)
    tell(sent=sent, left=len(work.records), seconds=last - begun, outcomes=outcomes, told=told, ended="", at=last)
    await work.close()


def main() -> int:
    kind, owner, home, rate, *count = sys.argv[1:]
    asyncio.run(live(Path(home), owner, float(rate)) if kind == "live" else prepared(Path(home), owner, float(rate), int(count[0])))
    return 0


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(main())
