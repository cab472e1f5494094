"""What an agency may do with what it holds, for a purpose, under the rules that ship."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from broker.exchange.rules import decider_of, members_of
from broker.exchange.use import BOUND, KEPT, RULES_UNKNOWN, Use, bound_kept, closed, labels_held, labels_kept, labels_text, usable
from broker.families.message import PURPOSES, Audience, Message
from broker.policy.decide import Decider
from broker.policy.facts_file import read_facts
from broker.policy.model import DEFAULT_DENY, Labels, Verdict
from broker.register.rows import SubjectRow
from broker.values import Evaluation
from tests.unit.exchange.bench import NOW, Bench, bundle

HOLDER: Final = "MY-CUSTOMS"
DAY_MS: Final = 86_400_000
USES: Final[tuple[Use, ...]] = ("search", "replay")
BENCH: Final = Bench()
DECIDER: Final = decider_of(bundle(), BENCH.desk.directory)

NAMED: Final = replace(BENCH.alert(), audience=Audience(agencies=(HOLDER, "AE-CUSTOMS")))


def held(message: Message | None = None, holder: str = HOLDER, **changes: Any) -> Labels:
    """The labels of an alert of SG-CUSTOMS as its holder knows them."""
    header = BENCH.author().draft(message or replace(NAMED, **changes), now_ms=NOW).header
    return labels_held(header, holder)


def asked(labels: Labels, purpose: str, use: Use = "search", *, now_ms: int = NOW, by: str = HOLDER, decider: Decider = DECIDER) -> Verdict:
    return usable(decider, by, use, labels, now_ms, purpose)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_a_purpose_that_the_message_names(use: Use, purpose: str) -> None:
    """Each purpose of the dictionary is allowed where the header names it, alone or among others, and denied where it does not."""
    others = tuple(each for each in PURPOSES if each != purpose)
    for purposes in ((purpose,), PURPOSES):
        assert asked(held(purposes=purposes), purpose, use).rules == ("keep-purpose",)
    denied = asked(held(purposes=others), purpose, use)
    assert (denied.allowed, denied.rules) == (False, (DEFAULT_DENY,))
    assert "for a purpose that the message names" in denied.reason


@pytest.mark.parametrize("use", USES)
def test_nothing_after_its_life(use: Use) -> None:
    """To the last millisecond of its validity it is found, from then on a prohibition holds, whatever the purpose."""
    end = NOW + DAY_MS
    labels = held(purposes=("LICENSING",), valid_until_ms=end)
    assert asked(labels, "LICENSING", use, now_ms=end - 1).allowed
    assert asked(labels, "LICENSING", use, now_ms=end).rules == ("stop-reading-after-life",)
    assert asked(replace(labels, valid_until_ms=None), "LICENSING", use, now_ms=NOW + 9000 * DAY_MS).allowed


@pytest.mark.parametrize("tlp", ["RED", "AMBER_STRICT"])
def test_what_goes_to_the_named_was_for_its_holder(tlp: str) -> None:
    """Who holds a TLP:RED message was named: the rule for those that are not named does not stop it."""
    assert asked(held(tlp=tlp, purposes=("CUSTOMS_SECURITY",)), "CUSTOMS_SECURITY").allowed
    assert not asked(held(tlp=tlp, purposes=("CUSTOMS_SECURITY",)), "STATISTICS").allowed


def test_a_register_keeps_the_same_labels() -> None:
    """From its columns and what it keeps beside them come the labels that the delivery itself had, whatever they hold."""
    plain = BENCH.author().draft(NAMED, now_ms=NOW).header
    full = replace(
        plain, purposes=PURPOSES, pap="AMBER", legal_basis="CMAA:SG-AE", tlp="RED", embargo_until=NOW + 1, evidential_use=False,
        evaluation=Evaluation("A", "I1"), routing=replace(plain.routing, category="DUAL_USE", free_zone="AE-JAFZA"),
    )  # fmt: skip
    assert not [name for name in KEPT if getattr(labels_held(full, HOLDER), name) in (None, (), "")]
    for header in (plain, replace(plain, valid_until=None), full):
        row = SubjectRow(
            subject=header.subject, family=header.family, originator=header.originator, revision=1, counter=1, leaf=b"", message_id="",
            issued_at=NOW, admitted_at=NOW, valid_until=header.valid_until, urgency=header.urgency, tlp=header.tlp,
            handling=header.handling, withheld="", labels=labels_text(header),
        )  # fmt: skip
        assert labels_kept(row, HOLDER) == labels_held(header, HOLDER)
        assert labels_kept(replace(row, labels=""), HOLDER) is None


def test_who_holds_it_in_spite_of_an_embargo() -> None:
    """An embargo that still lasts does not hide the message from the joint team that was given it, nor from its author."""
    labels = held(purposes=("CRIM_INVEST",), embargo_until_ms=NOW + DAY_MS)
    assert asked(labels, "CRIM_INVEST").allowed
    assert asked(held(holder="SG-CUSTOMS", purposes=("CRIM_INVEST",)), "CRIM_INVEST", by="SG-CUSTOMS").allowed


def test_who_is_suspended_or_no_member_uses_nothing() -> None:
    """Suspension holds for what the agency has already; somebody unknown gets nothing."""
    bench = Bench()
    bench.desk.stand(HOLDER, "suspended")
    labels = held(purposes=("LICENSING",))
    suspended = asked(labels, "LICENSING", decider=decider_of(bundle(), bench.desk.directory))
    assert suspended.rules == ("stop-suspended",)
    assert not asked(labels, "LICENSING", by="FR-CUSTOMS").allowed


def test_what_cannot_be_asked_is_not_allowed() -> None:
    """Without rules, or without labels, the answer is no, and says why."""
    unknown = usable(None, HOLDER, "search", held(), NOW, "LICENSING")
    assert (unknown.allowed, unknown.rules) == (False, (RULES_UNKNOWN,))
    assert "could not be read" in unknown.reason
    unlabelled = usable(DECIDER, HOLDER, "search", None, NOW, "LICENSING")
    assert (unlabelled.allowed, unlabelled.rules) == (False, (DEFAULT_DENY,))


def test_what_the_rules_of_now_prohibit_is_closed() -> None:
    """While an agreement holds nothing is closed; from its end on the parties are, and nothing else; who is the originator keeps all, and
    without rules or labels nothing is known to be closed."""
    agreement = {
        "id": "CMAA:MY-SG", "title": "made up", "basis": "made up", "countries": ["MY", "SG"], "personal": True,
        "from": "2020-01-01T00:00:00Z", "until": datetime.fromtimestamp(NOW / 1000, UTC).isoformat(),
    }  # fmt: skip
    facts = read_facts(json.dumps({"agreements": [agreement]}))
    decider = Decider(bundle(), members_of(BENCH.desk.directory), facts=facts)
    labels, sections = held(), ("core", "goods", "parties", "rumour")
    assert closed(decider, HOLDER, labels, sections, NOW - 1, "LICENSING") == {}
    assert closed(decider, HOLDER, labels, sections, NOW, "LICENSING") == {"parties": "stop-personal-without-agreement"}
    assert closed(decider, "SG-CUSTOMS", labels, sections, NOW, "LICENSING") == {}
    assert closed(None, HOLDER, labels, sections, NOW, "LICENSING") == closed(decider, HOLDER, None, sections, NOW, "LICENSING") == {}


def test_what_is_bound_is_shown_for_its_purposes_alone() -> None:
    """A section that the owner consented to for certain purposes is shown for one of these, for no other, and not where none is given; the
    others are shown as ever. Where the core is bound, so is the message, whatever its header names."""
    labels = held(purposes=("STC_ENFORCEMENT", "LICENSING"))
    bound = {"goods": ("CRIM_INVEST", "LICENSING")}
    for purpose, shut in (("LICENSING", {}), ("STC_ENFORCEMENT", {"goods": BOUND}), (None, {"goods": BOUND})):
        assert closed(DECIDER, HOLDER, labels, ("core", "goods", "route"), NOW, purpose, bound) == shut
        assert usable(DECIDER, HOLDER, "search", labels, NOW, purpose, bound).allowed
    whole = {"core": ("CRIM_INVEST",), **bound}
    for use in USES:
        assert usable(DECIDER, HOLDER, use, labels, NOW, "CRIM_INVEST", whole).rules == ("keep-purpose",)
        other, none = (usable(DECIDER, HOLDER, use, labels, NOW, purpose, whole) for purpose in ("LICENSING", None))
        assert (other.allowed, other.rules, other.reason) == (False, (BOUND,), "the owner consented to it for CRIM_INVEST alone")
        assert (none.allowed, none.reason) == (False, "the owner consented to it for CRIM_INVEST alone: say what it is read for")
    assert usable(None, HOLDER, "search", None, NOW, None).allowed


def test_a_purpose_that_only_a_bound_section_has() -> None:
    """Goods that came by consent for a purpose which the header does not name are read for that one, and nothing else of the message is."""
    labels, bound = held(purposes=("STC_ENFORCEMENT",)), {"goods": ("CRIM_INVEST",)}
    shown = {
        purpose: {"core", "goods", "route"}.difference(closed(DECIDER, HOLDER, labels, ("core", "goods", "route"), NOW, purpose, bound))
        for purpose in (*PURPOSES, None)
        if usable(DECIDER, HOLDER, "search", labels, NOW, purpose, bound).allowed
    }
    assert shown == {"STC_ENFORCEMENT": {"core", "route"}, "CRIM_INVEST": {"goods"}, None: {"core", "route"}}


def test_what_is_bound_is_kept() -> None:
    """A register keeps what is bound beside the labels, and the labels are none the less read as before."""
    header = BENCH.author().draft(NAMED, now_ms=NOW).header
    row = SubjectRow(
        subject=header.subject, family=header.family, originator=header.originator, revision=1, counter=1, leaf=b"", message_id="",
        issued_at=NOW, admitted_at=NOW, valid_until=header.valid_until, urgency=header.urgency, tlp=header.tlp,
        handling=header.handling, withheld="", labels=labels_text(header, {"goods": ("CRIM_INVEST",)}),
    )  # fmt: skip
    assert bound_kept(row) == {"goods": ["CRIM_INVEST"]}
    assert labels_kept(row, HOLDER) == labels_held(header, HOLDER)
    assert bound_kept(replace(row, labels=labels_text(header))) == bound_kept(replace(row, labels="")) == {}
