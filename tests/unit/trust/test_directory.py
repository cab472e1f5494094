"""The directory: two signatures for a key, nothing goes back, nothing is believed that the pinned registrar did not sign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.envelope import cbor, cose, note
from broker.errors import UsageError
from broker.trust.canonical import Json, canonical_json, read_object
from broker.trust.directory import AgencyEntry, Directory, Unsigned, agency_payload, directory_key, key_payload
from broker.trust.entries import AGENCY_TYPE, EXCHANGE_TYPE, KEY_TYPE, exchange_payload
from tests.unit.trust.actors import (
    ENVIRONMENT,
    EXCHANGE,
    NOW,
    Pen,
    Registrar,
    agency,
    empty,
    message_key,
    refusal,
    replay,
)

SG, DE = "SG-CUSTOMS", "DE-BAFA"
MASTER, MESSAGE = Pen("sg-master"), Pen("sg-message")
AAD = cose.context(EXCHANGE, ENVIRONMENT)


def test_a_whole_exchange() -> None:
    """Exchange, agency and key entries give look-ups by name, and the version of the last one."""
    registrar, relay = Registrar(), Pen("relay")
    directory = replay(
        empty(registrar),
        registrar.exchange(relay),
        registrar.agency(agency(SG, MASTER)),
        registrar.key(MASTER.statement(message_key(SG, MESSAGE))),
    )
    assert directory.version == 3
    assert directory.exchange is not None
    assert directory.exchange.shards == 4
    found = directory.message_key(MESSAGE.kid)
    assert found is not None
    entry, key = found
    assert (entry.agency, entry.version, entry.alg) == (SG, 3, -19)
    assert key.verify(MESSAGE.sign(b"x"), b"x")
    relay_key = directory.relay_key(relay.kid)
    assert relay_key is not None
    assert relay_key.spki == relay.spki
    member = directory.agency(SG)
    assert member is not None
    assert (member.country, member.communities) == ("SG", ("STCE-ASEAN",))
    assert directory.keys_of(SG) == (entry,)
    assert (directory.keys_of(DE), directory.message_key(relay.kid), directory.relay_key(MESSAGE.kid)) == ((), None, None)


def test_p256_keys() -> None:
    """An agency bound to a hardware token has P-256 keys, master and message both."""
    registrar, master, message = Registrar(), Pen("hsm-master", p256=True), Pen("hsm-message", p256=True)
    directory = replay(empty(registrar), registrar.agency(agency(SG, master)), registrar.key(master.statement(message_key(SG, message))))
    found = directory.message_key(message.kid)
    assert found is not None
    assert found[0].alg == -9


def test_record_keys() -> None:
    """Compaction keeps one record per agency, per key, and one of the exchange."""
    assert directory_key(agency(SG, MASTER)) == b"agency/SG-CUSTOMS"
    assert directory_key(message_key(SG, MESSAGE)) == b"key/SG-CUSTOMS/" + MESSAGE.kid.hex().encode()


def test_wrong_registrar_environment_or_exchange() -> None:
    """Records of another registrar, or the same one's for another environment or exchange, are refused."""
    record = Registrar().agency(agency(SG, MASTER))
    assert "not with the registrar's key" in refusal(empty(Registrar("other")), record)
    pin = Registrar().pen.spki
    assert "does not fit" in refusal(Directory.trusting(pin, EXCHANGE, "production"), record)
    assert "does not fit" in refusal(Directory.trusting(pin, "other.exchange", ENVIRONMENT), record)


def test_pins_are_checked() -> None:
    """A reader cannot start with a key, exchange or environment that makes no sense."""
    pin = Registrar().pen.spki
    for spki, exchange, environment in [(b"x", EXCHANGE, "test"), (pin, "EX CHANGE", "test"), (pin, EXCHANGE, "prod")]:
        with pytest.raises(UsageError):
            Directory.trusting(spki, exchange, environment)


