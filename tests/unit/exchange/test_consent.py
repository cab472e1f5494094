"""The owner's consent: who gets a subject by it, for how long, and that it is taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.errors import Refusal
from broker.exchange.catch_up import is_later
from broker.exchange.consent import CONSENT_LIMIT
from broker.exchange.decide import labels_of
from broker.exchange.recall import NO_LONGER_DISCLOSED
from broker.exchange.receive import Received, open_delivery, receive
from broker.exchange.topology import DAY_MS
from broker.families.consent_reply import ConsentReplyCore, consent_reply
from broker.families.message import PURPOSES, Audience, Message
from broker.policy.model import Consent, Labels
from broker.schema.catalogue import Section
from tests.support.parcels import put, slip_item
from tests.support.yesterday import BEFORE_BINDING
from tests.unit.exchange.bench import COMMUNITY, NOW, RELAY, Author, Bench, Written
from tests.unit.exchange.test_catch_up import late, receipts, without

ASKER = "DE-BAFA"
SUBJECT = "SG-CUSTOMS/2026/000001"
UNTIL = NOW + 30 * DAY_MS


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def reply(number: int, core: ConsentReplyCore) -> Message:
    return consent_reply(
        subject=f"SG-CUSTOMS/C/{number}", target="DE-BAFA/Q/1", core=core, audience=Audience(agencies=(ASKER,)), tlp="AMBER",
        purposes=("STC_ENFORCEMENT",), legal_basis="CMAA:SG-DE",
    )  # fmt: skip


def grant(
    number: int = 1,
    *,
    until_ms: int = UNTIL,
    sections: tuple[str, ...] = ("core", "goods"),
    to: str = ASKER,
    purposes: tuple[str, ...] = (),
) -> Message:
    core: ConsentReplyCore = {
        "decision": "GRANT", "consented_subject": SUBJECT, "recipients": [to], "section_names": list(sections),
        "period_until": at(until_ms),
    }  # fmt: skip
    if purposes:
        core["purposes"] = list(purposes)
    return reply(number, core)


def withdraw(number: int, subject: str = SUBJECT) -> Message:
    return reply(number, {"decision": "WITHDRAW", "consented_subject": subject})


class Desk:
    """An alert of SG-CUSTOMS that DE-BAFA does not get, and what its owner publishes after it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.author: Author = self.bench.author()
        self.say(self.bench.alert(1))

    def say(self, message: Message) -> Written:
        written = self.bench.feed(self.author.write(message, now_ms=self.bench.now).value)
        assert written.codes == [""]
        self.bench.now += 10
        return written

    def taken(self, agency: str = ASKER) -> list[Received]:
        """What the agency is sent of the alert once all was decided again."""
        found: list[Received] = []
        for each in self.bench.swept():
            for record in each.inbox(agency):
                received = receive(record.value or b"", self.bench.rules, recipient=agency)
                assert isinstance(received, Received), received
                found.append(received)
        return [each for each in found if each.header.subject == SUBJECT]


def test_consent_brings_the_owners_own_parcel() -> None:
    """Who was given consent is sent the very message of the owner, with the sections consented to, under a rule of its own; everybody
    else gets nothing more, and the next sweep owes nothing."""
    desk = Desk()
    assert desk.taken() == []
    desk.say(grant())
    (received,) = desk.taken()
    assert (received.header.originator, received.slip.rule) == ("SG-CUSTOMS", "receive-consented")
    assert sorted(received.sections) == ["core", "goods"]
    assert desk.bench.shard.subjects[SUBJECT].consents == (Consent(ASKER, ("core", "goods"), NOW + 10, UNTIL),)
    assert desk.taken() == []
    assert desk.bench.loaded() == desk.bench.shard


