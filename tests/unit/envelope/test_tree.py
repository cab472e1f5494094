"""Trees of RFC 9162: roots and paths against the recursive definitions of the standard, for every place in every size."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import cache

import pytest

from broker.envelope.tree import SIZE_LIMIT, path_of, root_from_path, root_of, tree_levels

MOST = 300
LEAVES = [hashlib.sha256(b"\x00" + number.to_bytes(2, "big")).digest() for number in range(MOST)]


def split(size: int) -> int:
    """The largest power of two below a size: where the left subtree ends (RFC 9162 section 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


@cache
def mth(start: int, end: int) -> bytes:
    """MTH of the leaves from ``start`` up to ``end``, as section 2.1.1 defines it. (The leaves are hashes already.)"""
    if end - start == 1:
        return LEAVES[start]
    middle = start + split(end - start)
    return hashlib.sha256(b"\x01" + mth(start, middle) + mth(middle, end)).digest()


def path(index: int, start: int, end: int) -> list[bytes]:
    """PATH of the leaf ``index`` in the leaves from ``start`` up to ``end``, as section 2.1.3.1 defines it."""
    if end - start == 1:
        return []
    middle = start + split(end - start)
    if index < middle:
        return [*path(index, start, middle), mth(middle, end)]
    return [*path(index, middle, end), mth(start, middle)]


def shape(index: int, start: int, end: int) -> str:
    """On which side the siblings of a leaf stand, lowest first: all that a path and its check have of index and size."""
    if end - start == 1:
        return ""
    middle = start + split(end - start)
    return shape(index, start, middle) + "r" if index < middle else shape(index, middle, end) + "l"


def test_every_place_of_every_size() -> None:
    """The root is MTH, each path is PATH, and each path leads from its leaf to the root: all sizes up to 300, all places in them."""
    for size in range(1, MOST + 1):
        levels = tree_levels(LEAVES[:size])
        root = root_of(levels)
        assert root == mth(0, size)
        for index in range(size):
            found = path_of(levels, index)
            assert found == path(index, 0, size), (size, index)
            assert root_from_path(LEAVES[index], index, size, found) == root, (size, index)


@pytest.mark.parametrize("size", [*range(2, 34), 63, 64, 65, 100])
def test_a_path_fits_no_other_index(size: int) -> None:
    """In one tree the way to the root is another one for each leaf: a path under another index leads elsewhere, or fits nowhere."""
    root = mth(0, size)
    for index in range(size):
        found = path(index, 0, size)
        for other in range(size):
            if other != index:
                assert root_from_path(LEAVES[index], other, size, found) != root


@pytest.mark.parametrize("size", [*range(2, 34), 64, 255, 256, 257])
def test_short_long_and_altered_paths_lead_elsewhere(size: int) -> None:
    """A path of another length fits no place of its size; a flipped bit, swapped hashes, another leaf lead to another root."""
    root = mth(0, size)
    for index in range(size):
        found = path(index, 0, size)
        assert root_from_path(LEAVES[index], index, size, found[:-1]) is None
        assert root_from_path(LEAVES[index], index, size, found[1:]) is None
        assert root_from_path(LEAVES[index], index, size, []) is None
        assert root_from_path(LEAVES[index], index, size, [*found, bytes(32)]) is None
        assert root_from_path(LEAVES[index], index, size, [root, *found]) is None
        for at, sibling in enumerate(found):
            flipped = bytes([sibling[0] ^ 1]) + sibling[1:]
            assert root_from_path(LEAVES[index], index, size, [*found[:at], flipped, *found[at + 1 :]]) not in (root, None)
        if len(found) > 1:
            assert root_from_path(LEAVES[index], index, size, found[::-1]) != root
        assert root_from_path(LEAVES[(index + 1) % MOST], index, size, found) not in (root, None)


def test_what_shares_a_shape_shares_a_root() -> None:
    """The known limit of a path: in trees of other sizes there are places of the same shape, and there it leads to the same root.
    Therefore the size is signed with the root (see the tests of verification). Nothing else leads there."""
    same: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for size in range(2, 34):
        for index in range(size):
            same[shape(index, 0, size)].append((size, index))
    assert same["l"] == [(2, 1), *((1 + (1 << n), 1 << n) for n in range(1, 6))]
    for size in range(2, 18):
        for index in range(size):
            found = path(index, 0, size)
            there = [
                (other, at) for other in range(2, 34) for at in range(other)
                if root_from_path(LEAVES[index], at, other, found) == mth(0, size)
            ]  # fmt: skip
            assert there == same[shape(index, 0, size)]


def test_places_outside_the_tree() -> None:
    """No index from the size on, no negative one, no size over the limit."""
    found = path(1, 0, 3)
    for index, size in ((3, 3), (4, 3), (-1, 3), (0, 0), (1, SIZE_LIMIT + 1)):
        assert root_from_path(LEAVES[1], index, size, found) is None
    assert root_from_path(LEAVES[0], 0, 1, []) == LEAVES[0]
    assert root_from_path(LEAVES[0], 0, 1, [LEAVES[1]]) is None


def test_sizes_that_no_tree_has() -> None:
    """A tree without leaves has no root, and one over the limit has proofs that nobody would read: making either is a mistake."""
    for count in (0, SIZE_LIMIT + 1):
        with pytest.raises(ValueError, match="1 to 65536 leaves"):
            tree_levels([bytes(32)] * count)
    levels = tree_levels([bytes(32)] * SIZE_LIMIT)
    assert len(path_of(levels, SIZE_LIMIT - 1)) == 16
    assert root_from_path(bytes(32), 0, SIZE_LIMIT, path_of(levels, 0)) == root_of(levels)


def test_a_node_is_no_leaf() -> None:
    """An inner node cannot pass for a leaf or for a smaller tree's root: their hashes begin differently (section 2.1.1)."""
    pair = hashlib.sha256(b"\x00" + LEAVES[0] + LEAVES[1]).digest()
    assert pair != mth(0, 2)
    assert root_from_path(mth(0, 2), 0, 2, [mth(2, 4)]) == mth(0, 4)  # so a leaf must always be computed from the statement itself
