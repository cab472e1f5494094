"""A recipient trusts nobody on the way: whatever is altered between the relay's decision and the agency is noticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from broker.envelope import cose, receipt
from broker.envelope.note import note_bytes, read_note
from broker.envelope.parcel import SLIP, parcel_bytes
from broker.envelope.slip import Slip
from broker.errors import Refusal
from broker.exchange.receive import (
    ChainGap,
    Opened,
    Received,
    accept,
    follow_chain,
    is_receipt,
    open_delivery,
    read_receipt,
    receive,
    subject_of,
)
from tests.support.parcels import catalogue, key, parcel, put, sign1, slip_item
from tests.unit.exchange.bench import NOW, RELAY, Bench, Written


class Post:
    """A bench with one message delivered to MY-CUSTOMS and, with fewer sections, to AE-CUSTOMS."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.author = self.bench.author()
        self.sent = self.author.write(self.bench.alert(1), now_ms=NOW)
        self.written: Written = self.bench.feed(self.sent.value)

    def value(self, agency: str = "MY-CUSTOMS") -> bytes:
        return self.written.inbox(agency)[0].value or b""

    def slip(self, agency: str = "MY-CUSTOMS") -> Slip:
        received = receive(self.value(agency), self.bench.rules, recipient=agency)
        assert isinstance(received, Received)
        return received.slip

    def refused(self, value: bytes, agency: str = "MY-CUSTOMS") -> Refusal:
        found = receive(value, self.bench.rules, recipient=agency)
        assert isinstance(found, Refusal), found
        return found

    def with_slip(self, by: Any = RELAY, **changes: Any) -> bytes:
        """The delivery with a slip of other content, or of another signer."""
        return put(parcel(self.value()), extras=slip_item(replace(self.slip(), **changes), by, self.bench.rules.aad))

    def carrying(self, agency: str = "MY-CUSTOMS", **sections: bytes | None) -> bytes:
        """The delivery with sections exchanged, added, or stripped (None)."""
        held = parcel(self.value(agency))
        changed: Mapping[str, bytes | None] = {**held.sections, **sections}
        return put(held, sections={name: carried for name, carried in changed.items() if carried is not None})


def test_good_delivery_is_received() -> None:
    """What the relay delivers verifies, is decoded, and says by which rule each section was withheld."""
    post = Post()
    received = receive(post.value("AE-CUSTOMS"), post.bench.rules, recipient="AE-CUSTOMS")
    assert isinstance(received, Received)
    assert received.leaf == post.sent.leaf
    assert received.header == post.sent.header
    assert received.sections["equipment"]["units"][0]["id"] == "CSQU3054383"
    assert received.withheld == {"parties": "default-deny"}
    assert (received.slip.counter, received.slip.prev, received.slip.admitted_at) == (1, None, NOW)


def test_outbox_record_is_no_delivery() -> None:
    """A message as its originator sent it, put straight into an inbox, lacks the slip."""
    post = Post()
    assert post.refused(post.sent.value).code == "BAD_SLIP"


def test_stripped_slip() -> None:
    """Without its slip a delivery is refused, also where other extras are there."""
    post = Post()
    assert post.refused(put(parcel(post.value()), extras={})).code == "BAD_SLIP"
    assert post.refused(put(parcel(post.value()), extras={2: b"x"})).code == "BAD_SLIP"


def test_altered_slip() -> None:
    """No byte of a slip can be changed."""
    post = Post()
    held = parcel(post.value())
    carried = held.extras[SLIP]
    for at in range(0, len(carried), 7):
        altered = bytearray(carried)
        altered[at] ^= 0x10
        assert post.refused(put(held, extras={SLIP: bytes(altered)})).code in ("BAD_SLIP", "BAD_CBOR", "NOT_CANONICAL")


