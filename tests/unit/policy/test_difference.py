"""Comparing bundles: who gains, who loses, by which rule; nothing where nothing changed, and the same seen from either side."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.policy.bundle import Bundle
from broker.policy.difference import APART, NAMED, OWN, ROUTE, SUSPENDED, Comparison, Group, alike, cases, compare
from broker.policy.rewording import reworded, rule_changes
from broker.policy.widening import Case
from tests.support.example_policies import TEXTS, changed, example, example_scenarios, schema
from tests.support.officers import NO_PARTIES
from tests.unit.policy.shipped import NOW_MS, SECTIONS, alert, member, members

OFFICES = members(
    member("TH-CUSTOMS", "customs"),
    *(member(f"{country}-{kind.upper()}", kind) for country in ("SG", "AE", "DE") for kind in ("customs", "licensing", "fiu")),
    member("SG-BARRED", "customs", suspended=True),
)
FULL = alert(
    family="seizure", sections=("audience", *SECTIONS["seizure"]), audience_agencies=("SG-CUSTOMS", "SG-LICENSING", "SG-FIU", "SG-BARRED"),
    audience_countries=("DE",), countries=(("AE", "DESTINATION"),),
)  # fmt: skip
CASE = Case("one seizure", FULL, OFFICES, NOW_MS)


WIDE = (
    'principal.kind == Kind::"licensing"',
    '[Kind::"licensing", Kind::"fiu"].contains(principal.kind)',
)
"""Makes the one rule of licensing authorities one of financial intelligence units too."""


def told(group: Group) -> tuple[object, ...]:
    return group.kinds, group.relations, group.what, group.families, group.rule, group.stops


@cache
def variants() -> tuple[Bundle, ...]:
    """The shipped bundle and changes of it: a rule wider, one narrower, one new, prohibitions new and gone."""
    stops = TEXTS["stops.cedar"]
    return (
        example(),
        changed(*WIDE),
        changed(stop=NO_PARTIES),
        changed(more=NO_PARTIES.replace("forbid", "permit").replace("stop-parties", "read-all-parties")),
        changed("principal.suspended", "principal.suspended && false"),
        Bundle.from_texts(2, schema(), TEXTS | {"stops.cedar": stops[stops.index('@id("stop-embargo")') :]}),
    )


def test_a_bundle_does_not_differ_from_itself() -> None:
    """Over every case that is made up and every scenario: nobody gains, nobody loses, no rule is another one."""
    many = list(cases(example(), example(), example_scenarios()))
    found = compare(example(), example(), many[::5])
    assert found.empty
    assert found.made_up == len(many[::5])
    assert rule_changes(example(), example()) == ()


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(6)), st.integers(0, 400))
def test_gains_one_way_are_losses_the_other(order: list[int], start: int) -> None:
    """Whatever two bundles and whichever cases: the other direction is the mirror image."""
    old, new = (variants()[number] for number in order[:2])
    many = [CASE, *list(cases(old, new, example_scenarios()))[start % 120 :][:4]]
    there, back = compare(old, new, many), compare(new, old, many)
    assert (there.gains, there.losses) == (back.losses, back.gains)


@pytest.mark.parametrize("new", range(1, 6))
def test_what_is_not_asked_could_not_differ(new: int) -> None:
    """Questions about actions that no touched rule names are left out; asked all the same, they change nothing."""
    pruned, whole = (Comparison(example(), variants()[new]) for _ in range(2))
    whole._actions |= {"publish", "receive"}  # pyright: ignore[reportPrivateUsage]
    for case in [CASE, *list(cases(example(), variants()[new], example_scenarios()))[::40]]:
        pruned.add(case)
        whole.add(case)
    assert pruned.result() == whole.result()


@pytest.mark.parametrize(
    ("new", "gains", "losses"),
    [
        (1, [(("fiu",), (NAMED, "of a named country"), ("goods",), ("seizure",), "read-goods-licensing", False)], []),
        (2, [], [(("customs",), (NAMED,), ("parties",), ("seizure",), "stop-parties", True)]),
        (4, [(("customs",), (SUSPENDED,), ("core", "equipment", "goods", "parties", "receive", "source"),
              ("seizure",), "stop-suspended", True)], []),
    ],
)  # fmt: skip
def test_what_changes_is_told_by_kind_relation_and_rule(new: int, gains: list[object], losses: list[object]) -> None:
    """A loosened rule, a new prohibition, a prohibition that stops nobody any more: each told once, for all whom it concerns."""
    found = compare(example(), variants()[new], [CASE])
    assert [told(group) for group in found.gains] == gains
    assert [told(group) for group in found.losses] == losses


def test_a_new_recipient_is_told_by_the_rule_that_lets_it_receive() -> None:
    """What it then reads by rules of before is put down to the new rule, in one line."""
    rule = NO_PARTIES.replace("forbid", "permit").replace("stop-parties", "receive-fiu").replace("read:parties", "receive")
    new = changed(more=rule.replace("resource);", 'resource) when { principal.kind == Kind::"fiu" };'))
    (group,) = compare(example(), new, [CASE]).gains
    assert told(group) == (("fiu",), (ROUTE,), ("core", "receive"), ("seizure",), "receive-fiu", False)
    assert (group.agencies, group.example.agency, group.example.labels) == (("AE-FIU",), "AE-FIU", FULL)


def test_who_may_publish_is_compared_too() -> None:
    """A rule for publishing changes what the originator may do."""
    publish = TEXTS["publish.cedar"].replace('[Family::"alert", Family::"seizure"]', '[Family::"alert"]')
    new = Bundle.from_texts(2, schema(), TEXTS | {"publish.cedar": publish})
    (group,) = compare(example(), new, [CASE]).losses
    assert told(group) == (("customs",), (OWN,), ("publish",), ("seizure",), "publish-customs", False)


def test_counts_are_of_messages() -> None:
    """A sort of recorded messages counts as often as it came, made-up ones apart; the example is a recorded one; marks are told only
    where it is not so under all that were tried."""
    comparison = Comparison(example(), variants()[2])
    comparison.add(CASE)
    comparison.add(Case("line 7", FULL, OFFICES, NOW_MS), times=40, recorded=True)
    comparison.add(Case("line 9", alert(family="seizure", tlp="RED", sections=("core",)), OFFICES, NOW_MS), times=2, recorded=True)
    found = comparison.result()
    (group,) = found.losses
    assert (group.made_up, group.recorded, found.made_up, found.recorded) == (1, 40, 1, 42)
    assert (group.example.name, group.marks) == ("line 7", (("AMBER", "H0"),))


def test_an_agency_that_nobody_addresses() -> None:
    """Who gains without being named, in a community, a named country or on the route, is told as such."""
    rule = NO_PARTIES.replace("forbid", "permit").replace("stop-parties", "receive-all").replace("read:parties", "receive")
    found = compare(example(), changed(more=rule), [Case("bare", alert(audience_agencies=()), OFFICES, NOW_MS)])
    assert {group.relations for group in found.gains} == {(APART,)}


def test_a_fact_that_is_new_gives_somebody_more() -> None:
    """Rules are the same, and a new agreement lets an agency receive: a gain, by the rule that reads it, and the fact is named."""
    rule = '@id("r1") @title("t") @basis("b") permit (principal, action == Action::"receive", resource)'
    texts = TEXTS | {"more.cedar": f"{rule} when {{ principal in resource.agreements }};"}
    agreement = {"id": "TH-AE", "title": "t", "basis": "b", "from": "2020-01-01T00:00:00Z", "countries": ["TH", "AE"]}
    old = Bundle.from_texts(1, schema(), texts)
    new = Bundle.from_texts(2, schema(), texts, json.dumps({"agreements": [agreement]}))
    found = compare(old, new, [CASE])
    assert {(group.relations, group.rule) for group in found.gains} == {((ROUTE,), "r1")}
    assert (found.facts_more, found.facts_less, found.losses) == (["TH-AE"], [], ())


def test_a_schema_that_knows_a_section_more() -> None:
    """Sections of either schema are compared: what only the new one can give is a gain."""
    wider = schema().replace('"read:core",', '"read:core", "read:weather",')
    rule = '@id("r1") @title("t") @basis("b") permit (principal, action == Action::"read:weather", resource);'
    new = Bundle.from_texts(2, wider, TEXTS | {"more.cedar": rule})
    many = [case for case in cases(example(), new, ()) if case.labels.family == "alert"][:1]
    assert "weather" in many[0].labels.sections
    assert {group.what for group in compare(example(), new, many).gains} == {("weather",)}


def test_messages_that_no_rule_can_tell_apart() -> None:
    """Recorded messages are sorted by what a rule can read, so that ten thousand of one sort are decided once."""
    same = alike(example(), example(), NOW_MS)
    assert same(alert(hs_chapters=("84",))) == same(alert(hs_chapters=("93",)))
    assert same(alert()) != same(alert(tlp="GREEN"))
    assert same(alert()) != same(alert(countries=(("SG", "ORIGIN"),)))


def test_rewording_keeps_both_texts() -> None:
    """Without what is new it is the old text, without what is gone the new one; a word is never cut."""
    pieces = reworded('a && Kind::"zone"', 'a || Kind::"zone-two"')
    assert "".join(text for kind, text in pieces if kind != "new") == 'a && Kind::"zone"'
    assert "".join(text for kind, text in pieces if kind != "gone") == 'a || Kind::"zone-two"'
    assert ("gone", "zone") in pieces


def test_rules_are_told_with_title_and_clause() -> None:
    """New, gone and changed, in order of id."""
    old, new = changed(stop=NO_PARTIES), changed(*WIDE)
    told_changes = [(each.id, each.state) for each in rule_changes(old, new)]
    assert told_changes == [("read-goods-licensing", "changed"), ("stop-parties", "gone")]
    wide = rule_changes(old, new)[0]
    assert wide.title.startswith("Licensing authorities read the goods")
    assert any(kind == "new" and "fiu" in text for kind, text in wide.pieces)
