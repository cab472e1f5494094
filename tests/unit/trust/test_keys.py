"""Public keys: one encoding each, no weak points, one ECDSA signature out of two."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.errors import Refusal
from broker.trust.keys import VerifyKey, fingerprint_of, key_id
from tests.unit.trust.actors import Pen, tls_key

ED25519_HEAD = bytes.fromhex("302a300506032b6570032100")
FIELD = 2**255 - 19
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("p256", [False, True])
def test_signature_fits_only_its_bytes(p256: bool) -> None:
    """A signature passes for the bytes signed and for no others, nor cut short, nor with another key."""
    pen, other = Pen("a", p256=p256), Pen("b", p256=p256)
    signature = pen.sign(b"text")
    assert len(signature) == 64
    assert pen.key.verify(signature, b"text")
    assert not pen.key.verify(signature, b"Text")
    assert not pen.key.verify(signature[:63], b"text")
    assert not pen.key.verify(signature + b"\0", b"text")
    assert not other.key.verify(signature, b"text")


def test_rfc_8032_vector() -> None:
    """RFC 8032 section 7.1, test 2: the public key and signature printed there."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key = VerifyKey.from_spki(ED25519_HEAD + public)
    assert isinstance(key, VerifyKey)
    assert (key.alg, key.kid) == (-19, hashlib.sha256(ED25519_HEAD + public).digest()[:16])
    assert key.verify(signature, b"\x72")


def test_high_s_is_refused() -> None:
    """The second mathematically valid ECDSA signature of the same bytes does not pass; zero and too large r or s never do."""
    pen = Pen("a", p256=True)
    assert pen.alg == -9
    signature = pen.sign(b"text")
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    assert not pen.key.verify(r + (P256_ORDER - s).to_bytes(32, "big"), b"text")
    for wrong in (bytes(64), r + bytes(32), bytes(32) + signature[32:], b"\xff" * 64):
        assert not pen.key.verify(wrong, b"text")


def test_other_algorithms_are_refused() -> None:
    """RSA, other curves and newer schemes are no message keys of this exchange."""
    others = [
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
        mldsa.MLDSA44PrivateKey.generate().public_key(),
    ]
    for key in others:
        assert isinstance(VerifyKey.from_spki(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)), Refusal)
    for junk in (b"", b"0", bytes(44), b"\x30" * 300):
        assert isinstance(VerifyKey.from_spki(junk), Refusal)


def test_second_encodings_are_refused() -> None:
    """A compressed point or trailing bytes would give one key two names."""
    public = tls_key("a").public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    compressed = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    assert isinstance(VerifyKey.from_spki(spki), VerifyKey)
    assert isinstance(VerifyKey.from_spki(head + compressed), Refusal)
    assert isinstance(VerifyKey.from_spki(spki + b"\0"), Refusal)


def _times_8(y: int) -> tuple[int, int]:
    """Eight times a point with this y on edwards25519 (RFC 8032 5.1.4), by plain arithmetic."""
    d = -121665 * pow(121666, -1, FIELD) % FIELD
    square = (y * y - 1) * pow(d * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if (x * x - square) % FIELD:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    assert (x * x - square) % FIELD == 0
    for _ in range(3):
        k = d * x * x * y * y % FIELD
        x, y = 2 * x * y * pow(1 + k, -1, FIELD) % FIELD, (y * y + x * x) * pow(1 - k, -1, FIELD) % FIELD
    return x, y


ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826


@pytest.mark.parametrize("y", [0, 1, FIELD - 1, ORDER_8, FIELD - ORDER_8])
@pytest.mark.parametrize("sign", [0, 1])
def test_small_order_points_are_refused(y: int, sign: int) -> None:
    """Every point whose order divides 8 is refused: under it, a signature can be made that fits any text."""
    assert _times_8(y) == (0, 1)
    assert isinstance(VerifyKey.from_spki(ED25519_HEAD + (y | sign << 255).to_bytes(32, "little")), Refusal)


def test_y_beyond_the_field_is_refused() -> None:
    """A y of at least the prime is a second encoding of a point (RFC 8032 5.1.3)."""
    for y in (FIELD, FIELD + 3, 2**255 - 1):
        assert isinstance(VerifyKey.from_spki(ED25519_HEAD + y.to_bytes(32, "little")), Refusal)


def test_names_of_keys() -> None:
    """A key id is 16 bytes of SHA-256; a fingerprint is all of it in groups of four, to be read aloud."""
    assert key_id(b"spki") == hashlib.sha256(b"spki").digest()[:16]
    groups = fingerprint_of(b"spki").split(" ")
    assert len(groups) == 16
    assert "".join(groups) == hashlib.sha256(b"spki").hexdigest()
