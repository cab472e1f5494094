"""Statements in batch form: the structures of RFC 9942, an independent implementation, and every other shape refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cbor2
import cwt
import pytest
from cwt.exceptions import VerifyError

from broker.envelope import batch, cose
from broker.envelope.batch import PATH_LIMIT, Proof, Tree, batch_context, read_unprotected, receipt_protected, unprotected_bytes
from broker.envelope.cbor import Encodable, Item, Tagged, decode, encode
from broker.envelope.cose import ED25519, P256, Sign1, read_sign1, read_sign1_bytes, statement_bytes
from broker.envelope.parcel import parcel_bytes, read_parcel
from broker.errors import Refusal
from tests.support.batches import proof_of, signed_together
from tests.support.parcels import key

BY = key("SG-CUSTOMS")
EXCHANGE, ENVIRONMENT = "stce.asean", "test"
PAYLOADS = [f"message {number}".encode() for number in range(11)]
STATEMENTS = signed_together(PAYLOADS, BY, EXCHANGE, ENVIRONMENT)
ONE = STATEMENTS[6]
PROOF = proof_of(ONE)
SIGNATURE = PROOF.signature
PATH = list(PROOF.path)
PROTECTED = receipt_protected(BY.alg, BY.kid)
LABELS: dict[int, Encodable] = {1: BY.alg, 4: BY.kid, 395: 1}


def receipt(
    *,
    tag: int | None = 18,
    protected: Encodable = PROTECTED,
    unprotected: Encodable = None,
    position: Encodable = None,
    payload: Encodable = None,
    signature: Encodable = SIGNATURE,
) -> bytes:
    """The receipt of the statement with one part exchanged, written by a general CBOR library."""
    proof = encode([PROOF.size, PROOF.index, PATH]) if position is None else position
    parts = [protected, {396: {-1: [proof]}} if unprotected is None else unprotected, payload, signature]
    return cbor2.dumps(cbor2.CBORTag(tag, parts) if tag is not None else parts, canonical=True)


def carried(unprotected: Item, *, signature: bytes = b"", protected: bytes = ONE.protected) -> Tagged:
    """The statement's item with this unprotected header."""
    return Tagged(18, [protected, unprotected, ONE.payload, signature])


def receipts_of(receipts: Item) -> Item:
    """An unprotected header with these receipts."""
    return {394: receipts}


def refused(item: Item) -> str:
    """The reason with which an item is refused as a statement."""
    found = read_sign1(item)
    assert isinstance(found, Refusal), found
    assert found.code == "BAD_STATEMENT"
    return found.reason


def positioned(*position: Encodable) -> bytes:
    """A receipt whose proof is this array."""
    return receipt(position=encode(list(position)))


def test_the_structures_are_those_of_the_standard() -> None:
    """RFC 9942 sections 2, 4.2, 4.3 and 5.2, written out by a general CBOR library."""
    assert cbor2.loads(PROTECTED) == {1: -19, 4: BY.kid, 395: 1}
    assert cbor2.loads(batch_context(EXCHANGE, ENVIRONMENT, 11)) == ["xb/1-batch", EXCHANGE, ENVIRONMENT, 11]
    proof = cbor2.dumps([11, 6, PATH])
    inner = cbor2.CBORTag(18, [PROTECTED, {396: {-1: [proof]}}, None, SIGNATURE])
    assert unprotected_bytes(BY.alg, BY.kid, PROOF) == cbor2.dumps({394: [cbor2.dumps(inner)]})
    outer = cbor2.CBORTag(18, [ONE.protected, {394: [cbor2.dumps(inner)]}, PAYLOADS[6], b""])
    assert statement_bytes(ONE) == cbor2.dumps(outer)
    assert receipt() == cbor2.dumps(inner)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_reading_is_the_inverse_of_writing(number: int) -> None:
    """Each statement reads back equal and writes the same bytes, alone, in a parcel, and between sections and extras."""
    statement = STATEMENTS[number]
    assert read_sign1_bytes(statement_bytes(statement)) == statement
    value = parcel_bytes(statement, {"core": bytes(20)}, {1: b"slip"})
    read = read_parcel(value, 1 << 16)
    assert not isinstance(read, Refusal)
    assert read.statement == statement
    assert parcel_bytes(read.statement, read.sections, read.extras) == value


