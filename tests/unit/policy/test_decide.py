"""Deciding: default deny, errors deny, the audience stays, the memo forgets in time."""

from __future__ import annotations

import pytest

from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import context, factual, member_entity, message_entity
from broker.policy.facts_file import read_facts
from broker.policy.model import DEFAULT_DENY, POLICY_ERROR, Denial, Distribution, Labels, Release
from broker.policy.rules import policies_for, read_rules
from broker.testing.agreements import EVERYWHERE
from tests.unit.policy.shipped import NOW_MS, alert, bundle, member, members, policy_texts, scenarios, schema_text

TH = member("TH-CUSTOMS", "customs", "STCE-ASEAN")
SG = member("SG-CUSTOMS", "customs", "STCE-ASEAN")
DFT = member("TH-DFT", "licensing", "STCE-ASEAN")
ALL = members(TH, SG, DFT)


def _with(text: str) -> Bundle:
    return Bundle.from_texts(2, schema_text(), {**policy_texts(), "extra.cedar": text})


def _denial(distribution: Distribution, agency: str) -> Denial:
    return next(denial for denial in distribution.denials if denial.agency == agency)


def _release(distribution: Distribution, agency: str) -> Release:
    return next(release for release in distribution.releases if release.agency == agency)


def test_everybody_but_the_originator_is_answered_in_order() -> None:
    """Each member is either released to or denied, once, sorted; the originator is no recipient even if it names itself."""
    distribution = Decider(bundle(), ALL).distribute(alert(audience_agencies=("TH-CUSTOMS", "SG-CUSTOMS")), NOW_MS)
    assert [release.agency for release in distribution.releases] == ["SG-CUSTOMS"]
    assert [denial.agency for denial in distribution.denials] == ["TH-DFT"]


def test_deny_says_what_it_would_take() -> None:
    """A default deny names kind, section and family in words, and the titles of the permits for that family only."""
    decider = Decider(bundle(), ALL)
    labels = alert(audience_communities=("STCE-ASEAN",))
    verdict = decider.explain("TH-DFT", "read:parties", labels, NOW_MS)
    assert verdict.rules == (DEFAULT_DENY,)
    assert verdict.reason == (
        "no rule lets a licensing authority read the parties of this alert; it would take: "
        "An agency reads the sections to which the owner consented; or: "
        "Customs that are named, or members of a named community, read the parties of alerts and seizures"
    )
    assert "nobody" not in verdict.reason
    assert "anybody may advertise an alert" in decider.explain("TH-DFT", "advertise", labels, NOW_MS).reason


def test_allow_says_why() -> None:
    """An allow carries the ids and titles of the permits that made it, sorted; a release names the first."""
    labels = alert(audience_communities=("STCE-ASEAN",))
    verdict = Decider(bundle(), ALL).explain("SG-CUSTOMS", "receive", labels, NOW_MS)
    assert verdict.allowed
    assert verdict.rules == ("receive-community", "receive-named")
    assert "An agency that the originator names receives the message" in verdict.reason
    release = _release(Decider(bundle(), ALL).distribute(labels, NOW_MS), "SG-CUSTOMS")
    assert release.rule == "receive-community"


def test_reading_takes_receiving() -> None:
    """A rule that lets everybody read the core does not let anybody read what it does not receive."""
    verdict = Decider(bundle(), ALL).explain("TH-DFT", "read:core", alert(), NOW_MS)
    assert not verdict.allowed
    assert "receive this alert" in verdict.reason


def test_an_agency_publishes_in_its_own_name_only() -> None:
    """Another agency of the right kind may not publish this originator's message."""
    decider = Decider(bundle(), ALL)
    assert decider.may_publish(alert(), NOW_MS).rules == ("publish-customs",)
    assert not decider.explain("SG-CUSTOMS", "publish", alert(), NOW_MS).allowed


def test_strangers_publish_nothing() -> None:
    """An originator that is no member may not publish."""
    verdict = Decider(bundle(), members(SG)).may_publish(alert(), NOW_MS)
    assert (verdict.allowed, verdict.rules) == (False, (DEFAULT_DENY,))