def test_slip_of_another_recipient() -> None:
    """A delivery carried into another agency's inbox is refused there."""
    post = Post()
    assert post.refused(post.value("AE-CUSTOMS"), "MY-CUSTOMS").code == "NOT_FOR_ME"
    assert post.refused(post.with_slip(recipient="AE-CUSTOMS")).code == "NOT_FOR_ME"


def test_slip_of_another_parcel() -> None:
    """A genuine slip of one message does not fit another, though both are for the same recipient."""
    post = Post()
    second = post.author.write(post.bench.alert(2), now_ms=NOW)
    other = post.bench.feed(second.value).inbox("MY-CUSTOMS")[0].value or b""
    swapped = put(parcel(other), extras=parcel(post.value()).extras)
    assert post.refused(swapped).code == "NOT_FOR_ME"


@pytest.mark.parametrize("changes", [{"exchange_id": "other.exchange"}, {"environment": "production"}])
def test_slip_of_another_exchange(changes: dict[str, str]) -> None:
    """A slip names its exchange and environment, and both must be ours."""
    assert Post().refused(Post().with_slip(**changes)).code == "NOT_FOR_ME"


def test_slip_signed_by_somebody_else() -> None:
    """Only a relay's key of this exchange signs slips: not an agency's, not the registrar's, not an unknown one."""
    post = Post()
    for by in (key("SG-CUSTOMS"), key("MY-CUSTOMS"), key("registrar"), key("nobody")):
        assert post.refused(post.with_slip(by)).code == "BAD_SLIP"


def test_slip_signed_in_another_context() -> None:
    """The relay's own signature counts only for this exchange and environment."""
    post = Post()
    foreign = slip_item(post.slip(), RELAY, cose.context("bench.test", "exercise"))
    assert post.refused(put(parcel(post.value()), extras=foreign)).code == "BAD_SLIP"


def test_opening_a_delivery_believes_nothing() -> None:
    """A reader may look into a slip to learn how new its directory must be; only accepting the delivery checks who signed it."""
    post = Post()
    forged = post.with_slip(key("nobody"), policy_version=7)
    opened = open_delivery(forged, post.bench.rules)
    assert isinstance(opened, Opened)
    assert opened.slip.policy_version == 7
    refused = accept(opened, post.bench.rules, recipient="MY-CUSTOMS")
    assert isinstance(refused, Refusal)
    assert refused.code == "BAD_SLIP"


def test_receipt_is_no_slip() -> None:
    """Something else that the relay signed does not pass for a slip: the content type is part of what is signed."""
    post = Post()
    found = read_note(post.written.notes[0], 1 << 20)
    assert not isinstance(found, Refusal)
    extras = {SLIP: cose.sign1_bytes(found.protected, found.payload, found.signature)}
    assert post.refused(put(parcel(post.value()), extras=extras)).code == "BAD_SLIP"


def test_stripped_section() -> None:
    """A section that the slip gives and that is gone was stripped on the way: that is not "withheld by policy"."""
    post = Post()
    refusal = post.refused(post.carrying(parties=None))
    assert (refusal.code, refusal.path) == ("BAD_SLIP", "parties")


def test_section_given_back() -> None:
    """A section that policy withheld is not accepted when somebody puts it back, although its bytes are the originator's."""
    post = Post()
    refusal = post.refused(post.carrying("AE-CUSTOMS", parties=post.sent.sections["parties"]), "AE-CUSTOMS")
    assert (refusal.code, refusal.path) == ("BAD_SLIP", "parties")
    refusal = post.refused(post.carrying(audience=post.sent.sections["audience"]))
    assert (refusal.code, refusal.path) == ("BAD_SLIP", "audience")


def test_altered_and_swapped_section() -> None:
    """Sections are the originator's byte for byte, each under its own name."""
    post = Post()
    goods, route = post.sent.sections["goods"], post.sent.sections["route"]
    assert post.refused(post.carrying(goods=goods[:-1] + b"\x01")).code == "COMMITMENT_MISMATCH"
    assert post.refused(post.carrying(goods=route, route=goods)).code == "COMMITMENT_MISMATCH"


