"""What would have to be otherwise for a denied agency to be given something: the nearest changes, found by asking.

A default deny has no reasons: no rule applied. So single changes are tried first, each a thing that people can picture (the agency named,
a mark lowered, a date passed), and where none of them is enough, two at a time, up to :data:`PAIR_LIMIT`. Only what some rule reads is
changed: nothing else can matter. What is offered was decided by the very :class:`~broker.policy.decide.Decider` that decides messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

from broker import ids
from broker.ids import country_of
from broker.policy.bundle import Bundle
from broker.policy.decide import Decider
from broker.policy.entities import ROLES
from broker.policy.facts import Agreement, Facts, Span
from broker.policy.model import Consent, Member
from broker.policy.premises import Situation, moment_shown, tlp_shown
from broker.policy.rules import Reading, read_rules

PAIR_LIMIT: Final = 600
"""Most pairs of changes that are tried."""
TURNS: Final = 8
"""Most dates to come, after one another, at which a decision changes, that are tried beside those written in rules and labels."""

PUBLISH: Final = "publish"
RECEIVE: Final = "receive"
_ENUM: Final = re.compile(r"\bentity\s+(\w+)\s+enum\s*\[([^\]]*)\]")
_MARKS: Final = (("tlp", "Tlp"), ("handling", "Handling"), ("pap", "Pap"), ("urgency", "Urgency"), ("onward", "Onward"))
_CALLED: Final[Mapping[str, str]] = {"tlp": "TLP", "handling": "handling", "pap": "PAP", "urgency": "urgency", "onward": "onward use"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise: of what ``sort`` (``named``, ``tlp``, ``now``, ...) and to which ``value``. See :func:`applied`."""

    sort: str
    value: str


