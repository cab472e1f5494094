"""Who gains and who loses what, when one bundle takes the place of another: for people who have to approve it.

Both bundles decide the same cases: made-up messages (:func:`broker.policy.widening.label_space`), the scenarios of both, and recorded
traffic of which only the labels are known. What is different is told by the kind of agency, how the message reaches it, what it
may do, the family, and the rule that makes the difference. The cases are a sample: what none of them shows is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from broker.policy.bundle import Bundle
from broker.policy.cedar import actions_of
from broker.policy.counterfactual import PUBLISH, RECEIVE
from broker.policy.decide import Decider
from broker.policy.entities import DATES, labels_read
from broker.policy.explain import UNDECIDED
from broker.policy.facts import Facts
from broker.policy.model import AUDIENCE, CORE, Labels, Member, Release
from broker.policy.rules import EVERY, read_rules
from broker.policy.scenarios import Scenario
from broker.policy.widening import Case, changed_facts, changed_rules, label_space

AGENCIES: Final = 5
"""Most agencies that a group names."""

NAMED: Final = "named"
COMMUNITY: Final = "of a named community"
COUNTRY: Final = "of a named country"
ROUTE: Final = "of a country on the route"
SUSPENDED: Final = "suspended"
APART: Final = "not addressed"
OWN: Final = "originator"

Outcome = tuple[bool, str]
"""Whether it is allowed, and the rule by which it is or is not."""


@dataclass(frozen=True, slots=True)
class Example:
    """One case of a group: what it is called, the agency, the labels, the moment (Unix milliseconds)."""

    name: str
    agency: str
    labels: Labels
    now_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """What agencies gain or lose alike.

    ``kinds`` of agencies that stand in one of ``relations`` to messages of ``families`` may do ``what`` under one bundle and not
    under the other, because of ``rule``: one that ``stops`` it under the other, or else one that gives it. ``made_up`` and
    ``recorded`` count messages; ``marks`` are the TLP and handling of those messages, empty where it is so under all that were
    tried; ``agencies`` are the first few.
    """

    kinds: tuple[str, ...]
    relations: tuple[str, ...]
    what: tuple[str, ...]
    families: tuple[str, ...]
    rule: str
    stops: bool
    made_up: int
    recorded: int
    marks: tuple[tuple[str, str], ...]
    agencies: tuple[str, ...]
    example: Example


@dataclass(frozen=True, slots=True)
class Difference:
    """What the new bundle gives more and gives less, the rules that ``changed_rules`` tells apart, the ids of dated
    facts that are new or hold for more (``facts_more``) or are gone or hold for less, and how much was compared."""

    gains: tuple[Group, ...]
    losses: tuple[Group, ...]
    changed: Mapping[str, Sequence[str]]
    facts_more: Sequence[str]
    facts_less: Sequence[str]
    made_up: int
    recorded: int

    @property
    def empty(self) -> bool:
        """Whether no case shows a difference."""
        return not self.gains and not self.losses


@dataclass(slots=True)
class _Seen:
    """A group while it is being counted: numbers of cases, agencies, the best example and how good it is (:func:`_telling`)."""

    cases: set[int]
    agencies: set[str]
    example: Example
    telling: int


_Key = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...], str, bool]
"""Kinds, relations, what, families, rule, whether it stops: as in :class:`Group`."""


_Under = tuple[bool, frozenset[Member], Facts]
"""What a decider is made for: whether it is the new bundle's, the members, the facts of the case."""


def cases(old: Bundle, new: Bundle, scenarios: Iterable[Scenario]) -> Iterator[Case]:
    """Made-up messages with every section that either schema knows, and the scenarios. The same for the same bundles in either order."""
    sections = {name.removeprefix("read:") for each in (old, new) for name in actions_of(each.schema) if name.startswith("read:")}
    for case in label_space(old, new):
        yield replace(case, labels=replace(case.labels, sections=tuple(sorted(sections))))
    seen: set[object] = set()
    for each in scenarios:
        key = (each.labels, each.now_ms, frozenset(each.members.values()), each.facts)
        if key not in seen:
            seen.add(key)
            yield Case(f"scenario {each.name}", each.labels, each.members, each.now_ms, facts=each.facts)


def alike(old: Bundle, new: Bundle, now_ms: int) -> Callable[[Labels], object]:
    """What two messages have in common of which neither bundle, nor what is told of a difference, can tell one from the other now."""
    read = {name for each in (old, new) for name in labels_read(read_rules(each.policies), each.facts)}
    values = attrgetter(*sorted({*read, "countries"}))
    dates = attrgetter(*DATES.values())

    def key(labels: Labels) -> object:
        return values(labels), tuple(None if at is None else (at > now_ms) - (at < now_ms) for at in dates(labels))

    return key