def test_section_of_another_message() -> None:
    """The same section of another message of the same originator does not fit, even with equal content: salts differ."""
    post = Post()
    other = post.author.write(post.bench.alert(2), now_ms=NOW)
    assert post.refused(post.carrying(goods=other.sections["goods"])).code == "COMMITMENT_MISMATCH"


@pytest.mark.parametrize(
    "given",
    [
        (("audience", "a-rule"), ("core", "a-rule")),
        (("core", "a-rule"),),
        (("core", "a-rule"), ("weather", "a-rule")),
    ],
)
def test_slip_accounts_for_each_section(given: tuple[tuple[str, str], ...]) -> None:
    """Given and withheld are together all sections of the message, the audience in neither; otherwise the relay misbehaves."""
    post = Post()
    names = {name for name, _ in given}
    sections = {name: carried for name, carried in post.sent.sections.items() if name in names}
    extras = slip_item(replace(post.slip(), given=given, withheld=()), RELAY, post.bench.rules.aad)
    assert post.refused(put(parcel(post.value()), sections=sections, extras=extras)).code == "BAD_SLIP"


def test_statement_of_somebody_else_under_a_good_slip() -> None:
    """The operator cannot put words into an agency's mouth: a statement signed by another key fails before the slip is believed."""
    post = Post()
    forged = post.bench.author("MY-CUSTOMS").write(post.bench.alert(1, owner="MY-CUSTOMS"), now_ms=NOW, originator="SG-CUSTOMS")
    extras = slip_item(replace(post.slip(), leaf=forged.leaf), RELAY, post.bench.rules.aad)
    assert post.refused(parcel_bytes(forged.statement, parcel(post.value()).sections, extras)).code == "KEY_OF_ANOTHER_AGENCY"


def test_key_is_judged_by_the_time_of_admission() -> None:
    """What was admitted before the originator's key was compromised stays good for ever; the slip's time decides, and what was
    admitted later is refused."""
    post = Post()
    post.bench.desk.revoke("SG-CUSTOMS", since_ms=NOW + 1, at_ms=NOW + 2)
    assert isinstance(receive(post.value(), post.bench.rules, recipient="MY-CUSTOMS"), Received)
    assert post.refused(post.with_slip(admitted_at=NOW + 1)).code == "KEY_NOT_VALID"


def test_chain_shows_what_was_dropped() -> None:
    """Each delivery of a shard into an inbox counts on and names the one before it: a missing one, a swapped order and a forked
    chain are gaps; the first of a chain has nothing before it."""
    post = Post()
    more = [post.author.write(post.bench.alert(number), now_ms=NOW).value for number in (2, 3)]
    later = post.bench.feed(*more).inbox("MY-CUSTOMS")
    slips = [post.slip()]
    for record in later:
        received = receive(record.value or b"", post.bench.rules, recipient="MY-CUSTOMS")
        assert isinstance(received, Received)
        slips.append(received.slip)
    assert [slip.counter for slip in slips] == [1, 2, 3]
    assert follow_chain(None, slips[0]) is None
    assert follow_chain((1, slips[0].leaf), slips[1]) is None
    assert follow_chain((1, slips[0].leaf), slips[2]) == ChainGap(0, 2, 3)
    assert follow_chain((2, slips[1].leaf), slips[1]) == ChainGap(0, 3, 2)
    assert follow_chain(None, slips[1]) == ChainGap(0, 1, 2)
    assert follow_chain((1, bytes(32)), slips[1]) == ChainGap(0, 2, 2)


