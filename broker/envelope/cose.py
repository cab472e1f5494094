"""COSE_Sign1 (RFC 9052 section 4.2) in a fixed profile, in two forms.

::

    direct  18([ protected: bstr {1: alg, 3: content type, 4: kid}, unprotected: {}, payload: bstr, signature: bstr ])
    batch   18([ protected: the same, unprotected: {394: [receipt]}, payload: bstr, signature: h'' ])    see :mod:`broker.envelope.batch`

What is signed is the Sig_structure (RFC 9052 section 4.4) with the exchange's :func:`context` as external data, so that a
message of one exchange or environment never verifies in another. Nobody signs or checks here: keys belong to ``trust``.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from broker.envelope import batch
from broker.envelope.batch import Proof
from broker.envelope.cbor import SIGN1_TAG, CborError, Item, Tagged, bytes_head, decode, encode
from broker.errors import Refusal
from broker.values import immutable

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
PROTECTED_LIMIT: Final = 256
"""Longest protected header in bytes."""
_SIG_STRUCTURE: Final = b"\x84\x6aSignature1"


@immutable
class Sign1:
    """A COSE_Sign1 that was read; nothing in it is verified. ``proof`` is there in the batch form, and ``signature`` then empty.

    ``protected`` and ``payload`` are the bytes as carried: what is signed is these, never a re-encoding. ``alg``, ``kid`` and
    ``content_type`` were read from ``protected``.
    """

    protected: bytes
    payload: bytes
    signature: bytes
    alg: int
    kid: bytes
    content_type: str
    proof: Proof | None = None


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
    """The COSE_Sign1 in direct form as an item, for embedding in a larger one."""
    return Tagged(SIGN1_TAG, [protected, {}, payload, signature])


def sign1_bytes(protected: bytes, payload: bytes, signature: bytes, unprotected: bytes = b"\xa0") -> bytes:
    """The COSE_Sign1 as bytes; ``unprotected`` is its encoded unprotected header, in the direct form empty."""
    return b"".join((
        b"\xd2\x84", bytes_head(len(protected)), protected, unprotected, bytes_head(len(payload)), payload,
        bytes_head(len(signature)), signature,
    ))  # fmt: skip


def statement_bytes(statement: Sign1) -> bytes:
    """The bytes of a COSE_Sign1 in the form that it has."""
    if statement.proof is None:
        return sign1_bytes(statement.protected, statement.payload, statement.signature)
    unprotected = batch.unprotected_bytes(statement.alg, statement.kid, statement.proof)
    return sign1_bytes(statement.protected, statement.payload, b"", unprotected)


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
    if len(protected) > PROTECTED_LIMIT:
        return _bad(f"the protected header has over {PROTECTED_LIMIT} bytes")
    return sign1_of(protected, unprotected, payload, signature)


def sign1_of(protected: bytes, unprotected: Item, payload: bytes, signature: bytes) -> Sign1 | Refusal:
    """The same from its four parts, of the right types. Refusal: BAD_STATEMENT."""
    labels = _read_protected(protected)
    if isinstance(labels, Refusal):
        return labels
    alg, kid, content_type = labels
    if unprotected != {}:
        proof = batch.read_unprotected(unprotected, alg, kid)
        if isinstance(proof, str):
            return _bad(proof)
        if signature:
            return _bad("a statement in batch form has an empty signature of its own")
        return Sign1(protected, payload, b"", alg, kid, content_type, proof)
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
