"""Public keys: their names, and the check of a signature with one.

An agency signs with Ed25519 (RFC 8032) or, where its hardware token knows nothing newer, with ECDSA on P-256. The directory
names the only algorithm of a key, so a message never chooses how it is checked. Everybody must reach the same verdict on the
same bytes, therefore one encoding per key, and one ECDSA signature out of the two that are mathematically right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from broker.envelope.cose import ED25519, KID_BYTES, P256
from broker.errors import Refusal

SPKI_LIMIT: Final = 256
"""Longest SubjectPublicKeyInfo looked at, in bytes; P-256 takes 91, Ed25519 44."""

_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL: Final = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
"""The y of every point whose order divides 8: under such a "key" one signature fits many messages, so authorship is void."""

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SHA256: Final = ec.ECDSA(hashes.SHA256())


def key_id(spki: bytes) -> bytes:
    """The name of a key: the first 16 bytes of SHA-256 of its DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)."""
    return hashlib.sha256(spki).digest()[:KID_BYTES]


def fingerprint_of(spki: bytes) -> str:
    """SHA-256 of a SubjectPublicKeyInfo as sixteen groups of four hex digits, for two people to compare over the phone."""
    digits = hashlib.sha256(spki).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def p256_raw(der: bytes) -> bytes:
    """Turn a DER ECDSA signature, as libraries and tokens give it, into COSE's 64 bytes r ‖ s (RFC 9053 2.1), s made low."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + min(s, _P256_ORDER - s).to_bytes(32, "big")


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key, parsed once. ``alg`` is the COSE number (-19 Ed25519, -9 ECDSA P-256 with SHA-256; RFC 9864)."""

    alg: int
    kid: bytes
    spki: bytes
    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey = field(repr=False, compare=False)

    @classmethod
    def from_spki(cls, spki: bytes) -> VerifyKey | Refusal:
        """Parse a DER SubjectPublicKeyInfo. Any other algorithm, any second encoding of a key and a weak point is refused."""
        key = None
        if len(spki) <= SPKI_LIMIT:
            try:
                key = load_der_public_key(spki)
            except (ValueError, UnsupportedAlgorithm):
                key = None
        if isinstance(key, ed25519.Ed25519PublicKey):
            alg = ED25519
            if _is_weak(key):
                return Refusal("BAD_ENTRY", "the Ed25519 public key is a point of small order or not in its shortest form")
        elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
            alg = P256
        else:
            return Refusal("BAD_ENTRY", "the public key is no SubjectPublicKeyInfo of Ed25519 or of ECDSA on P-256")
        if spki_of(key) != spki:
            return Refusal("BAD_ENTRY", "the public key is not in its canonical DER form")
        return cls(alg, key_id(spki), spki, key)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether ``signature`` (64 bytes) is this key's for exactly these bytes. Never raises on any input.

        ECDSA: only s in the lower half of the group order passes. The other s is as valid by SEC 1 section 4.1.4, and would let
        anyone make a second form of the same signed bytes.
        """
        if len(signature) != 64:
            return False
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
                return True
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            if not (0 < r < _P256_ORDER and 0 < s <= _P256_ORDER // 2):
                return False
            self._key.verify(encode_dss_signature(r, s), message, _SHA256)
        except InvalidSignature:
            return False
        return True


def spki_of(key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> bytes:
    """The canonical DER SubjectPublicKeyInfo of a loaded key."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_weak(key: ed25519.Ed25519PublicKey) -> bool:
    """RFC 8032 5.1.3 wants y below the field's prime; the eight points of small order are refused on top."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    return y >= _FIELD or y in _SMALL