def test_garbage_is_refused_not_raised() -> None:
    """Any bytes in an inbox end in a refusal."""
    post = Post()
    value = post.value()
    for wrong in (b"", b"XB\x01", b"\xff" * 99, value[:-1], value + b"\x00", post.written.notes[0], bytes(2 << 20)):
        assert post.refused(wrong).code in ("NOT_A_PARCEL", "BAD_CBOR", "TOO_LARGE")
    assert post.refused(put(parcel(value), extras={SLIP: b"\xff"})).code in ("BAD_SLIP", "BAD_CBOR")
    payload = sign1(b"\xff\xff", "application/vnd.broker.slip+avro;v=1", RELAY, post.bench.rules.aad)
    extras = {SLIP: cose.sign1_bytes(payload.protected, payload.payload, payload.signature)}
    assert post.refused(put(parcel(value), extras=extras)).code == "BAD_SLIP"


def forged_receipt(
    post: Post,
    by: Any,
    *,
    aad: bytes | None = None,
    content_type: str = receipt.CONTENT_TYPE,
    version: int = receipt.VERSION,
    **changes: Any,
) -> bytes:
    """The receipt of the message, with other content, another signer or in another version."""
    schema = catalogue().named("receipt", "receipt", version)
    assert schema is not None
    content = replace(post.written.receipts[0], **changes)
    signed = sign1(schema.codec.encode(receipt.receipt_record(content, version)), content_type, by, aad or post.bench.rules.aad)
    return note_bytes(signed.protected, signed.payload, signed.signature)


def test_receipt_verifies() -> None:
    """The relay's receipt verifies and names message, leaf and recipients."""
    post = Post()
    found = read_receipt(post.written.notes[0], post.bench.rules)
    assert isinstance(found, receipt.Receipt)
    assert (found.leaf, found.seq, found.outcome) == (post.sent.leaf, 1, "ACCEPTED")


def test_forged_receipts_are_refused() -> None:
    """Nobody but a relay of this exchange tells an originator what became of its message."""
    post = Post()
    rules = post.bench.rules
    for value in (
        forged_receipt(post, key("MY-CUSTOMS"), outcome="REFUSED"),
        forged_receipt(post, key("registrar")),
        forged_receipt(post, RELAY, aad=cose.context("bench.test", "production")),
        forged_receipt(post, RELAY, content_type="application/vnd.broker.slip+avro;v=1"),
        forged_receipt(post, RELAY, exchange_id="other.exchange"),
        forged_receipt(post, RELAY, environment="production"),
        post.written.notes[0][:-1],
        post.written.notes[0][:-1] + b"\x00",
        post.value(),
        b"",
    ):
        assert isinstance(read_receipt(value, rules), Refusal)
    assert not isinstance(read_receipt(forged_receipt(post, RELAY), rules), Refusal)


def test_receipts_of_both_versions_verify() -> None:
    """The content type names the version: one of version 1 is the same receipt without rules. Under the type of the other version, or of
    one that nobody knows yet, it is refused."""
    post = Post()
    rules, newest = post.bench.rules, post.written.receipts[0]
    assert read_receipt(forged_receipt(post, RELAY), rules) == newest
    assert newest.recipients
    assert all(each.rule and len(each.withheld_by) == len(each.withheld) for each in newest.recipients)
    older = read_receipt(forged_receipt(post, RELAY, content_type=receipt.CONTENT_TYPES[1], version=1), rules)
    bare = tuple(replace(each, rule=None, withheld_by=()) for each in newest.recipients)
    assert older == replace(newest, recipients=bare)
    for content_type, version in ((receipt.CONTENT_TYPES[1], 2), (receipt.CONTENT_TYPE, 1), ("application/vnd.broker.receipt+avro;v=3", 2)):
        refused = read_receipt(forged_receipt(post, RELAY, content_type=content_type, version=version), rules)
        assert isinstance(refused, Refusal)
        assert refused.code == "BAD_SLIP"


def test_inbox_keys() -> None:
    """Inbox records are told apart by their key, before anything is parsed."""
    assert is_receipt(b"r/SG-CUSTOMS/2026/1")
    assert not is_receipt(b"s/SG-CUSTOMS/2026/1")
    assert not is_receipt(None)
    assert subject_of(b"s/SG-CUSTOMS/2026/1") == "SG-CUSTOMS/2026/1"
    assert subject_of(None) is None
