"""Chunks of attached files: each opens in its own place of its own file, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.envelope.chunks import open_chunk, seal_chunk

KEY, FILE = bytes(range(32)), bytes(range(16))
PAGE = Path(__file__).parents[3] / "docs" / "attachments.md"


def test_the_page_has_the_bytes() -> None:
    """The example of docs/attachments.md is what this program writes, so that a reader in another language can be held to it."""
    text = PAGE.read_text(encoding="utf-8")
    for index, piece in enumerate((b"half a MiB", b"the end")):
        sealed = seal_chunk(KEY, FILE, index, piece, last=index == 1)
        assert sealed.hex() in text
        assert open_chunk(KEY, FILE, index, sealed, last=index == 1) == piece


@given(piece=st.binary(min_size=1, max_size=200), index=st.integers(0, 99), last=st.booleans(), bit=st.integers(0, 127))
def test_it_opens_in_its_own_place_alone(piece: bytes, index: int, last: bool, bit: int) -> None:
    """Another key, file, place or end, an altered bit or a shorter text: none opens."""
    sealed = seal_chunk(KEY, FILE, index, piece, last=last)
    assert len(sealed) == len(piece) + 16
    assert open_chunk(KEY, FILE, index, sealed, last=last) == piece
    assert open_chunk(KEY, FILE, index, sealed, last=not last) is None
    assert open_chunk(KEY, FILE, index + 1, sealed, last=last) is None
    assert open_chunk(KEY, FILE[::-1], index, sealed, last=last) is None
    assert open_chunk(KEY[::-1], FILE, index, sealed, last=last) is None
    assert open_chunk(KEY, FILE, index, sealed[:-1], last=last) is None
    altered = bytearray(sealed)
    altered[bit // 8 % len(sealed)] ^= 1 << bit % 8
    assert open_chunk(KEY, FILE, index, bytes(altered), last=last) is None


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_opens_nothing(length: int) -> None:
    """The schema holds keys to 32 bytes; whatever else comes here is no key."""
    sealed = seal_chunk(KEY, FILE, 0, b"x", last=True)
    if length == 16:  # AES-128: a key, and another one
        assert open_chunk(bytes(length), FILE, 0, sealed, last=True) is None
    else:
        with pytest.raises(ValueError, match="128, 192, or 256"):
            open_chunk(bytes(length), FILE, 0, sealed, last=True)
