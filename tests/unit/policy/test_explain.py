"""Explaining: which rule, where it comes from, what it read; and the same verdict as deciding gives."""

from __future__ import annotations

import pytest

from broker.policy.bundle import Bundle
from broker.policy.counterfactual import RECEIVE
from broker.policy.decide import Decider
from broker.policy.explain import NOT_RECEIVED, Explained, explained, together
from broker.policy.facts import Agreement, Circle, Facts, Span
from broker.policy.model import AUDIENCE
from broker.policy.premises import Situation, facts, trees
from broker.policy.scenarios import Scenario
from tests.support.example_policies import example, example_scenarios
from tests.unit.policy.shipped import NOW_MS, alert, bundle, member, members, scenarios, schema_text


def told(case: Scenario, agency: str, rules: Bundle | None = None) -> Explained:
    rules = rules or example()
    facts = rules.facts.joined(case.facts)
    situation = Situation(case.labels, case.members[agency], case.now_ms, facts)
    return explained(situation, rules, case.members, Decider(rules, case.members, facts=facts))


def scenario(name: str) -> Scenario:
    return next(each for each in example_scenarios() if each.name == name)


@pytest.mark.parametrize("number", range(0, 24, 6))
def test_it_says_what_is_decided(number: int) -> None:
    """For every member of a scenario that ships: what is explained as allowed is what the distribution gives, by the same rules."""
    case = scenarios()[number]
    distribution = Decider(bundle(), case.members, facts=case.facts).distribute(case.labels, case.now_ms)
    given = {each.agency: {RECEIVE: each.rule, **dict(each.given)} for each in distribution.releases}
    for agency in case.members:
        if agency != case.labels.originator:
            answers = told(case, agency, bundle()).answers
            assert {each.what: each.rules[0].rule.id for each in answers if each.allowed} == given.get(agency, {})
            assert {each.what for each in answers} == {RECEIVE, *case.labels.sections} - {AUDIENCE}


def test_an_allow_has_title_clause_and_facts() -> None:
    """Customs on the route: the rule that lets it receive, and what this rule read, with the values."""
    answer = told(scenario("a-director-is-named"), "AE-CUSTOMS").answers[0]
    (rule,) = answer.rules
    assert (rule.rule.id, rule.rule.basis[:8]) == ("receive-route-customs", "EU ICS2:")
    assert rule.facts == ("AE-CUSTOMS is customs", "family is alert", "TLP is AMBER", "AE is DESTINATION")


def test_a_prohibition_has_its_facts_and_a_way_out() -> None:
    """H3: the forbid is named with what it read, and being named or another handling would lift it."""
    answers = told(scenario("limits-in-words"), "SG-CUSTOMS").answers
    parties = next(each for each in answers if each.what == "parties")
    assert parties.rules[0].facts == ("handling is H3", "SG-CUSTOMS is not named in the audience")
    assert parties.rules[0].rule.effect == "forbid"
    assert {way.changes[0].sort for way in parties.ways} == {"named", "handling"}


def test_a_default_deny_has_no_rule() -> None:
    """Where nothing applied there is nothing but the ways."""
    answers = told(scenario("a-director-is-named"), "AE-CUSTOMS").answers
    source = next(each for each in answers if each.what == "source")
    assert source.undecided
    assert [way.rule for way in source.ways] == ["read-grounds-source"]


def test_who_receives_nothing_reads_nothing() -> None:
    """The reason stands once, at receiving; each section has its own way out all the same."""
    receive, core, *others = told(scenario("a-director-is-named"), "XX-AUDIT").answers
    assert [each.rule.id for each in receive.rules] == ["stop-auditor"]
    assert {each.reason for each in (core, *others)} == {NOT_RECEIVED}
    assert all(each.ways and not each.rules for each in (core, *others))


def test_what_is_held_back_whole() -> None:
    """Who may receive but not read the core gets nothing, and is told why; its own rule for a section does not help."""
    text = '@id("r1") @title("t") @basis("b") permit (principal, action in [Action::"receive", Action::"read:goods"], resource);'
    one, zone = Bundle.from_texts(1, schema_text(), {"a.cedar": text}), member("AE-ZONE", "zone")
    known = members(member("TH-CUSTOMS", "customs"), zone)
    answers = explained(Situation(alert(), zone, NOW_MS), one, known, Decider(one, known)).answers
    assert not any(each.allowed for each in answers)
    assert answers[0].reason.startswith("it gets no message of which it may not read the core: no rule lets a free-zone authority")


def test_the_originator_is_asked_for_publishing_only() -> None:
    """A message's own agency is no recipient: the one question is whether it may publish."""
    (answer,) = told(scenario("a-director-is-named"), "TH-CUSTOMS").answers
    assert (answer.what, answer.allowed, answer.rules[0].facts[0]) == ("publish", True, "TH-CUSTOMS is the originator")


