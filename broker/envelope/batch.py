"""The batch form of a statement: one signature over the root of a tree, and in each statement its path to that root.

In place of a signature a statement carries, unprotected, a receipt of inclusion (RFC 9942 section 5.2) over an RFC 9162 tree::

    {394: [ << 18([ << {1: alg, 4: kid, 395: 1} >>, {396: {-1: [ << [tree size, leaf index, [hash, ...]] >> ]}}, nil, signature ]) >> ]}

The receipt's payload is the detached root; its external data is CBOR ``["xb/1-batch", exchange_id, environment, tree size]``,
so the size is signed too. ``alg`` and ``kid`` equal the statement's. A batch of one has no path and is not a batch: it takes the
direct form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from broker.envelope import tree
from broker.envelope.cbor import CborError, Item, bytes_head, decode, encode

RECEIPTS: Final = 394
"""COSE header label of receipts (RFC 9942 section 2)."""
_VDS, _RFC9162_SHA256, _KID, _ALG = 395, 1, 4, 1
_PROOFS: Final = b"\xa1\x19\x01\x8c\xa1\x20\x81"  # {396: {-1: [
_DETACHED: Final = b"\xf6"
_SIGN1: Final = b"\xd2\x84"
_UNPROTECTED: Final = b"\xa1\x19\x01\x8a\x81"  # {394: [
PATH_LIMIT: Final = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """Where a statement stands in its batch, and the signature over the batch's root. Nothing in it is verified."""

    size: int
    index: int
    path: tuple[bytes, ...]
    signature: bytes

    def root(self, leaf: bytes) -> bytes | None:
        """The root this proof leads to from a leaf; None where the path does not fit index and size."""
        return tree.root_from_path(leaf, self.index, self.size, self.path)


class Tree:
    """The tree over the leaves of one batch: sign :attr:`root` once, then take each statement's :meth:`proof`."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = tree.tree_levels(leaves)
        self.size = len(leaves)
        self.root = tree.root_of(self._levels)

    def proof(self, index: int, signature: bytes) -> Proof:
        """The proof of one leaf, given the signature over the root."""
        return Proof(self.size, index, tuple(tree.path_of(self._levels, index)), signature)


@lru_cache(maxsize=4096)
def batch_context(exchange_id: str, environment: str, size: int) -> bytes:
    """The external data of a root's signature: CBOR ``["xb/1-batch", exchange_id, environment, tree size]``."""
    return encode(["xb/1-batch", exchange_id, environment, size])


@lru_cache(maxsize=1024)
def receipt_protected(alg: int, kid: bytes) -> bytes:
    """The protected header of a receipt (RFC 9942 section 5.2): the statement's algorithm and key, and the kind of tree."""
    return encode({_ALG: alg, _KID: kid, _VDS: _RFC9162_SHA256})


def _bstr(data: bytes) -> bytes:
    return bytes_head(len(data)) + data


def unprotected_bytes(alg: int, kid: bytes, proof: Proof) -> bytes:
    """The unprotected header of a statement in batch form."""
    position = encode([proof.size, proof.index, list(proof.path)])
    receipt = b"".join((_SIGN1, _bstr(receipt_protected(alg, kid)), _PROOFS, _bstr(position), _DETACHED, _bstr(proof.signature)))
    return _UNPROTECTED + _bstr(receipt)


def read_unprotected(item: Item, alg: int, kid: bytes) -> Proof | str:
    """The proof in a statement's decoded unprotected header, or what is wrong with it, in words for the sender."""
    if not isinstance(item, dict) or item.keys() != {RECEIPTS}:
        return "the unprotected header is empty, or holds exactly the receipts of a batch (label 394)"
    receipts = item[RECEIPTS]
    if not isinstance(receipts, list) or len(receipts) != 1 or not isinstance(receipts[0], bytes):
        return "a batch has exactly one receipt, as a byte string"
    begins = _SIGN1 + _bstr(receipt_protected(alg, kid)) + _PROOFS
    receipt = receipts[0]
    if not receipt.startswith(begins):
        return "the batch's receipt is not of this profile, or names another key or algorithm than the statement"
    return _read_proof(receipt[len(begins) :])


def _read_proof(rest: bytes) -> Proof | str:
    """What follows the fixed part of a receipt: the position as a byte string, nil, the signature of 64 bytes."""
    signature = rest[-64:]
    tail = _DETACHED + bytes_head(64)
    framed = rest[: -64 - len(tail)]
    if len(rest) < 64 + len(tail) or rest[-64 - len(tail) : -64] != tail:
        return "the batch's receipt has no payload and a signature of 64 bytes"
    try:
        inner = decode(framed)
        position = decode(inner) if isinstance(inner, bytes) else None
    except CborError as error:
        return f"the proof of inclusion is not deterministic CBOR: {error.reason}"
    match position:
        case [int() as size, int() as index, list() as path] if 0 <= index < size <= tree.SIZE_LIMIT and size > 1:
            hashes = tuple(each for each in path if isinstance(each, bytes) and len(each) == tree.HASH_BYTES)
            if len(hashes) == len(path) <= PATH_LIMIT:
                return Proof(size, index, hashes, signature)
        case _:
            pass
    return "a proof of inclusion is tree size, leaf index and a path of 32-byte hashes, for a tree of 2 to 65,536 leaves"