def test_the_oracle_verifies_the_root() -> None:
    """The oracle, cwt, takes the receipt as it is, given the root as its payload: with our context, and with no other."""
    (made,) = cbor2.loads(unprotected_bytes(BY.alg, BY.kid, PROOF))[394]
    oracle = cwt.COSEKey.new({1: 1, 2: BY.kid, 3: ED25519, -1: 6, -2: BY.spki[-32:]})
    aad = cose.context(EXCHANGE, ENVIRONMENT)
    leaves = [cose.leaf_hash(cose.to_be_signed(each.protected, aad, each.payload)) for each in STATEMENTS]
    root = Tree(leaves).root
    assert PROOF.root(leaves[6]) == root

    def check(payload: bytes, external: bytes) -> bytes:
        return cwt.COSE.new().decode(made, oracle, external_aad=external, detached_payload=payload)

    assert check(root, batch_context(EXCHANGE, ENVIRONMENT, 11)) == root
    others = [
        (leaves[6], batch_context(EXCHANGE, ENVIRONMENT, 11)), (root, batch_context(EXCHANGE, ENVIRONMENT, 12)),
        (root, batch_context(EXCHANGE, "production", 11)), (root, batch_context("stce.africa", ENVIRONMENT, 11)), (root, aad), (root, b""),
    ]  # fmt: skip
    for payload, external in others:
        with pytest.raises(VerifyError):
            check(payload, external)


def test_we_read_what_the_oracle_signs() -> None:
    """The oracle signs the root under our header: taken out of its message, its signature is ours."""
    signer = cwt.COSEKey.new({1: 1, 2: BY.kid, 3: ED25519, -1: 6, -2: BY.spki[-32:], -4: hashlib.sha256(b"SG-CUSTOMS").digest()})
    aad = cose.context(EXCHANGE, ENVIRONMENT)
    root = PROOF.root(cose.leaf_hash(cose.to_be_signed(ONE.protected, aad, ONE.payload)))
    assert root is not None
    made = cwt.COSE.new().encode_and_sign(  # pyright: ignore[reportUnknownMemberType]
        root, signer, protected=dict(LABELS), external_aad=batch_context(EXCHANGE, ENVIRONMENT, 11)
    )
    assert isinstance(made, bytes)
    assert cbor2.loads(made).value == [PROTECTED, {}, root, SIGNATURE]


