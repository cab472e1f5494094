"""What a new bundle gives that the one before did not, and that it does not declare.

A bundle declares the ids of the rules that are meant to widen. Three bundles are compared: the *old*, the *new*, and the *declared*
one: the old with only the declared rules taken over from the new. What the new one gives must be given by the old or the declared one.

1. By text: a permit that is new, a prohibition that is gone, and a fact (an agreement, an assurance, an operation, a regime) that is new
   or changed, are named at once unless declared, whether or not a case shows it. A fact that only ends sooner, or is gone, widens nothing.
2. By decisions, over the scenarios of both bundles and over :func:`label_space`: made-up messages of every family, under every TLP
   mark, handling and PAP code and urgency in turn, for members of every kind that are named, of the community, of the country, on
   the route or none of these, and for every agency, country and community that a rule of either bundle writes out; and at
   the dates that are written in rules.

The second part is a sample: a widened condition on a combination of labels that no case has is not found. It is left out where nothing
but prohibitions was added, to the old bundle or to the declared one: whatever the labels are, a prohibition more gives nobody
anything. Asked is what can have changed: where schema
and facts are the same, the actions that a rule concerns which is another. On a shared core that costs 1 s for a rule about one section,
and 4 s where everything can have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import cedarpy

from broker import ids
from broker.errors import UsageError
from broker.policy.bundle import Bundle
from broker.policy.cedar import actions_of
from broker.policy.decide import Decider
from broker.policy.facts import NO_FACTS, Agreement, Assurance, Circle, Facts, Span
from broker.policy.model import AUDIENCE, CORE, Distribution, Labels, Member
from broker.policy.rules import Reading, read_rules
from broker.policy.scenarios import Scenario

NOW_MS: Final = 1_795_521_600_000
"""2026-11-24T12:00:00Z, the moment of a made-up case where no rule names a date."""
DATE_LIMIT: Final = 4
_TLP: Final = ("CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED")
_HANDLING: Final = ("H0", "H1", "H2", "H3")
_PAP: Final = (None, "CLEAR", "GREEN", "AMBER", "RED")
_URGENCY: Final = ("FLASH", "IMMEDIATE", "PRIORITY", "ROUTINE")
_ONWARD: Final = ("NONE", "CONSENT", "SAME_PURPOSE_NATIONAL", "FREE")
_PURPOSES: Final = (
    "STC_ENFORCEMENT", "CUSTOMS_SECURITY", "LICENSING", "PROLIF_PREVENTION", "STATISTICS", "CRIM_INVEST", "TRAINING"
)  # fmt: skip
_ROLES: Final = ("ORIGIN", "EXPORT", "TRANSIT", "TRANSHIPMENT", "DESTINATION", "ZONE_HOST", "LICENCE_ISSUER", "PLACE")
_COMMUNITY: Final = "CASE-COMMUNITY"
_NAMED, _JOINED, _LANDED, _ROUTE, _OTHER = "XA", "XB", "XC", "XD", "XE"
_SINCE = Span(0)
_FACTS: Final = Facts(
    agreements=(Agreement("CASE-AGREEMENT", "made up", "made up", _SINCE, frozenset({_NAMED, _JOINED, _ROUTE, _OTHER}), personal=True),),
    operations=(Circle("CASE-OPERATION", "made up", "made up", _SINCE, {f"{_JOINED}-CUSTOMS": _SINCE, f"{_JOINED}-POLICE": _SINCE}),),
    regimes=(Circle("CASE-REGIME", "made up", "made up", _SINCE, {f"{_JOINED}-LICENSING": _SINCE, f"{_JOINED}-CUSTOMS": _SINCE}),),
)
"""Facts of the made-up cases: all countries but one are party to an agreement, one country's agencies to an operation and a regime."""


@dataclass(frozen=True, slots=True)
class Case:
    """A message, the members it could reach, who could be its originator if not only the one it has, and the moment (Unix ms)."""

    name: str
    labels: Labels
    members: Mapping[str, Member]
    now_ms: int
    publishers: tuple[str, ...] = ()
    facts: Facts = NO_FACTS