def test_unknown_kind_is_denied_alone_and_counted() -> None:
    """A member of a kind that the schema does not know gets nothing, even if named; the others are not affected."""
    decider = Decider(bundle(), {**ALL, "SG-NAVY": member("SG-NAVY", "navy")})
    distribution = decider.distribute(alert(audience_agencies=("SG-NAVY", "SG-CUSTOMS")), NOW_MS)
    assert _denial(distribution, "SG-NAVY").rule == POLICY_ERROR
    assert [release.agency for release in distribution.releases] == ["SG-CUSTOMS"]
    assert decider.error_count == 1
    assert decider.explain("SG-NAVY", "receive", alert(), NOW_MS).rules == (POLICY_ERROR,)


def test_originator_of_unknown_kind_publishes_nothing() -> None:
    """The same on the other side."""
    decider = Decider(bundle(), members(SG, member("TH-CUSTOMS", "navy")))
    assert decider.may_publish(alert(), NOW_MS).rules == (POLICY_ERROR,)


@pytest.mark.parametrize(
    "labels",
    [alert(tlp="PURPLE"), alert(family="gossip"), alert(handling="H4"), alert(pap="WHITE"), alert(embargo_until_ms=10**18)],
)
def test_labels_outside_the_vocabulary_deny_everybody(labels: Labels) -> None:
    """A label that the schema does not know, or a date that is none, denies everything and raises the count."""
    decider = Decider(bundle(), ALL)
    assert decider.distribute(labels, NOW_MS).releases == ()
    assert not decider.may_publish(labels, NOW_MS).allowed
    assert decider.error_count == 2


def test_unknown_family_or_kind_has_no_rule() -> None:
    """A family of the vocabulary for which nothing is written is denied by default, to publish; and reads beyond the core too."""
    schema = schema_text().replace('"licence_usage"', '"licence_usage", "rumour"')
    decider = Decider(Bundle.from_texts(1, schema, policy_texts()), ALL)
    labels = alert(family="rumour")
    assert decider.may_publish(labels, NOW_MS).rules == (DEFAULT_DENY,)
    assert _release(decider.distribute(labels, NOW_MS), "SG-CUSTOMS").given == (("core", "read-core"),)


OVERFLOW = '@id("broken") @title("A rule that fails") @basis("test") {effect} {when} {{ resource.hsChapters.contains("84") && {sum} > 0 }};'
SUM = "9223372036854775807 + (if resource.hsChapters.isEmpty() then 0 else 1)"


def test_a_forbid_that_errors_denies() -> None:
    """Cedar skips a forbid whose condition errors and would allow; here the error denies, is counted, and names the rule."""
    text = OVERFLOW.format(effect='forbid (principal, action == Action::"receive", resource)', when="when", sum=SUM)
    decider = Decider(_with(text), ALL)
    denial = _denial(decider.distribute(alert(), NOW_MS), "SG-CUSTOMS")
    assert denial.rule == POLICY_ERROR
    assert "broken" in denial.reason
    assert decider.error_count == 2
    assert decider.distribute(alert(hs_chapters=()), NOW_MS).releases


def test_an_error_on_a_section_withholds_it() -> None:
    """The same for one section: it is withheld, the rest is released."""
    text = OVERFLOW.format(effect='forbid (principal, action == Action::"read:goods", resource)', when="when", sum=SUM)
    decider = Decider(_with(text), ALL, facts=read_facts(EVERYWHERE))
    release = _release(decider.distribute(alert(), NOW_MS), "SG-CUSTOMS")
    assert release.withheld == (("goods", POLICY_ERROR),)
    assert {section for section, _ in release.given} == {"core", "parties"}


def test_no_core_no_message() -> None:
    """Who may receive but not read the core gets nothing, and the denial names the rule that kept the core back."""
    text = '@id("no-core") @title("No core today") @basis("test") forbid (principal, action == Action::"read:core", resource);'
    denial = _denial(Decider(_with(text), ALL).distribute(alert(), NOW_MS), "SG-CUSTOMS")
    assert denial == Denial("SG-CUSTOMS", "no-core", "No core today")


