"""What the relay signs in one transaction: a slip on every delivery, and receipts, all under one root where there are several."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.envelope import cose, receipt, slip
from broker.envelope.batch import Tree
from broker.envelope.cose import statement_bytes
from broker.envelope.note import note_of
from broker.envelope.parcel import SLIP, with_extras
from broker.envelope.tree import SIZE_LIMIT
from broker.exchange.admit import AUDIENCE, Authentic
from broker.exchange.records import Outgoing
from broker.exchange.rules import Rules
from broker.exchange.shard import Answer
from broker.exchange.verify import root_to_be_signed
from broker.policy.model import Release

PROOF_BYTES: Final = 600
"""What signature and proof add to a receipt, about."""


@dataclass(slots=True)
class _Delivery:
    """A parcel for one recipient, waiting for the relay's signature on its slip."""

    authentic: Authentic
    release: Release
    payload: bytes
    protected: bytes

    @property
    def blind(self) -> bytes:
        """The leaf beside the slip's in the tree of its transaction.

        A proof shows a recipient the hashes of its neighbours, and a slip can be guessed: another recipient, a counter, the same
        leaf and time. So no slip's hash is shown but together with this one, which takes the salt of the audience section to
        make: only the relay and the originator have that, and they know the recipients anyway.
        """
        return hmac.digest(self.authentic.parcel.sections[AUDIENCE], self.payload, "sha256")

    def outgoing(self, signed_slip: bytes) -> Outgoing:
        parcel = self.authentic.parcel
        given = {name: parcel.sections[name] for name, _rule in self.release.given}
        value = with_extras(parcel, given, {SLIP: signed_slip})
        return Outgoing(ids.inbox(self.release.agency), b"s/" + self.authentic.header.subject.encode(), value)


class Post:
    """Deliveries and receipts of one transaction. ``alg`` and ``kid`` are the relay's key."""

    def __init__(self, rules: Rules, *, alg: int, kid: bytes) -> None:
        self._rules, self._alg, self._kid = rules, alg, kid
        self._trees: list[Tree] = []
        self._slip_protected = {version: cose.protected_header(alg, kid, name) for version, name in slip.CONTENT_TYPES.items()}
        self._receipt = rules.written("receipt")
        self._receipt_protected = cose.protected_header(alg, kid, receipt.CONTENT_TYPES[self._receipt.version])
        self._deliveries: list[_Delivery] = []
        self._unsigned: list[Answer] = []
        self._answers: list[Answer] = []

    def deliver(self, authentic: Authentic, release: Release, note: slip.Slip) -> int:
        """A delivery under this slip. Returns about how many bytes it takes."""
        payload = self._rules.version("slip", note.version).codec.encode(slip.slip_record(note))
        self._deliveries.append(_Delivery(authentic, release, payload, self._slip_protected[note.version]))
        parcel = authentic.parcel
        return len(payload) + len(parcel.statement.payload) + sum(len(parcel.sections[name]) for name, _rule in release.given)

    def answer(self, key: bytes, note: receipt.Receipt) -> Answer:
        """A new receipt."""
        payload = self._receipt.codec.encode(receipt.receipt_record(note, self._receipt.version))
        answer = Answer(note.originator, key, unsigned=payload, size=len(payload) + PROOF_BYTES)
        self._unsigned.append(answer)
        self._answers.append(answer)
        return answer

    def repeat(self, answer: Answer) -> None:
        """The same receipt again."""
        self._answers.append(answer)

    def to_be_signed(self) -> list[bytes]:
        """What the relay's key has to sign: the root over every slip and new receipt of this transaction; a single receipt itself.

        Very many slips need more than one tree. Slips come first, each with its blind, so what is left alone is a receipt.
        """
        leaves: list[bytes] = []
        for delivery in self._deliveries:
            signed = cose.to_be_signed(delivery.protected, self._rules.aad, delivery.payload)
            leaves += cose.leaf_hash(signed), delivery.blind
        alone = b""
        for answer in self._unsigned:
            alone = cose.to_be_signed(self._receipt_protected, self._rules.aad, answer.unsigned)
            leaves.append(cose.leaf_hash(alone))
        self._trees = [Tree(leaves[at : at + SIZE_LIMIT]) for at in range(0, len(leaves), SIZE_LIMIT)]
        names = {"exchange_id": self._rules.exchange_id, "environment": self._rules.environment}
        return [
            root_to_be_signed(self._alg, self._kid, tree.root, tree.size, **names) if tree.size > 1 else alone for tree in self._trees
        ]  # fmt: skip

    def sealed(self, signatures: Sequence[bytes]) -> list[Outgoing]:
        """The records for inboxes, given the signatures that :meth:`to_be_signed` asked for."""
        records: list[Outgoing] = []
        for place, delivery in enumerate(self._deliveries):
            records.append(delivery.outgoing(statement_bytes(self._statement(delivery.protected, delivery.payload, 2 * place, signatures))))
        for place, answer in enumerate(self._unsigned, 2 * len(self._deliveries)):
            answer.note = note_of(self._statement(self._receipt_protected, answer.unsigned, place, signatures))
            answer.unsigned = None
        records += [Outgoing(ids.inbox(answer.agency), answer.key, answer.note) for answer in self._answers]
        return records

    def _statement(self, protected: bytes, payload: bytes, place: int, signatures: Sequence[bytes]) -> cose.Sign1:
        """The statement at this place among the leaves of the transaction, with its proof or its own signature."""
        number, index = divmod(place, SIZE_LIMIT)
        tree = self._trees[number]
        if tree.size == 1:
            return cose.Sign1(protected, payload, signatures[number], self._alg, self._kid, "")
        return cose.Sign1(protected, payload, b"", self._alg, self._kid, "", tree.proof(index, signatures[number]))
