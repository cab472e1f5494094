"""Admission at the relay: every bad record meets its own refusal and stops nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import REFUSALS
from broker.exchange.quarantine import KEPT_BYTES, read_quarantined
from broker.exchange.receive import Received, receive
from broker.exchange.rules import Rules
from broker.exchange.topology import KAFKA_LIMIT, MESSAGE_LIMIT, QUARANTINE
from broker.schema.catalogue import Catalogue
from tests.support.parcels import catalogue, committed, make
from tests.unit.exchange.bench import NOW, Bench, Written
from tests.unit.exchange.hostile import BAD, Bad
from tests.unit.families.samples import changed, good_licence, good_seizure


def delivered(bench: Bench, written: Written, agency: str = "MY-CUSTOMS") -> list[str]:
    """The subjects that a recipient takes out of a batch; every delivery must verify."""
    subjects: list[str] = []
    for record in written.inbox(agency):
        received = receive(record.value or b"", bench.rules, recipient=agency)
        assert isinstance(received, Received), received
        subjects.append(received.header.subject)
    return subjects


def check_refusal(bench: Bench, written: Written, value: bytes | None, code: str, path: str = "") -> None:
    """One quarantined record with the bytes as they came, and one signed negative receipt in the inbox of the outbox's owner."""
    (record,) = written.to(QUARANTINE)
    kept = read_quarantined(record.value or b"")
    whole = value or b""
    assert (kept.code, kept.step, kept.path) == (code, REFUSALS[code][0], path or kept.path)
    assert kept.value == whole[:KEPT_BYTES]
    assert (kept.size, kept.digest) == (len(whole), hashlib.sha256(whole).digest())
    assert record.key == kept.place.encode()
    assert len(record.value or b"") <= KAFKA_LIMIT
    (negative,) = [receipt for receipt in written.receipts if receipt.outcome == "REFUSED"]
    assert (negative.code, negative.step, negative.advice) == (code, *REFUSALS[code])
    assert (negative.originator, negative.digest) == ("SG-CUSTOMS", hashlib.sha256(whole).digest())
    assert negative.path == kept.path
    assert negative.source_offset == kept.offset
    assert negative.reason


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_bad_record_is_quarantined_answered_and_passed_over(bad: Bad) -> None:
    """A bad record lands in quarantine with its own code and its bytes, is answered by a signed negative receipt, and the good
    message behind it, in the same batch and the same stream, is delivered; the position moves over both."""
    bench = Bench()
    author = bench.author()
    value = bad.build(bench, author, bench.alert(1))
    good = author.write(bench.alert(2), now_ms=bench.now)

    written = bench.feed(value, good.value)

    check_refusal(bench, written, value, bad.code, bad.path)
    assert written.codes == [bad.code, ""]
    assert written.receipts[1].subject == "SG-CUSTOMS/2026/000002"
    assert delivered(bench, written) == ["SG-CUSTOMS/2026/000002"]
    assert bench.shard.position("out.SG-CUSTOMS") == 2
    assert bench.loaded() == bench.shard


@pytest.mark.parametrize("bad", [pytest.param(bad, id=name) for name, bad in BAD.items()])
def test_only_an_authentic_record_uses_up_its_number(bad: Bad) -> None:
    """Unproven bytes leave every stream alone; an authentic message uses up its number although it is refused, and the same
    bytes again get the very same receipt."""
    bench = Bench()
    author = bench.author()
    value = bad.build(bench, author, bench.alert(1))

    first = bench.feed(value)
    bench.crash()
    again = bench.feed(value)

    if bad.consumes:
        assert bench.shard.stream("SG-CUSTOMS", author.stream).last_seq == 1
        assert (again.tally.duplicates, again.quarantine) == (1, ())
        assert again.notes == first.notes
    else:
        assert bench.shard.streams == {}
        assert again.codes == [bad.code]


def test_cut_off_records_never_pass() -> None:
    """A message cut off after any number of bytes is refused in step 1, and never makes the relay stumble."""
    bench = Bench()
    value = bench.author().write(bench.alert(), now_ms=bench.now).value
    written = bench.feed(*(value[:length] for length in range(0, len(value), 37)))
    assert {receipt.step for receipt in written.receipts} == {1}
    assert written.tally.accepted == 0


def test_each_flipped_byte_is_noticed() -> None:
    """No byte of a message can be changed on the way: every altered copy is refused, whatever part it hits."""
    bench = Bench()
    made = bench.author().write(bench.alert(), now_ms=bench.now)
    for at in range(0, len(made.value), 11):
        altered = bytearray(made.value)
        altered[at] ^= 0x40
        one = Bench()
        assert one.feed(bytes(altered)).tally.accepted == 0, at
    assert bench.feed(made.value).tally.accepted == 1


