"""COSE_Sign1 in the direct form: the structures of RFC 9052, an independent implementation, and what is refused."""

from __future__ import annotations

import hashlib

import cbor2
import cwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cwt.cose_key_interface import COSEKeyInterface
from cwt.exceptions import VerifyError

from broker.envelope import cose
from broker.envelope.cbor import Encodable, Item, Tagged, decode, encode
from broker.envelope.cose import ED25519, P256, Sign1
from broker.errors import Refusal

SEED = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
KID = hashlib.sha256(KEY.public_key().public_bytes_raw()).digest()[:16]
TYPE = "application/vnd.broker.header+avro;v=1"
PAYLOAD = b"This is the content."
AAD = cose.context("stce.asean", "test")
PROTECTED = cose.protected_header(ED25519, KID, TYPE)
SIGNATURE = KEY.sign(cose.to_be_signed(PROTECTED, AAD, PAYLOAD))


def oracle_key(*, private: bool) -> COSEKeyInterface:
    """The key as the oracle takes it (RFC 9053 section 7.2: kty OKP, crv Ed25519)."""
    parameters: dict[int, object] = {1: 1, 2: KID, 3: ED25519, -1: 6, -2: KEY.public_key().public_bytes_raw()}
    return cwt.COSEKey.new({**parameters, -4: SEED} if private else parameters)


def test_the_structures_are_those_of_the_standard() -> None:
    """RFC 9052 sections 3.1, 4.2 and 4.4, written out by a general CBOR library."""
    assert cbor2.loads(PROTECTED) == {1: -19, 3: TYPE, 4: KID}
    assert cbor2.loads(AAD) == ["xb/1", "stce.asean", "test"]
    tbs = cose.to_be_signed(PROTECTED, AAD, PAYLOAD)
    assert tbs == cbor2.dumps(["Signature1", PROTECTED, AAD, PAYLOAD])
    carried = cose.sign1_bytes(PROTECTED, PAYLOAD, SIGNATURE)
    assert carried == cbor2.dumps(cbor2.CBORTag(18, [PROTECTED, {}, PAYLOAD, SIGNATURE]))
    assert carried == encode(cose.sign1_item(PROTECTED, PAYLOAD, SIGNATURE))
    assert cose.leaf_hash(tbs) == hashlib.sha256(b"\x00" + tbs).digest()


def test_the_oracle_verifies_what_we_make() -> None:
    """The oracle, cwt, accepts our bytes with our context, and not with another one."""
    carried = cose.sign1_bytes(PROTECTED, PAYLOAD, SIGNATURE)
    assert cwt.COSE.new().decode(carried, oracle_key(private=False), external_aad=AAD) == PAYLOAD
    for other in (b"", cose.context("stce.asean", "production"), cose.context("stce.africa", "test")):
        with pytest.raises(VerifyError):
            cwt.COSE.new().decode(carried, oracle_key(private=False), external_aad=other)


def test_we_verify_what_the_oracle_makes() -> None:
    """The oracle's bytes for the same header and payload are ours, are read, and their signature fits."""
    labels: dict[int, object] = {1: ED25519, 3: TYPE, 4: KID}
    made = cwt.COSE.new().encode_and_sign(  # pyright: ignore[reportUnknownMemberType]
        PAYLOAD, oracle_key(private=True), protected=labels, external_aad=AAD
    )
    assert isinstance(made, bytes)
    assert made == cose.sign1_bytes(PROTECTED, PAYLOAD, SIGNATURE)
    read = cose.read_sign1_bytes(made)
    assert isinstance(read, Sign1)
    assert read == Sign1(PROTECTED, PAYLOAD, SIGNATURE, ED25519, KID, TYPE)
    KEY.public_key().verify(read.signature, cose.to_be_signed(read.protected, AAD, read.payload))
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(read.signature, cose.to_be_signed(read.protected, AAD, read.payload + b"."))


def test_both_algorithms_are_read() -> None:
    """ECDSA P-256 statements have the same shape with algorithm -9."""
    protected = cose.protected_header(P256, KID, TYPE)
    read = cose.read_sign1(cose.sign1_item(protected, PAYLOAD, bytes(64)))
    assert isinstance(read, Sign1)
    assert read.alg == P256