@dataclass(slots=True)
class Comparison:
    """Takes cases one by one (:meth:`add`), then tells the difference (:meth:`result`)."""

    old: Bundle
    new: Bundle
    _touched: frozenset[str] = frozenset()
    _actions: frozenset[str] = frozenset()
    _deciders: dict[_Under, Decider] = field(default_factory=dict["_Under", Decider])
    _groups: dict[bool, dict[_Key, _Seen]] = field(default_factory=lambda: {True: {}, False: {}})
    _cases: list[tuple[Labels, int, bool]] = field(default_factory=list[tuple[Labels, int, bool]])

    def __post_init__(self) -> None:
        self._touched = frozenset(rule for rules in changed_rules(self.old, self.new).values() for rule in rules)
        self._actions = frozenset(_actions(self.old, self.new, self._touched))

    def add(self, case: Case, *, times: int = 1, recorded: bool = False) -> None:
        """Decide one case under both bundles; it stands for so many messages. A few milliseconds to some tens."""
        number = len(self._cases)
        self._cases.append((case.labels, times, recorded))
        asked = self._asked(case)
        before = _outcomes(self._decider(case, new=False), asked, publish=PUBLISH in self._actions)
        after = _outcomes(self._decider(case, new=True), asked, publish=PUBLISH in self._actions)
        for (agency, what), now in after.items():
            was = before[agency, what]
            if was[0] == now[0]:
                continue
            gain = now[0]
            denied, given = (was, now) if gain else (now, was)
            received = before[agency, RECEIVE], after[agency, RECEIVE]
            # Whoever begins to receive gains what it may then read, by the rule that lets it receive.
            if what != PUBLISH and received[0][0] != received[1][0]:
                denied, given = received if gain else received[::-1]
            stops = self._stops(denied[1], given[1])
            self._count(gain, number, case, agency, what, denied[1] if stops else given[1], stops=stops)

    def result(self) -> Difference:
        """What was found so far."""
        gains, losses = (tuple(self._told(self._groups[gain])) for gain in (True, False))
        totals = [sum(times for _, times, recorded in self._cases if recorded is kind) for kind in (False, True)]
        more, less = changed_facts(self.old.facts, self.new.facts), changed_facts(self.new.facts, self.old.facts)
        return Difference(gains, losses, changed_rules(self.old, self.new), more, less, *totals)

    def _stops(self, denying: str, giving: str) -> bool:
        """Whether the rule that denies makes the difference, and not the one that gives: it is touched, or neither is (facts differ)."""
        return denying in self._touched or (giving not in self._touched and denying not in UNDECIDED)

    def _asked(self, case: Case) -> Case:
        """The case without the sections that cannot be decided otherwise; the core stays, on which everything else depends."""
        sections = case.labels.sections
        if RECEIVE in self._actions or CORE not in sections:
            return case
        kept = tuple(each for each in sections if each == CORE or f"read:{each}" in self._actions)
        return replace(case, labels=replace(case.labels, sections=kept))

    def _count(self, gain: bool, number: int, case: Case, agency: str, what: str, rule: str, *, stops: bool) -> None:
        member, telling = case.members[agency], _telling(case, recorded=self._cases[number][2])
        relation = OWN if what == PUBLISH else _relation(case.labels, member)
        key: _Key = ((member.kind,), (relation,), (what,), (case.labels.family,), rule, stops)
        example = Example(case.name, agency, case.labels, case.now_ms)
        seen = self._groups[gain].setdefault(key, _Seen(set(), set(), example, telling))
        if telling > seen.telling:
            seen.example, seen.telling = example, telling
        seen.cases.add(number)
        seen.agencies.add(agency)

    def _told(self, groups: Mapping[_Key, _Seen]) -> list[Group]:
        merged = dict(sorted(groups.items()))
        for place in (2, 3, 0, 1):
            merged = _merged(merged, place)
        told = [self._group(key, seen) for key, seen in merged.items()]
        return sorted(told, key=lambda each: (-each.recorded, -each.made_up, each.kinds, each.relations, each.what, each.families))

    def _group(self, key: _Key, seen: _Seen) -> Group:
        counts = {False: 0, True: 0}
        for number in seen.cases:
            _, times, recorded = self._cases[number]
            counts[recorded] += times
        marks = {_marks(self._cases[number][0]) for number in seen.cases}
        tried = {_marks(labels) for labels, _, _ in self._cases if labels.family in key[3]}
        named = tuple(sorted(seen.agencies)[:AGENCIES])
        return Group(*key, counts[False], counts[True], () if marks == tried else tuple(sorted(marks)), named, seen.example)

    def _decider(self, case: Case, *, new: bool) -> Decider:
        bundle = self.new if new else self.old
        key = (new, frozenset(case.members.values()), case.facts)
        if key not in self._deciders:
            self._deciders[key] = Decider(bundle, case.members, facts=bundle.facts.joined(case.facts))
        return self._deciders[key]