BAD_UNPROTECTED: dict[str, Item] = {
    "null": None,
    "an array": [],
    "bytes": b"",
    "a key id": {4: BY.kid},
    "the receipts and a key id": {4: BY.kid, 394: [receipt()]},
    "the receipts under their name": {"394": [receipt()]},
    "proofs without a receipt": {396: {-1: [encode([11, 6, PATH])]}},
}
BAD_RECEIPTS: dict[str, Item] = {
    "null": None,
    "no list": receipt(),
    "none": [],
    "two": [receipt(), receipt()],
    "an embedded item": [decode(receipt())],
    "a text": ["receipt"],
    "empty": [b""],
}
BAD_RECEIPT: dict[str, bytes] = {
    "no CBOR": b"receipt",
    "without its tag": receipt(tag=None),
    "the tag COSE_Sign": receipt(tag=98),
    "an empty protected header": receipt(protected=b""),
    "a protected header that is a map": receipt(protected={1: BY.alg, 4: BY.kid, 395: 1}),
    "another algorithm": receipt(protected=receipt_protected(P256, BY.kid)),
    "another key": receipt(protected=receipt_protected(BY.alg, key("MY-CUSTOMS").kid)),
    "a short key id": receipt(protected=encode({**LABELS, 4: BY.kid[:8]})),
    "another kind of tree": receipt(protected=encode({**LABELS, 395: 2})),
    "no kind of tree": receipt(protected=encode({1: BY.alg, 4: BY.kid})),
    "a content type besides": receipt(protected=encode({**LABELS, 3: "text/plain"})),
    "a critical label": receipt(protected=encode({**LABELS, 2: [395]})),
    "labels out of order": receipt(protected=b"\xa3" + encode(4) + encode(BY.kid) + encode(1) + encode(BY.alg) + encode(395) + encode(1)),
    "nothing unprotected": receipt(unprotected={}),
    "a label besides the proofs": receipt(unprotected={4: BY.kid, 396: {-1: [encode([11, 6, PATH])]}}),
    "a consistency proof": receipt(unprotected={396: {-2: [encode([11, 6, PATH])]}}),
    "two kinds of proof": receipt(unprotected={396: {-1: [encode([11, 6, PATH])], -2: []}}),
    "no proof": receipt(unprotected={396: {-1: []}}),
    "two proofs": receipt(unprotected={396: {-1: [encode([11, 6, PATH])] * 2}}),
    "a proof that is no byte string": receipt(unprotected={396: {-1: [[11, 6, PATH]]}}),
    "the root as payload": receipt(payload=bytes(32)),
    "an empty payload": receipt(payload=b""),
    "no signature": receipt(signature=None),
    "an empty signature": receipt(signature=b""),
    "a short signature": receipt(signature=SIGNATURE[:-1]),
    "a long signature": receipt(signature=SIGNATURE + b"\x00"),
    "a part more": b"\xd2\x85" + receipt()[2:] + b"\xf6",
    "a part less": b"\xd2\x83" + receipt()[2:-66],
    "a byte behind": receipt() + b"\x00",
    "a byte before": b"\x00" + receipt(),
    "the last byte cut off": receipt()[:-1],
    "the head only": receipt()[:2],
    "a tag in a byte of its own": b"\xd8\x12" + receipt()[1:],
    "an array of indefinite length": b"\xd2\x9f" + receipt()[2:] + b"\xff",
}
BAD_POSITION: dict[str, bytes] = {
    "empty": receipt(position=b""),
    "null": receipt(position=b"\xf6"),
    "a number": receipt(position=b"\x00"),
    "no CBOR": receipt(position=b"\xff" * 150),
    "two parts": positioned(11, 6),
    "four parts": positioned(11, 6, PATH, None),
    "a tree of one": positioned(1, 0, PATH),
    "a tree of one without path": positioned(1, 0, []),
    "no tree": positioned(0, 0, PATH),
    "an index as large as the size": positioned(6, 6, PATH),
    "an index over the size": positioned(6, 7, PATH),
    "a negative index": positioned(11, -1, PATH),
    "a negative size": positioned(-11, -12, PATH),
    "a size over the limit": positioned(65537, 6, PATH),
    "a size of 64 bits": positioned((1 << 64) - 1, 6, PATH),
    "a size as text": positioned("11", 6, PATH),
    "an index as bytes": positioned(11, b"\x06", PATH),
    "a null size": positioned(None, 6, PATH),
    "no path": positioned(11, 6, []),
    "a path of seventeen": positioned(11, 6, [bytes(32)] * (PATH_LIMIT + 1)),
    "a path of a hundred": positioned(11, 6, [bytes(32)] * 100),
    "a hash of 31 bytes": positioned(11, 6, [*PATH[:-1], bytes(31)]),
    "a hash of 33 bytes": positioned(11, 6, [*PATH[:-1], bytes(33)]),
    "hashes of 31 and 33 bytes": positioned(11, 6, [PATH[0], bytes(31), bytes(33), PATH[3]]),
    "an empty hash": positioned(11, 6, [*PATH, b""]),
    "a hash as text": positioned(11, 6, [*PATH[:-1], "h" * 32]),
    "a path in a path": positioned(11, 6, [PATH]),
    "a map for a path": positioned(11, 6, dict(enumerate(PATH))),
    "a path as one string": positioned(11, 6, b"".join(PATH)),
    "a size in two bytes": receipt(position=b"\x83\x18\x0b" + encode([6, PATH])[1:]),
    "an index in three bytes": receipt(position=b"\x83\x0b\x19\x00\x06" + encode(PATH)),
    "a path of indefinite length": receipt(position=b"\x83\x0b\x06\x9f" + encode(PATH)[1:] + b"\xff"),
    "an array of indefinite length": receipt(position=b"\x9f" + encode([11, 6, PATH])[1:] + b"\xff"),
    "a path's length in two bytes": receipt(position=b"\x83\x0b\x06\x98\x04" + encode(PATH)[1:]),
    "a hash with a longer head": receipt(position=b"\x83\x0b\x06\x84" + b"".join(b"\x59\x00\x20" + each for each in PATH)),
    "a byte behind": receipt(position=encode([11, 6, PATH]) + b"\x00"),
    "a byte less": receipt(position=encode([11, 6, PATH])[:-1]),
    "a byte more than it says": receipt().replace(b"\x58\x8c\x83", b"\x58\x8d\x83"),
    "its length in three bytes": receipt().replace(b"\x58\x8c\x83", b"\x59\x00\x8c\x83"),
}


def test_the_cases_begin_from_what_is_read() -> None:
    """The bad cases differ from a good one in what their names say: put together unchanged, the parts are read."""
    assert read_sign1(carried({394: [receipt()]})) == ONE
    assert read_sign1(carried({394: [positioned(11, 6, PATH)]})) == ONE
    assert len(set(BAD_RECEIPT.values()) | {receipt()}) == len(BAD_RECEIPT) + 1
    assert len(set(BAD_POSITION.values()) | {receipt()}) == len(BAD_POSITION) + 1


@pytest.mark.parametrize("unprotected", BAD_UNPROTECTED.values(), ids=BAD_UNPROTECTED.keys())
def test_other_unprotected_headers_are_refused(unprotected: Item) -> None:
    """Nothing unprotected but the receipts: what is not signed must not mean anything."""
    reason = refused(carried(unprotected))
    assert reason == "the unprotected header is empty, or holds exactly the receipts of a batch (label 394)"


