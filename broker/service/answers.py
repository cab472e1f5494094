"""The relay's answers to what a publisher sent: receipts read from its inbox, kept in its store, and handed to those who wait for them.

What a refusal means for the stream is :mod:`broker.service.streams`'; what is to be sent again is said to the publisher, which sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from broker import ids
from broker.envelope.receipt import Receipt
from broker.errors import BrokerError
from broker.exchange.catch_up import is_later
from broker.families.attachment import is_chunk
from broker.ports import Inlet, OwnCopies, OwnCopy, PublisherStore, Stored
from broker.service.knowledge import Knowledge
from broker.service.receipts import receipt_in
from broker.service.streams import EARLY, Again, Ignored, Moved, Settled, Streams

_log = structlog.get_logger("publisher")


class Answers:
    """Who waits for which receipt (by the digest of the record), and what is done with each that comes.

    ``stalled`` is set when the relay misses a record, so that what is unanswered has to be sent again; ``answered`` is called after each
    answer that is stored. ``copies``: where accepted records are left for the agency's own register.
    """

    def __init__(
        self,
        agency: str,
        knowledge: Knowledge,
        store: PublisherStore,
        streams: Streams,
        answered: Callable[[], None],
        copies: OwnCopies | None = None,
    ) -> None:
        self._agency, self._knowledge, self._store, self._streams = agency, knowledge, store, streams
        self._answered, self._copies = answered, copies
        self.stalled = asyncio.Event()
        self._waiting: dict[bytes, asyncio.Future[Receipt]] = {}
        self._later: list[tuple[bytes, bytes]] = []

    def __len__(self) -> int:
        """How many records are not answered yet."""
        return len(self._waiting)

    def expect(self, stored: Stored) -> asyncio.Future[Receipt]:
        """What will hold the answer to a record."""
        return self._waiting.setdefault(stored.digest, asyncio.get_running_loop().create_future())

    def give_up(self, error: BrokerError) -> None:
        """Nobody goes on waiting: all get this error."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)
                look_at(answer)
        self._waiting.clear()

    async def catch_up(self, inlet: Inlet) -> None:
        """Read receipts up to now; a new store begins at the inbox's end."""
        source = (ids.inbox(self._agency), 0)
        position = self._store.receipts_position()
        await inlet.assign({source: "end" if position is None else position})
        end = (await inlet.ends())[source]
        if position is None:
            self._store.settle((), end)
        while inlet.position(source) < end:
            await self.take(inlet, 0.5)

    async def take(self, inlet: Inlet, timeout: float) -> None:
        """Read what has come, or comes within ``timeout`` seconds. Raises ExchangeUnreachable."""
        records = await inlet.poll(max_records=1000, timeout=timeout)
        receipts: dict[bytes, tuple[Receipt, bytes]] = {}
        for record in records:
            receipt = receipt_in(record, self._agency, self._knowledge.rules)
            if receipt is None or record.value is None:
                continue
            if is_later(receipt):
                self._later.append((receipt.digest, record.value))
            if receipt.digest not in receipts:
                if receipt.code in EARLY and receipts:
                    # It may have all behind it signed anew: what is answered by now is not among that.
                    self._settle(receipts, record.offset)
                    receipts = {}
                await self._heed(receipt, record.value, receipts)
        if records:
            self._settle(receipts, records[-1].offset + 1)

    def _settle(self, receipts: dict[bytes, tuple[Receipt, bytes]], position: int) -> None:
        """Keep answers, and tell those who wait for them; reading goes on at ``position``."""
        self._keep_copies(receipts)
        self._store.keep_later(self._later)
        self._later.clear()
        notes = [(digest, note) for digest, (_, note) in receipts.items()]
        for digest in self._store.settle(notes, position):
            answer = self._waiting.pop(digest, None)
            if answer is not None and not answer.done():
                answer.set_result(receipts[digest][0])
            self._answered()

    def _keep_copies(self, receipts: dict[bytes, tuple[Receipt, bytes]]) -> None:
        """Before the answers are stored, and with them the records let go: a crash between the two keeps a copy twice, never none."""
        if self._copies is None:
            return
        accepted = [(self._store.awaited(digest), receipt) for digest, (receipt, _) in receipts.items() if receipt.outcome == "ACCEPTED"]
        copies = [
            OwnCopy(found[1].value, receipt.admitted_at, tuple(each.agency for each in receipt.recipients if not each.withdrawn))
            for found, receipt in accepted
            if found is not None and not is_chunk(found[1].subject)  # its owner has the file
        ]
        if copies:
            self._copies.keep(copies)

    async def _heed(self, receipt: Receipt, note: bytes, receipts: dict[bytes, tuple[Receipt, bytes]]) -> None:
        """Take it among the answers, or do what else it asks for."""
        match await self._streams.heed(receipt):
            case Settled():
                receipts[receipt.digest] = receipt, note
            case Again():
                _log.error("the exchange has not taken a record in its turn", code=receipt.code, seq=receipt.seq)
                self.stalled.set()
            case Moved(digests):
                for old, new in digests:
                    self._moved(old, new)
                self.stalled.set()
            case Ignored():
                pass

    def _moved(self, old: bytes, new: bytes) -> None:
        """Whichever of the two is accepted answers for the message."""
        answer = self._waiting.get(old)
        if answer is not None:
            self._waiting[new] = answer
            answer.add_done_callback(lambda _: [self._waiting.pop(digest, None) for digest in (old, new)])


def look_at(outcome: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more, and asyncio complains of errors that nobody looked at."""
    if not outcome.cancelled():
        outcome.exception()