def test_sections_with_the_same_answer_stand_together() -> None:
    """A person reads one paragraph for all sections of one rule; receiving stays apart."""
    grouped = [names for names, _ in together(told(scenario("a-director-is-named"), "AE-CUSTOMS").answers)]
    assert grouped == [(RECEIVE,), ("core",), ("goods", "equipment", "route"), ("parties",), ("grounds", "source"), ("value",)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("principal in resource.origin || principal in resource.transit", ("AE is TRANSIT",)),
        ("principal in resource.origin || principal in resource.export", ("AE is not ORIGIN or EXPORT",)),
        ("principal in resource.audienceCommunities", ("AE-ZONE belongs to C-ONE, named in the audience",)),
        ("principal in resource.audienceCountries", ("AE is not named in the audience",)),
        ("resource.audienceAgencies.isEmpty()", ("the audience names 1 agencies",)),
        ('principal in Country::"SG"', ("AE-ZONE does not belong to SG",)),
        ('principal in Community::"C-ONE"', ("AE-ZONE belongs to C-ONE",)),
        ('principal == Agency::"AE-ZONE"', ("the agency is AE-ZONE",)),
        ('principal in [Country::"SG", Country::"AE"]', ("AE-ZONE does not belong to SG", "AE-ZONE belongs to AE")),
        ('resource.originator.kind == Kind::"customs"', ("TH-CUSTOMS is customs",)),
        ("principal.suspended || principal.country == resource.originator.country",
         ("AE-ZONE is not suspended", "AE-ZONE belongs to AE", "TH-CUSTOMS belongs to TH")),
        ("resource has embargoUntil && context.now < resource.embargoUntil", ("there is no embargo", "it is 2026-11-24T12:00:00Z")),
        ("resource has validUntil && context.now < resource.validUntil",
         ("valid until 2026-11-24T12:00:00.001Z", "it is 2026-11-24T12:00:00Z")),
        ('resource has pap && resource.pap == Pap::"RED"', ("there is no PAP",)),
        ('resource.legalBasis == "NATIONAL:TH"', ("the legal basis is NATIONAL:TH",)),
        ('resource.purposes.contains(Purpose::"LICENSING") || resource.hsChapters.contains("93")',
         ("purposes are STC_ENFORCEMENT", "HS chapters are 84")),
    ],
)  # fmt: skip
def test_facts_are_what_the_rule_reads(condition: str, expected: tuple[str, ...]) -> None:
    """Each way to ask for a label or an attribute is told with the value it had."""
    zone = member("AE-ZONE", "zone", "C-ONE")
    text = f'@id("r1") @title("t") @basis("b") permit (principal, action == Action::"receive", resource) when {{ {condition} }};'
    tree = trees(Bundle.from_texts(1, schema_text(), {"a.cedar": text}).policies)["r1"]
    labels = alert(countries=(("AE", "TRANSIT"),), audience_communities=("C-ONE",))
    assert facts(tree, Situation(labels, zone, NOW_MS), members(zone, member("TH-CUSTOMS", "customs"))) == expected


SINCE = Span(0)
DATED = Facts(
    agreements=(Agreement("TH-AE", "t", "b", SINCE, frozenset({"TH", "AE"}), personal=True),),
    operations=(Circle("OP-ONE", "t", "b", SINCE, {"AE-ZONE": Span(0, NOW_MS)}),),
    regimes=(Circle("REG-ONE", "t", "b", SINCE, {"AE-ZONE": SINCE}),),
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("principal in resource.agreements", "TH-AE is in force between TH-CUSTOMS and AE-ZONE and covers the message"),
        ("principal in resource.personalAgreements",
         "TH-AE is in force between TH-CUSTOMS and AE-ZONE and covers the message and persons and firms"),
        ("principal in resource.operations", "AE-ZONE belongs to no operation under way that is named in the audience"),
        ("principal in resource.regimes", "AE-ZONE belongs to the regime REG-ONE, named in the audience"),
        ("principal in resource.originatorCountry", "AE-ZONE is not of TH, the originator's country"),
        ("resource.consented.contains(principal)", "the owner has not consented to AE-ZONE"),
    ],
)  # fmt: skip
def test_dated_facts_are_told_as_they_stand_now(condition: str, expected: str) -> None:
    """Agreements, operations, regimes and consent: what holds at the moment of the question, an ended membership no more."""
    zone = member("AE-ZONE", "zone")
    text = f'@id("r1") @title("t") @basis("b") permit (principal, action == Action::"receive", resource) when {{ {condition} }};'
    tree = trees(Bundle.from_texts(1, schema_text(), {"a.cedar": text}).policies)["r1"]
    situation = Situation(alert(audience_communities=("OP-ONE", "REG-ONE")), zone, NOW_MS, DATED)
    assert facts(tree, situation, members(zone, member("TH-CUSTOMS", "customs"))) == (expected,)