def test_sections_without_core_need_one_that_is_readable() -> None:
    """A message of one section that the recipient may not read is not delivered empty."""
    labels = alert(sections=("audience", "parties"), audience_agencies=("TH-DFT",))
    assert _denial(Decider(bundle(), ALL).distribute(labels, NOW_MS), "TH-DFT").rule == DEFAULT_DENY


def test_section_unknown_to_the_schema_is_withheld() -> None:
    """A section without an action is withheld by default, without an error."""
    decider = Decider(bundle(), ALL)
    release = _release(decider.distribute(alert(sections=("audience", "core", "rumour")), NOW_MS), "SG-CUSTOMS")
    assert release.withheld == (("rumour", DEFAULT_DENY),)
    assert decider.error_count == 0


def test_audience_is_neither_given_nor_mentioned() -> None:
    """The audience never leaves, and not even its being withheld is told."""
    release = _release(Decider(bundle(), ALL).distribute(alert(), NOW_MS), "SG-CUSTOMS")
    assert "audience" not in {section for section, _ in (*release.given, *release.withheld)}
    assert not Decider(bundle(), ALL).explain("SG-CUSTOMS", "read:audience", alert(), NOW_MS).allowed


def test_embargo_lapses_in_the_memo() -> None:
    """A remembered denial ends with the embargo, to the millisecond, and comes back if the clock is set back."""
    decider = Decider(bundle(), ALL)
    labels = alert(embargo_until_ms=NOW_MS)
    before = decider.distribute(labels, NOW_MS - 1)
    assert (before.releases, before.until_ms) == ((), NOW_MS)
    assert decider.distribute(labels, NOW_MS).releases
    assert decider.distribute(labels, NOW_MS - 1).releases == ()


def test_dates_in_rules_lapse_too() -> None:
    """A date written in a rule bounds a remembered decision like a label's date, for distribution and publishing."""
    text = (
        '@id("from-december") @title("Nothing before December") @basis("test") forbid (principal, action, resource) '
        'when { context.now < datetime("2026-12-01T01:00:00+0100") };'
    )
    december = 1_796_083_200_000
    decider = Decider(_with(text), ALL)
    assert decider.distribute(alert(), NOW_MS) == Distribution(
        (), tuple(Denial(agency, "from-december", "Nothing before December") for agency in ("SG-CUSTOMS", "TH-DFT")), december
    )
    assert not decider.may_publish(alert(), december - 1).allowed
    assert decider.may_publish(alert(), december).allowed
    assert decider.distribute(alert(), december).releases


def test_labels_that_no_rule_reads_share_a_decision() -> None:
    """Messages that differ only in what no rule reads are decided once; one that differs in what a rule reads is not."""
    decider = Decider(bundle(), ALL)
    first = decider.distribute(alert(), NOW_MS)
    other = alert(valid_until_ms=None, hs_chapters=("28",), legal_basis="UNSCR1540", purposes=("NEW",), category=None)
    assert decider.distribute(other, NOW_MS) is first
    assert decider.distribute(alert(tlp="RED"), NOW_MS) is not first
    assert decider.would_disclose(alert(), NOW_MS) is first


def test_labels_that_a_rule_reads_are_told_apart() -> None:
    """As soon as a rule reads a label, messages that differ in it are decided apart."""
    text = (
        '@id("no-chapter-93") @title("No arms") @basis("test") forbid (principal, action == Action::"receive", resource) '
        'when { resource.hsChapters.contains("93") || (resource has validUntil && resource.validUntil <= context.now) };'
    )
    decider = Decider(_with(text), ALL)
    assert decider.distribute(alert(), NOW_MS).releases
    assert decider.distribute(alert(hs_chapters=("93",)), NOW_MS).releases == ()
    assert decider.distribute(alert(), NOW_MS + 1).releases == ()


def test_memo_is_bounded() -> None:
    """The oldest decision is forgotten first; one that is used stays."""
    decider = Decider(bundle(), ALL, memo_limit=2)
    first = decider.distribute(alert(tlp="RED"), NOW_MS)
    second = decider.distribute(alert(tlp="GREEN"), NOW_MS)
    assert decider.distribute(alert(tlp="RED"), NOW_MS) is first
    decider.distribute(alert(tlp="CLEAR"), NOW_MS)
    assert decider.distribute(alert(tlp="RED"), NOW_MS) is first
    again = decider.distribute(alert(tlp="GREEN"), NOW_MS)
    assert again == second
    assert again is not second