def test_one_signature_is_not_enough_for_a_key() -> None:
    """Neither the registrar alone, nor the agency alone, nor another agency's master can put a key into the directory."""
    registrar, thief = Registrar(), Pen("thief")
    directory = replay(empty(registrar), registrar.agency(agency(SG, MASTER)), registrar.agency(agency(DE, thief)))
    entry = message_key(SG, Pen("wanted"))
    assert "agency's master key" in refusal(directory, registrar.key(registrar.pen.statement(entry)))
    assert "agency's master key" in refusal(directory, registrar.key(thief.statement(entry)))
    alone = Unsigned.of(cbor.encode([MASTER.statement(entry), 9]), KEY_TYPE, MASTER, AAD)
    assert "registrar's key" in refusal(directory, MASTER.note(alone))
    assert "58 42 02" in refusal(directory, MASTER.statement(entry))


def test_a_relabelled_signature_is_refused() -> None:
    """The thief's signature under the master's key id, or under another algorithm, does not pass."""
    registrar, thief = Registrar(), Pen("thief")
    directory = replay(empty(registrar), registrar.agency(agency(SG, MASTER)))
    unsigned = Unsigned.of(
        key_payload(message_key(SG, MESSAGE)), "application/vnd.broker.directory.key+json;v=1", MASTER, cose.context("", "")
    )
    assert "does not fit" in refusal(directory, registrar.key(unsigned.nested(thief.sign(unsigned.to_be_signed))))
    header = cose.protected_header(cose.P256, registrar.pen.kid, AGENCY_TYPE)
    record = note.note_bytes(header, agency_payload(agency(DE, thief)), bytes(64))
    assert "names algorithm -9" in refusal(directory, record)


def test_statements_do_not_change_their_kind() -> None:
    """What one kind of entry says is no entry of another kind, and a key statement has its own content type."""
    registrar = Registrar()
    directory = replay(empty(registrar), registrar.agency(agency(SG, MASTER)))

    def signed(payload: bytes, content_type: str) -> bytes:
        return registrar.pen.note(Unsigned.of(payload, content_type, registrar.pen, AAD))

    payload = agency_payload(agency(DE, MASTER))
    assert "is missing" in refusal(directory, signed(payload, EXCHANGE_TYPE))
    assert "key entry" in refusal(directory, signed(payload, KEY_TYPE))
    assert "no directory entry" in refusal(directory, signed(payload, "application/vnd.broker.receipt+avro;v=1"))
    odd = Unsigned.of(key_payload(message_key(SG, MESSAGE)), AGENCY_TYPE, MASTER, cose.context("", ""))
    assert "not a key statement" in refusal(directory, registrar.key(odd.nested(MASTER.sign(odd.to_be_signed))))
    for item in ([b"x"], [b"x", 0], [b"x", -1], ["x", 1], [b"x", 1, 1], b"x"):
        assert refusal(directory, signed(cbor.encode(item), KEY_TYPE))  # type: ignore[arg-type]


def test_older_records_change_nothing() -> None:
    """A replayed older record leaves the newer state, a repeated one too; the very same directory comes back."""
    registrar = Registrar()
    active = registrar.agency(agency(SG, MASTER))
    suspended = registrar.agency(replace(agency(SG, MASTER), status="suspended", reason="keys lost"))
    directory = replay(empty(registrar), active, suspended)
    assert directory.applied(active) is directory
    assert directory.applied(suspended) is directory
    member = directory.agency(SG)
    assert member is not None
    assert (member.status, member.version, directory.version) == ("suspended", 2, 2)


def test_two_contents_under_one_version() -> None:
    """A registrar that contradicts itself is caught."""
    registrar = Registrar()
    directory = replay(empty(registrar), registrar.agency(agency(SG, MASTER), version=5), registrar.exchange(Pen("r"), version=6))
    other = registrar.agency(replace(agency(SG, MASTER), reason="?"), version=5)
    assert "two different entries `agency/SG-CUSTOMS` of version 5" in refusal(directory, other)
    assert "two different entries `exchange` of version 6" in refusal(directory, registrar.exchange(Pen("s"), version=6))


def test_master_key_and_generation_never_go_elsewhere() -> None:
    """The registrar alone cannot give an agency another master key, nor bring back an old certificate generation."""
    registrar = Registrar()
    directory = replay(empty(registrar), registrar.agency(replace(agency(SG, MASTER), generation=2)))
    assert "never changes" in refusal(directory, registrar.agency(replace(agency(SG, Pen("thief")), generation=3)))
    assert "goes back from 2 to 1" in refusal(directory, registrar.agency(agency(SG, MASTER)))