def test_a_later_revision_goes_to_who_has_consent() -> None:
    """Consent is for the subject: its next revision is delivered at once."""
    desk = Desk()
    desk.say(grant())
    desk.taken()
    written = desk.say(desk.bench.alert(1, revision=2))
    (record,) = written.inbox(ASKER)
    received = receive(record.value or b"", desk.bench.rules, recipient=ASKER)
    assert isinstance(received, Received)
    assert (received.header.revision, received.slip.rule) == (2, "receive-consented")


@pytest.mark.parametrize("end", ["withdrawn", "over"])
def test_when_it_ends_the_holder_is_told_to_erase(end: str) -> None:
    """Withdrawn by its owner or at the end of its time: who had the subject by that consent alone is sent the withdrawal, once, and a
    later revision does not reach it."""
    desk = Desk()
    desk.say(grant())
    desk.taken()
    if end == "withdrawn":
        desk.say(withdraw(2))
    else:
        desk.bench.now = UNTIL + 1
    (told,) = desk.taken()
    assert told.sections == {}
    assert set(told.withheld.values()) == {NO_LONGER_DISCLOSED}
    state = desk.bench.shard.subjects[SUBJECT]
    assert state.consents == ()
    assert ASKER not in state.recipients
    assert ASKER in state.former
    assert state.untold == ()
    assert desk.taken() == []
    assert desk.say(desk.bench.alert(1, revision=2)).inbox(ASKER) == []
    assert desk.bench.loaded() == desk.bench.shard


def test_who_is_entitled_besides_keeps_it() -> None:
    """The end of a consent takes nothing from an agency that another rule names."""
    desk = Desk()
    core: ConsentReplyCore = {"decision": "GRANT", "consented_subject": SUBJECT, "recipients": ["MY-CUSTOMS"], "period_until": at(UNTIL)}
    desk.say(reply(1, core))
    desk.taken("MY-CUSTOMS")
    desk.say(withdraw(2))
    assert desk.taken("MY-CUSTOMS") == []
    assert "MY-CUSTOMS" in desk.bench.shard.subjects[SUBJECT].recipients


def test_what_consent_alone_gives_is_bound_to_its_purposes() -> None:
    """The slip of a delivery by consent binds each section to the purposes consented to, in the version that can say so, and so does that
    of the next revision; a consent that names none binds nothing."""
    desk = Desk()
    desk.say(grant(purposes=("CRIM_INVEST", "LICENSING")))
    (received,) = desk.taken()
    both = ("CRIM_INVEST", "LICENSING")
    assert (received.slip.version, received.slip.bound) == (2, (("core", both), ("goods", both)))
    assert desk.bench.loaded() == desk.bench.shard
    (record,) = desk.say(desk.bench.alert(1, revision=2)).inbox(ASKER)
    again = receive(record.value or b"", desk.bench.rules, recipient=ASKER)
    assert isinstance(again, Received)
    assert again.slip.bound == received.slip.bound
    assert desk.bench.loaded() == desk.bench.shard
    assert desk.taken() == []
    desk.say(grant(2))
    (freed,) = desk.taken()
    assert (freed.slip.version, freed.slip.bound, freed.slip.redelivery) == (1, (), True)
    assert desk.bench.loaded() == desk.bench.shard


def test_other_purposes_are_told_at_once() -> None:
    """The owner narrows what its consent is for: the holder is sent the same sections under a slip that says so, once."""
    desk = Desk()
    desk.say(grant(purposes=("CRIM_INVEST", "LICENSING")))
    desk.taken()
    desk.say(grant(2, purposes=("LICENSING",)))
    written = desk.bench.swept()
    (received,) = late(desk.bench, written, ASKER)
    assert received.slip.bound == (("core", ("LICENSING",)), ("goods", ("LICENSING",)))
    (told,) = receipts(written)
    assert [finding.code for finding in told.findings] == ["BOUND_ANEW"]
    assert is_later(told)
    assert desk.taken() == []


