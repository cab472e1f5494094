"""The batch form under any numbers and any bytes: one encoding, read strictly, and every tree proves each of its leaves."""

from __future__ import annotations

import hashlib

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.envelope.batch import PATH_LIMIT, Proof, Tree, read_unprotected, receipt_protected, unprotected_bytes
from broker.envelope.cbor import Tagged, decode, encode
from broker.envelope.cose import ED25519, P256
from broker.envelope.tree import SIZE_LIMIT

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KID = bytes(range(16))
HASHES = st.binary(min_size=32, max_size=32)
ALGS = st.sampled_from([ED25519, P256])


@st.composite
def proofs(draw: st.DrawFn) -> Proof:
    """Any proof that is read: its path need not fit its place."""
    size = draw(st.one_of(st.integers(2, 300), st.integers(2, SIZE_LIMIT)))
    index = draw(st.integers(0, size - 1))
    path = draw(st.lists(HASHES, min_size=1, max_size=PATH_LIMIT))
    return Proof(size, index, tuple(path), draw(st.binary(min_size=64, max_size=64)))


GOOD = Proof(200, 131, tuple(hashlib.sha256(bytes([number])).digest() for number in range(8)), bytes(range(64)))
RECEIPT = unprotected_bytes(ED25519, KID, GOOD)[len(encode({394: [bytes(400)]})) - 400 :]
POSITION = encode(encode([GOOD.size, GOOD.index, list(GOOD.path)]))


@given(proofs(), ALGS, st.binary(min_size=16, max_size=16))
@example(Proof(SIZE_LIMIT, SIZE_LIMIT - 1, tuple([bytes(32)] * PATH_LIMIT), bytes(64)), P256, bytes(16))
@LAW
def test_written_by_hand_is_what_the_encoder_writes(proof: Proof, alg: int, kid: bytes) -> None:
    """The parts joined by hand are the deterministic CBOR of the whole, and it reads back equal."""
    position = encode([proof.size, proof.index, list(proof.path)])
    receipt = Tagged(18, [receipt_protected(alg, kid), {396: {-1: [position]}}, None, proof.signature])
    written = unprotected_bytes(alg, kid, proof)
    assert written == encode({394: [encode(receipt)]})
    assert read_unprotected(decode(written), alg, kid) == proof


def strict(receipt: bytes) -> None:
    """A receipt is read as the one proof whose encoding it is, or refused in words; nothing is raised."""
    found = read_unprotected({394: [receipt]}, ED25519, KID)
    if isinstance(found, Proof):
        assert unprotected_bytes(ED25519, KID, found) == encode({394: [receipt]})
        assert 0 <= found.index < found.size <= SIZE_LIMIT
        assert found.size > 1
        assert 0 < len(found.path) <= PATH_LIMIT
    else:
        assert found


@given(st.integers(0, len(RECEIPT)), st.integers(0, 80), st.binary(max_size=80))
@example(0, 0, b"")
@LAW
def test_any_spliced_receipt_is_read_strictly(at: int, cut: int, patch: bytes) -> None:
    """Bytes taken out, put in or replaced anywhere in a receipt."""
    strict(RECEIPT[:at] + patch + RECEIPT[at + cut :])


def test_every_flipped_byte_is_read_strictly() -> None:
    """Each byte of a receipt in turn, to each other value that differs in one bit or in all."""
    assert read_unprotected({394: [RECEIPT]}, ED25519, KID) == GOOD
    for at in range(len(RECEIPT)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            altered = bytearray(RECEIPT)
            altered[at] ^= mask
            strict(bytes(altered))
    for end in range(len(RECEIPT)):
        assert isinstance(read_unprotected({394: [RECEIPT[:end]]}, ED25519, KID), str)


@given(st.binary(max_size=700), st.binary(max_size=700))
@LAW
def test_any_position_is_read_strictly(position: bytes, behind: bytes) -> None:
    """Any bytes where the proof stands, framed or not, with anything behind."""
    begins, ends = RECEIPT.split(POSITION)
    for framed in (position, encode(position), encode(position) + behind):
        strict(begins + framed + ends)


@given(st.lists(HASHES, min_size=2, max_size=80), st.data())
@LAW
def test_a_tree_proves_each_leaf_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    """Every proof leads from its leaf to the root of its tree, after writing and reading too; from any other hash it does not."""
    tree = Tree(leaves)
    for index, leaf in enumerate(leaves):
        proof = tree.proof(index, bytes(64))
        assert proof.root(leaf) == tree.root
        assert read_unprotected(decode(unprotected_bytes(P256, KID, proof)), P256, KID) == proof
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(HASHES.filter(lambda drawn: drawn != leaves[index]))
    assert tree.proof(index, bytes(64)).root(other) != tree.root
    altered = [*leaves[:index], other, *leaves[index + 1 :]]
    assert Tree(altered).root != tree.root
