"""Encrypting the chunks of an attached file, in the manner of STREAM (Hoang, Reyhanitabar, Rogaway, Vizar 2015): AES-256-GCM (NIST SP
800-38D) under a key that belongs to one file.

A chunk opens in its own place of its own file alone: the nonce is the chunk's place and whether it is the last, and the file's number is
authenticated with it. So chunks can be neither swapped, left out, cut off the end nor mixed with another file's. The digest of the whole
is not part of it: a file is encrypted while it comes in, once, and is never on the disk in clear. Whoever reads it compares the digest of
what was decrypted. ``docs/attachments.md`` has the layout for readers in other languages.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.envelope import cbor

KEY_BYTES: Final = 32
CONTEXT: Final = "xb/1-chunk"


def _nonce(index: int, last: bool) -> bytes:
    """12 bytes: the place (11 bytes, big-endian), then 1 for the last chunk and 0 for the others."""
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _bound(file: bytes, index: int) -> bytes:
    return cbor.encode([CONTEXT, file, index])


def seal_chunk(key: bytes, file: bytes, index: int, piece: bytes, *, last: bool) -> bytes:
    """The ciphertext of a piece, 16 bytes longer. ``key``: 32 bytes, used for no other file; ``file``: the file's number, 16 bytes."""
    return AESGCM(key).encrypt(_nonce(index, last), piece, _bound(file, index))


def open_chunk(key: bytes, file: bytes, index: int, data: bytes, *, last: bool) -> bytes | None:
    """The piece; None where the bytes are not this chunk of this file under this key."""
    try:
        return AESGCM(key).decrypt(_nonce(index, last), data, _bound(file, index))
    except InvalidTag:
        return None