@dataclass(frozen=True, slots=True)
class Way:
    """Changes that would give something, all of them together, and the ``rule`` by which it then would be given."""

    changes: tuple[Change, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class Found:
    """The ways to each thing that was asked for; none where there is none among those tried. ``tried`` counts the questions."""

    ways: Mapping[str, tuple[Way, ...]]
    singles: int
    pairs: int
    complete: bool


def applied(changes: Iterable[Change], situation: Situation) -> Situation:
    """The situation with the changes made."""
    for change in changes:
        situation = _applied(change, situation)
    return situation


def _applied(change: Change, situation: Situation) -> Situation:
    labels, member, value = situation.labels, situation.member, change.value
    match change.sort:
        case "named" | "another named":
            return replace(situation, labels=replace(labels, audience_agencies=(*labels.audience_agencies, value)))
        case "community named":
            return replace(situation, labels=replace(labels, audience_communities=(*labels.audience_communities, value)))
        case "country named":
            return replace(situation, labels=replace(labels, audience_countries=(*labels.audience_countries, value)))
        case "member of":
            return replace(situation, member=replace(member, communities=(*member.communities, value)))
        case "kind":
            return replace(situation, member=replace(member, kind=value))
        case "standing":
            return replace(situation, member=replace(member, suspended=False))
        case "role":
            return replace(situation, labels=replace(labels, countries=(*labels.countries, (member.country, value))))
        case "consent":
            consent = Consent(value, (), situation.now_ms, situation.now_ms + 1)
            return replace(situation, labels=replace(labels, consents=(*labels.consents, consent)))
        case "agreement":
            countries = frozenset({value, member.country})
            made = Agreement("A-NEW-AGREEMENT", "made up", "made up", Span(0), countries, personal=True)
            return replace(situation, facts=situation.facts.joined(Facts(agreements=(made,))))
        case "purpose":
            return replace(situation, labels=replace(labels, purposes=(*labels.purposes, value)))
        case "now":
            return replace(situation, now_ms=int(value))
        case "tlp" | "handling" | "pap" | "urgency" | "onward":
            return replace(situation, labels=replace(labels, **{change.sort: value}))  # pyright: ignore[reportArgumentType]
        case _:
            raise ValueError(f"there is no change of `{change.sort}`")


def changes(situation: Situation, bundle: Bundle, action: str, members: Mapping[str, Member]) -> tuple[Change, ...]:
    """Every single change that is tried, the likelier ones first. ``action`` is :data:`PUBLISH` or :data:`RECEIVE`."""
    labels, member, reading = situation.labels, situation.member, read_rules(bundle.policies)
    offered: list[Change] = []
    if action == PUBLISH:
        others = [agency for agency in sorted(members) if agency != member.agency and agency not in labels.audience_agencies]
        offered += [Change("another named", each) for each in others[:1]]
    else:
        offered += _addressings(situation, reading)
    if action != PUBLISH and "consented" in reading.attributes:
        offered.append(Change("consent", member.agency))
    if not reading.attributes.isdisjoint(("agreements", "personalAgreements")) and member.country != country_of(labels.originator):
        offered.append(Change("agreement", country_of(labels.originator)))
    offered += [Change("standing", "active")] if member.suspended and "suspended" in reading.attributes else []
    offered += _marks(situation, bundle.schema, reading)
    if "purposes" in reading.attributes:
        offered += [Change("purpose", each) for each in _values(bundle.schema, "Purpose") if each not in labels.purposes]
    for role, attribute in ROLES.items():
        if attribute in reading.attributes and (member.country, role) not in labels.countries:
            offered.append(Change("role", role))
    offered += [Change("now", str(each)) for each in _dates(situation, reading) if each != situation.now_ms]
    if "kind" in reading.attributes:
        kinds = _values(bundle.schema, "Kind") or ids.KINDS
        offered += [Change("kind", each) for each in kinds if each != member.kind]
    return tuple(offered)


def _addressings(situation: Situation, reading: Reading) -> Iterator[Change]:
    labels, member = situation.labels, situation.member
    if member.agency not in labels.audience_agencies:
        yield Change("named", member.agency)
    for community in member.communities:
        if community not in labels.audience_communities:
            yield Change("community named", community)
    for community in sorted({*labels.audience_communities, *reading.entities.get("Community", ())}):
        if community not in member.communities:
            yield Change("member of", community)
    if member.country not in labels.audience_countries:
        yield Change("country named", member.country)


def _marks(situation: Situation, schema: str, reading: Reading) -> Iterator[Change]:
    for name, kind in _MARKS:
        if name in reading.attributes:
            current: object = getattr(situation.labels, name)
            yield from (Change(name, each) for each in _values(schema, kind) if each != current)


def _values(schema: str, kind: str) -> tuple[str, ...]:
    """The values of an enumerated type of the schema."""
    text = re.sub(r"//[^\n]*", "", schema)
    return next((tuple(re.findall(r'"([^"]*)"', values)) for name, values in _ENUM.findall(text) if name == kind), ())


def _dates(situation: Situation, reading: Reading) -> list[int]:
    """A moment just before, at and just after each date that a rule or the message names: `<` turns at it, `<=` after it."""
    near = sorted(situation.facts.dates, key=lambda at: abs(at - situation.now_ms))[:TURNS]
    dates = {*reading.dates, *near}
    named = (("validUntil", situation.labels.valid_until_ms), ("embargoUntil", situation.labels.embargo_until_ms))
    dates |= {at for attribute, at in named if at is not None and attribute in reading.attributes}
    return sorted({date + step for date in dates for step in (-1, 0, 1)})


@dataclass(slots=True)
class Asking:
    """Asks about one agency and one message, as they are and as they might be.

    Only the members that a rule can see are given to the decider: the agency itself, the originator, and agencies written in a rule.
    """

    bundle: Bundle
    members: Mapping[str, Member]
    _deciders: dict[tuple[Member, Facts], Decider] = field(default_factory=dict[tuple[Member, Facts], Decider])

    def given(self, situation: Situation) -> dict[str, str]:
        """What the agency is given: :data:`RECEIVE` and the names of sections, each with its rule; :data:`PUBLISH` to the originator."""
        labels, member = situation.labels, situation.member
        decider = self._decider(situation)
        if member.agency == labels.originator:
            verdict = decider.explain(member.agency, PUBLISH, labels, situation.now_ms)
            return {PUBLISH: verdict.rules[0]} if verdict.allowed else {}
        for release in decider.distribute(labels, situation.now_ms).releases:
            if release.agency == member.agency:
                return {RECEIVE: release.rule, **dict(release.given)}
        return {}

    def turns(self, situation: Situation) -> list[int]:
        """The next moments at which the decision can change."""
        found: list[int] = []
        decider, now_ms = self._decider(situation), situation.now_ms
        while len(found) < TURNS and (until := decider.distribute(situation.labels, now_ms).until_ms) is not None:
            found.append(until)
            now_ms = until
        return found

    def _decider(self, situation: Situation) -> Decider:
        member, originator, facts = situation.member, situation.labels.originator, situation.facts
        if (member, facts) not in self._deciders:
            written = read_rules(self.bundle.policies).entities.get("Agency", frozenset())
            seen = {agency: self.members[agency] for agency in (originator, *written) if agency in self.members}
            decider = Decider(self.bundle, seen | {member.agency: member}, facts=facts, memo_limit=1)
            self._deciders[member, facts] = decider
        return self._deciders[member, facts]


def ways(situation: Situation, wanted: Sequence[str], bundle: Bundle, members: Mapping[str, Member]) -> Found:
    """The nearest ways to each thing wanted (:data:`PUBLISH`, :data:`RECEIVE` or a section): single changes, or pairs if none does.

    Deterministic. ``members`` are those of the exchange; the agency itself is in ``situation``. A few milliseconds for each change.
    """
    asking = Asking(bundle, members)
    own = situation.member.agency == situation.labels.originator
    offered = list(changes(situation, bundle, PUBLISH if own else RECEIVE, members))
    known = {change.value for change in offered if change.sort == "now"}
    offered += [Change("now", str(at)) for at in asking.turns(situation) if str(at) not in known]
    found: dict[str, list[Way]] = {each: [] for each in wanted}
    _try(((each,) for each in offered), situation, asking, found)
    open_ = {name: list[Way]() for name, given in found.items() if not given}
    pairs = [pair for pair in combinations(offered, 2) if pair[0].sort != pair[1].sort] if open_ else []
    # The likelier both are, the earlier.
    place = {change: number for number, change in enumerate(offered)}
    pairs.sort(key=lambda pair: place[pair[0]] + place[pair[1]])
    _try(pairs[:PAIR_LIMIT], situation, asking, open_)
    result = {name: tuple(given or open_.get(name, ())) for name, given in found.items()}
    return Found(result, len(offered), min(len(pairs), PAIR_LIMIT), len(pairs) <= PAIR_LIMIT)


def _try(many: Iterable[tuple[Change, ...]], situation: Situation, asking: Asking, found: dict[str, list[Way]]) -> None:
    if not found:
        return
    for each in many:
        given = asking.given(applied(each, situation))
        for name, rules in found.items():
            if name in given:
                rules.append(Way(each, given[name]))


def conditions(many: Sequence[Way], member: Member) -> list[tuple[str, str]]:
    """Ways in words, each a clause after *if* and the rule; those that differ in one value only are told together."""
    merged: dict[object, tuple[Way, list[str]]] = {}
    for way in many:
        *first, last = way.changes
        merged.setdefault((tuple(first), last.sort, way.rule), (way, []))[1].append(last.value)
    told: list[tuple[str, str]] = []
    for way, values in merged.values():
        *first, last = way.changes
        parts = [_condition(each.sort, [each.value], member) for each in first]
        told.append((" and ".join([*parts, _condition(last.sort, values, member)]), way.rule))
    return told


def _condition(sort: str, values: Sequence[str], member: Member) -> str:
    which = _or(values)
    match sort:
        case "named" | "country named" | "another named":
            return f"{which} were named in the audience"
        case "community named":
            return f"{which}, to which {member.agency} belongs, were named in the audience"
        case "member of":
            return f"{member.agency} were a member of {which}"
        case "kind":
            others = set(ids.KINDS) - {member.kind}
            return f"{member.agency} were {'of any other kind' if others <= set(values) else which}"
        case "consent":
            return f"the owner had consented to {member.agency}"
        case "agreement":
            return f"an agreement in force between {which} and {member.country} covered the message, with persons and firms"
        case "standing":
            return f"{member.agency} were not suspended"
        case "role":
            return f"{member.country} were {which}"
        case "purpose":
            return f"{which} were among the purposes"
        case "now":
            return f"it were {_or([moment_shown(int(each)) for each in values])}"
        case _:
            return f"{_CALLED.get(sort, sort)} were {_or([tlp_shown(each) for each in values])}"


def _or(values: Sequence[str]) -> str:
    *most, last = dict.fromkeys(values)
    return f"{', '.join(most)} or {last}" if most else last
