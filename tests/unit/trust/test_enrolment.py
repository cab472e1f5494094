"""Request and reply: each is bound to its keys, its agency and the other; any altered byte is seen."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from broker import ids
from broker.envelope import cose
from broker.errors import Refusal
from broker.trust.canonical import Json, canonical_json, read_object
from broker.trust.certificates import Authority, Validity, exchange_ca, signing_request
from broker.trust.directory import Unsigned
from broker.trust.enrolment import (
    REPLY_TYPE,
    REQUEST_TYPE,
    Reply,
    Request,
    fingerprint,
    read_reply,
    read_request,
    reply_agency,
    reply_fingerprint,
    reply_text,
    request_text,
    unsigned_reply,
    unsigned_request,
)
from broker.trust.entries import key_payload
from broker.trust.keys import fingerprint_of, spki_of
from tests.unit.trust.actors import ENVIRONMENT, EXCHANGE, NOW, Pen, message_key, tls_key

SG = "SG-CUSTOMS"
MASTER, MESSAGE, REGISTRAR = Pen("sg-master"), Pen("sg-message"), Pen("registrar")
TLS = tls_key("sg-tls")
TLS_SPKI = spki_of(TLS.public_key())


@functools.cache
def _request_note(agency: str = SG) -> bytes:
    return MASTER.note(
        unsigned_request(
            agency,
            "customs",
            master_spki=MASTER.spki,
            statement=MASTER.statement(message_key(agency, MESSAGE)),
            tls_csr=signing_request(TLS, agency),
            created_at_ms=NOW,
            by=MASTER,
        )
    )


def _request() -> Request:
    request = read_request(request_text(SG, _request_note()))
    assert isinstance(request, Request)
    return request


@functools.cache
def _authority(seed: str = "ca") -> Authority:
    key = tls_key(seed)
    return Authority.load(exchange_ca(key, EXCHANGE, serial=1, validity=Validity.days(NOW, 100)), key)


@functools.cache
def _reply() -> Reply:
    return Reply(
        agency=SG,
        generation=1,
        request_digest=hashlib.sha256(_request_note()).digest(),
        certificate_pem=_authority().agency(TLS_SPKI, SG, 1, serial=2, validity=Validity.days(NOW, 10)),
        ca_pem=_authority().certificate.public_bytes(Encoding.PEM).decode(),
        exchange_id=EXCHANGE,
        environment=ENVIRONMENT,
        bootstrap="kafka.example:9093",
        shards=16,
        registrar_spki=REGISTRAR.spki,
        directory_version=3,
    )


def _reply_note(reply: Reply, by: Pen = REGISTRAR) -> bytes:
    return by.note(unsigned_reply(reply, by))


def _read(text: str, *, pinned: bytes | None = None) -> Reply | Refusal:
    return read_reply(text, request_digest=hashlib.sha256(_request_note()).digest(), agency=SG, tls_spki=TLS_SPKI, registrar_spki=pinned)


def _reason(found: object, code: str) -> str:
    assert isinstance(found, Refusal)
    assert found.code == code
    return found.reason


def test_a_request_says_what_went_in() -> None:
    """What an agency asks for reads back whole, with the fingerprint it reads out over the phone."""
    request = _request()
    assert (request.agency, request.kind, request.country, request.created_at_ms) == (SG, "customs", "SG", NOW)
    assert (request.master_spki, request.key.spki, request.tls_spki) == (MASTER.spki, MESSAGE.spki, TLS_SPKI)
    assert request.digest == hashlib.sha256(_request_note()).digest()
    assert fingerprint(request) == fingerprint_of(MASTER.spki)


@given(st.data())
def test_any_altered_byte_of_a_request_is_seen(data: st.DataObject) -> None:
    """Wherever a bit of the signed note is turned over, the request is refused."""
    note = bytearray(_request_note())
    at, bit = data.draw(st.integers(0, len(note) - 1)), data.draw(st.integers(0, 7))
    note[at] ^= 1 << bit
    assert _reason(read_request(request_text(SG, bytes(note))), "BAD_REQUEST")


@given(st.data())
def test_any_altered_byte_of_a_reply_is_seen(data: st.DataObject) -> None:
    """Wherever a bit of the signed note is turned over, the reply is refused."""
    note = bytearray(_reply_note(_reply()))
    at, bit = data.draw(st.integers(0, len(note) - 1)), data.draw(st.integers(0, 7))
    note[at] ^= 1 << bit
    assert _reason(_read(reply_text(SG, bytes(note))), "BAD_REPLY")


@pytest.mark.parametrize("agency", ["sg customs", "SG-СUSTOMS", "..", "../SG-CUSTOMS", "SG-CUSTOMS/x", "", "sg-customs", "SG-CUSTOMS\n"])
def test_bad_ids(agency: str) -> None:
    """An id that breaks the rule is refused on the outside of a file, inside it, and by the builder."""
    assert "agency" in _reason(read_request(request_text(agency, _request_note())), "BAD_REQUEST")
    assert "agency" in _reason(read_request(request_text(SG, _altered_request("agency", agency))), "BAD_REQUEST")
    assert "agency" in _reason(reply_agency(reply_text(agency, b"x")), "BAD_REPLY")
    with pytest.raises(ids.InvalidId):
        unsigned_request(agency, "customs", master_spki=b"", statement=b"", tls_csr="", created_at_ms=0, by=MASTER)


def _altered_request(name: str, value: Json, by: Pen = MASTER) -> bytes:
    """A request with one field replaced, signed again: what a dishonest agency could send."""
    unsigned = unsigned_request(
        SG, "customs", master_spki=MASTER.spki, statement=MASTER.statement(message_key(SG, MESSAGE)),
        tls_csr=signing_request(TLS, SG), created_at_ms=NOW, by=MASTER,
    )  # fmt: skip
    values: dict[str, object] = {**read_object(unsigned.payload), name: value}
    return by.note(Unsigned.of(canonical_json(values), REQUEST_TYPE, by, cose.context("", "")))  # type: ignore[arg-type]


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("agency", "DE-BAFA", "name different agencies"),
        ("kind", "army", "not a kind"),
        ("country", "DE", "country"),
        ("created_at", -1, "created_at"),
        ("master_spki", Pen("thief").spki.hex(), "not with the agency's master key"),
        ("master_spki", "00", "the agency's master key"),
        ("message_key", "", "message_key"),
        ("message_key", "AA=A", "message_key"),
        ("message_key", _base64(Pen("thief").statement(message_key(SG, MESSAGE))), "not with the agency's master key"),
        ("message_key", _base64(MASTER.statement(message_key("DE-BAFA", MESSAGE))), "stated for `DE-BAFA`"),
        ("message_key", _base64(MASTER.statement(message_key(SG, MASTER))), "another than the master key"),
        ("tls_csr", "", "cannot be read"),
        ("tls_csr", signing_request(TLS, "DE-BAFA"), "not for `SG-CUSTOMS` alone"),
        ("extra", 1, "extra"),
    ],
)  # fmt: skip
def test_a_request_that_contradicts_itself(name: str, value: Json, rule: str) -> None:
    """Rightly signed by its own key, a request is refused with the rule it breaks."""
    assert rule in _reason(read_request(request_text(SG, _altered_request(name, value))), "BAD_REQUEST")


def test_a_revoked_key_cannot_be_asked_for() -> None:
    """A request brings a key to use, not one to revoke."""
    revoked = replace(message_key(SG, MESSAGE), status="revoked", compromised_since_ms=NOW)
    note = _altered_request("message_key", _base64(MASTER.statement(revoked)))
    assert "must be active" in _reason(read_request(request_text(SG, note)), "BAD_REQUEST")


def test_a_request_renamed_outside() -> None:
    """The readable name outside the signed part counts for nothing."""
    assert "name different agencies" in _reason(read_request(request_text("SG-CUSTOM", _request_note())), "BAD_REQUEST")


def test_files_that_are_something_else() -> None:
    """A reply is no request, a directory entry is neither, and junk is told from both without an exception."""
    other = MASTER.note(Unsigned.of(key_payload(message_key(SG, MESSAGE)), "application/x", MASTER, cose.context("", "")))
    assert "no request" in _reason(read_request(request_text(SG, other)), "BAD_REQUEST")
    assert "no reply" in _reason(_read(reply_text(SG, other)), "BAD_REPLY")
    assert "`type`" in _reason(read_request(reply_text(SG, _reply_note(_reply()))), "BAD_REQUEST")
    whole = json.loads(request_text(SG, _request_note()))
    for text in ("", "{}", "[]", "nul", "{" * 9000, json.dumps({**whole, "note": 1}), json.dumps({**whole, "x": 1}), "x" * 70_000):
        assert _reason(read_request(text), "BAD_REQUEST")
        assert _reason(_read(text), "BAD_REPLY")
    assert _reason(read_request(json.dumps({**whole, "note": whole["note"] + "="})), "BAD_REQUEST")
    assert isinstance(read_request(json.dumps(whole, indent=4)), Request)


def test_a_reply_says_what_went_in() -> None:
    """The reply to this very request reads back whole, with or without knowing the registrar before."""
    text = reply_text(SG, _reply_note(_reply()))
    assert reply_agency(text) == SG
    assert _read(text) == _reply()
    assert _read(text, pinned=REGISTRAR.spki) == _reply()
    assert reply_fingerprint(_reply()) == fingerprint_of(REGISTRAR.spki)


def test_replies_for_others() -> None:
    """A reply to another agency, another request, or with a certificate that is not for this agency's key is refused."""
    days = Validity.days(NOW, 10)
    foreign = _authority("imposter").agency(TLS_SPKI, SG, 1, serial=2, validity=days)
    thief = _authority().agency(spki_of(tls_key("thief").public_key()), SG, 1, serial=2, validity=days)
    cases: list[tuple[Reply, str]] = [
        (replace(_reply(), agency="DE-BAFA"), "not for `SG-CUSTOMS`"),
        (replace(_reply(), request_digest=bytes(32)), "another request"),
        (replace(_reply(), generation=2), "does not name `SG-CUSTOMS#2`"),
        (replace(_reply(), certificate_pem=foreign), "not issued by"),
        (replace(_reply(), certificate_pem=thief), "not this agency's TLS key"),
        (replace(_reply(), certificate_pem=_reply().ca_pem), "not this agency's TLS key"),
        (replace(_reply(), ca_pem=_reply().certificate_pem), "no certificate authority"),
        (replace(_reply(), shards=0), "shards"),
        (replace(_reply(), environment="prod"), "environment"),
        (replace(_reply(), exchange_id="EX"), "exchange_id"),
        (replace(_reply(), registrar_spki=b"x"), "registrar's key"),
        (replace(_reply(), directory_version=-1), "directory_version"),
    ]
    for reply, rule in cases:
        assert rule in _reason(_read(reply_text(SG, _reply_note(reply))), "BAD_REPLY")
    assert "not for `SG-CUSTOMS`" in _reason(_read(reply_text("DE-BAFA", _reply_note(_reply()))), "BAD_REPLY")


def test_wrong_registrar() -> None:
    """A reply signed by anyone but the registrar it names, or by another than the one known, is refused."""
    thief = Pen("thief")
    assert "not with the registrar's key" in _reason(_read(reply_text(SG, _reply_note(_reply(), thief))), "BAD_REPLY")
    own = replace(_reply(), registrar_spki=thief.spki)
    text = reply_text(SG, _reply_note(own, thief))
    assert "another registrar" in _reason(_read(text, pinned=REGISTRAR.spki), "BAD_REPLY")


def test_a_reply_is_bound_to_its_exchange() -> None:
    """A signature made in another context does not carry a reply."""
    unsigned = unsigned_reply(_reply(), REGISTRAR)
    moved = Unsigned.of(unsigned.payload, REPLY_TYPE, REGISTRAR, cose.context(EXCHANGE, "production"))
    assert "does not fit" in _reason(_read(reply_text(SG, REGISTRAR.note(moved))), "BAD_REPLY")