LABELS: dict[int | str, Encodable] = {1: ED25519, 3: TYPE, 4: KID}
NO_STATEMENTS: dict[str, Item] = {
    "no tag": [PROTECTED, {}, PAYLOAD, SIGNATURE],
    "a text": "statement",
    "three parts": Tagged(18, [PROTECTED, {}, PAYLOAD]),
    "five parts": Tagged(18, [PROTECTED, {}, PAYLOAD, SIGNATURE, None]),
    "a map inside": Tagged(18, {}),
    "no protected header": Tagged(18, [None, {}, PAYLOAD, SIGNATURE]),
    "a protected map not wrapped in bytes": Tagged(18, [{1: ED25519}, {}, PAYLOAD, SIGNATURE]),
    "a detached payload": Tagged(18, [PROTECTED, {}, None, SIGNATURE]),
    "no signature": Tagged(18, [PROTECTED, {}, PAYLOAD, None]),
    "an empty signature": Tagged(18, [PROTECTED, {}, PAYLOAD, b""]),
    "a long signature": Tagged(18, [PROTECTED, {}, PAYLOAD, bytes(65)]),
    "unprotected null": Tagged(18, [PROTECTED, None, PAYLOAD, SIGNATURE]),
    "unprotected list": Tagged(18, [PROTECTED, [], PAYLOAD, SIGNATURE]),
    "unprotected key id": Tagged(18, [PROTECTED, {4: KID}, PAYLOAD, SIGNATURE]),
}
BAD_PROTECTED: dict[str, bytes] = {
    "empty": b"",
    "no map": encode([1, 2]),
    "broken": PROTECTED[:-1],
    "not sorted": b"\xa3" + encode(4) + encode(KID) + encode(1) + encode(ED25519) + encode(3) + encode(TYPE),
    "a critical label": encode({**LABELS, 2: [4]}),
    "an unknown label": encode({**LABELS, "x": 1}),
    "a label missing": encode({1: ED25519, 3: TYPE}),
    "deprecated EdDSA": encode({**LABELS, 1: -8}),
    "an algorithm by name": encode({**LABELS, 1: "Ed25519"}),
    "a null algorithm": encode({**LABELS, 1: None}),
    "a content type by number": encode({**LABELS, 3: 60}),
    "an empty content type": encode({**LABELS, 3: ""}),
    "a short key id": encode({**LABELS, 4: KID[:8]}),
    "a key id of text": encode({**LABELS, 4: "k" * 16}),
    "too long": encode({**LABELS, 3: "x" * 300}),
    "a content type too long": encode({**LABELS, 3: "x" * 129}),
}


@pytest.mark.parametrize("item", NO_STATEMENTS.values(), ids=NO_STATEMENTS.keys())
def test_other_shapes_are_refused(item: Item) -> None:
    """Anything but the tagged array of four with exactly our parts is BAD_STATEMENT."""
    refusal = cose.read_sign1(item)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "BAD_STATEMENT"


@pytest.mark.parametrize("protected", BAD_PROTECTED.values(), ids=BAD_PROTECTED.keys())
def test_other_protected_headers_are_refused(protected: bytes) -> None:
    """The protected header holds exactly algorithm, content type and key id, each of its kind, in deterministic CBOR."""
    for _ in range(2):  # the second answer comes from memory
        refusal = cose.read_sign1(cose.sign1_item(protected, PAYLOAD, SIGNATURE))
        assert isinstance(refusal, Refusal)
        assert refusal.code == "BAD_STATEMENT"


def test_an_unprotected_header_is_refused_with_words_for_its_sender() -> None:
    """Only the receipt of a batch may stand unprotected (test_batch.py), and a sender learns so; direct statements carry no proof."""
    refusal = cose.read_sign1(Tagged(18, [PROTECTED, {33: b"a chain of certificates"}, PAYLOAD, SIGNATURE]))
    assert refusal == Refusal("BAD_STATEMENT", "the unprotected header is empty, or holds exactly the receipts of a batch (label 394)")
    read = cose.read_sign1(cose.sign1_item(PROTECTED, PAYLOAD, SIGNATURE))
    assert isinstance(read, Sign1)
    assert read.proof is None
    assert cose.statement_bytes(read) == cose.sign1_bytes(PROTECTED, PAYLOAD, SIGNATURE)


def test_bytes_that_are_no_statement_keep_their_cbor_code() -> None:
    """Broken and not canonical bytes are told apart from a statement of the wrong shape."""
    carried = cose.sign1_bytes(PROTECTED, PAYLOAD, SIGNATURE)
    assert decode(carried) == cose.sign1_item(PROTECTED, PAYLOAD, SIGNATURE)
    codes = [
        refusal.code
        for data in (carried[:-1], carried + b"\x00", b"\xd8\x12" + carried[1:], carried[1:])
        if isinstance(refusal := cose.read_sign1_bytes(data), Refusal)
    ]
    assert codes == ["BAD_CBOR", "BAD_CBOR", "NOT_CANONICAL", "BAD_STATEMENT"]
