"""What would have to be otherwise: every way that is offered is one, and the nearest come first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.policy.bundle import Bundle
from broker.policy.counterfactual import PAIR_LIMIT, PUBLISH, RECEIVE, Change, applied, changes, conditions, ways
from broker.policy.decide import Decider
from broker.policy.facts import Agreement, Facts, Span
from broker.policy.model import AUDIENCE, Labels, Member
from broker.policy.premises import Situation
from tests.support.example_policies import example
from tests.unit.policy.shipped import NOW_MS, SECTIONS, alert, member, members, schema_text

KINDS = ("customs", "licensing", "police", "coastguard", "zone", "fiu", "regulator", "international", "auditor")
ORIGIN = member("TH-CUSTOMS", "customs")
DAY_MS = 86_400_000


def small(body: str, effect: str = "permit") -> Bundle:
    """A bundle of one rule for receiving, beside one that lets everybody read the core."""
    head = '@id("{0}") @title("{0}") @basis("test")\n'
    core = head.format("core") + 'permit (principal, action == Action::"read:core", resource);\n'
    return Bundle.from_texts(1, schema_text(), {"a.cedar": core + head.format("rule") + body})


def receiving(condition: str) -> Bundle:
    return small(f'permit (principal, action == Action::"receive", resource) when {{ {condition} }};')


def partner(kind: str, communities: tuple[str, ...], suspended: bool) -> Member:
    return member("SG-AGENCY", kind, *communities, suspended=suspended)


def whole(family: str, **changes: object) -> Labels:
    """A message with every section of its family."""
    return alert(family=family, sections=(AUDIENCE, *SECTIONS[family]), **changes)


situations = st.builds(
    Situation,
    st.builds(
        whole,
        st.sampled_from(sorted(SECTIONS)),
        tlp=st.sampled_from(("CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED")),
        handling=st.sampled_from(("H0", "H2", "H3")),
        countries=st.sampled_from(((), (("SG", "ZONE_HOST"),), (("AE", "ORIGIN"), ("SG", "TRANSIT")))),
        audience_agencies=st.sampled_from(((), ("SG-AGENCY",), ("AE-OTHER",))),
        audience_communities=st.sampled_from(((), ("C-ONE",))),
        audience_countries=st.sampled_from(((), ("SG",))),
        embargo_until_ms=st.sampled_from((None, NOW_MS + DAY_MS)),
    ),
    st.builds(partner, st.sampled_from(KINDS), st.sampled_from(((), ("C-ONE",), ("C-TWO",))), st.booleans()),
    st.sampled_from((NOW_MS, NOW_MS + 2 * DAY_MS)),
)


@settings(max_examples=15, deadline=None)
@given(situations)
def test_every_way_that_is_offered_is_one(situation: Situation) -> None:
    """Made so, the very thing is given by the rule that the way names, decided anew under the whole bundle and all members."""
    wanted = [RECEIVE, *(section for section in situation.labels.sections if section != AUDIENCE)]
    known = members(ORIGIN, member("AE-OTHER", "customs"), situation.member)
    found = ways(situation, wanted, example(), known)
    for what, many in found.ways.items():
        for way in many:
            then = applied(way.changes, situation)
            decider = Decider(example(), known | {then.member.agency: then.member}, facts=then.facts)
            (release,) = [each for each in decider.distribute(then.labels, then.now_ms).releases if each.agency == "SG-AGENCY"]
            assert {RECEIVE: release.rule, **dict(release.given)}[what] == way.rule
            action = RECEIVE if what == RECEIVE else f"read:{what}"
            assert decider.explain("SG-AGENCY", action, then.labels, then.now_ms).allowed
    assert all(len(way.changes) == 1 or not any(len(each.changes) == 1 for each in many) for many in found.ways.values() for way in many)


@pytest.mark.parametrize(
    ("condition", "labels", "expected"),
    [
        ("resource.audienceAgencies.contains(principal)", {}, "AE-ZONE were named in the audience"),
        ("principal in resource.audienceCountries", {}, "AE were named in the audience"),
        ("principal in resource.audienceCommunities", {}, "C-ONE, to which AE-ZONE belongs, were named in the audience"),
        ('principal in Community::"C-TWO"', {}, "AE-ZONE were a member of C-TWO"),
        ("principal in resource.transit", {}, "AE were TRANSIT"),
        ('[Kind::"fiu", Kind::"police"].contains(principal.kind)', {}, "AE-ZONE were police or fiu"),
        ('[Tlp::"GREEN", Tlp::"AMBER_STRICT"].contains(resource.tlp)', {}, "TLP were GREEN or AMBER+STRICT"),
        ('resource.handling == Handling::"H1"', {}, "handling were H1"),
        ('resource has pap && resource.pap == Pap::"RED"', {}, "PAP were RED"),
        ('resource.purposes.contains(Purpose::"LICENSING")', {}, "LICENSING were among the purposes"),
        ('resource.urgency == Urgency::"FLASH"', {}, "urgency were FLASH"),
        ('context.now < datetime("2026-11-01T00:00:00Z")', {}, "it were 2026-10-31T23:59:59.999Z"),
        ('context.now > datetime("2026-12-01T00:00:00Z")', {}, "it were 2026-12-01T00:00:00.001Z"),
        ("resource has embargoUntil && context.now >= resource.embargoUntil", {"embargo_until_ms": NOW_MS + DAY_MS},
         "it were 2026-11-25T12:00:00Z or 2026-11-25T12:00:00.001Z"),
        ("resource.consented.contains(principal)", {}, "the owner had consented to AE-ZONE"),
        ("principal in resource.personalAgreements", {},
         "an agreement in force between TH and AE covered the message, with persons and firms"),
    ],
)  # fmt: skip
def test_each_single_change_is_found(condition: str, labels: dict[str, object], expected: str) -> None:
    """For a rule that asks for one thing, this thing is what is told, and nothing else."""
    zone = member("AE-ZONE", "zone", "C-ONE")
    situation = Situation(alert(**labels), zone, NOW_MS)
    found = ways(situation, [RECEIVE], receiving(condition), members(ORIGIN, zone))
    assert conditions(found.ways[RECEIVE], zone) == [(expected, "rule")]
    assert found.pairs == 0


def test_a_suspended_agency_would_have_to_be_reinstated() -> None:
    """Suspension is told as what stands in the way."""
    office = member("SG-CUSTOMS", "customs", suspended=True)
    found = ways(Situation(alert(), office, NOW_MS), ["core"], example(), members(ORIGIN, office))
    assert conditions(found.ways["core"], office) == [("SG-CUSTOMS were not suspended", "read-core")]


def test_an_agreement_that_begins_later_is_a_date() -> None:
    """A fact that does not hold yet: the moment from which it does is one of the ways."""
    zone = member("AE-ZONE", "zone")
    later = Facts(agreements=(Agreement("TH-AE", "t", "b", Span(NOW_MS + DAY_MS), frozenset({"TH", "AE"})),))
    situation = Situation(alert(), zone, NOW_MS, later)
    found = ways(situation, [RECEIVE], receiving("principal in resource.agreements"), members(ORIGIN, zone))
    assert ("it were 2026-11-25T12:00:00Z or 2026-11-25T12:00:00.001Z", "rule") in conditions(found.ways[RECEIVE], zone)


def test_two_changes_where_one_is_not_enough() -> None:
    """A pair is offered only because no single change does, and what no pair gives is told as not found."""
    zone = member("AE-ZONE", "zone")
    both = receiving('resource.handling == Handling::"H1" && principal.kind == Kind::"fiu"')
    found = ways(Situation(alert(), zone, NOW_MS), [RECEIVE], both, members(ORIGIN, zone))
    assert conditions(found.ways[RECEIVE], zone) == [("handling were H1 and AE-ZONE were fiu", "rule")]
    never = receiving('resource.handling == Handling::"H1" && principal.kind == Kind::"fiu" && resource.tlp == Tlp::"RED"')
    found = ways(Situation(alert(), zone, NOW_MS), [RECEIVE], never, members(ORIGIN, zone))
    assert found.ways[RECEIVE] == ()
    assert (found.complete, found.pairs > found.singles) == (True, True)


def test_pairs_are_bounded() -> None:
    """However many communities an agency is in, no more than the limit is asked, and it is told that not all were tried."""
    zone = member("AE-ZONE", "zone", *(f"C-{number}" for number in range(60)))
    found = ways(
        Situation(alert(), zone, NOW_MS),
        [RECEIVE],
        receiving('resource.tlp != resource.tlp && principal.kind == Kind::"fiu" && resource.handling == Handling::"H1"'),
        members(ORIGIN, zone),
    )
    assert (found.pairs, found.complete, found.ways[RECEIVE]) == (PAIR_LIMIT, False, ())


def test_only_what_a_rule_reads_is_changed() -> None:
    """Nothing is tried that no rule asks for: it could not help."""
    zone = member("AE-ZONE", "zone")
    offered = changes(Situation(alert(), zone, NOW_MS), receiving('resource.tlp == Tlp::"RED"'), RECEIVE, members(ORIGIN, zone))
    assert {change.sort for change in offered} == {"named", "country named", "tlp"}


def test_an_originator_that_may_not_publish() -> None:
    """Publishing has ways of its own: another kind, or somebody named where a mark asks for names."""
    office = member("TH-CUSTOMS", "customs")
    labels: Labels = alert(tlp="RED", audience_agencies=())
    found = ways(Situation(labels, office, NOW_MS), [PUBLISH], example(), members(office, member("SG-CUSTOMS", "customs")))
    assert conditions(found.ways[PUBLISH], office) == [
        ("SG-CUSTOMS were named in the audience", "publish-customs"),
        ("TLP were CLEAR, GREEN, AMBER or AMBER+STRICT", "publish-customs"),
    ]
    zone: Member = replace(office, kind="zone")
    found = ways(Situation(alert(), zone, NOW_MS), [PUBLISH], example(), members(zone))
    assert conditions(found.ways[PUBLISH], zone) == [("TH-CUSTOMS were customs", "publish-customs")]


def test_an_unknown_change_is_a_mistake_of_the_program() -> None:
    """A sort that nobody applies would be offered without effect."""
    with pytest.raises(ValueError, match="no change of `weather`"):
        applied([Change("weather", "fair")], Situation(alert(), ORIGIN, NOW_MS))
