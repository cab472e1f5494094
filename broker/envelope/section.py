"""Sections: separately disclosed parts of a message, bound to the header by salted SHA-256 commitments.

A carried section is ``salt (16 bytes) || Avro body``. The salt hides equality and stops the guessing of short bodies by those
who see only the commitment. A section can be withheld without touching the originator's signature; it cannot be altered,
exchanged for another or added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from broker.errors import Refusal
from broker.values import immutable

SALT_BYTES: Final = 16


@immutable
class Commitment:
    """What the header says of one section: its schema, SHA-256 of the bytes as carried, and for an encrypted section
    (``plain``) also SHA-256 of salt and body before encryption."""

    section: str
    schema_id: bytes
    digest: bytes
    plain: bytes | None


def seal_body(salt: bytes, body: bytes) -> bytes:
    """The section as carried, from 16 fresh random bytes and the Avro body. Raises ValueError for a salt of another length."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    return salt + body


def body_of(carried: bytes) -> bytes:
    """The Avro body of a section that :func:`check_sections` let pass."""
    return carried[SALT_BYTES:]


def digest(carried: bytes) -> bytes:
    """SHA-256 of a section as carried: what its commitment holds."""
    return hashlib.sha256(carried).digest()


def check_sections(commitments: Sequence[Commitment], sections: Mapping[str, bytes], *, complete: bool) -> Refusal | None:
    """Admission step 7: the carried sections are those that were signed. ``path`` of a refusal is the section's name.

    ``complete`` is true where nothing may be withheld (an outbox): every section committed to must then be carried.

    Refusals: BAD_HEADER (commitments not sorted by name, or a name twice), UNCOMMITTED_SECTION, COMMITMENT_MISMATCH (altered
    or exchanged bytes), BAD_STRUCTURE (signed so, but shorter than a salt), MISSING_SECTION.
    """
    committed: dict[str, bytes] = {}
    before = ""
    for commitment in commitments:
        if commitment.section <= before:
            return Refusal("BAD_HEADER", "the header's commitments are not sorted by section, each once", commitment.section)
        before = commitment.section
        committed[before] = commitment.digest
    for name, carried in sections.items():
        expected = committed.get(name)
        if expected is None:
            return Refusal("UNCOMMITTED_SECTION", "the header does not commit to this section", name)
        found = hashlib.sha256(carried).digest()
        if found != expected:
            return Refusal("COMMITMENT_MISMATCH", _mismatch(found, committed), name)
        if len(carried) < SALT_BYTES:
            return Refusal("BAD_STRUCTURE", f"a section begins with a salt of {SALT_BYTES} bytes, this has {len(carried)}", name)
    if complete:
        for name in committed:
            if name not in sections:
                return Refusal("MISSING_SECTION", "the header commits to this section and it is not carried", name)
    return None


def _mismatch(found: bytes, committed: Mapping[str, bytes]) -> str:
    for name, expected in committed.items():
        if expected == found:
            return f"its bytes are those signed as section `{name}`"
    return "its bytes are not those the header commits to"
