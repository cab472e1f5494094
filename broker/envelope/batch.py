"""The batch form of a statement: one signature over the root of a tree, and in each statement its path to that root.

In place of a signature a statement carries, unprotected, a receipt of inclusion (RFC 9942 section 5.2) over an RFC 9162 tree::

    {394: [ << 18([ << {1: alg, 4: kid, 395: 1} >>, {396: {-1: [ << [tree size, leaf index, [hash, ...]] >> ]}}, nil, signature ]) >> ]}

The receipt's payload is the detached root; its external data is CBOR ``["xb/1-batch", exchange_id, environment, tree size]``,
so the size is signed too. ``alg`` and ``kid`` equal the statement's. A batch of one has no path and is not a batch: it takes the
direct form.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from broker.envelope import tree
from broker.envelope.cbor import CborError, Item, bytes_head, decode, encode, head
from broker.values import immutable

RECEIPTS: Final = 394
"""COSE header label of receipts (RFC 9942 section 2)."""
PATH_LIMIT: Final = 16
"""Most hashes of a path: what a tree of the largest size needs."""

_ALG, _KID, _VDS, _RFC9162_SHA256 = 1, 4, 395, 1
_UNPROTECTED: Final = b"\xa1\x19\x01\x8a\x81"  # {394: [
_SIGN1: Final = b"\xd2\x84"  # 18([
_PROOFS: Final = b"\xa1\x19\x01\x8c\xa1\x20\x81"  # {396: {-1: [
_POSITION: Final = b"\x83"  # [tree size, leaf index, path]
_HASH: Final = b"\x58\x20"  # a byte string of 32 bytes
_SIGNATURE: Final = b"\xf6\x58\x40"  # nil, for the payload that is detached; a byte string of 64 bytes
_STEP: Final = len(_HASH) + tree.HASH_BYTES
_NO_PROOF: Final = "a proof of inclusion is tree size, leaf index and a path of 32-byte hashes, for a tree of 2 to 65,536 leaves"


@immutable
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


@lru_cache(maxsize=1024)
def _beginning(alg: int, kid: bytes) -> bytes:
    """What every receipt of a key has before its proof."""
    protected = receipt_protected(alg, kid)
    return b"".join((_SIGN1, bytes_head(len(protected)), protected, _PROOFS))


def unprotected_bytes(alg: int, kid: bytes, proof: Proof) -> bytes:
    """The unprotected header of a statement in batch form. The path has at most :data:`PATH_LIMIT` hashes."""
    numbers = head(0, proof.size) + head(0, proof.index) + head(4, len(proof.path))
    beginning = _beginning(alg, kid)
    length = len(_POSITION) + len(numbers) + _STEP * len(proof.path)
    position = bytes_head(length)
    total = len(beginning) + len(position) + length + len(_SIGNATURE) + len(proof.signature)
    # Each hash of the path has the same head, so joining by it writes them all but the first one's.
    path = _HASH + _HASH.join(proof.path) if proof.path else b""
    return b"".join((
        _UNPROTECTED, bytes_head(total), beginning, position, _POSITION, numbers, path, _SIGNATURE, proof.signature,
    ))  # fmt: skip


def read_unprotected(item: Item, alg: int, kid: bytes) -> Proof | str:
    """The proof in a statement's decoded unprotected header, or what is wrong with it, in words for the sender."""
    if not isinstance(item, dict) or item.keys() != {RECEIPTS}:
        return "the unprotected header is empty, or holds exactly the receipts of a batch (label 394)"
    receipts = item[RECEIPTS]
    if not isinstance(receipts, list) or len(receipts) != 1 or not isinstance(receipts[0], bytes):
        return "a batch has exactly one receipt, as a byte string"
    receipt, beginning = receipts[0], _beginning(alg, kid)
    if not receipt.startswith(beginning):
        return "the batch's receipt is not of this profile, or names another key or algorithm than the statement"
    signature = receipt[-64:]
    end = len(receipt) - len(_SIGNATURE) - 64
    if receipt[end:-64] != _SIGNATURE:
        return "the batch's receipt has no payload and a signature of 64 bytes"
    return _read_position(receipt[len(beginning) : end], signature)


def _read_position(framed: bytes, signature: bytes) -> Proof | str:
    """The position, as a byte string, from the fixed lengths of its parts."""
    at = 2 if len(framed) < 258 else 3
    position = framed[at:]
    steps = (len(position) - 4) // _STEP
    if not 0 < steps <= PATH_LIMIT or framed[:at] != bytes_head(len(position)):
        return _NO_PROOF
    first = len(position) - steps * _STEP
    if position[:1] != _POSITION or position[first - 1] != 0x80 | steps:
        return _NO_PROOF
    # Every hash has the same two bytes before it: all first bytes at once, then all second ones.
    if position[first::_STEP] != _HASH[:1] * steps or position[first + 1 :: _STEP] != _HASH[1:] * steps:
        return _NO_PROOF
    numbers = _read_numbers(position[1 : first - 1])
    if isinstance(numbers, str):
        return numbers
    path = tuple([position[start : start + tree.HASH_BYTES] for start in range(first + len(_HASH), len(position), _STEP)])
    return Proof(numbers[0], numbers[1], path, signature)


@lru_cache(maxsize=4096)
def _read_numbers(encoded: bytes) -> tuple[int, int] | str:
    """Tree size and leaf index. Remembered: the same few come again in every batch."""
    try:
        numbers = decode(b"\x82" + encoded)
    except CborError as error:
        return f"the proof of inclusion is not deterministic CBOR: {error.reason}"
    match numbers:
        case [int() as size, int() as index] if 0 <= index < size <= tree.SIZE_LIMIT and size > 1:
            return size, index
        case _:
            return _NO_PROOF
