"""People of the trust tests: holders of fixed keys, and an exchange with a registrar who writes its directory."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from broker.errors import Refusal
from broker.trust.directory import (
    AgencyEntry,
    Directory,
    ExchangeEntry,
    KeyEntry,
    Unsigned,
    new_message_key,
    unsigned_agency,
    unsigned_exchange,
    unsigned_key,
    unsigned_key_statement,
)
from broker.trust.keys import VerifyKey, p256_raw, spki_of

NOW = 1_795_478_400_000
EXCHANGE = "stce.asean"
ENVIRONMENT = "test"


class Pen:
    """A private key with a fixed seed; ``p256`` makes it ECDSA instead of Ed25519."""

    def __init__(self, seed: str, *, p256: bool = False) -> None:
        digest = hashlib.sha256(seed.encode()).digest()
        self._key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
        self._key = tls_key(seed) if p256 else ed25519.Ed25519PrivateKey.from_private_bytes(digest)
        self.spki = spki_of(self._key.public_key())
        key = VerifyKey.from_spki(self.spki)
        assert isinstance(key, VerifyKey)
        self.key = key

    @property
    def alg(self) -> int:
        return self.key.alg

    @property
    def kid(self) -> bytes:
        return self.key.kid

    def sign(self, message: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return p256_raw(self._key.sign(message, ec.ECDSA(hashes.SHA256())))

    def note(self, unsigned: Unsigned) -> bytes:
        return unsigned.signed(self.sign(unsigned.to_be_signed))

    def statement(self, entry: KeyEntry) -> bytes:
        unsigned = unsigned_key_statement(entry, self)
        return unsigned.nested(self.sign(unsigned.to_be_signed))


def tls_key(seed: str) -> ec.EllipticCurvePrivateKey:
    """A fixed EC P-256 key."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:31], "big") + 1, ec.SECP256R1())


class Registrar:
    """Writes records of one exchange's directory. ``version`` is the last one given."""

    def __init__(self, seed: str = "registrar", environment: str = ENVIRONMENT) -> None:
        self.pen = Pen(seed)
        self.environment = environment
        self.version = 0

    def next(self) -> int:
        self.version += 1
        return self.version

    def exchange(self, *relays: Pen, shards: int = 4, version: int | None = None) -> bytes:
        entry = ExchangeEntry(EXCHANGE, self.environment, shards, self.pen.spki, tuple(pen.spki for pen in relays), version or self.next())
        return self.pen.note(unsigned_exchange(entry, self.pen))

    def agency(self, entry: AgencyEntry, version: int | None = None) -> bytes:
        numbered = replace(entry, version=version or self.next())
        return self.pen.note(unsigned_agency(numbered, self.pen, EXCHANGE, self.environment))

    def key(self, statement: bytes, version: int | None = None) -> bytes:
        return self.pen.note(unsigned_key(statement, version or self.next(), self.pen, EXCHANGE, self.environment))


def agency(agency_id: str, master: Pen) -> AgencyEntry:
    """An active customs administration in one community."""
    return AgencyEntry(agency_id, "customs", agency_id[:2], ("STCE-ASEAN",), "active", 1, master.spki, 1, NOW, "")


def message_key(agency_id: str, pen: Pen) -> KeyEntry:
    """The statement of a message key, valid from NOW."""
    return new_message_key(agency_id, pen.key, now_ms=NOW)


def empty(registrar: Registrar) -> Directory:
    """What a reader starts with."""
    return Directory.trusting(registrar.pen.spki, EXCHANGE, registrar.environment)


def replay(directory: Directory, *records: bytes) -> Directory:
    """Apply records that must all be accepted."""
    for record in records:
        applied = directory.applied(record)
        assert not isinstance(applied, Refusal), applied
        directory = applied
    return directory


def refusal(directory: Directory, record: bytes) -> str:
    """The reason of a record that must be refused."""
    applied = directory.applied(record)
    assert isinstance(applied, Refusal)
    assert (applied.code, applied.step) == ("BAD_ENTRY", 2)
    return applied.reason