def test_suspended_agency_is_refused_and_goes_on_after_it_is_reinstated() -> None:
    """What a suspended agency sends is refused as AGENCY_SUSPENDED, not decided by policy; its stream goes on where it stopped."""
    bench = Bench()
    author = bench.author()
    during = author.write(bench.alert(1), now_ms=bench.now)
    after = author.write(bench.alert(2), now_ms=bench.now)
    bench.desk.stand("SG-CUSTOMS", "suspended")
    bench.renew()
    check_refusal(bench, bench.feed(during.value), during.value, "AGENCY_SUSPENDED")
    bench.desk.stand("SG-CUSTOMS", "active")
    bench.renew()
    assert bench.feed(after.value).codes == [""]


def test_suspended_recipient_gets_nothing() -> None:
    """Deliveries to a suspended agency stop with the directory entry; others are not affected."""
    bench = Bench()
    author = bench.author()
    bench.desk.stand("MY-CUSTOMS", "suspended")
    bench.renew()
    written = bench.feed(author.write(bench.alert(1), now_ms=bench.now).value)
    assert written.inbox("MY-CUSTOMS") == []
    assert len(written.inbox("AE-CUSTOMS")) == 1


@pytest.mark.parametrize(("since", "code"), [(0, "KEY_NOT_VALID"), (-1, "KEY_NOT_VALID"), (1, "")])
def test_revoked_key_is_judged_by_admission_time(since: int, code: str) -> None:
    """A revoked key admits nothing from the moment it is said to be compromised, and everything admitted before it: the claimed
    time of the message does not count."""
    bench = Bench()
    author = bench.author()
    old = author.write(bench.alert(1), now_ms=bench.now, issued_at=NOW - 3_600_000)
    bench.desk.revoke("SG-CUSTOMS", since_ms=NOW + since, at_ms=NOW + 60_000)
    assert bench.feed(old.value).codes == [code]


def test_expired_key_admits_nothing() -> None:
    """A key is good up to, and not at, the end of its validity."""
    bench = Bench()
    known = bench.desk.directory.keys_of("SG-CUSTOMS")[0]
    bench.desk.enter(bench.desk.key_entry(replace(known, valid_until_ms=NOW + 1, issued_at_ms=NOW)))
    author = bench.author()
    first, second = (author.write(bench.alert(number), now_ms=bench.now).value for number in (1, 2))
    assert bench.feed(first).codes == [""]
    bench.now += 1
    assert bench.feed(second).codes == ["KEY_NOT_VALID"]


def test_stale_revision_is_refused() -> None:
    """A revision with the number of an accepted one, or a lower, is refused; a higher one passes, with a remark if one is left out."""
    bench = Bench()
    author = bench.author()
    revisions = [author.write(bench.alert(1, revision=number), now_ms=bench.now) for number in (2, 2, 1, 4)]
    written = bench.feed(*(made.value for made in revisions))
    assert written.codes == ["", "STALE_REVISION", "STALE_REVISION", ""]
    assert [finding.code for finding in written.receipts[3].findings] == ["REVISION_GAP"]
    assert delivered(bench, written) == ["SG-CUSTOMS/2026/000001"] * 2


def test_subject_stays_in_its_family() -> None:
    """A subject that began as an alert never becomes a seizure."""
    bench = Bench()
    author = bench.author()
    seizure = replace(good_seizure(), subject="SG-CUSTOMS/2026/000001", revision=2)
    first = author.write(bench.alert(1), now_ms=bench.now)
    second = author.write(seizure, now_ms=bench.now)
    written = bench.feed(first.value, second.value)
    check_refusal(bench, written, second.value, "WRONG_FAMILY", "header.family")


def test_policy_decides_who_publishes_what() -> None:
    """Customs publish no licence decisions and licensing authorities no alerts, whatever their own publisher lets them send."""
    bench = Bench()
    licence = replace(changed(good_licence(), {"core.authority": "SG-CUSTOMS"}), subject="SG-CUSTOMS/2026/L-1", revision=1)
    made = bench.author().write(licence, now_ms=bench.now)
    check_refusal(bench, bench.feed(made.value), made.value, "MAY_NOT_PUBLISH", "header.family")

    alert = bench.author("DE-BAFA").write(bench.alert(1, owner="DE-BAFA"), now_ms=bench.now)
    assert bench.feed(bench.record(alert.value, outbox="DE-BAFA")).codes == ["MAY_NOT_PUBLISH"]


def test_issued_at_up_to_five_minutes_ahead_is_let_pass() -> None:
    """The claimed time is measured against the broker's clock, in the record's timestamp, not against the relay's own."""
    bench = Bench()
    author = bench.author()
    ahead = [author.write(bench.alert(number), now_ms=bench.now, issued_at=NOW + 300_000) for number in (1, 2)]
    assert bench.feed(bench.record(ahead[0].value, at_ms=NOW)).codes == [""]
    assert bench.feed(bench.record(ahead[1].value, at_ms=NOW - 1)).codes == ["FROM_THE_FUTURE"]


