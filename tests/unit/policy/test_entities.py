"""Members share an answer only where no rule can tell them apart, and a decision is remembered only as long as it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import alike, context, factual, member_entity, message_entity, moment, window
from broker.policy.facts import NO_FACTS
from broker.policy.model import Labels
from broker.policy.rules import read_rules
from tests.unit.policy.shipped import NOW_MS, alert, bundle, member, members, policy_texts, schema_text

EXCHANGE = members(
    member("TH-CUSTOMS", "customs"),
    member("TH-PORT", "customs", "ONE"),
    member("SG-CUSTOMS", "customs", "ONE"),
    member("DE-CUSTOMS", "customs", "ONE", "TWO"),
    member("DE-ZOLL", "customs", "ONE", suspended=True),
    member("DE-BAFA", "licensing", "ONE"),
)


def _with(condition: str) -> Bundle:
    rule = f'@id("extra") @title("Extra") @basis("test") forbid (principal, action == Action::"receive", resource) when {{ {condition} }};'
    return Bundle.from_texts(2, schema_text(), {**policy_texts(), "extra.cedar": rule})


def _stopped(condition: str) -> set[str]:
    labels = alert(audience_communities=("ONE",), audience_agencies=())
    denials = Decider(_with(condition), EXCHANGE).distribute(labels, NOW_MS).denials
    return {denial.agency for denial in denials if denial.rule == "extra"}


@pytest.mark.parametrize(
    ("condition", "stopped"),
    [
        ("principal.country == resource.originator.country", {"TH-PORT"}),
        ('principal in Country::"DE" && !principal.suspended', {"DE-CUSTOMS", "DE-BAFA"}),
        ('principal in Community::"TWO"', {"DE-CUSTOMS"}),
        ('principal == Agency::"SG-CUSTOMS"', {"SG-CUSTOMS"}),
        ('principal.kind == Kind::"licensing"', {"DE-BAFA"}),
        ("principal.suspended", {"DE-ZOLL"}),
    ],
)
def test_whatever_a_rule_asks_tells_members_apart(condition: str, stopped: set[str]) -> None:
    """A country, community, agency, kind or standing that a rule asks for reaches exactly those members it is true of."""
    assert _stopped(condition) == stopped


def test_alike_members_are_asked_once() -> None:
    """200 customs of countries that do not matter make one set; those that are addressed or on the route are set apart."""
    many = members(*(member(f"{first}{second}-CUSTOMS", "customs") for first in "ABCDEFGHIJ" for second in "ABCDEFGHIJKLMNOPQRST"))
    labels = alert(originator="TH-CUSTOMS", audience_agencies=("AA-CUSTOMS", "AB-CUSTOMS"), countries=(("BB", "TRANSIT"),))
    sets = alike(labels, read_rules(bundle().policies), many)
    assert sorted(len(same) for same in sets) == [1, 2, 197]
    assert sorted(each.agency for same in sets for each in same) == sorted(many)


@pytest.mark.parametrize(
    ("condition", "flips_at"),
    [
        ('context.now < datetime("2026-11-24T12:00:00Z")', NOW_MS),
        ('context.now <= datetime("2026-11-24T12:00:00Z")', NOW_MS + 1),
        ('context.now == datetime("2026-11-24T12:00:00Z")', NOW_MS + 1),
        ("resource has validUntil && context.now <= resource.validUntil", NOW_MS + 1),
    ],
)
def test_a_remembered_decision_turns_with_its_rule(condition: str, flips_at: int) -> None:
    """Strict and inclusive comparisons turn at their own millisecond, also when the decision before it is remembered."""
    decider = Decider(_with(condition), EXCHANGE)
    labels = alert(valid_until_ms=NOW_MS)
    assert decider.distribute(labels, flips_at - 1).releases == ()
    assert decider.distribute(labels, flips_at).releases


def test_routes_are_decided_apart() -> None:
    """Two messages that differ in the route only do not share a remembered decision."""
    decider = Decider(bundle(), EXCHANGE)
    for country, agency in (("SG", "SG-CUSTOMS"), ("DE", "DE-CUSTOMS")):
        labels = alert(audience_agencies=(), countries=((country, "TRANSIT"),))
        assert [release.agency for release in decider.distribute(labels, NOW_MS).releases] == [agency]


def test_window_without_dates_is_open() -> None:
    """Without a date in labels or rules a decision holds for good; a date that no rule reads is none."""
    reading = read_rules(bundle().policies)
    assert window(alert(), reading, NO_FACTS, NOW_MS) == (None, None)
    assert window(alert(embargo_until_ms=NOW_MS + 5), reading, NO_FACTS, NOW_MS) == (None, None)
    exact = replace(reading, relative=frozenset())
    assert window(alert(embargo_until_ms=NOW_MS + 5), exact, NO_FACTS, NOW_MS) == (None, NOW_MS + 1)
    assert window(alert(embargo_until_ms=NOW_MS - 5), exact, NO_FACTS, NOW_MS) == (NOW_MS - 4, NOW_MS + 1)


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOW_MS + 7, "2026-11-24T12:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_moments_are_exact(at_ms: int, text: str) -> None:
    """Milliseconds arrive in Cedar unrounded, also before 1970."""
    assert moment(at_ms) == {"__extn": {"fn": "datetime", "arg": text}}


def test_an_allow_with_errors_is_no_allow() -> None:
    """The engine's seam itself never says allowed when a rule failed, whoever asks it."""
    broken = bundle().policies + (
        '@id("broken") @title("x") @basis("x") forbid (principal, action, resource) '
        "when { 9223372036854775807 + (if resource.hsChapters.isEmpty() then 1 else 2) > 0 };"
    )
    schema = cedar.read_schema(schema_text())
    labels: Labels = alert()
    sg = member_entity(EXCHANGE["SG-CUSTOMS"])
    entities = cedar.read_entities(
        [sg, message_entity(labels, read_rules(bundle().policies), factual(labels, NO_FACTS, None, NOW_MS))], schema
    )
    assert entities is not None
    policies = cedar.read_policies(broken)
    (answer,) = cedar.ask([("SG-CUSTOMS", "receive")], context(NOW_MS), policies, entities, schema)
    assert answer.errors
    assert not answer.allowed
