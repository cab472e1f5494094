"""Signing happens elsewhere (a file, a token, a remote service): here is what is to be signed, and the check of what came back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from broker.envelope import cose, note
from broker.envelope.cose import Sign1
from broker.errors import Refusal
from broker.trust.canonical import Flaw
from broker.trust.keys import VerifyKey


class SignedBy(Protocol):
    """The public name of a signing key: every Signer and every VerifyKey has it."""

    @property
    def alg(self) -> int:
        """COSE algorithm number."""
        ...

    @property
    def kid(self) -> bytes:
        """First 16 bytes of SHA-256 of the SubjectPublicKeyInfo."""
        ...


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A statement that waits for its signature. ``aad`` is the context it is bound to (RFC 9052 section 4.3)."""

    protected: bytes
    payload: bytes
    aad: bytes

    @classmethod
    def of(cls, payload: bytes, content_type: str, by: SignedBy, aad: bytes) -> Unsigned:
        """A payload of this content type, to be signed by this key."""
        return cls(cose.protected_header(by.alg, by.kid, content_type), payload, aad)

    @property
    def to_be_signed(self) -> bytes:
        """The Sig_structure: the bytes that the key signs."""
        return cose.to_be_signed(self.protected, self.aad, self.payload)

    def signed(self, signature: bytes) -> bytes:
        """The note with its signature: a record value, or the content of a file."""
        return note.note_bytes(self.protected, self.payload, signature)

    def nested(self, signature: bytes) -> bytes:
        """The bare COSE_Sign1, for another signer to sign over."""
        return cose.sign1_bytes(self.protected, self.payload, signature)


def read_signed(value: bytes, limit: int) -> Sign1:
    """Read a note whose signature is not checked yet. Raises Flaw."""
    found = note.read_note(value, limit)
    if isinstance(found, Refusal):
        raise Flaw(found.reason)
    return found


def read_nested(value: bytes) -> Sign1:
    """Read a bare COSE_Sign1 whose signature is not checked yet. Raises Flaw."""
    found = cose.read_sign1_bytes(value)
    if isinstance(found, Refusal):
        raise Flaw(found.reason)
    return found


def public_key(spki: bytes, whose: str) -> VerifyKey:
    """Parse a public key. Raises Flaw, which says whose key it is."""
    key = VerifyKey.from_spki(spki)
    if isinstance(key, Refusal):
        raise Flaw(f"{whose}: {key.reason}")
    return key


def check_signature(statement: Sign1, key: VerifyKey, aad: bytes, whose: str) -> None:
    """Check that this key, under its own algorithm and name, signed the statement in this context. Raises Flaw."""
    if statement.kid != key.kid:
        raise Flaw(f"it is signed with the key {statement.kid.hex()}, not with {whose} {key.kid.hex()}")
    if statement.alg != key.alg:
        raise Flaw(f"it names algorithm {statement.alg}, {whose} has {key.alg}")
    if not key.verify(statement.signature, cose.to_be_signed(statement.protected, aad, statement.payload)):
        raise Flaw(f"the signature with {whose} does not fit these bytes, this exchange and this environment")