def test_late_and_expired_messages_are_history_not_errors() -> None:
    """A message that was long on its way, or whose validity is over, is accepted with a remark."""
    bench = Bench()
    message = bench.alert(1)
    made = bench.author().write(message, now_ms=bench.now)
    written = bench.feed(bench.record(made.value, at_ms=NOW + 30 * 86_400_000))
    assert written.codes == [""]
    assert [finding.code for finding in written.receipts[0].findings[:2]] == ["LATE", "EXPIRED"]


def test_largest_message_passes_and_one_byte_more_does_not() -> None:
    """The limit of a record is exact: MESSAGE_LIMIT bytes are looked at, one more is TOO_LARGE."""
    bench = Bench()
    assert bench.feed(bytes(MESSAGE_LIMIT)).codes == ["NOT_A_PARCEL"]
    assert bench.feed(bytes(MESSAGE_LIMIT + 1)).codes == ["TOO_LARGE"]


def test_audience_is_given_to_nobody() -> None:
    """Recipients never learn who else received a message: the audience section is in no delivery and not in the slip."""
    bench = Bench()
    written = bench.feed(bench.author().write(bench.alert(1), now_ms=bench.now).value)
    for agency in ("MY-CUSTOMS", "AE-CUSTOMS"):
        (record,) = written.inbox(agency)
        received = receive(record.value or b"", bench.rules, recipient=agency)
        assert isinstance(received, Received)
        assert "audience" not in received.sections
        assert "audience" not in received.withheld


def test_sections_are_released_one_by_one() -> None:
    """Each recipient gets the sections that policy gives it, and a slip that accounts for the others with the rule."""
    bench = Bench()
    written = bench.feed(bench.author().write(bench.alert(1), now_ms=bench.now).value)
    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    for agency in ("MY-CUSTOMS", "AE-CUSTOMS"):
        received = receive(written.inbox(agency)[0].value or b"", bench.rules, recipient=agency)
        assert isinstance(received, Received)
        found[agency] = (sorted(received.sections), received.withheld)
    assert found["MY-CUSTOMS"] == (["core", "equipment", "goods", "parties", "route"], {})
    assert found["AE-CUSTOMS"] == (["core", "equipment", "goods", "route"], {"parties": "default-deny"})
    assert written.inbox("DE-BAFA") == []
    assert {each.agency: each.sections for each in written.receipts[0].recipients} == {
        agency: tuple(sections) for agency, (sections, _) in found.items()
    }


def test_same_header_and_sections_in_another_outbox_stay_refused() -> None:
    """A message copied into the outbox of another agency is refused there and leaves its originator's stream as it was."""
    bench = Bench()
    made = bench.author().write(bench.alert(1), now_ms=bench.now)
    copied = bench.feed(bench.record(made.value, outbox="MY-CUSTOMS"))
    assert copied.codes == ["WRONG_OUTBOX"]
    assert copied.receipts[0].originator == "MY-CUSTOMS"
    assert bench.shard.streams == {}
    assert bench.feed(made.value).codes == [""]


def test_receipt_tells_the_first_hundred_findings() -> None:
    """However many remarks a message earns, its receipt stays small: the first hundred are told."""
    bench = Bench()
    author = bench.author()
    message = bench.alert(1)
    item: dict[str, Any] = {**message.sections["goods"]["items"][0], "hs_code": "779999", "description": "x", "control_codes": []}
    goods: dict[str, Any] = {**message.sections["goods"], "items": [item] * 2000}
    draft = author.draft(replace(message, sections={**message.sections, "goods": goods}), now_ms=bench.now)
    made = make(draft.header, draft.sections, author.by, bench.rules.aad)
    written = bench.feed(made.value)
    assert written.codes == [""]
    assert len(written.receipts[0].findings) == 100


class Announced(Bench):
    """A bench whose exchange has announced the schemas of a family that this program has no rules for."""

    @property
    def rules(self) -> Rules:
        texts = {(each.family, each.section, each.version): each.text for each in catalogue()}
        text = texts["alert", "core", 1].replace("broker.alert.v1", "broker.gossip.v1")
        return replace(super().rules, catalogue=Catalogue.from_texts({**texts, ("gossip", "core", 1): text}))


def test_family_without_rules_is_refused() -> None:
    """A family whose schemas are announced before the relay is renewed is refused by name, and the relay goes on."""
    bench = Announced()
    author = bench.author()
    draft = author.draft(bench.alert(1), now_ms=bench.now)
    schema = bench.rules.catalogue.current("gossip", "core")
    assert schema is not None
    sections = {name: draft.sections[name] for name in ("audience", "core")}
    header = replace(committed(draft.header, sections, {"core": schema.schema_id}), family="gossip")
    made = author.took(make(header, sections, author.by, bench.rules.aad))
    good = author.write(bench.alert(2), now_ms=bench.now)
    written = bench.feed(made.value, good.value)
    check_refusal(bench, written, made.value, "UNKNOWN_FAMILY", "header.family")
    assert written.codes == ["UNKNOWN_FAMILY", ""]
