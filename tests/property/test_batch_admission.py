"""A parcel in batch form under alteration, before the whole of admission: real keys, directory, schemas and rules."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from broker.errors import Refusal
from broker.exchange.admit import authenticate, examine
from broker.exchange.rules import Rules
from tests.support.batches import drafts_of, made_together, proof_of
from tests.support.parcels import key
from tests.unit.exchange.bench import NOW, Bench

LAW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@lru_cache(maxsize=1)
def scene() -> tuple[bytes, Rules]:
    """The fourth of seven messages, in batch form, and a view under which the true root is known."""
    bench = Bench()
    drafts = drafts_of(bench.author(), [bench.alert(number) for number in range(1, 8)], now_ms=NOW)
    made = made_together(drafts, key("SG-CUSTOMS"), bench.rules)[3]
    assert len(proof_of(made.statement).path) == 3
    rules = bench.rules
    assert shows(made.value, rules) == ""
    return made.value, rules


def shows(value: bytes, rules: Rules) -> str:
    """The code under which a record is refused, empty where it is authentic, whole, and without a part of the exchange's."""
    found = authenticate(value, rules, at_ms=NOW)
    if isinstance(found, Refusal):
        return found.code
    if found.parcel.extras:
        return "BAD_PARCEL"
    refusal = examine(found, rules, complete=True)
    return refusal.code if refusal else ""


@pytest.mark.parametrize("mask", [0x01, 0x10, 0x80, 0xFF])
def test_every_flipped_byte_shows(mask: int) -> None:
    """Each byte of the parcel in turn: it is not a parcel, not of the profile, not signed so, or not what was committed to."""
    value, rules = scene()
    seen: set[str] = set()
    for at in range(len(value)):
        altered = bytearray(value)
        altered[at] ^= mask
        found = shows(bytes(altered), rules)
        assert found, f"byte {at}"
        seen.add(found)
    assert {"NOT_A_PARCEL", "BAD_CBOR", "BAD_STATEMENT", "BAD_SIGNATURE", "COMMITMENT_MISMATCH"} <= seen


@given(st.integers(0, 1 << 13), st.integers(0, 60), st.binary(max_size=60))
@example(3000, 0, b"\x00")
@LAW
def test_any_splice_shows(at: int, cut: int, patch: bytes) -> None:
    """Bytes taken out, put in or replaced anywhere, unless they give the same parcel."""
    value, rules = scene()
    at %= len(value) + 1
    altered = value[:at] + patch + value[at + cut :]
    assert altered == value or shows(altered, rules)


def test_every_truncation_is_refused() -> None:
    """No shorter record is a parcel."""
    value, rules = scene()
    for end in range(len(value)):
        assert shows(value[:end], rules) in ("NOT_A_PARCEL", "BAD_CBOR")
