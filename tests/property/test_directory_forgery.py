"""No altered, half-signed or moved record ever changes a directory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.envelope import cbor, cose
from broker.errors import Refusal
from broker.trust.directory import Unsigned, agency_payload
from broker.trust.entries import AGENCY_TYPE, KEY_TYPE
from tests.unit.trust.actors import ENVIRONMENT, EXCHANGE, Pen, Registrar, agency, empty, message_key, replay

SG = "SG-CUSTOMS"
REGISTRAR, MASTER, MESSAGE, THIEF = Registrar(), Pen("master"), Pen("message"), Pen("thief")
AGENCY = REGISTRAR.agency(agency(SG, MASTER))
KEY = REGISTRAR.key(MASTER.statement(message_key(SG, MESSAGE)))
RECORDS = (REGISTRAR.exchange(Pen("relay")), AGENCY, KEY)
KNOWN = replay(empty(REGISTRAR), AGENCY)
SIGNERS = {"registrar": REGISTRAR.pen, "master": MASTER, "message": MESSAGE, "thief": THIEF}


@given(record=st.sampled_from(RECORDS), data=st.data())
def test_a_flipped_bit_is_refused(record: bytes, data: st.DataObject) -> None:
    """Whichever bit of a good record is turned over, nothing of it is used."""
    altered = bytearray(record)
    altered[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert isinstance(KNOWN.applied(bytes(altered)), Refusal)


@given(record=st.sampled_from(RECORDS), cut=st.integers(0, 2000), tail=st.binary(max_size=8))
def test_a_cut_or_longer_record_is_refused(record: bytes, cut: int, tail: bytes) -> None:
    """A record cut short, or with more behind it, is refused."""
    altered = record[: cut % len(record)] + tail
    if altered != record:
        assert isinstance(KNOWN.applied(altered), Refusal)
    if tail:
        assert isinstance(KNOWN.applied(record + tail), Refusal)


@given(junk=st.binary(max_size=300), magic=st.booleans())
def test_junk_is_refused_without_an_exception(junk: bytes, magic: bool) -> None:
    """Random bytes, with the magic of a note or without, are a refusal and nothing else."""
    assert isinstance(KNOWN.applied(b"XB\x02" * magic + junk), Refusal)


@given(inner=st.sampled_from(sorted(SIGNERS)), outer=st.sampled_from(sorted(SIGNERS)))
def test_a_key_needs_its_two_signers(inner: str, outer: str) -> None:
    """Of all pairs of signers only master key and registrar together bring a key into the directory."""
    new = Pen("new message key")
    statement = SIGNERS[inner].statement(message_key(SG, new))
    unsigned = Unsigned.of(cbor.encode([statement, 9]), KEY_TYPE, SIGNERS[outer], cose.context(EXCHANGE, ENVIRONMENT))
    applied = KNOWN.applied(SIGNERS[outer].note(unsigned))
    if (inner, outer) == ("master", "registrar"):
        assert not isinstance(applied, Refusal)
        assert applied.message_key(new.kid) is not None
    else:
        assert isinstance(applied, Refusal)


@given(
    signer=st.sampled_from(sorted(SIGNERS)),
    exchange=st.sampled_from([EXCHANGE, "other"]),
    environment=st.sampled_from(["test", "exercise"]),
)
def test_an_agency_entry_needs_the_registrar_in_this_exchange(signer: str, exchange: str, environment: str) -> None:
    """Only the pinned registrar, signing for this exchange and environment, makes a member."""
    pen = SIGNERS[signer]
    unsigned = Unsigned.of(agency_payload(agency("DE-BAFA", THIEF)), AGENCY_TYPE, pen, cose.context(exchange, environment))
    applied = KNOWN.applied(pen.note(unsigned))
    right = (signer, exchange, environment) == ("registrar", EXCHANGE, ENVIRONMENT)
    assert isinstance(applied, Refusal) is not right
