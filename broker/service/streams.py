"""What a receipt means for the stream of the record it answers: settled, to be sent again, or to be signed anew elsewhere.

A number of a stream is consumed by one message, and the next number waits for it. So a refusal that consumes nothing would stop
the stream for ever, unless the publisher does something about it:

==================================  =====================================================================================
the record is answered by           then
==================================  =====================================================================================
an acceptance; a refusal of a       settled: its number is consumed
message in its turn
SEQUENCE_GAP, TOO_MANY_PARKED       not settled: everything unanswered is sent again, byte for byte, from the first on
UNKNOWN_KEY, KEY_NOT_VALID, and     not settled: the exchange has not read the directory entry yet; sent again likewise
our directory has the key, valid
any other refusal at steps 1 to 4   settled: refused for good, and its number will never be consumed (a *hole*). The stream is
                                    given up: later messages go on a new one from number 1. Nothing else is touched now
SEQUENCE_GAP behind a hole          the exchange has let go of the record, which can never have its turn: the same message (id,
                                    subject, revision, sections) is signed anew on the stream of now, and is sent there
EQUIVOCATION, STALE_SEQUENCE,       settled: refused. Somebody else writes this stream (a copied store), or it may not be
TOO_MANY_STREAMS                    begun: later messages go on a new stream. What is signed already gets its own answer
==================================  =====================================================================================

Exactly once holds in each row. Bytes that are sent again have one leaf and are consumed once. A message that is signed anew has
another leaf, but the same subject and revision, of which the exchange accepts one only (step 9): should the old bytes come to
their turn after all (the operator resubmits the record that made the hole), one of the two is refused as STALE_REVISION, and the
acceptance of either counts for the message. A later revision that was published meanwhile supersedes it: that is a refusal with
a receipt, and nothing is lost silently.

A crash changes nothing of this: a stream is given up, and a record signed anew, durably and before the inbox position moves over
the receipt that asked for it; read again, that receipt finds its work done.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

import structlog

from broker.envelope.parcel import read_parcel
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.publish import Seat, reseat, seal
from broker.exchange.topology import MESSAGE_LIMIT
from broker.ports import Clock, PublisherStore, Randomness, Signer, Stored
from broker.service.knowledge import Knowledge

EARLY: Final = frozenset({"SEQUENCE_GAP", "TOO_MANY_PARKED"})
"""Refusals that leave the number free: an earlier record is missing."""
YOUNG: Final = frozenset({"UNKNOWN_KEY", "KEY_NOT_VALID"})
"""Refusals that a newer directory takes back."""
FORKED: Final = frozenset({"EQUIVOCATION", "STALE_SEQUENCE", "TOO_MANY_STREAMS"})
"""Refusals after which the stream is of no use, while what is signed already gets its own answer."""
CONSUMING: Final = frozenset({"AGENCY_SUSPENDED"})
"""Refusals of the first four steps that consume the number all the same."""

_log = structlog.get_logger("publisher")


@dataclass(frozen=True, slots=True)
class Settled:
    """The receipt is the record's answer, if it waits for one."""


@dataclass(frozen=True, slots=True)
class Again:
    """What is unanswered is to be sent again."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The record with the digest ``old`` is now ``new``, and is to be sent."""

    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """It answers nothing that waits."""


class Streams:
    """The streams of one publisher's store. Whoever takes numbers of the stream of now holds ``seat`` meanwhile."""

    def __init__(self, store: PublisherStore, knowledge: Knowledge, signer: Signer, clock: Clock, randomness: Randomness) -> None:
        self._store, self._knowledge, self._signer = store, knowledge, signer
        self._clock, self._randomness = clock, randomness
        self.seat = asyncio.Lock()

    async def heed(self, receipt: Receipt) -> Settled | Again | Moved | Ignored:
        """Do what a receipt of this agency asks for (the table above)."""
        if receipt.outcome == "ACCEPTED":
            return Settled()
        awaited = self._store.awaited(receipt.digest)
        if awaited is None:
            return Ignored()
        stream, stored = awaited
        code = receipt.code
        if code in EARLY:
            hole = self._store.hole(stream)
            if hole is not None and hole < stored.seq:
                return await self._sign_anew(stored)
            return Again()
        if code in YOUNG and self._has_key(stored):
            return Again()
        if code in FORKED:
            await self._give_up(stream, code, None)
        elif receipt.step <= 4 and code not in CONSUMING:
            await self._give_up(stream, code, stored.seq)
        return Settled()

    def _has_key(self, stored: Stored) -> bool:
        """Whether the directory, as it is known here, has the record's key, valid now."""
        parcel = read_parcel(stored.value, MESSAGE_LIMIT)
        if isinstance(parcel, Refusal):
            return False
        known = self._knowledge.rules.directory.message_key(parcel.statement.kid)
        return known is not None and known[0].usable(self._clock.now_ms())

    async def _give_up(self, stream: bytes, code: str, hole: int | None) -> None:
        async with self.seat:
            _log.error("this stream is given up, later messages go on another", code=code, stream=stream.hex(), hole=hole)
            self._store.give_up(stream, self._randomness.take(16), hole=hole)

    async def _sign_anew(self, stored: Stored) -> Moved | Ignored:
        async with self.seat:
            stream, seq, prev = self._store.stream()
            seat = Seat(stream, seq + 1, prev)
            draft = reseat(stored.value, self._knowledge.rules, seat, alg=self._signer.alg, kid=self._signer.kid)
            if isinstance(draft, Refusal):
                _log.error("a stored record is damaged", subject=stored.subject, revision=stored.revision, code=draft.code)
                return Ignored()
            (signature,) = await self._signer.sign([draft.signed_bytes])
            value = seal(draft, signature)
            digest = hashlib.sha256(value).digest()
            anew = Stored(seat.seq, stored.message_id, stored.subject, stored.revision, draft.leaf, digest, value)
            self._store.reseat(stored.digest, anew)
            _log.warning("signed anew on another stream", subject=stored.subject, revision=stored.revision)
            return Moved(stored.digest, digest)
