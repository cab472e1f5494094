"""Admission takes any bytes and any signed nonsense: one answer each, never an exception, and no way around the signature."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.envelope import cbor
from broker.envelope.header import Header, Routing
from broker.envelope.parcel import MAGIC
from broker.errors import REFUSALS, Refusal
from broker.exchange.quarantine import read_quarantined
from broker.exchange.receive import Received, receive
from broker.exchange.topology import QUARANTINE
from broker.schema.limits import forbidden_character
from broker.values import Correlation
from tests.support.parcels import Made, committed, key, make, parcel, put
from tests.unit.exchange.bench import NOW, Bench, Written

SIGNER = key("SG-CUSTOMS")
TEXTS = st.one_of(
    st.text(max_size=40).filter(lambda text: not forbidden_character(text)),
    st.sampled_from(["", "SG-CUSTOMS", "MY-CUSTOMS/1", "SG-CUSTOMS/1", "alert", "licence", '"];forbid', "\u200f", "é", "\U0001f4a3" * 9]),
)
LISTS = st.lists(TEXTS, max_size=4).map(tuple)
TIMES = st.integers(631_152_000_000, 4_102_444_799_999)
EXAMPLES = settings(max_examples=60, deadline=None)


@lru_cache(maxsize=1)
def good() -> Made:
    """A message that would be accepted."""
    bench = Bench()
    return bench.author().write(bench.alert(), now_ms=NOW)


@lru_cache(maxsize=1)
def delivery() -> bytes:
    """The same, as it is delivered to MY-CUSTOMS."""
    return Bench().feed(good().value).inbox("MY-CUSTOMS")[0].value or b""


def answer(value: bytes) -> Written:
    """Feed one record to a fresh shard: it must be answered once, be either accepted or quarantined, and move the position."""
    bench = Bench()
    written = bench.feed(value)
    assert len(written.receipts) == 1 or written.tally.parked == 1
    assert len(written.to(QUARANTINE)) == written.codes.count("") ^ 1 or written.tally.parked == 1
    for record in written.to(QUARANTINE):
        kept = read_quarantined(record.value or b"")
        assert kept.code in REFUSALS
        assert kept.value == value
    assert bench.shard.position("out.SG-CUSTOMS") == 1
    assert bench.loaded() == bench.shard
    return written


@EXAMPLES
@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda tail: MAGIC + tail)))
def test_any_bytes_are_answered(value: bytes) -> None:
    """Whatever a member writes into its outbox is refused with a code and answered."""
    assert answer(value).tally.accepted == 0


@EXAMPLES
@given(
    st.recursive(
        st.one_of(st.none(), st.integers(-(2**64), 2**64 - 1), st.binary(max_size=40), st.text(max_size=20)),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.integers(0, 9), inner, max_size=3)),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_cbor_is_answered(item: Any) -> None:
    """Well-formed CBOR of the wrong shape is refused in step 1."""
    assert answer(MAGIC + cbor.encode(item)).receipts[0].step == 1


@EXAMPLES
@given(st.integers(0, 1200), st.binary(max_size=6), st.integers(0, 6))
def test_no_edit_passes(at: int, inserted: bytes, removed: int) -> None:
    """Bytes removed or put in anywhere: refused, unless nothing changed."""
    value = good().value
    at %= len(value)
    edited = value[:at] + inserted + value[at + removed :]
    assert answer(edited).tally.accepted == (edited == value)


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "family": TEXTS,
        "subject": st.one_of(TEXTS, TEXTS.map(lambda text: f"SG-CUSTOMS/{text}")),
        "seq": st.integers(-1, 3),
        "prev": st.one_of(st.none(), st.just(bytes(32))),
        "revision": st.integers(-(2**31), 2**31 - 1),
        "issued_at": TIMES,
        "valid_from": st.one_of(st.none(), TIMES),
        "valid_until": st.one_of(st.none(), TIMES),
        "embargo_until": st.one_of(st.none(), TIMES),
        "handling_caveat": st.one_of(st.none(), TEXTS),
        "handling": st.sampled_from(["H0", "H1", "H2", "H3"]),
        "tlp": st.sampled_from(["CLEAR", "RED", "AMBER_STRICT"]),
        "purposes": LISTS,
        "legal_basis": TEXTS,
        "language": st.one_of(st.none(), TEXTS),
        "routing": st.builds(
            Routing, st.lists(st.tuples(TEXTS, st.sampled_from(["ORIGIN", "TRANSIT", "PLACE"])), max_size=3).map(tuple), LISTS,
            st.one_of(st.none(), TEXTS), st.one_of(st.none(), TEXTS),
        ),
        "correlation": st.builds(
            Correlation, st.one_of(st.none(), st.just(bytes(16))), st.one_of(st.none(), TEXTS), st.one_of(st.none(), st.integers(-5, 5)),
            st.one_of(st.none(), TEXTS),
        ),
    },
)  # fmt: skip


def signed(header: Header, sections: dict[str, bytes]) -> bytes:
    return make(header, sections, SIGNER, good().aad).value


@settings(max_examples=200, deadline=None)
@given(HEADERS)
def test_any_signed_header_is_answered(changes: dict[str, Any]) -> None:
    """A member signs a header of any content: it is judged, never believed, and the relay lives."""
    answer(signed(replace(good().header, **changes), dict(good().sections)))


@EXAMPLES
@given(
    st.dictionaries(st.sampled_from(["core", "goods", "route", "parties", "audience", "equipment"]), st.binary(max_size=80), min_size=1),
    st.booleans(),
)
def test_any_signed_section_is_answered(bodies: dict[str, bytes], salted: bool) -> None:
    """Section bytes of any content, properly committed to, never reach the decoder unless they are sound."""
    sections = {**good().sections, **{name: bytes(16) * salted + body for name, body in bodies.items()}}
    assert answer(signed(committed(good().header, sections), sections)).codes[0] != ""


@EXAMPLES
@given(st.fixed_dictionaries({name: st.lists(TEXTS, max_size=3) for name in ("agencies", "communities", "countries")}))
def test_any_audience_is_answered(audience: dict[str, list[str]]) -> None:
    """An audience of invented names, quotes and foreign scripts is refused or reaches nobody it should not."""
    schema = Bench().rules.schema("audience")
    sections = {**good().sections, "audience": bytes(16) + schema.codec.encode(audience)}
    written = answer(signed(committed(good().header, sections), sections))
    if written.codes == [""]:
        assert all(each.agency in ("AE-CUSTOMS", "MY-CUSTOMS", "DE-BAFA") for each in written.receipts[0].recipients)


@EXAMPLES
@given(st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 6))
def test_no_edit_of_a_delivery_passes(at: int, inserted: bytes, removed: int) -> None:
    """The same on the way from the relay to a recipient."""
    value = delivery()
    at %= len(value)
    edited = value[:at] + inserted + value[at + removed :]
    found = receive(edited, Bench().rules, recipient="MY-CUSTOMS")
    assert isinstance(found, Received) == (edited == value)


@pytest.mark.parametrize("extra", [0, 2, 7, 65_536])
def test_unknown_extras_of_a_delivery_are_ignored(extra: int) -> None:
    """Later versions may add to the exchange's part of a delivery: today's readers take it all the same."""
    held = parcel(delivery())
    found = receive(put(held, extras={**held.extras, extra: b"later"}), Bench().rules, recipient="MY-CUSTOMS")
    assert not isinstance(found, Refusal)
