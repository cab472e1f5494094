"""Parcels under alteration: nothing in them can be changed without the change showing."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.envelope import cose, parcel
from broker.envelope.batch import Proof
from broker.envelope.cose import ED25519, Sign1
from broker.envelope.framing import read_framing
from broker.envelope.parcel import Parcel, parcel_bytes, read_parcel, with_extras
from broker.envelope.section import Commitment, check_sections, digest
from broker.errors import Refusal

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LIMIT = 1 << 20
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KID = bytes(range(16))
TYPE = "application/vnd.broker.header+avro;v=1"
AAD = cose.context("stce.asean", "test")
PROTECTED = cose.protected_header(ED25519, KID, TYPE)
SECTIONS = {"audience": b"a" * 40, "core": b"c" * 16, "goods": b"g" * 60}
COMMITMENTS = [Commitment(name, bytes(32), digest(carried), None) for name, carried in SECTIONS.items()]
PAYLOAD = b"header " * 9
TBS = cose.to_be_signed(PROTECTED, AAD, PAYLOAD)
STATEMENT = Sign1(PROTECTED, PAYLOAD, KEY.sign(TBS), ED25519, KID, TYPE)
BATCHED = Sign1(PROTECTED, PAYLOAD, b"", ED25519, KID, TYPE, Proof(300, 7, tuple(bytes([number]) * 32 for number in range(9)), bytes(64)))
VALUE = parcel_bytes(STATEMENT, SECTIONS, {1: b"slip"})

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=32)


def what_shows(value: bytes) -> str:
    """How a reader of an altered parcel learns of it: the code of step 1, ``signature``, or the code of step 7; ``extras``
    where only the exchange's part differs, which its own signature covers; empty where nothing shows."""
    read = read_parcel(value, LIMIT)
    if isinstance(read, Refusal):
        return read.code
    tbs = cose.to_be_signed(read.statement.protected, AAD, read.statement.payload)
    # The signature itself is no part of a message's identity; whether it fits is asked only where the identity stayed.
    if cose.leaf_hash(tbs) != cose.leaf_hash(TBS):
        return "leaf"
    try:
        KEY.public_key().verify(read.statement.signature, tbs)
    except InvalidSignature:
        return "signature"
    refusal = check_sections(COMMITMENTS, read.sections, complete=True)
    if refusal is not None:
        return refusal.code
    return "extras" if read.extras != {1: b"slip"} else ""


def test_the_unaltered_parcel_passes() -> None:
    """The oracle of this module finds nothing wrong with the parcel itself."""
    assert what_shows(VALUE) == ""


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_every_flipped_byte_shows(mask: int) -> None:
    """Each single byte of the parcel in turn."""
    seen: set[str] = set()
    for at in range(len(VALUE)):
        altered = bytearray(VALUE)
        altered[at] ^= mask
        found = what_shows(bytes(altered))
        assert found, f"byte {at}"
        seen.add(found)
    assert {"leaf", "signature", "COMMITMENT_MISMATCH", "NOT_A_PARCEL", "extras"} <= seen


@given(st.integers(0, len(VALUE) - 1), st.integers(1, 255))
@LAW
def test_any_altered_byte_shows(at: int, mask: int) -> None:
    """Any byte to any other value."""
    altered = bytearray(VALUE)
    altered[at] ^= mask
    assert what_shows(bytes(altered))


@given(st.integers(0, len(VALUE)), st.integers(0, 40), st.binary(max_size=40))
@example(len(VALUE), 0, b"\xf6")
@LAW
def test_any_splice_shows(at: int, cut: int, patch: bytes) -> None:
    """Bytes taken out, put in or replaced anywhere, unless they give the same parcel."""
    altered = VALUE[:at] + patch + VALUE[at + cut :]
    if altered != VALUE:
        assert what_shows(altered)


def test_every_truncation_is_refused() -> None:
    """No shorter record is a parcel."""
    for end in range(len(VALUE)):
        assert isinstance(read_parcel(VALUE[:end], LIMIT), Refusal)


@given(
    st.dictionaries(NAMES, st.binary(max_size=300), max_size=16),
    st.dictionaries(st.integers(0, 1 << 16), st.binary(max_size=100), max_size=8),
    st.binary(max_size=600),
)
@LAW
def test_reading_is_the_inverse_of_assembling(sections: dict[str, bytes], extras: dict[int, bytes], payload: bytes) -> None:
    """Any parcel within the limits reads back equal, and assembles to the same bytes."""
    statement = Sign1(PROTECTED, payload, bytes(64), ED25519, KID, TYPE)
    value = parcel_bytes(statement, sections, extras)
    read = read_parcel(value, LIMIT)
    assert isinstance(read, Parcel)
    assert read == Parcel(statement, sections, extras)
    assert parcel_bytes(read.statement, read.sections, read.extras) == value


@given(st.binary(max_size=300))
@LAW
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Random bytes behind the magic ones never raise."""
    assert isinstance(read_parcel(b"XB\x01" + data, LIMIT), (Parcel, Refusal))


def _never(_value: bytes) -> None:
    """Nothing goes the quick way."""


def as_cbor(value: bytes) -> Parcel | Refusal:
    """The parcel read the long way only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parcel, "read_framing", _never)
        return read_parcel(value, LIMIT)


@LAW
@given(at=st.integers(0, 400), noise=st.binary(max_size=6), cut=st.integers(0, 6), names=st.sets(NAMES, max_size=17))
def test_the_quick_way_is_the_long_way(at: int, noise: bytes, cut: int, names: set[str]) -> None:
    """Good parcels and spoilt ones, in both forms: what the quick way reads, the CBOR reader reads the same; the verdicts agree."""
    statement = BATCHED if at % 2 else STATEMENT
    sections = {name: name.encode() * (len(name) * at % 300) for name in names}
    values = [parcel_bytes(statement, SECTIONS, {1: b"slip", 2: b""}), parcel_bytes(statement, sections, {})]
    for whole in values:
        spot = at % len(whole)
        for value in (whole, whole[:spot] + noise + whole[spot + cut :]):
            assert read_parcel(value, LIMIT) == as_cbor(value)
            framed = read_framing(value)
            if framed is not None:
                found = as_cbor(value)
                if isinstance(found, Parcel):
                    assert (framed.sections, framed.extras) == (found.sections, found.extras)
                    assert with_extras(read(value), found.sections, found.extras) == value


def read(value: bytes) -> Parcel:
    """A parcel that must be readable."""
    found = read_parcel(value, LIMIT)
    assert isinstance(found, Parcel)
    return found


def test_good_parcels_go_the_quick_way() -> None:
    """Both forms, and the most sections that there may be."""
    many = {f"s{'_' * number}": b"x" for number in range(16)}
    for value in (VALUE, parcel_bytes(BATCHED, SECTIONS, {}), parcel_bytes(STATEMENT, many, {1: b"slip", 2: b"proof"})):
        assert read_framing(value) is not None