def test_revoked_stays_revoked() -> None:
    """After a revocation no entry brings the key back, even with a new version; its earlier messages stay good."""
    registrar = Registrar()
    active = message_key(SG, MESSAGE)
    revoked = replace(active, status="revoked", compromised_since_ms=NOW + 1000, issued_at_ms=NOW + 5000)
    directory = replay(
        empty(registrar),
        registrar.agency(agency(SG, MASTER)),
        registrar.key(MASTER.statement(active)),
        registrar.key(MASTER.statement(revoked)),
    )
    found = directory.message_key(MESSAGE.kid)
    assert found is not None
    entry = found[0]
    assert [entry.usable(NOW + at) for at in (-1, 0, 999, 1000, 9000)] == [False, True, True, False, False]
    again = replace(active, issued_at_ms=NOW + 9000)
    assert "stays so" in refusal(directory, registrar.key(MASTER.statement(again)))
    assert "stays so" in refusal(directory, registrar.key(MASTER.statement(active)))


def test_an_old_statement_under_a_new_version() -> None:
    """The registrar cannot give an agency's earlier statement a new number to undo a later one."""
    registrar = Registrar()
    long, short = message_key(SG, MESSAGE), replace(message_key(SG, MESSAGE), valid_until_ms=NOW + 10, issued_at_ms=NOW + 5)
    directory = replay(
        empty(registrar),
        registrar.agency(agency(SG, MASTER)),
        registrar.key(MASTER.statement(long)),
        registrar.key(MASTER.statement(short)),
    )
    assert "older than the one known" in refusal(directory, registrar.key(MASTER.statement(long)))
    found = directory.message_key(MESSAGE.kid)
    assert found is not None
    assert [found[0].usable(NOW + at) for at in (9, 10)] == [True, False]


def test_a_key_belongs_to_one_agency() -> None:
    """No agency can claim the public key of another as its own."""
    registrar, thief = Registrar(), Pen("de-master")
    directory = replay(
        empty(registrar),
        registrar.agency(agency(SG, MASTER)),
        registrar.agency(agency(DE, thief)),
        registrar.key(MASTER.statement(message_key(SG, MESSAGE))),
    )
    assert "belongs to `SG-CUSTOMS`" in refusal(directory, registrar.key(thief.statement(message_key(DE, MESSAGE))))


def test_keys_wait_for_their_agency() -> None:
    """On a compacted topic an agency's last entry may come after its keys': they are unusable until then, and not lost."""
    registrar = Registrar()
    first = registrar.agency(agency(SG, MASTER))
    key = registrar.key(MASTER.statement(message_key(SG, MESSAGE)))
    last = registrar.agency(replace(agency(SG, MASTER), status="suspended", reason="audit"))
    waiting = replay(empty(registrar), key)
    assert waiting.message_key(MESSAGE.kid) is None
    assert (len(waiting.waiting), waiting.version) == (1, 2)
    assert waiting.applied(key) is waiting
    compacted, whole = replay(waiting, last), replay(empty(registrar), first, key, last)
    assert compacted == whole
    assert compacted.message_key(MESSAGE.kid) is not None
    assert not compacted.waiting


def test_a_forged_key_does_not_become_usable_by_waiting() -> None:
    """A key that its agency did not sign stays among those waiting when the agency's entry comes."""
    registrar = Registrar()
    forged = registrar.key(Pen("thief").statement(message_key(SG, MESSAGE)))
    directory = replay(empty(registrar), forged, registrar.agency(agency(SG, MASTER)))
    assert directory.message_key(MESSAGE.kid) is None
    assert list(directory.waiting) == [(SG, MESSAGE.kid)]


