"""Deciding: may this agency publish, and who gets which sections. Default deny, deny overrides, any error denies.

The hot path is a look-up by the labels that the rules read. Measured on 2 shared cores with cedarpy 4.12.2, the policies that ship,
8 sections and 1,000 members of 186 countries and 9 kinds: 1 to 2 µs for a remembered decision, 15 to 60 ms for a new one (42 to 82
sets of alike members; asking for every member took up to 580 ms), 60 ms to build a decider.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, cast

from cedarpy import Entities

from broker.policy import cedar, model, sentences
from broker.policy.bundle import Bundle
from broker.policy.entities import alike, context, labels_read, member_entity, message_entity, window
from broker.policy.model import DEFAULT_DENY, POLICY_ERROR, Denial, Distribution, Labels, Member, Release, Verdict
from broker.policy.rules import read_rules

MEMO_LIMIT: Final = 4096
"""Decisions kept. With 1,000 members one takes about 10 kB: releases and denials are shared between decisions."""

NAMES: Final = 32
"""Names in the labels of a message for which its decision counts once; a thousand more countries or agencies count for more, so that
nobody fills the memory with long lists."""

_SHARED_LIMIT: Final = 65_536
_POSITION = re.compile(r"policy\d+")
_NO_ANSWER: Final = cedar.Answer(allowed=False, rules=(), errors=())


@dataclass(slots=True)
class _Entry:
    from_ms: int | None
    until_ms: int | None
    answer: Distribution | Verdict
    weight: int = 1

    def holds(self, now_ms: int) -> bool:
        return (self.from_ms is None or self.from_ms <= now_ms) and (self.until_ms is None or now_ms < self.until_ms)


class Decider:
    """Decides under one bundle for one set of members. Both are fixed: a new version of either takes a new decider."""

    def __init__(self, bundle: Bundle, members: Mapping[str, Member], *, memo_limit: int = MEMO_LIMIT) -> None:
        self._schema = cedar.read_schema(bundle.schema)
        self._policies = cedar.read_policies(bundle.policies)
        self._reading = read_rules(bundle.policies)
        self._rules = {rule.id: rule for rule in sorted(self._reading.rules, key=lambda rule: rule.id)}
        self._actions = cedar.actions_of(bundle.schema)
        self._members = {agency: members[agency] for agency in sorted(members)}
        self._entities = {agency: member_entity(member) for agency, member in self._members.items()}
        self._misfits = self._unfit_members()
        self._sound = {agency: member for agency, member in self._members.items() if agency not in self._misfits}
        self._key = attrgetter(*labels_read(self._reading))
        self._memo: OrderedDict[object, _Entry] = OrderedDict()
        self._memo_limit, self._memo_weight = memo_limit, 0
        self._shared: dict[Release | Denial, Release | Denial] = {}
        self._errors = 0

    @property
    def error_count(self) -> int:
        """Questions that were denied because deciding them failed. Anything but 0 is an alarm."""
        return self._errors

    def may_publish(self, labels: Labels, now_ms: int) -> Verdict:
        """Whether the originator may publish a message with these labels. ``now_ms``: Unix milliseconds. Memoised."""
        key = ("publish", self._key(labels))
        entry = self._remembered(key, now_ms)
        if entry is None:
            start, until = window(labels, self._reading, now_ms)
            entry = self._keep(key, _Entry(start, until, self.explain(labels.originator, "publish", labels, now_ms), _weight(labels)))
        return cast("Verdict", entry.answer)

    def distribute(self, labels: Labels, now_ms: int) -> Distribution:
        """Who gets which sections of a message with these labels. ``now_ms``: Unix milliseconds. Memoised.

        Every member but the originator is in the answer. A member that may receive but not read the core, or none of the
        sections, is denied; a message without sections (a recall) goes to all who may receive it.
        """
        key = ("distribute", self._key(labels))
        entry = self._remembered(key, now_ms)
        if entry is None:
            start, until = window(labels, self._reading, now_ms)
            entry = self._keep(key, _Entry(start, until, self._distribution(labels, now_ms, until), _weight(labels)))
        return cast("Distribution", entry.answer)

    def would_disclose(self, labels: Labels, now_ms: int) -> Distribution:
        """Who would get what if the message were published now: what a dry run shows. The same decision as :meth:`distribute`."""
        return self.distribute(labels, now_ms)

    def explain(self, agency: str, action: str, labels: Labels, now_ms: int) -> Verdict:
        """One question put to Cedar directly: may this agency do this with such a message, by which rules, and why.

        ``action`` is one of the schema's: ``publish``, ``receive``, ``read:parties``. To read takes to receive: where that is denied,
        its verdict is the answer. Not memoised.
        """
        member = self._members.get(agency)
        if member is None:
            return Verdict(False, (DEFAULT_DENY,), (), sentences.NOT_A_MEMBER)
        if agency in self._misfits:
            return self._failure(sentences.BAD_MEMBER)
        entities = self._entity_set(labels, [member, *self._named(labels)])
        if entities is None:
            return self._failure(sentences.BAD_LABELS)
        if action.startswith("read:"):
            receive = self._ask([(member, "receive")], labels, entities, now_ms)[0]
            if not receive.allowed:
                return receive
        return self._ask([(member, action)], labels, entities, now_ms)[0]

    def _remembered(self, key: object, now_ms: int) -> _Entry | None:
        entry = self._memo.get(key)
        if entry is None or not entry.holds(now_ms):
            return None
        self._memo.move_to_end(key)
        return entry

    def _keep(self, key: object, entry: _Entry) -> _Entry:
        before = self._memo.pop(key, None)
        self._memo[key] = entry
        self._memo_weight += entry.weight - (before.weight if before else 0)
        while self._memo_weight > self._memo_limit and len(self._memo) > 1:
            self._memo_weight -= self._memo.popitem(last=False)[1].weight
        return entry

    def _distribution(self, labels: Labels, now_ms: int, until_ms: int | None) -> Distribution:
        answers: dict[str, Release | Denial] = {agency: _denial(agency, self._failure(sentences.BAD_MEMBER)) for agency in self._misfits}
        answers.pop(labels.originator, None)
        sets = [same for same in alike(labels, self._reading, self._sound) if same[0].agency != labels.originator]
        asked = [same[0] for same in sets]
        entities = self._entity_set(labels, [*asked, *self._named(labels)])
        if entities is None:
            failure = self._failure(sentences.BAD_LABELS)
            answers.update({agency: _denial(agency, failure) for agency in self._sound if agency != labels.originator})
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

    def _ask(self, questions: Sequence[tuple[Member, str]], labels: Labels, entities: Entities, now_ms: int) -> list[Verdict]:
        """Answers in the order of the questions. An action that the schema does not know is not put to Cedar: nothing permits it."""
        known = [(member.agency, action) for member, action in questions if action in self._actions]
        answers = iter(cedar.ask(known, context(now_ms), self._policies, entities, self._schema))
        return [
            self._verdict(next(answers) if action in self._actions else _NO_ANSWER, member, action, labels) for member, action in questions
        ]

    def _verdict(self, answer: cedar.Answer, member: Member, action: str, labels: Labels) -> Verdict:
        if answer.errors:
            return self._failure(*(_POSITION.sub(self._rule_at, each) for each in answer.errors))
        if answer.rules:
            return Verdict(answer.allowed, answer.rules, (), sentences.decided(self._rules[rule] for rule in answer.rules))
        groups = self._actions.get(action, frozenset({action}))
        reason = sentences.unpermitted(member.kind, action, labels.family, groups, self._rules.values())
        return Verdict(False, (DEFAULT_DENY,), (), reason)

    def _rule_at(self, found: re.Match[str]) -> str:
        return self._reading.positions.get(found[0], found[0])

    def _failure(self, *errors: str) -> Verdict:
        self._errors += 1
        return Verdict(False, (POLICY_ERROR,), errors, sentences.failed(errors))

    def _named(self, labels: Labels) -> list[Member]:
        """The members of whom a rule can ask though they are not the principal: the originator, and those written in a rule."""
        return [self._sound[agency] for agency in (labels.originator, *self._reading.entities.get("Agency", ())) if agency in self._sound]

    def _entity_set(self, labels: Labels, members: Iterable[Member]) -> Entities | None:
        """The entities of one message, or None where its labels are not of the schema's vocabulary."""
        try:
            message = message_entity(labels, self._reading)
        except OverflowError:
            return None
        agencies = {member.agency: self._entities[member.agency] for member in members}
        return cedar.read_entities([*agencies.values(), message], self._schema)

    def _unfit_members(self) -> frozenset[str]:
        """Members that the schema does not admit, for example of an unknown kind. They are denied one by one, not with the others."""
        if self._fits(self._entities.values()):
            return frozenset()
        return frozenset(agency for agency, entity in self._entities.items() if not self._fits([entity]))

    def _fits(self, entities: Iterable[str]) -> bool:
        return cedar.read_entities(entities, self._schema) is not None

    def _share(self, answer: Release | Denial) -> Release | Denial:
        """The same object for equal answers, so that thousands of remembered decisions cost little more than one."""
        if len(self._shared) >= _SHARED_LIMIT:
            self._shared.clear()
        return self._shared.setdefault(answer, answer)


def _weight(labels: Labels) -> int:
    """For how much a decision counts in the memory: 1 for labels of usual size."""
    lists = labels.countries, labels.hs_chapters, labels.audience_agencies, labels.audience_communities, labels.audience_countries
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