def test_what_another_rule_gives_is_not_bound() -> None:
    """Customs of the community, to whom consent gives the grounds besides: the grounds alone are bound, and when it leaves the community,
    all that is left to it is."""
    desk = Desk()
    desk.say(grant(to="MY-CUSTOMS", sections=("core", "value"), purposes=("LICENSING",)))
    assert desk.taken("MY-CUSTOMS") == []  # the alert has no value, and all else it has anyway
    desk.bench.renew(without("read-shipment"))
    desk.taken("MY-CUSTOMS")
    desk.say(grant(2, to="MY-CUSTOMS", sections=("core", "goods"), purposes=("LICENSING",)))
    (received,) = desk.taken("MY-CUSTOMS")
    assert received.slip.bound == (("goods", ("LICENSING",)),)
    desk.bench.desk.place("MY-CUSTOMS", ())
    desk.bench.renew(replace(without("read-shipment"), version=9))
    (left,) = desk.taken("MY-CUSTOMS")
    assert left.slip.bound == (("core", ("LICENSING",)), ("goods", ("LICENSING",)))


def test_what_is_bound_goes_out_while_the_owner_may_not_publish() -> None:
    """The owner is suspended before its consent was carried out: what consent would give is not given, and the slip of what is taken
    binds nothing that it does not give."""
    desk = Desk()
    desk.bench.renew(without("read-shipment"))
    desk.taken("MY-CUSTOMS")
    desk.say(grant(to="MY-CUSTOMS", sections=("core", "goods"), purposes=("LICENSING",)))
    desk.bench.desk.stand("SG-CUSTOMS", "suspended")
    narrower = without("read-shipment")
    begin = narrower.policies.index('@id("read-parties-customs")')
    policies = narrower.policies[:begin] + narrower.policies[narrower.policies.find("@id(", begin + 1) :]
    desk.bench.renew(replace(narrower, version=9, policies=policies))
    (taken,) = desk.taken("MY-CUSTOMS")
    assert (list(taken.sections), taken.slip.bound) == (["core"], ())
    assert desk.taken("MY-CUSTOMS") == []


@pytest.mark.parametrize("others", [0, 600])
def test_the_largest_consent_fits_into_a_row(others: int) -> None:
    """As many agencies as may be named, every purpose and section, beside hundreds of recipients: the relay keeps what it bound, and takes
    it back from the row."""
    desk = Desk()
    names = [f"FR-L{number:03}" for number in range(CONSENT_LIMIT)]
    for name in names:
        desk.bench.desk.admit(name, "customs", ())
    for number in range(others):
        desk.bench.desk.admit(f"TH-C{number:03}", "customs", (COMMUNITY,))
    desk.bench.renew()
    desk.bench.swept()
    core: Any = {
        "decision": "GRANT", "consented_subject": SUBJECT, "recipients": names, "section_names": [], "period_until": at(UNTIL),
        "purposes": list(PURPOSES),
    }  # fmt: skip
    desk.say(reply(1, core))
    taken = [each for name in names for each in late(desk.bench, desk.bench.swept(), name)] if others else desk.taken(names[0])
    assert taken[0].slip.bound[0] == ("core", PURPOSES)
    assert desk.bench.loaded() == desk.bench.shard


def test_an_opening_takes_nothing_of_a_consent() -> None:
    """Officers open other sections of a subject to an agency that has the owner's consent to some: it gets both."""
    now = NOW + DAY_MS
    labels = replace(
        sample_labels(), urgency="FLASH",
        consents=(Consent(ASKER, ("core", "goods"), NOW, UNTIL), Consent(ASKER, ("core", "route"), NOW, UNTIL, emergency=True)),
    )  # fmt: skip
    bench = Bench()
    (release,) = [each for each in bench.decider.distribute(labels, now).releases if each.agency == ASKER]
    assert {section for section, _ in release.given} == {"core", "goods", "route"}


def sample_labels() -> Labels:
    """Those of an alert for the community."""
    bench = Bench()
    header = bench.author().draft(bench.alert(1), now_ms=NOW).header
    return labels_of(header, {"agencies": (), "communities": (COMMUNITY,), "countries": ()})


