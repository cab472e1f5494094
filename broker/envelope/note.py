"""The note: what is signed outside parcels (receipts, directory entries, policy bundles).

::

    58 42 02 || COSE_Sign1

Its own magic bytes keep a note from being taken for a parcel; the content type in the signed header says what the payload is,
and a reader checks it before it reads the payload.
"""

from __future__ import annotations

from typing import Final

from broker.envelope.cose import Sign1, read_sign1_bytes, sign1_bytes, statement_bytes
from broker.errors import Refusal

MAGIC: Final = b"XB\x02"


def note_bytes(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The record value of a note in direct form, from its protected header, payload and signature as signed."""
    return MAGIC + sign1_bytes(protected, payload, signature)


def note_of(statement: Sign1) -> bytes:
    """The record value of a note in the form that its statement has."""
    return MAGIC + statement_bytes(statement)


def read_note(value: bytes, limit: int) -> Sign1 | Refusal:
    """Read a note of at most ``limit`` bytes; nothing is verified.

    Refusals: TOO_LARGE, BAD_CBOR, NOT_CANONICAL, BAD_STATEMENT (also where the magic bytes are others).
    """
    if len(value) > limit:
        return Refusal("TOO_LARGE", f"the note has {len(value)} bytes, {limit} is the most")
    if not value.startswith(MAGIC):
        return Refusal("BAD_STATEMENT", f"it begins with `{value[:3].hex(' ')}`, a signed note with `{MAGIC.hex(' ')}`")
    return read_sign1_bytes(value[len(MAGIC) :])
