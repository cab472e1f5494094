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
any other refusal at steps 1 to 4,  settled: refused for good, and its number will never be consumed (a *hole*). The stream is
or of an unreadable message         given up: later messages go on a new one from number 1. Nothing else is touched now
EQUIVOCATION, STALE_SEQUENCE,       the same: somebody else writes this stream (a copied store), or it may not be begun. What is
TOO_MANY_STREAMS                    signed already may still get its own answer
SEQUENCE_GAP, TOO_MANY_PARKED       this record and all behind the hole can never have their turn: in their order, the same
behind a hole                       messages (id, subject, revision, sections) are signed anew on the stream of now, and sent
==================================  =====================================================================================

Exactly once holds in each row. Bytes that are sent again have one leaf and are consumed once. A message that is signed anew has
another leaf, but the same subject and revision, of which the exchange accepts one only (step 9): should old bytes come to
their turn after all (the operator resubmits the record that made the hole), all but one are refused as STALE_REVISION, and the
acceptance of any counts for the message. A later revision that was published meanwhile supersedes it: that is a refusal with
a receipt, and nothing is lost silently.

A crash changes nothing of this: a stream is given up, and records are signed anew, durably and before the inbox position moves over
the receipt that asked for it; read again, that receipt finds its work done, or what is left of it is asked for by the next.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from broker.envelope.parcel import read_parcel
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.publish import Draft, Sealing, Seat, reseat
from broker.exchange.topology import MESSAGE_LIMIT
from broker.ports import Clock, PublisherStore, Randomness, Signer, Stored
from broker.service.knowledge import Knowledge

EARLY: Final = frozenset({"SEQUENCE_GAP", "TOO_MANY_PARKED"})
"""Refusals that leave the number free: an earlier record is missing."""
YOUNG: Final = frozenset({"UNKNOWN_KEY", "KEY_NOT_VALID"})
"""Refusals that a newer directory takes back."""
FORKED: Final = frozenset({"EQUIVOCATION", "STALE_SEQUENCE", "TOO_MANY_STREAMS"})
"""Refusals at the step of the sequence that do not consume the number for the record that they refuse."""
CONSUMING: Final = frozenset({"AGENCY_SUSPENDED"})
"""Refusals of the first four steps that consume the number all the same."""
ANEW: Final = 256
"""Most records that are signed anew at once."""

_log = structlog.get_logger("publisher")


@dataclass(frozen=True, slots=True)
class Settled:
    """The receipt is the record's answer, if it waits for one."""


@dataclass(frozen=True, slots=True)
class Again:
    """What is unanswered is to be sent again."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Records with the first digest of each pair have the second now, and are to be sent."""

    digests: tuple[tuple[bytes, bytes], ...]


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
                return await self._sign_anew(stream, hole)
            return Again()
        if code in YOUNG and self._has_key(stored):
            return Again()
        if code in FORKED or _leaves_number(receipt):
            await self._give_up(stream, code, stored.seq)
        return Settled()

    def _has_key(self, stored: Stored) -> bool:
        """Whether the directory, as it is known here, has the record's key, valid now."""
        parcel = read_parcel(stored.value, MESSAGE_LIMIT)
        if isinstance(parcel, Refusal):
            return False
        known = self._knowledge.rules.directory.message_key(parcel.statement.kid)
        return known is not None and known[0].usable(self._clock.now_ms())

    async def _give_up(self, stream: bytes, code: str, hole: int) -> None:
        async with self.seat:
            _log.error("this stream is given up, later messages go on another", code=code, stream=stream.hex(), hole=hole)
            self._store.give_up(stream, self._randomness.take(16), hole=hole)

    async def _sign_anew(self, given_up: bytes, hole: int) -> Moved:
        """Everything unanswered behind the hole, in its order: in another one, a later revision could supersede an earlier one."""
        digests: list[tuple[bytes, bytes]] = []
        async with self.seat:
            at = hole
            while waiting := self._store.behind(given_up, at, ANEW):
                at = waiting[-1].seq
                digests += await self._reseat(waiting)
        _log.warning("signed anew on another stream", records=len(digests), stream=given_up.hex())
        return Moved(tuple(digests))

    async def _reseat(self, waiting: Sequence[Stored]) -> list[tuple[bytes, bytes]]:
        """Give records the next places of the stream of now. The digests that they had, each with the one that it has now."""
        stream, seq, prev = self._store.stream()
        seated: list[tuple[Stored, Draft]] = []
        for stored in waiting:
            seat = Seat(stream, seq + 1, prev)
            draft = reseat(stored.value, self._knowledge.rules, seat, alg=self._signer.alg, kid=self._signer.kid)
            if isinstance(draft, Refusal):
                _log.error("a stored record is damaged", subject=stored.subject, revision=stored.revision, code=draft.code)
                continue
            seq, prev = seat.seq, draft.leaf
            seated.append((stored, draft))
        sealing = Sealing([draft for _, draft in seated], self._knowledge.rules)
        values = sealing.values(await self._signer.sign(sealing.to_be_signed))
        moves: list[tuple[bytes, Stored]] = []
        for (stored, draft), value in zip(seated, values, strict=True):
            anew = replace(stored, seq=draft.header.seq, leaf=draft.leaf, digest=hashlib.sha256(value).digest(), value=value)
            moves.append((stored.digest, anew))
        self._store.reseat(moves)
        return [(digest, anew.digest) for digest, anew in moves]


def _leaves_number(receipt: Receipt) -> bool:
    """Whether a refusal consumes no number: nothing authentic was read, or it does not belong into this outbox."""
    return receipt.leaf is None or (receipt.step <= 4 and receipt.code not in CONSUMING)