def test_long_lists_fill_the_memo_sooner() -> None:
    """A decision on labels with hundreds of names counts for many: an agency that makes them up cannot fill the memory with a few
    thousand. A usual one is remembered beside one of them, and the last is remembered however large it is."""
    decider = Decider(bundle(), ALL, memo_limit=20)
    codes = [first + second for first in "ABCDEFGHIJKLMNOP" for second in "ABCDEFGHIJKLMNOPQRST"]
    long = [alert(countries=tuple((code, "TRANSIT") for code in codes if code != left)) for left in ("AA", "BB", "CC")]
    first = decider.distribute(long[0], NOW_MS)
    usual = decider.distribute(alert(), NOW_MS)
    assert decider.distribute(long[0], NOW_MS) is first
    assert decider.distribute(alert(), NOW_MS) is usual
    second = decider.distribute(long[1], NOW_MS)
    assert decider.distribute(long[0], NOW_MS) is not first
    assert decider.distribute(long[1], NOW_MS) is not second
    last = Decider(bundle(), ALL, memo_limit=2)
    assert last.distribute(long[2], NOW_MS) is last.distribute(long[2], NOW_MS)


def test_rules_about_other_actions_are_left_out_without_effect() -> None:
    """Each question of some scenarios, put to the rules that concern its action and to all of them: the same answer, errors included."""
    broken = OVERFLOW.format(effect='forbid (principal, action == Action::"read:goods", resource)', when="when", sum=SUM)
    by = _with(broken)
    schema, actions, everything = cedar.read_schema(by.schema), cedar.actions_of(by.schema), cedar.read_policies(by.policies)
    failed = 0
    for case in scenarios()[::9]:
        message = message_entity(case.labels, read_rules(by.policies), factual(case.labels, case.facts, None, case.now_ms))
        entities = cedar.read_entities([*map(member_entity, case.members.values()), message], schema)
        assert entities is not None
        questions = [(agency, action) for agency in case.members for action in actions]
        asked = (questions, context(case.now_ms))
        some = cedar.ask_by_action(*asked, lambda action: policies_for(by.policies, actions[action]), entities, schema)
        assert some == cedar.ask(*asked, everything, entities, schema)
        failed += sum(bool(each.errors) for each in some)
    assert failed
    assert policies_for(by.policies, actions["search"]) is policies_for(by.policies, actions["replay"])


def test_one_of_many_is_answered_as_all_are() -> None:
    """Of one of a hundred members the entity is read anew, of all of them they are added to: each answer is the same."""
    many = members(*(member(f"SG-C{number}", ("customs", "police", "zone")[number % 3], "STCE-ASEAN") for number in range(100)))
    decider = Decider(bundle(), {**many, "TH-CUSTOMS": TH}, facts=read_facts(EVERYWHERE))
    labels = alert(audience_agencies=tuple(list(many)[::2]))
    distribution = decider.distribute(labels, NOW_MS)
    received = {release.agency: release.rule for release in distribution.releases}
    assert len(received) >= 50
    for agency in many:
        verdict = decider.explain(agency, "receive", labels, NOW_MS)
        assert (verdict.rules[0] if verdict.allowed else None) == received.get(agency)


def test_rules_may_name_an_agency() -> None:
    """An agency written in a rule is told apart from others of its kind and country."""
    text = (
        '@id("not-them") @title("Not this one") @basis("test") '
        'forbid (principal == Agency::"MY-CUSTOMS", action == Action::"receive", resource);'
    )
    both = members(TH, member("MY-CUSTOMS", "customs", "STCE-ASEAN"), member("MY-CUSTOMS2", "customs", "STCE-ASEAN"))
    distribution = Decider(_with(text), both).distribute(alert(audience_communities=("STCE-ASEAN",)), NOW_MS)
    assert [release.agency for release in distribution.releases] == ["MY-CUSTOMS2"]
    assert _denial(distribution, "MY-CUSTOMS").rule == "not-them"
