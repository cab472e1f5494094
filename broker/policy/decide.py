"""Deciding: may this agency publish, and who gets which sections. Default deny, deny overrides, any error denies.

The hot path is a look-up by the labels that the rules read. Measured on 2 shared cores with cedarpy 4.12.2, the policies that ship,
8 sections and 1,000 members of 186 countries and 9 kinds: 1 to 2 µs for a remembered decision; in processor time 4 to 9 ms for a new one
(42 to 82 sets of alike members; 6 to 14 with every question put to every rule; asking for every member took up to 580 ms by the clock),
and 32 ms to build a decider and read the members.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter
from typing import Final, cast

from cedarpy import Entities

from broker.policy import cedar, model, sentences
from broker.policy.bundle import Bundle
from broker.policy.entities import (
    DATES,
    FACTUAL,
    alike,
    context,
    factual,
    labels_read,
    member_entity,
    message_entity,
    next_turn,
    sides,
    variant,
    variants,
    window,
)  # fmt: skip
from broker.policy.facts import Facts
from broker.policy.health import Health
from broker.policy.model import DEFAULT_DENY, POLICY_ERROR, Denial, Distribution, Labels, Member, Release, Verdict
from broker.policy.rules import Reading, policies_for, read_rules

MEMO_LIMIT: Final = 4096
"""Decisions kept. With 1,000 members one takes about 10 kB: releases and denials are shared between decisions."""

NAMES: Final = 32
"""Names in the labels of a message for which its decision counts once; a thousand more countries or agencies count for more, so that
nobody fills the memory with long lists."""

SECTION_SETS: Final = 512
"""Sets of sections for which it is remembered on which dates a decision depends."""

RECENT: Final = 32
"""Kinds of messages, the last that were decided anew, that the decider of the next bundle decides before it is used."""

SAMPLE: Final = 503
"""One in so many remembered decisions is asked of Cedar again before it is given: about one agency and one section, each in turn. That
takes as long in a small exchange as in a large one; asking about all of 1,000 members would cost 0.6 ms for every decision, asked again
or not. An odd number, since a message asks two questions by turns: both kinds are to be met."""

READ_ANEW: Final = 25
"""Where one member in more than so many is asked about, its entity is read anew: 0.02 ms for each. Else the message is added to all
members as they were read once, which copies them: 0.1 ms, and 0.7 ms with 1,000 members."""

_SHARED_LIMIT: Final = 65_536
_POSITION = re.compile(r"policy\d+")


@dataclass(slots=True)
class _Entry:
    from_ms: int | None
    until_ms: int | None
    answer: Distribution | Verdict
    weight: int = 1

    def holds(self, now_ms: int) -> bool:
        return (self.from_ms is None or self.from_ms <= now_ms) and (self.until_ms is None or now_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class _End:
    """A date of the message that rules compare with now, and with nothing else: for which questions they do."""

    label: str
    publishing: bool
    receiving: bool
    sections: frozenset[str]

    def matters(self, sections: Sequence[str]) -> bool:
        """Whether who gets what of a message with these sections depends on it."""
        return self.receiving or not self.sections.isdisjoint(sections)


@dataclass(frozen=True, slots=True)
class _Standing:
    """The members as they stand from one date of a fact to the next: what holds then is in their communities and agreements.

    ``sound`` are those that the schema admits, ``parsed`` the same for Cedar; the others are denied one by one.
    """

    from_ms: int | None
    until_ms: int | None
    members: Mapping[str, Member]
    entities: Mapping[str, str]
    sound: Mapping[str, Member]
    parsed: Entities

    def holds(self, now_ms: int) -> bool:
        return (self.from_ms is None or self.from_ms <= now_ms) and (self.until_ms is None or now_ms < self.until_ms)


@lru_cache(maxsize=16)
def _depends(policies: str, schema: str) -> tuple[Reading, tuple[_End, ...]]:
    """What publishing and delivery can depend on: the reading with the attributes that are read for these alone (of what else is done with
    a message nothing is kept), and the dates of a message. Remembered by text, as readings are: it takes as long as all else of a decider.
    """
    reading, actions = read_rules(policies), cedar.actions_of(schema)
    concerned = {
        name: frozenset(attribute for rule in reading.rules if rule.concerns(groups) for attribute in rule.attributes)
        for name, groups in actions.items()
        if name in ("publish", "receive") or name.startswith("read:")
    }
    ends = tuple(
        _End(
            label, attribute in concerned["publish"], attribute in concerned["receive"],
            frozenset(name.removeprefix("read:") for name, read in concerned.items() if name.startswith("read:") and attribute in read),
        )
        for attribute, label in DATES.items()
        if attribute in reading.relative
    )  # fmt: skip
    return replace(reading, attributes=frozenset[str]().union(*concerned.values())), ends


class Decider:
    """Decides under one bundle for one set of members. Both are fixed: a new version of either takes a new decider.

    ``facts``: by default the bundle's; a relay adds confidential operations.
    """

    def __init__(
        self, bundle: Bundle, members: Mapping[str, Member], *, facts: Facts | None = None, memo_limit: int = MEMO_LIMIT,
        sample: int = SAMPLE,
    ) -> None:  # fmt: skip
        self._schema = cedar.read_schema(bundle.schema)
        self._policies, self._all = bundle.policies, cedar.read_policies(bundle.policies)
        self._reading = read_rules(bundle.policies)
        self._rules = {rule.id: rule for rule in sorted(self._reading.rules, key=lambda rule: rule.id)}
        self._actions = cedar.actions_of(bundle.schema)
        self._facts = bundle.facts if facts is None else facts
        self._dates = sorted(self._facts.dates)
        self._factual = cedar.attributes_of(bundle.schema, FACTUAL)
        self._members = {agency: members[agency] for agency in sorted(members)}
        self._standing: _Standing | None = None
        self._deciding, self._ends = _depends(bundle.policies, bundle.schema)
        self._key = attrgetter(*labels_read(self._deciding, self._facts))
        self._ends_read: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._memo: OrderedDict[object, _Entry] = OrderedDict()
        self._memo_limit, self._memo_weight = memo_limit, 0
        self._recent: deque[tuple[Labels, int]] = deque(maxlen=RECENT)
        self._shared: dict[Release | Denial, Release | Denial] = {}
        self._unpermitted: dict[tuple[str, str, str], str] = {}
        self._errors = self._checked = self._disagreed = 0
        self._checking = False
        self._sample, self._hits, self._turn, self._told = sample, 0, 0, Health()

    @property
    def error_count(self) -> int:
        """Questions that were denied because deciding them failed. Anything but 0 is an alarm."""
        return self._errors

    @property
    def health(self) -> Health:
        """Everything counted since the decider was made."""
        return Health(self._errors, self._checked, self._disagreed)

    def news(self) -> Health:
        """What was counted since the last call: each thing is told once."""
        told, self._told = self._told, self.health
        return self._told - told

    def may_publish(self, labels: Labels, now_ms: int) -> Verdict:
        """Whether the originator may publish a message with these labels. ``now_ms``: Unix milliseconds. Memoised."""
        ends = tuple([getattr(labels, end.label) for end in self._ends if end.publishing])
        key = ("publish", self._key(labels), sides(ends, now_ms))
        entry = self._remembered(key, labels, now_ms)
        if entry is None:
            start, until = window(labels, self._deciding, self._facts, now_ms)
            entry = self._keep(key, _Entry(start, until, self.explain(labels.originator, "publish", labels, now_ms), _weight(labels)))
        return cast("Verdict", entry.answer)

    def distribute(self, labels: Labels, now_ms: int) -> Distribution:
        """Who gets which sections of a message with these labels. ``now_ms``: Unix milliseconds. Memoised.

        Every member but the originator is in the answer. A member that may receive but not read the core, or none of the
        sections, is denied; a message without sections (a recall) goes to all who may receive it.
        """
        read = self._ends_read.get(labels.sections)
        if read is None:
            read = self._ends_for(labels.sections)
        ends = tuple([getattr(labels, end) for end in read])
        key = ("distribute", self._key(labels), sides(ends, now_ms))
        entry = self._remembered(key, labels, now_ms)
        if entry is None:
            start, until = window(labels, self._deciding, self._facts, now_ms)
            entry = self._keep(key, _Entry(start, until, self._distribution(labels, now_ms, until), _weight(labels)))
            if entry.weight == 1:
                self._recent.append((labels, now_ms))
        answer = cast("Distribution", entry.answer)
        if not ends:
            return answer
        until = next_turn(ends, now_ms, answer.until_ms)
        return answer if until == answer.until_ms else Distribution(answer.releases, answer.denials, until)

    def warm(self, former: Decider) -> None:
        """Decide what another decider had to decide last, so that traffic does not wait for it when this one takes its place."""
        for labels, now_ms in list(former._recent):
            self.may_publish(labels, now_ms)
            self.distribute(labels, now_ms)

    def would_disclose(self, labels: Labels, now_ms: int) -> Distribution:
        """Who would get what if the message were published now: what a dry run shows. The same decision as :meth:`distribute`."""
        return self.distribute(labels, now_ms)

    def explain(self, agency: str, action: str, labels: Labels, now_ms: int, purpose: str | None = None) -> Verdict:
        """One question put to Cedar directly: may this agency do this with such a message, by which rules, and why.

        ``action`` is one of the schema's: ``publish``, ``receive``, ``read:parties``, ``search``. All but the first take to receive: where
        that is denied, its verdict is the answer. ``purpose``: what a person reads for what the agency holds. Not memoised.
        """
        asked = (action,) if action in ("publish", "receive") else ("receive", action)
        return self._asked(agency, asked, labels, now_ms, purpose)

    def may_use(self, agency: str, action: str, labels: Labels, now_ms: int, purpose: str | None) -> Verdict:
        """Whether an agency may do this (``search``, ``replay``, ``read:parties``) for ``purpose`` with a message that it holds: the action
        alone is asked.

        Whether it may receive the message was the relay's to decide, who knows the audience. ``labels`` are as the agency knows them
        (:func:`broker.exchange.use.labels_held`). Not memoised: 0.3 ms on a shared core under the rules that ship.
        """
        return self._asked(agency, (action,), labels, now_ms, purpose)

    def _asked(self, agency: str, actions: Sequence[str], labels: Labels, now_ms: int, purpose: str | None) -> Verdict:
        """The answer to the last of these actions, or to the first that is denied; ``purpose`` is for the last."""
        standing = self._as_of(now_ms)
        member = standing.members.get(agency)
        if member is None:
            return Verdict(False, (DEFAULT_DENY,), (), sentences.NOT_A_MEMBER)
        if agency not in standing.sound:
            return self._failure(sentences.BAD_MEMBER)
        entities = self._entity_set(labels, standing, [member], now_ms)
        if entities is None:
            return self._failure(sentences.BAD_LABELS)
        for action in actions[:-1]:
            verdict = self._ask([(member, action)], labels, entities, now_ms)[0]
            if not verdict.allowed:
                return verdict
        return self._ask([(member, actions[-1])], labels, entities, now_ms, purpose)[0]

    def _ends_for(self, sections: tuple[str, ...]) -> tuple[str, ...]:
        """The dates on which it depends who gets what of a message with these sections, as names of labels. Remembered."""
        if len(self._ends_read) >= SECTION_SETS:
            self._ends_read.clear()
        read = self._ends_read[sections] = tuple(end.label for end in self._ends if end.matters(sections))
        return read

    def _remembered(self, key: object, labels: Labels, now_ms: int) -> _Entry | None:
        entry = self._memo.get(key)
        if entry is None or not entry.holds(now_ms):
            return None
        self._hits += 1
        if self._hits % self._sample == 0 and not self._agrees(entry.answer, labels, now_ms):
            self._memo_weight -= self._memo.pop(key).weight
            return None
        self._memo.move_to_end(key)
        return entry

    def _agrees(self, remembered: Distribution | Verdict, labels: Labels, now_ms: int) -> bool:
        """Ask Cedar again: whether the originator may publish, or what one agency gets. What fails here is no new failure: it is a
        disagreement, or the answer failed before and was counted then."""
        failed_before, self._checking = self._errors, True
        if isinstance(remembered, Verdict):
            agrees = self.explain(labels.originator, "publish", labels, now_ms) == remembered
        else:
            checked = self._next_checked(remembered, labels.originator)
            answers = {each.agency: each for each in (*remembered.releases, *remembered.denials)}
            agrees = checked is None or self._is_so(*checked, answers.get(checked[0]), labels, now_ms)
        self._errors, self._checking = failed_before, False
        self._checked += 1
        self._disagreed += not agrees
        return agrees

    def _next_checked(self, remembered: Distribution, originator: str) -> tuple[str, int] | None:
        """By turns one of those that get something, and one of all members, and how often all of them had their turn before; None where
        there is nobody but the originator."""
        turn, self._turn = self._turn, self._turn + 1
        agencies = [each.agency for each in remembered.releases] if turn % 2 == 0 else []
        agencies = agencies or [agency for agency in self._members if agency != originator]
        rounds, place = divmod(turn // 2, len(agencies) or 1)
        return (agencies[place], rounds) if agencies else None

    def _is_so(self, agency: str, rounds: int, answer: Release | Denial | None, labels: Labels, now_ms: int) -> bool:
        """Ask for one agency itself, not by way of another that is alike. Of a release: that it receives, and one section in turn."""
        standing = self._as_of(now_ms)
        if agency not in standing.sound:
            return answer == _denial(agency, self._failure(sentences.BAD_MEMBER))
        member = standing.sound[agency]
        entities = self._entity_set(labels, standing, [member], now_ms)
        if entities is None:
            return answer == _denial(agency, self._failure(sentences.BAD_LABELS))
        if not isinstance(answer, Release):
            return answer == self._answers([member], labels, entities, now_ms)[0]
        told = [*((*each, True) for each in answer.given), *((*each, False) for each in answer.withheld)]
        if sorted(section for section, _, _ in told) != sorted(each for each in labels.sections if each != model.AUDIENCE):
            return False
        wanted = [("receive", answer.rule, True)]
        if told:
            section, rule, allowed = told[rounds % len(told)]
            wanted.append((f"read:{section}", rule, allowed))
        verdicts = self._ask([(member, action) for action, _, _ in wanted], labels, entities, now_ms)
        return [(each.rules[0], each.allowed) for each in verdicts] == [(rule, allowed) for _, rule, allowed in wanted]

    def _keep(self, key: object, entry: _Entry) -> _Entry:
        before = self._memo.pop(key, None)
        self._memo[key] = entry
        self._memo_weight += entry.weight - (before.weight if before else 0)
        while self._memo_weight > self._memo_limit and len(self._memo) > 1:
            self._memo_weight -= self._memo.popitem(last=False)[1].weight
        return entry

    def _as_of(self, now_ms: int) -> _Standing:
        """The members at this moment. Kept until the next date of a fact."""
        standing = self._standing
        if standing is None or not standing.holds(now_ms):
            place = bisect_right(self._dates, now_ms)
            from_ms = self._dates[place - 1] if place else None
            until_ms = self._dates[place] if place < len(self._dates) else None
            members = {agency: self._facts.standing(member, now_ms) for agency, member in self._members.items()}
            if "agreements" not in self._factual:
                members = {agency: replace(member, agreements=()) for agency, member in members.items()}
            entities = {agency: member_entity(member) for agency, member in members.items()}
            sound, parsed = self._sound(members, entities)
            standing = self._standing = _Standing(from_ms, until_ms, members, entities, sound, parsed)
        return standing

    def _distribution(self, labels: Labels, now_ms: int, until_ms: int | None) -> Distribution:
        standing = self._as_of(now_ms)
        answers: dict[str, Release | Denial] = {
            agency: _denial(agency, self._failure(sentences.BAD_MEMBER)) for agency in standing.members if agency not in standing.sound
        }
        answers.pop(labels.originator, None)
        covering = self._facts.covering(labels, standing.members.get(labels.originator))
        sets = [same for same in alike(labels, self._reading, standing.sound, covering) if same[0].agency != labels.originator]
        asked = [same[0] for same in sets]
        entities = self._entity_set(labels, standing, asked, now_ms)
        if entities is None:
            failure = self._failure(sentences.BAD_LABELS)
            answers.update({agency: _denial(agency, failure) for agency in standing.sound if agency != labels.originator})
        else:
            for same, answer in zip(sets, self._answers(asked, labels, entities, now_ms), strict=True):
                for member in same:
                    answers[member.agency] = replace(answer, agency=member.agency)
        ordered = [self._share(answers[agency]) for agency in self._members if agency in answers]
        releases = tuple(each for each in ordered if isinstance(each, Release))
        return Distribution(releases, tuple(each for each in ordered if isinstance(each, Denial)), until_ms)

    def _answers(self, members: Sequence[Member], labels: Labels, entities: Entities, now_ms: int) -> list[Release | Denial]:
        received = self._ask([(member, "receive") for member in members], labels, entities, now_ms)
        recipients = [member for member, verdict in zip(members, received, strict=True) if verdict.allowed]
        sections = [section for section in labels.sections if section != model.AUDIENCE]
        questions = [(member, f"read:{section}") for member in recipients for section in sections]
        reads = iter(self._ask(questions, labels, entities, now_ms))
        answers: list[Release | Denial] = []
        for member, verdict in zip(members, received, strict=True):
            if verdict.allowed:
                answers.append(_release(member.agency, verdict, [(section, next(reads)) for section in sections]))
            else:
                answers.append(_denial(member.agency, verdict))
        return answers

    def _ask(
        self, questions: Sequence[tuple[Member, str]], labels: Labels, entities: Entities, now_ms: int, purpose: str | None = None
    ) -> list[Verdict]:  # fmt: skip
        """Answers in the order of the questions. An action that the schema does not know is not put to Cedar: nothing permits it."""
        put = [(member.agency, action) for member, action in questions]
        answers = cedar.ask_by_action(put, context(now_ms, purpose), self._policies_for, entities, self._schema, variants(labels))
        return [self._verdict(answer, *question, labels) for question, answer in zip(questions, answers, strict=True)]

    def _policies_for(self, action: str) -> cedar.Policies | None:
        """The rules that concern an action; all of them where memory is checked, so that what picks them is checked with it."""
        groups = self._actions.get(action)
        if groups is None:
            return None
        return self._all if self._checking else policies_for(self._policies, groups)

    def _verdict(self, answer: cedar.Answer, member: Member, action: str, labels: Labels) -> Verdict:
        if answer.errors:
            return self._failure(*(_POSITION.sub(self._rule_at, each) for each in answer.errors))
        if answer.rules:
            return Verdict(answer.allowed, answer.rules, (), sentences.decided(self._rules[rule] for rule in answer.rules))
        return Verdict(False, (DEFAULT_DENY,), (), self._why_not(member.kind, action, labels.family))

    def _why_not(self, kind: str, action: str, family: str) -> str:
        """Why nothing permits an action. Remembered: most answers are of this sort."""
        case = kind, action, family
        if case not in self._unpermitted:
            if len(self._unpermitted) >= _SHARED_LIMIT:
                self._unpermitted.clear()
            groups = self._actions.get(action, frozenset({action}))
            self._unpermitted[case] = sentences.unpermitted(*case, groups, self._rules.values())
        return self._unpermitted[case]

    def _rule_at(self, found: re.Match[str]) -> str:
        return self._reading.positions.get(found[0], found[0])

    def _failure(self, *errors: str) -> Verdict:
        self._errors += 1
        return Verdict(False, (POLICY_ERROR,), errors, sentences.failed(errors))

    def _entity_set(self, labels: Labels, standing: _Standing, members: Iterable[Member], now_ms: int) -> Entities | None:
        """The entities of one message, or None where its labels are not of the schema's vocabulary.

        ``members`` are asked for; of the originator and of those written in a rule a rule can ask too. Where the owner consented to some
        sections, each section has a message of its own, which differs in who has consent.
        """
        sections = [None, *labels.sections, model.EVIDENCE] if labels.consents else [None]
        try:
            messages = [self._message(labels, standing, now_ms, section) for section in sections]
        except OverflowError:
            return None
        named = (labels.originator, *self._reading.entities.get("Agency", ()))
        asked = {*(member.agency for member in members), *(agency for agency in named if agency in standing.sound)}
        if len(asked) * READ_ANEW < len(standing.sound):
            return cedar.read_entities([*(standing.entities[agency] for agency in sorted(asked)), *messages], self._schema)
        return cedar.with_added(standing.parsed, messages, self._schema)

    def _message(self, labels: Labels, standing: _Standing, now_ms: int, section: str | None) -> str:
        found = factual(labels, self._facts, standing.members.get(labels.originator), now_ms, section) if self._factual else {}
        more = {name: value for name, value in found.items() if name in self._factual}
        return message_entity(labels, self._reading, more, variant(section) if section else cedar.MESSAGE)

    def _sound(self, members: Mapping[str, Member], entities: Mapping[str, str]) -> tuple[Mapping[str, Member], Entities]:
        """The members that the schema admits, and their entities as Cedar has them. One of an unknown kind, say, is not among them: it is
        denied by itself, not with the others."""
        parsed = cedar.read_entities(entities.values(), self._schema)
        if parsed is not None:
            return members, parsed
        sound = {agency: members[agency] for agency, each in entities.items() if cedar.read_entities([each], self._schema) is not None}
        parsed = cedar.read_entities([entities[agency] for agency in sound], self._schema)
        return (sound, parsed) if parsed is not None else self._sound({}, {})

    def _share(self, answer: Release | Denial) -> Release | Denial:
        """The same object for equal answers, so that thousands of remembered decisions cost little more than one."""
        if len(self._shared) >= _SHARED_LIMIT:
            self._shared.clear()
        return self._shared.setdefault(answer, answer)


def _weight(labels: Labels) -> int:
    """For how much a decision counts in the memory: 1 for labels of usual size."""
    lists = (
        labels.consents,
        labels.countries,
        labels.hs_chapters,
        labels.audience_agencies,
        labels.audience_communities,
        labels.audience_countries,
    )
    return 1 + sum(map(len, lists)) // NAMES


def _release(agency: str, receive: Verdict, reads: Sequence[tuple[str, Verdict]]) -> Release | Denial:
    given = tuple((section, verdict.rules[0]) for section, verdict in reads if verdict.allowed)
    refused = [(section, verdict) for section, verdict in reads if not verdict.allowed]
    blocking = next((verdict for section, verdict in refused if section == model.CORE or not given), None)
    if blocking is not None:
        return _denial(agency, blocking)
    return Release(agency, receive.rules[0], given, tuple((section, verdict.rules[0]) for section, verdict in refused))


def _denial(agency: str, verdict: Verdict) -> Denial:
    return Denial(agency, verdict.rules[0], verdict.reason)