def undeclared(old: Bundle, new: Bundle, widens: Sequence[str], scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """What ``new`` gives beyond ``old`` and the rules declared in ``widens``, one sentence for each thing; empty if nothing.

    ``scenarios``: those of both bundles. Deterministic: the same bundles give the same answer in the same order.
    """
    if only_forbids_more(old, new):
        return ()
    found = list(_by_text(old, new, frozenset(widens)))
    try:
        declared = _declared(old, new, frozenset(widens))
    except UsageError as error:
        return (*found, f"the rules of before do not fit the new schema ({error}): change the schema first and drop words later")
    if only_forbids_more(declared, new):
        return tuple(found)
    cases = [Case(f"scenario {each.name}", each.labels, each.members, each.now_ms, facts=each.facts) for each in _once(scenarios)]
    found += by_decision(old, new, declared, [*cases, *label_space(old, new)], touched_actions(old, new))
    return tuple(dict.fromkeys(found))


def _once(scenarios: Sequence[Scenario]) -> Iterator[Scenario]:
    """Each scenario once: two bundles have most of them in common."""
    seen: dict[str, Scenario] = {}
    for each in scenarios:
        if seen.setdefault(each.name, each) is each or seen[each.name] != each:
            yield each


def touched_actions(old: Bundle, new: Bundle) -> frozenset[str]:
    """The actions about which the two bundles can decide differently: those that a rule concerns which is not the same in both, or all of
    them where schema or facts are others."""
    actions = actions_of(new.schema)
    if (old.schema, old.entities) != (new.schema, new.entities):
        return frozenset(actions)
    touched = {name for names in changed_rules(old, new).values() for name in names}
    rules = [rule for rule in (*old.rules(), *new.rules()) if rule.id in touched]
    return frozenset(name for name, groups in actions.items() if any(rule.concerns(groups) for rule in rules))


def changed_rules(old: Bundle, new: Bundle) -> dict[str, list[str]]:
    """The ids of the rules that are ``added``, ``gone``, and ``changed`` in what they say (not in layout), each in order."""
    before, after = _rules(old), _rules(new)
    return {
        "added": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
        "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }


def changed_facts(old: Facts, new: Facts) -> list[str]:
    """The ids of the facts of ``new`` that are not in ``old`` as they are, nor only end sooner there; an assurance by its agency and
    agreement."""
    return [name for name, fact in _facts(new).items() if (before := _facts(old).get(name)) is None or not _within(fact, before)]


def _facts(facts: Facts) -> dict[str, Agreement | Assurance | Circle]:
    found: dict[str, Agreement | Assurance | Circle] = {each.id: each for each in (*facts.agreements, *facts.circles)}
    return found | {f"{each.agency} {each.agreement}": each for each in facts.assurances}


def _within(fact: Agreement | Assurance | Circle, before: Agreement | Assurance | Circle) -> bool:
    """Whether a fact is the one before, or the same for a part of its time and, of a circle, of its members."""
    if isinstance(fact, Circle) and isinstance(before, Circle):
        members = all(agency in before.members and span.within(before.members[agency]) for agency, span in fact.members.items())
        return members and fact.span.within(before.span)
    return fact.span.within(before.span) and replace(fact, span=before.span) == before


def label_space(old: Bundle, new: Bundle) -> Iterator[Case]:
    """Made-up cases, the same for the same two bundles."""
    readings = (read_rules(old.policies), read_rules(new.policies))
    members = _members(readings)
    audience = (
        tuple(sorted(agency for agency in members if members[agency].country == _NAMED)),
        tuple(sorted({_COMMUNITY, "CASE-OPERATION", "CASE-REGIME", *_literals(readings, "Community")})),
    )
    sections = tuple(sorted(name.removeprefix("read:") for name in actions_of(new.schema) if name.startswith("read:")))
    dates = sorted({date + step for reading in readings for date in reading.dates for step in (-1, 0)})
    moments = [NOW_MS, *islice((each for each in dates if each > 0), 2 * DATE_LIMIT)]
    originators = sorted(agency for agency in members if members[agency].country == _OTHER)
    publishers = tuple(agency for agency in members if members[agency].country not in (_NAMED, _JOINED, _LANDED, _ROUTE))
    for number, family in enumerate(sorted(_literals(readings, "Family"))):
        for place, tlp in enumerate(_TLP):
            turn = number + place
            labels = Labels(
                family=family, originator=originators[turn % len(originators)], tlp=tlp, handling=_HANDLING[turn % 4],
                pap=_PAP[turn % 5], urgency=_URGENCY[turn % 4], onward=_ONWARD[turn % 4], purposes=_PURPOSES[: turn % 8],
                legal_basis="NATIONAL", countries=tuple((_ROUTE, role) for role in _ROLES), hs_chapters=("84", "93"),
                category="DUAL_USE", free_zone=None, sections=sections, audience_agencies=audience[0],
                audience_communities=audience[1], audience_countries=(_LANDED,),
                valid_until_ms=None, embargo_until_ms=NOW_MS + 1 if turn % 6 == 5 else None,
            )  # fmt: skip
            for now_ms in moments:
                yield Case(f"a made-up {family} under TLP:{tlp}", labels, members, now_ms, publishers, _FACTS)


def _literals(readings: Iterable[Reading], kind: str) -> frozenset[str]:
    return frozenset(name for reading in readings for name in reading.entities.get(kind, ()))


def _members(readings: Sequence[Reading]) -> dict[str, Member]:
    found: dict[str, Member] = {}
    places = [(_NAMED, ()), (_JOINED, (_COMMUNITY,)), (_LANDED, ()), (_ROUTE, ()), (_OTHER, ())]
    places += [(country, ()) for country in sorted(_literals(readings, "Country"))]
    for country, communities in places:
        for kind in ids.KINDS:
            agency = f"{country}-{kind.upper()}"[:15]
            found[agency] = Member(agency, country, kind, communities, False)
    for community in sorted(_literals(readings, "Community")):
        for number, kind in enumerate(ids.KINDS):
            agency = f"XF-{len(found)}N{number}"
            found[agency] = Member(agency, "XF", kind, (community,), False)
    for agency in sorted(_literals(readings, "Agency")):
        found[agency] = Member(agency, ids.country_of(agency), "customs", (), False)
    found["XG-SUSPENDED"] = Member("XG-SUSPENDED", _ROUTE, "customs", (_COMMUNITY,), True)
    return found


def only_forbids_more(old: Bundle, new: Bundle) -> bool:
    """Whether every rule is as it was, in a bundle that is otherwise the same, and what is new are prohibitions; or nothing is.

    A permit that is gone is not taken for narrowing here: where it failed, its failure denied.
    """
    if replace(new, version=old.version, policies=old.policies, digest=old.digest) != old:
        return False
    before, after = _rules(old), _rules(new)
    return all(after.get(name) == rule for name, rule in before.items()) and all(
        rule["effect"] == "forbid" for name, rule in after.items() if name not in before
    )


def _by_text(old: Bundle, new: Bundle, widens: frozenset[str]) -> Iterator[str]:
    before, after = {rule.id: rule for rule in old.rules()}, {rule.id: rule for rule in new.rules()}
    for name, rule in after.items():
        fresh = name not in before or before[name].effect != rule.effect
        if fresh and rule.effect == "permit" and name not in widens:
            yield f"the permission `{name}` is new and is not declared"
    for name, rule in before.items():
        gone = name not in after or after[name].effect != rule.effect
        if gone and rule.effect == "forbid" and name not in widens:
            yield f"the prohibition `{name}` is gone, which is not declared"
    for name in changed_facts(old.facts, new.facts):
        if name not in widens:
            yield f"the fact `{name}` is new or gives more than before, which is not declared"


def by_decision(old: Bundle, new: Bundle, declared: Bundle, cases: Iterable[Case], actions: frozenset[str]) -> Iterator[str]:
    """What the new bundle gives in these cases beyond the other two, in sentences; only ``actions`` can be decided differently."""
    deciders: dict[tuple[int, frozenset[Member], Facts], Decider] = {}

    def decider(number: int, bundle: Bundle, case: Case) -> Decider:
        key = number, frozenset(case.members.values()), case.facts
        if key not in deciders:
            deciders[key] = Decider(bundle, case.members, facts=bundle.facts.joined(case.facts))
        return deciders[key]

    for case in cases:
        now = _gives(decider(0, new, case), case, actions)
        if not (more := now.keys() - _gives(decider(1, old, case), case, actions).keys()):
            continue
        for what in sorted(more - _gives(decider(2, declared, case), case, actions).keys()):
            yield f"{case.name}: {what[0]} {what[1]} by `{now[what]}`, which it could not before"


def _gives(decider: Decider, case: Case, actions: frozenset[str]) -> dict[tuple[str, str], str]:
    """What happens in a case, as (agency, what it does), and the rule by which; of what depends on these actions, all of it."""
    given: dict[tuple[str, str], str] = {}
    for agency in case.publishers or (case.labels.originator,) if "publish" in actions else ():
        verdict = decider.explain(agency, "publish", replace(case.labels, originator=agency), case.now_ms)
        if verdict.allowed:
            given[agency, "publishes it"] = verdict.rules[0]
    if (labels := _touched_part(case.labels, actions)) is None:
        return given
    distribution: Distribution = decider.distribute(labels, case.now_ms)
    for release in distribution.releases:
        given[release.agency, "receives it"] = release.rule
        given.update({(release.agency, f"reads {section}"): rule for section, rule in release.given if section != AUDIENCE})
    return given


def _touched_part(labels: Labels, actions: frozenset[str]) -> Labels | None:
    """The message with the sections on which these actions bear, None where its delivery does not depend on them.

    Who may not read the core receives nothing and who may gets something. So where both this and receiving are as before, who receives
    is too, and of each section it depends on that section alone.
    """
    if not any(action == "receive" or action.startswith("read:") for action in actions):
        return None
    if {"receive", f"read:{CORE}"} & actions or CORE not in labels.sections:
        return labels
    return replace(labels, sections=tuple(each for each in labels.sections if each == CORE or f"read:{each}" in actions))


def _declared(old: Bundle, new: Bundle, widens: frozenset[str]) -> Bundle:
    """The old bundle with the declared rules as the new one has them, under the new schema and with the new facts. Raises UsageError
    where it does not fit."""
    before, after = _rules(old), _rules(new)
    kept = {name: rule for name, rule in before.items() if name not in widens}
    taken = {name: rule for name, rule in after.items() if name in widens}
    policies: dict[str, object] = {"templates": {}, "templateLinks": [], "staticPolicies": {**kept, **taken}}
    return Bundle.from_texts(
        new.version, new.schema, {"declared.cedar": cedarpy.policies_from_json_str(json.dumps(policies))}, new.entities
    )


def _rules(bundle: Bundle) -> dict[str, Any]:
    rules: Mapping[str, Any] = json.loads(cedarpy.policies_to_json_str(bundle.policies))["staticPolicies"]
    return {each["annotations"]["id"]: each for each in rules.values()}
