"""COSE_Sign1 (RFC 9052 section 4.2) in the direct form: one signature over one payload, in a fixed profile.

::

    18([ protected: bstr {1: alg, 3: content type, 4: kid}, unprotected: {}, payload: bstr, signature: bstr ])

What is signed is the Sig_structure (RFC 9052 section 4.4) with the exchange's :func:`context` as external data, so that a
message of one exchange or environment never verifies in another. Nobody signs or checks here: keys belong to ``trust``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from broker.envelope.cbor import SIGN1_TAG, CborError, Item, Tagged, bytes_head, decode, encode
from broker.errors import Refusal

ED25519: Final = -19
"""COSE algorithm: Ed25519 (RFC 9864)."""
P256: Final = -9
"""COSE algorithm: ESP256, ECDSA with P-256 and SHA-256 (RFC 9864)."""
KID_BYTES: Final = 16
"""A key id: the first bytes of SHA-256 over the key's SubjectPublicKeyInfo."""
SIGNATURE_BYTES: Final = {ED25519: 64, P256: 64}
"""Length of a signature by algorithm (ECDSA as r and s, 32 bytes each: RFC 9053 section 2.1)."""
CONTENT_TYPE_LIMIT: Final = 128
"""Longest content type in characters."""

_ALG, _CONTENT_TYPE, _KID = 1, 3, 4
_PROTECTED_LIMIT: Final = 256
_SIG_STRUCTURE: Final = b"\x84\x6aSignature1"


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 that was read; nothing in it is verified. The unprotected header was empty.

    ``protected`` and ``payload`` are the bytes as carried: what is signed is these, never a re-encoding. ``alg``, ``kid`` and
    ``content_type`` were read from ``protected``.
    """

    protected: bytes
    payload: bytes
    signature: bytes
    alg: int
    kid: bytes
    content_type: str


def protected_header(alg: int, kid: bytes, content_type: str) -> bytes:
    """The protected header as the bytes that are signed (RFC 9052 section 3.1: labels 1, 3 and 4)."""
    return encode({_ALG: alg, _CONTENT_TYPE: content_type, _KID: kid})


def context(exchange_id: str, environment: str) -> bytes:
    """The external data (external_aad) of everything signed in an exchange: CBOR ``["xb/1", exchange_id, environment]``."""
    return encode(["xb/1", exchange_id, environment])


def to_be_signed(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4: ``["Signature1", protected, external_aad, payload]``."""
    return b"".join((
        _SIG_STRUCTURE, bytes_head(len(protected)), protected, bytes_head(len(aad)), aad, bytes_head(len(payload)), payload,
    ))  # fmt: skip


def leaf_hash(tbs: bytes) -> bytes:
    """The name of a signed message: SHA-256(0x00 || Sig_structure), a leaf hash of RFC 9162 section 2.1.1.

    The signature is left out: an ECDSA key can sign the same bytes in many ways, and they are still one message.
    """
    return hashlib.sha256(b"\x00" + tbs).digest()


def sign1_item(protected: bytes, payload: bytes, signature: bytes) -> Tagged:
    """The COSE_Sign1 as an item, for embedding in a larger one."""
    return Tagged(SIGN1_TAG, [protected, {}, payload, signature])


def sign1_bytes(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """The COSE_Sign1 as bytes: what :func:`sign1_item` encodes to."""
    return b"".join((
        b"\xd2\x84", bytes_head(len(protected)), protected, b"\xa0", bytes_head(len(payload)), payload,
        bytes_head(len(signature)), signature,
    ))  # fmt: skip


def read_sign1(item: Item) -> Sign1 | Refusal:
    """Read a COSE_Sign1 of the profile above from a decoded item. Refusal: BAD_STATEMENT."""
    if not isinstance(item, Tagged):
        return _bad("it is not a COSE_Sign1: tag 18 is missing")
    parts = item.value
    if not isinstance(parts, list) or len(parts) != 4:
        return _bad("a COSE_Sign1 is an array of four: protected header, unprotected header, payload, signature")
    protected, unprotected, payload, signature = parts
    if not isinstance(protected, bytes) or not isinstance(payload, bytes) or not isinstance(signature, bytes):
        return _bad("protected header, payload and signature are byte strings, each present")
    if unprotected != {}:
        if isinstance(unprotected, dict):
            return _bad(
                "the unprotected header is not empty: this exchange's version knows no batch signatures yet, "
                "sign each message by itself"
            )
        return _bad("the unprotected header is an empty map")
    if len(protected) > _PROTECTED_LIMIT:
        return _bad(f"the protected header has over {_PROTECTED_LIMIT} bytes")
    labels = _read_protected(protected)
    if isinstance(labels, Refusal):
        return labels
    alg, kid, content_type = labels
    if len(signature) != SIGNATURE_BYTES[alg]:
        return _bad(f"the signature has {len(signature)} bytes, algorithm {alg} makes {SIGNATURE_BYTES[alg]}")
    return Sign1(protected, payload, signature, alg, kid, content_type)


def read_sign1_bytes(data: bytes) -> Sign1 | Refusal:
    """Read bytes that are one COSE_Sign1 and nothing more. Refusals: BAD_CBOR, NOT_CANONICAL, BAD_STATEMENT."""
    try:
        item = decode(data)
    except CborError as error:
        return Refusal(error.code, error.reason)
    return read_sign1(item)


def _bad(reason: str) -> Refusal:
    return Refusal("BAD_STATEMENT", reason)


@lru_cache(maxsize=1024)
def _read_protected(protected: bytes) -> tuple[int, bytes, str] | Refusal:
    """Algorithm, key id and content type. Remembered: a key signs every message under the same few protected headers."""
    try:
        labels = decode(protected)
    except CborError as error:
        return _bad(f"the protected header is not deterministic CBOR: {error.reason}")
    if not isinstance(labels, dict) or labels.keys() != {_ALG, _CONTENT_TYPE, _KID}:
        return _bad("the protected header is a map of exactly the labels 1 (algorithm), 3 (content type) and 4 (key id)")
    alg, content_type, kid = labels[_ALG], labels[_CONTENT_TYPE], labels[_KID]
    if not isinstance(alg, int) or alg not in SIGNATURE_BYTES:
        return _bad(f"the algorithm is one of {ED25519} (Ed25519) and {P256} (ECDSA P-256)")
    if not isinstance(content_type, str) or not 0 < len(content_type) <= CONTENT_TYPE_LIMIT:
        return _bad(f"the content type is a text of 1 to {CONTENT_TYPE_LIMIT} characters")
    if not isinstance(kid, bytes) or len(kid) != KID_BYTES:
        return _bad(f"the key id is a byte string of {KID_BYTES} bytes")
    return alg, kid, content_type
