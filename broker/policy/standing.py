"""What each rule does among the others: whether anything ever depends on it, and which rule makes another one void.

Asked of Cedar over a finite, deterministic set of situations: every scenario of the bundle, with each TLP and with handling H0 and H3,
for each of its members; reading is asked only where the message is received. Cedar names only the rules of the winning side, so permits
and prohibitions are asked apart. What holds over these situations need not hold over all: the findings are warnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

from cedarpy import Entities

from broker.policy import cedar
from broker.policy.bundle import Bundle
from broker.policy.entities import FACTUAL, context, factual, member_entity, message_entity, variant, variants
from broker.policy.facts import Facts
from broker.policy.lint import PolicyFinding
from broker.policy.model import AUDIENCE, EVIDENCE, Labels, Member
from broker.policy.rules import policies_for, read_rules
from broker.policy.scenarios import Asked, Scenario
from broker.policy.source import Placed

_TLP: Final = ("CLEAR", "GREEN", "AMBER", "AMBER_STRICT", "RED")
_HANDLING: Final = ("H0", "H3")

Situation = tuple[Labels, Mapping[str, Member], Facts, int, tuple[Asked, ...]]
"""Labels of a message, the members, the facts of the test, the time in Unix milliseconds, and what is asked besides."""


@dataclass(slots=True)
class _Tally:
    """How often a rule applied, how often it decided, and which permits applied every time it did."""

    applied: int = 0
    decided: int = 0
    beside: set[str] | None = None
    over: Counter[str] = field(default_factory=Counter[str])


def situations(scenarios: Sequence[Scenario]) -> Iterator[Situation]:
    """Every scenario with each TLP and with handling H0 and H3 beside its own; each situation once."""
    seen: set[object] = set()
    for each in scenarios:
        for tlp, handling in ((each.labels.tlp, each.labels.handling), *product(_TLP, _HANDLING)):
            labels = replace(each.labels, tlp=tlp, handling=handling)
            key = (labels, frozenset(each.members.values()), each.facts, each.now_ms)
            if key not in seen:
                seen.add(key)
                yield labels, each.members, each.facts, each.now_ms, each.asks


def standing(bundle: Bundle, scenarios: Sequence[Scenario], places: Mapping[str, Placed]) -> list[PolicyFinding]:
    """Dead, shadowed and covered rules, and where prohibitions meet permits. ``places`` says where each rule stands."""
    tallies = {rule.id: _Tally() for rule in bundle.rules()}
    court = _Court(bundle)
    for situation in situations(scenarios):
        for permits, forbids in court.heard(*situation):
            _count(tallies, permits, forbids)
    return [_finding(code, rule, reason, places) for rule, code, reason in _judged(bundle, tallies)]


def _count(tallies: dict[str, _Tally], permits: frozenset[str], forbids: frozenset[str]) -> None:
    for rule in permits:
        tally = tallies[rule]
        tally.applied += 1
        if not forbids:
            tally.decided += 1
            tally.beside = set(permits) - {rule} if tally.beside is None else tally.beside & permits
    for rule in forbids:
        tallies[rule].applied += 1
        tallies[rule].decided += 1
        tallies[rule].over.update(permits)


def _judged(bundle: Bundle, tallies: Mapping[str, _Tally]) -> Iterator[tuple[str, str, str]]:
    for rule in bundle.rules():
        tally = tallies[rule.id]
        if not tally.applied:
            yield rule.id, "DEAD_RULE", f"rule `{rule.id}` applies in no situation that was tried"
        elif not tally.decided:
            yield rule.id, "SHADOWED_RULE", f"rule `{rule.id}` applies {tally.applied} times and is forbidden each time"
        elif tally.beside:
            others = ", ".join(f"`{each}`" for each in sorted(tally.beside))
            yield rule.id, "COVERED_RULE", f"wherever rule `{rule.id}` permits, {others} does too"
        if tally.over:
            told = ", ".join(f"`{each}` ({times})" for each, times in tally.over.most_common(5))
            yield rule.id, "CONFLICT", f"rule `{rule.id}` overrides {len(tally.over)} permits, most often {told}"


def _finding(code: str, rule: str, reason: str, places: Mapping[str, Placed]) -> PolicyFinding:
    place = places.get(rule)
    return PolicyFinding(code, place.file if place else "", place.line if place else 0, rule, reason)


Heard = tuple[frozenset[str], frozenset[str]]
"""The permits and the prohibitions that apply to a question."""


class _Court:
    """Hears permits and prohibitions apart."""

    def __init__(self, bundle: Bundle) -> None:
        self._policies = bundle.policies
        self._reading = read_rules(bundle.policies)
        self._schema = cedar.read_schema(bundle.schema)
        self._actions = cedar.actions_of(bundle.schema)
        self._facts, self._factual = bundle.facts, cedar.attributes_of(bundle.schema, FACTUAL)
        self._present: tuple[object, Mapping[str, Member], Entities | None] | None = None

    def heard(
        self, labels: Labels, members: Mapping[str, Member], facts: Facts, now_ms: int, asks: Sequence[Asked] = ()
    ) -> Iterator[Heard]:
        """The permits and the prohibitions that apply to each question that one message raises."""
        facts = self._facts.joined(facts)
        standing, present = self._standing(members, facts, now_ms)
        sections = [None, *labels.sections, EVIDENCE] if labels.consents else [None]
        messages = [self._message(labels, facts, standing.get(labels.originator), now_ms, section) for section in sections]
        entities = cedar.with_added(present, messages, self._schema) if present is not None else None
        if entities is None:
            return
        if labels.originator in members:
            yield from self._ask([(labels.originator, "publish")], labels, entities, now_ms)
        others = [agency for agency in members if agency != labels.originator]
        received = self._ask([(agency, "receive") for agency in others], labels, entities, now_ms)
        yield from received
        reads = [f"read:{section}" for section in labels.sections if section != AUDIENCE and f"read:{section}" in self._actions]
        recipients = [agency for agency, (permits, forbids) in zip(others, received, strict=True) if permits and not forbids]
        yield from self._ask([(agency, action) for agency in recipients for action in reads], labels, entities, now_ms)
        for each in asks:
            if each.agency in recipients:
                yield from self._ask([(each.agency, each.action)], labels, entities, now_ms, each.purpose)

    def _standing(self, members: Mapping[str, Member], facts: Facts, now_ms: int) -> tuple[Mapping[str, Member], Entities | None]:
        """The members at a moment, and as Cedar has them. Kept for the next situation, which mostly has the same."""
        asked = (members, facts, now_ms)
        if self._present is None or self._present[0] != asked:
            standing = {agency: facts.standing(member, now_ms) for agency, member in members.items()}
            self._present = asked, standing, cedar.read_entities(map(member_entity, standing.values()), self._schema)
        return self._present[1:]

    def _message(self, labels: Labels, facts: Facts, originator: Member | None, now_ms: int, section: str | None) -> str:
        found = factual(labels, facts, originator, now_ms, section)
        more = {name: value for name, value in found.items() if name in self._factual}
        return message_entity(labels, self._reading, more, variant(section) if section else cedar.MESSAGE)

    def _ask(
        self, questions: Sequence[tuple[str, str]], labels: Labels, entities: Entities, now_ms: int, purpose: str | None = None
    ) -> list[Heard]:
        resources = variants(labels)
        at = context(now_ms, purpose)
        given = cedar.ask_by_action(questions, at, self._permits, entities, None, resources)
        stopped = cedar.ask_by_action(questions, at, self._forbids, entities, None, resources)
        return [
            (frozenset(permit.rules), frozenset(() if forbid.allowed else forbid.rules))
            for permit, forbid in zip(given, stopped, strict=True)
        ]

    def _permits(self, action: str) -> cedar.Policies:
        return policies_for(self._policies, self._actions.get(action, frozenset({action})), "permit")

    def _forbids(self, action: str) -> cedar.Policies:
        return policies_for(self._policies, self._actions.get(action, frozenset({action})), "forbid")