@pytest.mark.parametrize("receipts", BAD_RECEIPTS.values(), ids=BAD_RECEIPTS.keys())
def test_other_than_one_receipt_is_refused(receipts: Item) -> None:
    """One signature for one statement: a second receipt would be a second way to verify it."""
    assert "receipt" in refused(carried({394: receipts}))


@pytest.mark.parametrize("made", BAD_RECEIPT.values(), ids=BAD_RECEIPT.keys())
def test_other_receipts_are_refused(made: bytes) -> None:
    """The receipt is of exactly this profile, for the statement's own key and algorithm, its root detached."""
    assert refused(carried({394: [made]})).startswith(("the batch's receipt", "a proof of inclusion"))


@pytest.mark.parametrize("made", BAD_POSITION.values(), ids=BAD_POSITION.keys())
def test_other_positions_are_refused(made: bytes) -> None:
    """Size, index and path are in range and of their kinds, in the one deterministic encoding, with nothing behind."""
    for _ in range(2):  # the second answer comes from memory
        assert "proof of inclusion" in refused(carried({394: [made]}))


def test_the_reasons_are_for_the_sender() -> None:
    """What is wrong is said in terms of the format, never of a programming language."""
    items = [*BAD_UNPROTECTED.values(), *map(receipts_of, BAD_RECEIPTS.values())]
    items += [receipts_of([made]) for made in (*BAD_RECEIPT.values(), *BAD_POSITION.values())]
    for item in items:
        reason = refused(carried(item))
        assert reason[0].islower()
        for word in ("dict", "list", "int", "bytes object", "None", "tuple", "Error", "str"):
            assert f" {word} " not in f" {reason} "


def test_a_statement_has_one_signature() -> None:
    """In batch form the statement's own signature is empty, in direct form it is not."""
    assert "empty signature" in refused(carried({394: [receipt()]}, signature=SIGNATURE))
    assert "empty signature" in refused(carried({394: [receipt()]}, signature=b"\x00"))
    assert "0 bytes" in refused(carried({}))
    assert "label 394" in refused(carried(None))


def test_the_statement_names_the_key_of_its_receipt() -> None:
    """A statement of one key with the receipt of another is refused before anything is verified."""
    other = cose.protected_header(BY.alg, key("MY-CUSTOMS").kid, "application/vnd.broker.header+avro;v=1")
    assert "another key" in refused(carried({394: [receipt()]}, protected=other))
    slow = cose.protected_header(P256, BY.kid, "application/vnd.broker.header+avro;v=1")
    assert "algorithm" in refused(carried({394: [receipt()]}, protected=slow))


def test_the_largest_place_is_read() -> None:
    """A tree of 65,536 leaves has paths of 16 hashes: the longest statement that is read."""
    proof = Proof(65_536, 65_535, tuple([bytes(32)] * PATH_LIMIT), bytes(64))
    written = unprotected_bytes(P256, BY.kid, proof)
    assert len(written) < 700
    assert read_unprotected(decode(written), P256, BY.kid) == proof


ALTERED = {
    "size": replace(PROOF, size=8),
    "index": replace(PROOF, index=7),
    "short path": replace(PROOF, path=PROOF.path[:-1]),
    "long path": replace(PROOF, path=(*PROOF.path, bytes(32))),
    "path turned round": replace(PROOF, path=PROOF.path[::-1]),
    "another hash": replace(PROOF, path=(bytes(32), *PROOF.path[1:])),
}


@pytest.mark.parametrize("altered", ALTERED.values(), ids=ALTERED.keys())
def test_an_altered_proof_leads_elsewhere(altered: Proof) -> None:
    """A proof that was altered is read, for it has the right form, and leads to another root or to none. (Place 6 of 8 has another
    shape than place 6 of 11; place 6 of 12 has the same, and there the signed size tells: see test_verify.py.)"""
    aad = cose.context(EXCHANGE, ENVIRONMENT)
    leaf = cose.leaf_hash(cose.to_be_signed(ONE.protected, aad, ONE.payload))
    read = read_sign1_bytes(statement_bytes(replace(ONE, proof=altered)))
    assert isinstance(read, Sign1)
    assert read.proof == altered
    assert altered.root(leaf) != PROOF.root(leaf)
    assert replace(PROOF, size=12).root(leaf) == PROOF.root(leaf)


def test_a_batch_of_one_has_no_path() -> None:
    """A tree of one leaf is its leaf: its statement takes the direct form, and nothing else of it is read."""
    tree = Tree([bytes(32)])
    assert (tree.root, tree.size, tree.proof(0, SIGNATURE)) == (bytes(32), 1, Proof(1, 0, (), SIGNATURE))
    written = batch.unprotected_bytes(BY.alg, BY.kid, tree.proof(0, SIGNATURE))
    assert "tree of 2 to 65,536" in refused(carried(decode(written)))
