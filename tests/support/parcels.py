"""Messages as honest, broken and hostile senders make them: any header, any key, any section, any third item."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ed25519

from broker.envelope import cose, slip
from broker.envelope.cose import Sign1
from broker.envelope.header import CONTENT_TYPE, Header, header_record
from broker.envelope.parcel import SLIP, Parcel, parcel_bytes, read_parcel
from broker.envelope.section import Commitment, digest
from broker.errors import Refusal
from broker.exchange.publish import Draft, Seat, encode_sections, prepare
from broker.exchange.rules import Rules
from broker.families.message import Message
from broker.schema.catalogue import Catalogue
from broker.storage.keys import FileSigner
from broker.storage.schemas import load_catalogue
from broker.testing.clock import SeededRandomness


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The shipped schemas, compiled once."""
    return load_catalogue()


def key(seed: str) -> FileSigner:
    """An Ed25519 key that is the same in every run."""
    return FileSigner(ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))


class Signs(Protocol):
    """A key that signs at once."""

    @property
    def alg(self) -> int: ...
    @property
    def kid(self) -> bytes: ...
    def sign_now(self, message: bytes) -> bytes: ...


def sign1(payload: bytes, content_type: str, by: Signs, aad: bytes) -> Sign1:
    """A COSE_Sign1 over any payload."""
    protected = cose.protected_header(by.alg, by.kid, content_type)
    return Sign1(protected, payload, by.sign_now(cose.to_be_signed(protected, aad, payload)), by.alg, by.kid, content_type)


@dataclass(frozen=True)
class Made:
    """A signed message in parts, so that a test can put it together wrongly."""

    header: Header
    statement: Sign1
    sections: Mapping[str, bytes]
    aad: bytes
    extras: Mapping[int, bytes] = field(default_factory=dict[int, bytes])

    @property
    def value(self) -> bytes:
        """The record value."""
        return parcel_bytes(self.statement, self.sections, self.extras)

    @property
    def leaf(self) -> bytes:
        """The name of the message."""
        return cose.leaf_hash(cose.to_be_signed(self.statement.protected, self.aad, self.statement.payload))

    def carrying(self, **sections: bytes | None) -> Made:
        """The same statement with sections put in the place of others, None taking one out."""
        changed = {**self.sections, **sections}
        return replace(self, sections={name: carried for name, carried in changed.items() if carried is not None})


def make(header: Header, sections: Mapping[str, bytes], by: Signs, aad: bytes, *, content_type: str = CONTENT_TYPE) -> Made:
    """Sign any header that its schema can hold."""
    schema = catalogue().current("header", "header")
    assert schema is not None
    return Made(header, sign1(schema.codec.encode(header_record(header)), content_type, by, aad), sections, aad)


def committed(header: Header, sections: Mapping[str, bytes], schemas: Mapping[str, bytes] | None = None) -> Header:
    """The header with commitments to these sections; ``schemas`` names other schema ids than the header has."""
    known = {commitment.section: commitment.schema_id for commitment in header.commitments} | dict(schemas or {})
    names = sorted(sections)
    return replace(header, commitments=tuple(Commitment(name, known[name], digest(sections[name]), None) for name in names))


class Author:
    """Writes one stream of an agency, as its publisher does."""

    def __init__(self, agency: str, by: Signs, rules: Rules, *, seed: int = 0) -> None:
        self.agency, self.by, self.rules = agency, by, rules
        self._random = SeededRandomness(seed)
        self.stream = self._random.take(16)
        self.seq = 0
        self.prev: bytes | None = None

    def draft(self, message: Message, *, now_ms: int) -> Draft:
        """A message in the next place of the stream, not signed and the place not taken."""
        encoded = encode_sections(message, self.agency, self.rules)
        assert not isinstance(encoded, Refusal), encoded
        seat = Seat(self.stream, self.seq + 1, self.prev)
        made = prepare(
            message, encoded, self.rules, originator=self.agency, seat=seat, message_id=self._random.take(16),
            salts=self._random.take, now_ms=now_ms, alg=self.by.alg, kid=self.by.kid,
        )  # fmt: skip
        assert not isinstance(made, Refusal), made
        return made

    def write(
        self,
        message: Message,
        *,
        now_ms: int,
        by: Signs | None = None,
        aad: bytes | None = None,
        content_type: str = CONTENT_TYPE,
        **changes: Any,
    ) -> Made:
        """The next message of the stream. ``changes`` replace fields of its header, ``by`` and ``aad`` key and context."""
        draft = self.draft(message, now_ms=now_ms)
        made = make(replace(draft.header, **changes), draft.sections, by or self.by, aad or self.rules.aad, content_type=content_type)
        return self.took(made)

    def took(self, made: Made) -> Made:
        """The message has the next place of the stream."""
        self.seq, self.prev = self.seq + 1, made.leaf
        return made


def parcel(value: bytes) -> Parcel:
    """A parcel that must be readable."""
    found = read_parcel(value, 8 << 20)
    assert not isinstance(found, Refusal), found
    return found


def put(value: Parcel, *, sections: Mapping[str, bytes] | None = None, extras: Mapping[int, bytes] | None = None) -> bytes:
    """The bytes of a parcel with its sections or its third item exchanged."""
    return parcel_bytes(
        value.statement, value.sections if sections is None else sections, value.extras if extras is None else extras
    )  # fmt: skip


def slip_item(note: slip.Slip, by: Signs, aad: bytes, *, content_type: str | None = None) -> dict[int, bytes]:
    """A third item that holds this slip, signed by anybody."""
    schema = catalogue().named("slip", "slip", note.version)
    assert schema is not None
    signed = sign1(schema.codec.encode(slip.slip_record(note)), content_type or slip.CONTENT_TYPES[note.version], by, aad)
    return {SLIP: cose.sign1_bytes(signed.protected, signed.payload, signed.signature)}
