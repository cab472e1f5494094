"""What must hold whatever the rules permit, checked over every message and member that the shipped rules can tell apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.model import Labels
from broker.policy.mutation import all_mutants, mutated
from broker.policy.rules import read_rules
from tests.property.invariants import INVARIANTS
from tests.property.label_space import PLACES, decider_of, members, messages, sections, situations
from tests.unit.policy.shipped import NOW_MS, bundle, policy_texts, schema_text

SLICE = 23
"""Every 23rd message in the short form: no list of values has a length that 23 divides, so each value meets all others."""

STOPS = {
    "suspended_does_nothing": "stop-suspended",
    "red_only_for_the_named": "stop-red-unnamed",
    "auditors_get_nothing": "stop-auditor",
    "embargo_holds": "stop-embargo",
    "h3_persons_only_for_the_named": "stop-h3-unnamed",
    "persons_only_under_an_agreement": "stop-personal-without-agreement",
}
"""The rule that upholds each invariant alone."""

EQUIVALENT = {
    ("read-reachback", "`resource.audienceAgencies.contains(principal)` is left out"),
    ("read-request-named", "`resource.audienceAgencies.contains(principal)` is left out"),
    ("receive-route-customs", '`[Tlp::"CLEAR", Tlp::"GREEN", Tlp::"AMBER"].contains(resource.tlp)` is left out'),
    ("stop-red-without-names", "the action `publish` is left out"),
}
"""Mutants that no scenario can notice, because another rule stops what they would give."""


def _broken(by: Bundle, chosen: Iterable[Labels], decider: Decider | None = None) -> tuple[set[str], int, int]:
    """The invariants that do not hold, the number of members asked about, and of decisions that failed."""
    decider = decider_of(by) if decider is None else decider
    broken, asked = set[str](), 0
    for labels in chosen:
        for situation in situations(by, decider, labels):
            asked += 1
            broken.update(each.__name__ for each in INVARIANTS if not each(situation))
    return broken, asked, decider.error_count


def _without(rule: str) -> Bundle:
    policy, whole = next((policy, mutant) for policy, mutant in all_mutants(bundle()) if mutant.rule == rule)
    assert policy.annotations["id"] == rule
    return mutated(bundle(), whole)


def test_invariants_hold_over_a_slice_of_all_messages() -> None:
    """Every 23rd of all messages, all members, all actions: nothing is given that must not be, and deciding never fails."""
    chosen = list(messages(bundle()))[::SLICE]
    broken, asked, failed = _broken(bundle(), chosen)
    assert (broken, failed) == (set(), 0)
    assert asked == len(chosen) * len(members(read_rules(bundle().policies)))


@pytest.mark.soak
def test_invariants_hold_over_all_messages() -> None:
    """All of them: 6,080 label combinations, 261 members, 26 actions, which makes 41 million questions."""
    chosen = list(messages(bundle()))
    broken, asked, failed = _broken(bundle(), chosen)
    assert (broken, failed) == (set(), 0)
    assert asked * len((*sections(bundle()), "receive")) >= 41_000_000


def test_the_space_is_as_large_as_it_says() -> None:
    """All families, markings, handling, FLASH or not, dates around the embargo, with names and without; every kind of member
    in every relation to the message, active and suspended."""
    chosen, everybody = list(messages(bundle())), members(read_rules(bundle().policies))
    assert len(set(chosen)) == len(chosen) == 19 * 5 * 4 * 2 * 2 * 4
    assert len(everybody) == 9 * 2 * len(PLACES) + 9
    assert {each.family for each in chosen[::SLICE]} == {each.family for each in chosen}
    assert len({(each.tlp, each.handling, each.embargo_until_ms, each.audience_agencies) for each in chosen[::SLICE]}) == 5 * 4 * 4 * 2
    assert len(sections(bundle())) == 25


@pytest.mark.parametrize(("name", "rule"), STOPS.items())
def test_each_invariant_notices_that_its_rule_is_missing(name: str, rule: str) -> None:
    """Without the rule that upholds it an invariant fails, and the check says which; so the check above is none that cannot fail."""
    by, broken = _without(rule), set[str]()
    decider = decider_of(by)
    for labels in messages(bundle()):
        if labels.family == "alert" and (labels.tlp == "RED") == (rule == "stop-red-unnamed"):
            broken |= _broken(by, [labels], decider)[0]
        if broken:
            break
    assert broken == {name}


def test_publishing_in_anothers_name_is_noticed() -> None:
    """The same where a rule that lets customs publish forgets whose message it is."""
    texts = policy_texts()
    texts["publish.cedar"] = texts["publish.cedar"].replace("resource.originator == principal &&", "", 1)
    alert = next(each for each in messages(bundle()) if each.family == "alert")
    assert _broken(Bundle.from_texts(1, schema_text(), texts), [alert])[0] == {"only_the_originator_publishes"}


def test_failed_decisions_are_noticed() -> None:
    """A member of a kind that the schema does not know: deciding about it fails, which is counted."""
    stranger = replace(next(iter(members(read_rules(bundle().policies)).values())), kind="navy")
    decider = Decider(bundle(), {stranger.agency: stranger})
    decider.distribute(next(messages(bundle())), NOW_MS)
    assert decider.error_count == 1


@pytest.mark.soak
@pytest.mark.parametrize(("rule", "what"), sorted(EQUIVALENT))
def test_mutants_that_survive_make_no_difference(rule: str, what: str) -> None:
    """What the scenarios do not notice decides alike over all messages that its rule can apply to, for every member, by the same rule."""
    mutant = next(each for _, each in all_mutants(bundle()) if (each.rule, each.what) == (rule, what))
    families = next(each.families for each in bundle().rules() if each.id == rule)
    before, after = decider_of(bundle()), decider_of(mutated(bundle(), mutant))
    for labels in messages(bundle()):
        if families and labels.family not in families:
            continue
        one, other = before.distribute(labels, NOW_MS), after.distribute(labels, NOW_MS)
        assert one.releases == other.releases
        assert [(each.agency, each.rule) for each in one.denials] == [(each.agency, each.rule) for each in other.denials]
        assert before.may_publish(labels, NOW_MS).rules == after.may_publish(labels, NOW_MS).rules