def test_an_exchange_that_cannot_bind_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its operator has announced slips that can bind, a consent for certain purposes is remarked and kept by nobody: what cannot be
    bound is not sent."""
    desk = Desk()
    catalogue = desk.bench.rules.catalogue
    for name, text in BEFORE_BINDING.items():
        announced = catalogue.announced(Section.from_text(*name, text))
        assert not isinstance(announced, Refusal)
        catalogue = announced
    monkeypatch.setattr("tests.unit.exchange.bench.catalogue", lambda: catalogue)
    desk.bench.renew()
    (receipt,) = desk.say(grant(purposes=("CRIM_INVEST",))).receipts
    assert [(finding.code, finding.path) for finding in receipt.findings] == [("NOTHING_CONSENTED", "core.purposes")]
    assert desk.taken() == []


@pytest.mark.parametrize("bound", [(("goods", ()),), (("parties", ("CRIM_INVEST",)),)])
def test_a_slip_that_binds_wrongly_is_refused(bound: Any) -> None:
    """A slip that binds a section which it does not give, or to no purpose, is no relay's of ours."""
    desk = Desk()
    desk.say(grant(purposes=("CRIM_INVEST",)))
    (record,) = [record for each in desk.bench.swept() for record in each.inbox(ASKER)]
    opened = open_delivery(record.value or b"", desk.bench.rules)
    assert not isinstance(opened, Refusal)
    note = replace(opened.slip, bound=bound)
    forged = put(opened.parcel, extras=slip_item(note, RELAY, desk.bench.rules.aad))
    refused = receive(forged, desk.bench.rules, recipient=ASKER)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.reason) == ("BAD_SLIP", "the slip binds a section that it does not give, or to no purpose")


def test_a_crash_between_consent_and_delivery_loses_nothing() -> None:
    """The consent and what it owes are in the shard's state: whoever takes the shard delivers it, once."""
    desk = Desk()
    desk.say(grant())
    desk.bench.crash()
    assert len(desk.taken()) == 1
    desk.bench.crash()
    assert desk.taken() == []


def test_consent_to_a_subject_that_is_not_known() -> None:
    """Its author is told that nobody is sent anything, and nothing is kept."""
    desk = Desk()
    written = desk.say(withdraw(1, "SG-CUSTOMS/2026/999999"))
    (receipt,) = written.receipts
    assert [finding.code for finding in receipt.findings] == ["NOTHING_CONSENTED"]
    assert "SG-CUSTOMS/2026/999999" not in desk.bench.shard.subjects


def test_a_refusal_changes_nothing() -> None:
    """REFUSE is an answer to the asker and no fact."""
    desk = Desk()
    desk.say(reply(1, {"decision": "REFUSE", "consented_subject": SUBJECT, "refusal_ground": "ONGOING_CASE"}))
    assert desk.bench.shard.subjects[SUBJECT].consents == ()
    assert desk.taken() == []


@pytest.mark.parametrize(
    "more", [{"section_names": ["x" * 5000]}, {"section_names": ["core", "denial"]}, {"recipients": [f"XX-A{n}" for n in range(51)]}]
)
def test_a_consent_that_would_be_kept_for_good_is_bounded(more: Any) -> None:
    """Sections that the family has not, of whatever length, and more agencies than are asked about one by one: remarked, and nothing is
    kept; above all, unknown sections never become a consent to all."""
    desk = Desk()
    core: Any = {"decision": "GRANT", "consented_subject": SUBJECT, "recipients": [ASKER], "period_until": at(UNTIL)} | more
    (receipt,) = desk.say(reply(1, core)).receipts
    assert [finding.code for finding in receipt.findings] == ["NOTHING_CONSENTED"]
    assert desk.bench.shard.subjects[SUBJECT].consents == ()
    assert desk.taken() == []