def test_the_exchange_is_itself() -> None:
    """Another registrar's key, exchange, environment or count of shards in a rightly signed entry is refused; relays may change."""
    registrar = Registrar()
    directory = replay(empty(registrar), registrar.exchange(Pen("relay")))
    assert "shards for its life" in refusal(directory, registrar.exchange(Pen("relay"), shards=8))
    assert directory.exchange is not None
    for change in ({"exchange_id": "other"}, {"environment": "production"}, {"registrar_spki": Pen("x").spki}):
        payload = exchange_payload(replace(directory.exchange, version=9, **change))
        record = registrar.pen.note(Unsigned.of(payload, EXCHANGE_TYPE, registrar.pen, AAD))
        assert "of another exchange" in refusal(directory, record)
    later = replay(directory, registrar.exchange(Pen("relay-2"), version=10))
    assert later.relay_key(Pen("relay").kid) is None
    assert later.relay_key(Pen("relay-2").kid) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agency", "sg customs"), ("agency", "SG-СUSTOMS"), ("agency", "../SG-CUSTOMS"), ("agency", "SG-CUSTOMS\n"), ("agency", None),
        ("kind", "army"), ("country", "DE"), ("communities", ["B1", "A1"]), ("communities", ["stce"]), ("communities", "STCE"),
        ("status", "gone"), ("generation", 0), ("generation", True), ("master_spki", "00"), ("master_spki", MASTER.spki.hex().upper()),
        ("version", 0), ("since_ms", -1), ("since_ms", 2**53), ("reason", "a\u202eb"), ("reason", "x" * 501), ("type", "key"), ("more", 1),
    ],
)  # fmt: skip
def test_bad_agency_fields(name: str, value: Json) -> None:
    """Every field is checked by its rule although the registrar signed it, and the reason names it."""
    registrar = Registrar()
    values = {**read_object(agency_payload(agency(SG, MASTER))), name: value}
    record = registrar.pen.note(Unsigned.of(canonical_json(values), AGENCY_TYPE, registrar.pen, AAD))  # type: ignore[arg-type]
    assert name.split("_", maxsplit=1)[0] in refusal(empty(registrar), record)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agency", "sg customs"), ("purpose", "sealing"), ("alg", -9), ("kid", "00" * 16), ("spki", "00"),
        ("spki", Pen("other").spki.hex()),
        ("status", "lost"), ("status", "revoked"), ("compromised_since_ms", NOW), ("valid_until_ms", NOW), ("valid_from_ms", None),
        ("issued_at_ms", "0"), ("type", "agency"), ("version", 4),
    ],
)  # fmt: skip
def test_bad_key_fields(name: str, value: Json) -> None:
    """The same for a key's fields, although the agency signed them."""
    registrar = Registrar()
    directory = replay(empty(registrar), registrar.agency(agency(SG, MASTER)))
    values = {**read_object(key_payload(message_key(SG, MESSAGE))), name: value}
    content_type = "application/vnd.broker.directory.key+json;v=1"
    unsigned = Unsigned.of(canonical_json(values), content_type, MASTER, cose.context("", ""))  # type: ignore[arg-type]
    assert refusal(directory, registrar.key(unsigned.nested(MASTER.sign(unsigned.to_be_signed))))


def test_a_future_compromise_is_refused() -> None:
    """A revocation cannot be set for later: a revoked key never signs again."""
    later = replace(message_key(SG, MESSAGE), status="revoked", compromised_since_ms=NOW + 1)
    with pytest.raises(UsageError, match="not after the statement"):
        key_payload(later)


def test_what_readers_would_refuse_is_not_offered_for_signing() -> None:
    """A wrong entry is the caller's mistake before it is anybody's signature."""
    wrong: list[AgencyEntry] = [
        replace(agency(SG, MASTER), kind="army"),
        replace(agency(SG, MASTER), country="DE"),
        replace(agency(SG, MASTER), reason="\ud800"),
        replace(agency(SG, MASTER), master_spki=b"x"),
    ]
    for entry in wrong:
        with pytest.raises(UsageError):
            agency_payload(entry)


def test_oversize_and_junk_records() -> None:
    """A record too long or no note at all is refused in words."""
    directory = empty(Registrar())
    assert "bytes" in refusal(directory, b"XB\x02" + bytes(70_000))
    for junk in (b"", b"XB\x01", b"XB\x02", b"XB\x02\xd2", b"\x00" * 100, b"XB\x02" + b"\x84" * 50):
        assert refusal(directory, junk)
