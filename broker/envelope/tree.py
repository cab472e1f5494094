"""Merkle trees of RFC 9162 section 2.1 over SHA-256: one signature over a root stands for every leaf of a batch.

A leaf is a hash already (``SHA-256(0x00 || Sig_structure)``, see :func:`broker.envelope.cose.leaf_hash`); an inner node is
``SHA-256(0x01 || left || right)``; the left subtree of n leaves has the largest power of two below n.

Several (size, index) pairs share the shape of a path, so a path alone does not bind the index: the batch signature binds the
size, and what a leaf is, its bytes do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

HASH_BYTES: Final = 32
SIZE_LIMIT: Final = 1 << 16
"""Most leaves of one batch; its paths have at most 16 hashes."""

_sha256 = hashlib.sha256


def tree_levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All nodes, level by level from the leaves to the root; a node without a sibling moves up unchanged.

    Raises ValueError for no leaf at all and for more than :data:`SIZE_LIMIT`: nobody could read the proofs.
    """
    if not 0 < len(leaves) <= SIZE_LIMIT:
        raise ValueError(f"a tree has 1 to {SIZE_LIMIT} leaves, not {len(leaves)}")
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = zip(below[::2], below[1::2], strict=False)  # the last one may have no sibling
        above = [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(below) % 2:
            above.append(below[-1])
        levels.append(above)
    return levels


def root_of(levels: Sequence[Sequence[bytes]]) -> bytes:
    """The root: MTH of RFC 9162 section 2.1.1."""
    return levels[-1][0]


def path_of(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """The inclusion path of a leaf (RFC 9162 section 2.1.3.1), lowest sibling first."""
    path: list[bytes] = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index >>= 1
    return path


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to (RFC 9162 section 2.1.3.2), or None where its length does not fit index and size."""
    if not 0 <= index < size <= SIZE_LIMIT:
        return None
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            node = _sha256(b"\x01" + sibling + node).digest()
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = _sha256(b"\x01" + node + sibling).digest()
        position >>= 1
        last >>= 1
    return node if last == 0 else None
