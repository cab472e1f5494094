"""A share of the remembered decisions is asked of Cedar again: what memory says wrongly is found, counted and put right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from broker.policy.decide import SAMPLE, Decider
from broker.policy.health import Health
from broker.policy.model import Denial, Distribution, Labels, Member, Verdict
from broker.policy.rules import policies_for
from tests.property.test_policy_decisions import WIDE, exchanges, messages
from tests.unit.policy.shipped import NOW_MS, alert, bundle, member, members

TH = member("TH-CUSTOMS", "customs")
ALL = members(TH, member("SG-CUSTOMS", "customs"), member("MY-CUSTOMS", "customs"), member("TH-DFT", "licensing"))


def _wrong(decider: Decider, kind: str, answer: Callable[[Any], Distribution | Verdict]) -> None:
    """Make memory say something else than Cedar, as a fault of the program or the machine would."""
    memo: Any = decider._memo  # pyright: ignore[reportPrivateUsage]
    key = next(each for each in memo if each[0] == kind)
    memo[key].answer = answer(memo[key].answer)


def _refused(_: Verdict) -> Verdict:
    return Verdict(False, ("wrong",), (), "")


def _everybody_denied(distribution: Distribution) -> Distribution:
    denied = (*(Denial(each.agency, "default-deny", "wrong") for each in distribution.releases), *distribution.denials)
    return Distribution((), denied, distribution.until_ms)


def _one_more_section(distribution: Distribution) -> Distribution:
    first, *others = distribution.releases
    return replace(distribution, releases=(replace(first, given=(*first.given, ("source", "wrong"))), *others))


def test_one_in_a_hundred_is_asked_again_by_count() -> None:
    """Which decisions are checked depends on their number alone: nothing random, and the first one, which is new, does not count."""
    decider = Decider(bundle(), ALL)
    for _ in range(10 * SAMPLE + 1):
        decider.distribute(alert(), NOW_MS)
    assert decider.health == Health(failed=0, checked=10, disagreed=0)


def test_both_questions_of_a_message_are_checked_in_turn() -> None:
    """Publishing and distributing are asked alternately, and neither of them is left out."""
    decider = Decider(bundle(), ALL)
    for _ in range(SAMPLE + 1):
        decider.may_publish(alert(), NOW_MS)
        decider.distribute(alert(), NOW_MS)
    assert decider.health.checked == 2
    _wrong(decider, "publish", _refused)
    _wrong(decider, "distribute", _everybody_denied)
    for _ in range(2 * len(ALL) * SAMPLE):
        decider.may_publish(alert(), NOW_MS)
        decider.distribute(alert(), NOW_MS)
    assert decider.health.disagreed == 2


def test_where_memory_disagrees_the_fresh_answer_wins() -> None:
    """The wrong entry is given up, the answer given is Cedar's, and it is remembered from then on."""
    for wrong in (_everybody_denied, _one_more_section):
        decider = Decider(bundle(), ALL, sample=1)
        true = decider.distribute(alert(), NOW_MS)
        _wrong(decider, "distribute", wrong)
        answers = [decider.distribute(alert(), NOW_MS) for _ in range(4 * len(ALL) * len(alert().sections))]
        assert decider.health.disagreed == 1
        # Agencies are checked in turn: from the check that found it on, the answer is the true one.
        assert [each == true for each in answers] == sorted(each == true for each in answers)
        assert answers[-1] == true
    decider = Decider(bundle(), ALL, sample=1)
    decider.may_publish(alert(), NOW_MS)
    _wrong(decider, "publish", _refused)
    assert decider.may_publish(alert(), NOW_MS).rules == ("publish-customs",)
    assert decider.health == Health(0, 1, 1)


def test_a_wrong_answer_for_one_agency_is_found_in_its_turn() -> None:
    """Whichever of the agencies the error concerns, asking as often as twice their number finds it."""
    for agency in ("MY-CUSTOMS", "SG-CUSTOMS", "TH-DFT"):
        decider = Decider(bundle(), ALL, sample=1)
        decider.distribute(alert(audience_agencies=("MY-CUSTOMS", "SG-CUSTOMS")), NOW_MS)

        def wrong(distribution: Distribution, agency: str = agency) -> Distribution:
            releases = tuple(replace(each, rule="wrong") if each.agency == agency else each for each in distribution.releases)
            denials = tuple(replace(each, rule="wrong") if each.agency == agency else each for each in distribution.denials)
            return Distribution(releases, denials, distribution.until_ms)

        _wrong(decider, "distribute", wrong)
        for _ in range(4 * len(ALL)):
            decider.distribute(alert(audience_agencies=("MY-CUSTOMS", "SG-CUSTOMS")), NOW_MS)
        assert decider.health.disagreed == 1


def test_a_failure_that_is_asked_again_is_no_second_one() -> None:
    """An agency of an unknown kind is denied and counted once; checking that denial raises neither count."""
    decider = Decider(bundle(), {**ALL, "SG-NAVY": member("SG-NAVY", "navy")}, sample=1)
    for _ in range(20):
        decider.distribute(alert(), NOW_MS)
    assert decider.health == Health(failed=1, checked=19, disagreed=0)
    labels = alert(tlp="PURPLE")
    for _ in range(20):
        decider.distribute(labels, NOW_MS)
    assert decider.health == Health(failed=3, checked=38, disagreed=0)


def test_news_are_told_once() -> None:
    """What was counted since the last call, so that several shards of one worker do not count it twice."""
    decider = Decider(bundle(), ALL, sample=1)
    for _ in range(3):
        decider.distribute(alert(), NOW_MS)
    assert (decider.news(), decider.news()) == (Health(0, 2, 0), Health())
    assert Health(1, 2, 0).alarming
    assert Health(0, 2, 1).alarming
    assert not Health(0, 2, 0).alarming


@settings(max_examples=40, deadline=None)
@given(exchanges(), messages())
def test_a_sound_memory_is_never_accused(everybody: dict[str, Member], labels: Labels) -> None:
    """Whatever members, message and moment, asking one agency by itself gives what it got among the others that are alike."""
    decider = Decider(WIDE, everybody, sample=1)
    for step in range(2 * len(everybody) + 2):
        decider.distribute(labels, NOW_MS + step // 4)
        decider.may_publish(labels, NOW_MS + step // 4)
    assert decider.health.disagreed == 0
    assert decider.health.checked > 0


def test_a_section_that_memory_leaves_out_is_found() -> None:
    """A release that says nothing of one of the sections is wrong, whichever section is asked about."""
    decider = Decider(bundle(), ALL, sample=1)
    decider.distribute(alert(), NOW_MS)
    _wrong(decider, "distribute", lambda each: replace(each, releases=(replace(each.releases[0], given=each.releases[0].given[:1]),)))
    decider.distribute(alert(), NOW_MS)
    assert decider.health == Health(0, 1, 1)


def test_rules_that_were_picked_wrongly_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question goes to the rules that concern its action. Where a prohibition is not among them, what is decided is remembered wrongly;
    the check asks all rules, and finds it."""

    def without_prohibitions(text: str, groups: frozenset[str]) -> Any:
        return policies_for(text, groups, "permit")

    monkeypatch.setattr("broker.policy.decide.policies_for", without_prohibitions)
    decider = Decider(bundle(), ALL)
    embargoed = replace(alert(), embargo_until_ms=NOW_MS + 1)
    assert decider.distribute(embargoed, NOW_MS).releases
    for _ in range(SAMPLE):
        decider.distribute(embargoed, NOW_MS)
    assert decider.health.disagreed == 1