def compare(old: Bundle, new: Bundle, many: Iterable[Case], told: Callable[[], None] = lambda: None) -> Difference:
    """The difference over cases that stand for one message each; ``told`` is called after each."""
    comparison = Comparison(old, new)
    for case in many:
        comparison.add(case)
        told()
    return comparison.result()


def _actions(old: Bundle, new: Bundle, touched: frozenset[str]) -> Iterator[str]:
    """The actions that the two bundles can decide otherwise: those that a touched rule names, all where schemas or facts differ."""
    named = [rule.actions for bundle in (old, new) for rule in bundle.rules() if rule.id in touched]
    for bundle in (old, new):
        for action, groups in actions_of(bundle.schema).items():
            other = old.schema != new.schema or old.facts != new.facts
            if other or any(EVERY in each or not groups.isdisjoint(each) for each in named):
                yield action


def _outcomes(decider: Decider, case: Case, *, publish: bool) -> dict[tuple[str, str], Outcome]:
    """For each agency and each thing that it could do: whether it may, and by which rule."""
    found: dict[tuple[str, str], Outcome] = {}
    for agency in (case.publishers or (case.labels.originator,)) if publish else ():
        if agency in case.members:
            verdict = decider.explain(agency, PUBLISH, replace(case.labels, originator=agency), case.now_ms)
            found[agency, PUBLISH] = (verdict.allowed, verdict.rules[0])
            found[agency, RECEIVE] = (False, "")  # no recipient of its own message, unless the distribution says so
    sections = [section for section in case.labels.sections if section != AUDIENCE]
    distribution = decider.distribute(case.labels, case.now_ms)
    for answer in (*distribution.releases, *distribution.denials):
        if isinstance(answer, Release):
            found[answer.agency, RECEIVE] = (True, answer.rule)
            found.update({(answer.agency, section): (True, rule) for section, rule in answer.given})
            found.update({(answer.agency, section): (False, rule) for section, rule in answer.withheld})
        else:
            found.update({(answer.agency, what): (False, answer.rule) for what in (RECEIVE, *sections)})
    return found


def _relation(labels: Labels, member: Member) -> str:
    """How a message reaches an agency: the closest of the ways."""
    if member.suspended:
        return SUSPENDED
    if member.agency in labels.audience_agencies:
        return NAMED
    if not set(labels.audience_communities).isdisjoint(member.communities):
        return COMMUNITY
    if member.country in labels.audience_countries:
        return COUNTRY
    return ROUTE if any(country == member.country for country, _ in labels.countries) else APART


def _telling(case: Case, *, recorded: bool) -> int:
    """How much an example says to people: what happened, more than a scenario, more than what was made up."""
    made_up = bool(case.publishers)
    return 2 if recorded else 0 if made_up else 1


def _marks(labels: Labels) -> tuple[str, str]:
    return labels.tlp, labels.handling


def _merged(groups: Mapping[_Key, _Seen], place: int) -> dict[_Key, _Seen]:
    """Groups that differ in one part of their key only, as one with all values of that part."""
    by_rest: dict[object, list[tuple[_Key, _Seen]]] = {}
    for key, seen in groups.items():
        by_rest.setdefault((key[:place], key[place + 1 :]), []).append((key, seen))
    merged: dict[_Key, _Seen] = {}
    for same in by_rest.values():
        values = tuple(dict.fromkeys(value for key, _ in same for value in _part(key, place)))
        first, _ = same[0]
        best = max((each for _, each in same), key=lambda each: each.telling)
        merged[_with(first, place, values)] = _Seen(
            {number for _, each in same for number in each.cases},
            {agency for _, each in same for agency in each.agencies},
            best.example,
            best.telling,
        )
    return merged


def _part(key: _Key, place: int) -> tuple[str, ...]:
    return (key[0], key[1], key[2], key[3])[place]


def _with(key: _Key, place: int, values: tuple[str, ...]) -> _Key:
    parts = [key[0], key[1], key[2], key[3]]
    parts[place] = values
    return (parts[0], parts[1], parts[2], parts[3], key[4], key[5])
