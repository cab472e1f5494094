"""The bad cases of the batch form among the golden vectors. Each is made from parcel-batch.json or delivery-batch.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from broker.envelope import cose
from broker.envelope.batch import Proof, receipt_protected
from broker.envelope.cbor import Encodable, Item, Tagged, encode
from broker.envelope.parcel import MAGIC, SLIP, parcel_bytes
from tests.vectors.content import CUSTOMS, LICENSING, RELAY, Record
from tests.vectors.messages import Signed, batch_of, sign_together, unsigned_slip

MADE: Final = batch_of(CUSTOMS, 5)
TOGETHER: Final = sign_together(CUSTOMS, [signed for signed, _ in MADE])[0]
CARRIED: Final = MADE[4][1]
LAST: Final = TOGETHER[4]
"""The fifth of five: its path has one hash, the root of the other four."""


def case(name: str, step: int, code: str, value: bytes, **more: Any) -> Record:
    """One bad case."""
    return {"name": name, "step": step, "code": code, "value": value.hex(), **more}


def proof_of(signed: Signed) -> Proof:
    """The proof of a statement in batch form."""
    assert signed.statement.proof is not None
    return signed.statement.proof


PROOF: Final = proof_of(LAST)


def profile() -> list[Record]:
    """Step 1: receipts that are not in the profile."""
    position: list[Encodable] = [PROOF.size, PROOF.index, list(PROOF.path)]
    protected = receipt_protected(CUSTOMS.alg, CUSTOMS.kid)
    labels: dict[int, Encodable] = {1: CUSTOMS.alg, 4: CUSTOMS.kid, 395: 1}

    def receipt(position: Encodable = position, *, protected: bytes = protected, payload: Encodable = None, proofs: int = 1) -> bytes:
        held = position if isinstance(position, bytes) else encode(position)
        return encode(_tagged([protected, {396: {-1: [held] * proofs}}, payload, PROOF.signature]))

    def bad(name: str, unprotected: Encodable, signature: bytes = b"") -> Record:
        item: Encodable = [_tagged([LAST.statement.protected, unprotected, LAST.statement.payload, signature]), CARRIED, {}]
        return case(name, 1, "BAD_STATEMENT", MAGIC + encode(item))

    two: Encodable = [PROOF.size, PROOF.index, [PROOF.path[0], bytes(31)]]
    long_size = b"\x83\x18\x05" + encode(PROOF.index) + encode(list(PROOF.path))
    return [
        bad("a batch whose receipt is no receipt", {394: [b"receipt"]}),
        bad("a batch without a receipt", {394: []}),
        bad("a batch with two receipts", {394: [receipt(), receipt()]}),
        bad("a key id beside the receipts", {4: CUSTOMS.kid, 394: [receipt()]}),
        bad("a statement with a receipt and a signature of its own", {394: [receipt()]}, PROOF.signature),
        bad("a receipt with two proofs", {394: [receipt(proofs=2)]}),
        bad("a receipt without a proof", {394: [receipt(proofs=0)]}),
        bad("a receipt of another key", {394: [receipt(protected=receipt_protected(CUSTOMS.alg, LICENSING.kid))]}),
        bad("a receipt of another algorithm", {394: [receipt(protected=receipt_protected(LICENSING.alg, CUSTOMS.kid))]}),
        bad("a receipt over another kind of tree", {394: [receipt(protected=encode({**labels, 395: 2}))]}),
        bad("a receipt with a critical label", {394: [receipt(protected=encode({**labels, 2: [395]}))]}),
        bad("a receipt with its root as payload", {394: [receipt(payload=PROOF.root(LAST.leaf))]}),
        bad("a byte behind a receipt", {394: [receipt() + b"\x00"]}),
        bad("a tree of one leaf", {394: [receipt([1, 0, []])]}),
        bad("a tree of 65,537 leaves", {394: [receipt([65_537, 4, list(PROOF.path)])]}),
        bad("an index as large as the tree", {394: [receipt([5, 5, list(PROOF.path)])]}),
        bad("a negative index", {394: [receipt([5, -1, list(PROOF.path)])]}),
        bad("a path of seventeen hashes", {394: [receipt([5, 4, [bytes(32)] * 17])]}),
        bad("a hash of 31 bytes", {394: [receipt(two)]}),
        bad("a proof that is not canonical", {394: [receipt(long_size)]}),
        bad("a byte behind a proof", {394: [receipt(encode(position) + b"\x00")]}),
    ]


def _tagged(parts: list[Any]) -> Tagged:
    item: Item = parts
    return Tagged(18, item)


def signatures() -> list[Record]:
    """Step 3: proofs that are right in form and prove something else."""

    def outbox(name: str, signed: Signed, code: str = "BAD_SIGNATURE", **changes: Any) -> Record:
        statement = replace(signed.statement, proof=replace(proof_of(signed), **changes))
        return case(name, 3, code, parcel_bytes(statement, CARRIED, {}))

    def again(**context: Any) -> Signed:
        return sign_together(CUSTOMS, [signed for signed, _ in MADE], **context)[0][4]

    elsewhere = batch_of(CUSTOMS, 5, context={"environment": "exercise"})
    exercise = sign_together(CUSTOMS, [signed for signed, _ in elsewhere], environment="exercise")[0][4]
    abroad = batch_of(CUSTOMS, 5, context={"exchange_id": "stce.africa"})
    high = sign_together(LICENSING, [signed for signed, _ in batch_of(LICENSING, 5)], low=False)[0][4]
    neighbour = proof_of(TOGETHER[3])
    flipped = bytes([PROOF.signature[0] ^ 1]) + PROOF.signature[1:]
    return [
        outbox("the proof of a neighbour", LAST, index=neighbour.index, path=neighbour.path),
        outbox("a bit of a path flipped", LAST, path=(bytes([PROOF.path[0][0] ^ 1]) + PROOF.path[0][1:],)),
        outbox("a hash too many", LAST, path=(*PROOF.path, bytes(32))),
        outbox("a path too short", TOGETHER[0], path=proof_of(TOGETHER[0]).path[:-1]),
        outbox("another index", LAST, index=3),
        outbox("a size whose tree has the same root at this path (4 of 5 as 2 of 3)", LAST, size=3, index=2),
        outbox("a root that was signed with another size", again(size=6)),
        outbox("a bit of the root's signature flipped", LAST, signature=flipped),
        outbox("the signature of a statement as that of a root", LAST, signature=MADE[4][0].statement.signature),
        outbox("a root that was signed for another environment", again(environment="exercise")),
        outbox("a batch that was signed for the exercise environment", exercise, "WRONG_ENVIRONMENT"),
        outbox(
            "a batch that was signed for another exchange",
            sign_together(CUSTOMS, [signed for signed, _ in abroad], exchange_id="stce.africa")[0][4],
        ),
        outbox("a root signed by ECDSA with the higher of the two possible s", high),
    ]  # fmt: skip


def slips() -> list[Record]:
    """Step 3: deliveries whose slip is in batch form and not signed so."""
    carried = MADE[0][1]
    mine, given = unsigned_slip(TOGETHER[0], carried, ["grounds"])
    other, _ = unsigned_slip(TOGETHER[0], carried, ["grounds"], recipient="MY-CUSTOMS")
    (own, others), _ = sign_together(RELAY, [mine, bytes(32), other, bytes(32)])

    def slipped(name: str, **changes: Any) -> Record:
        statement = replace(own.statement, proof=replace(proof_of(own), **changes))
        value = parcel_bytes(TOGETHER[0].statement, given, {SLIP: cose.statement_bytes(statement)})
        return case(name, 3, "BAD_SLIP", value, recipient="AE-CUSTOMS")

    return [
        slipped("a slip with the proof of another recipient's", index=proof_of(others).index, path=proof_of(others).path),
        slipped("a slip with another size of its tree", size=3),
        slipped("a slip under a root that another key signed", signature=PROOF.signature),
    ]


def batches() -> list[Record]:
    """All bad cases of the batch form."""
    return [*profile(), *signatures(), *slips()]
