"""Who may see what of one message, and why: each answer with its rule, where the rule comes from, the facts that it read, and for a
denial what would have to be otherwise. For people who did not write the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker.policy.bundle import Bundle
from broker.policy.counterfactual import PUBLISH, RECEIVE, Found, Way, ways
from broker.policy.decide import Decider
from broker.policy.model import AUDIENCE, DEFAULT_DENY, POLICY_ERROR, Distribution, Member, Verdict
from broker.policy.premises import Situation, facts, trees
from broker.policy.rules import Rule

NOT_RECEIVED: Final = "the message is not received"
"""Why a section is not given to an agency that no rule lets receive the message: nobody asks further."""
UNDECIDED: Final = frozenset({DEFAULT_DENY, POLICY_ERROR})
"""What stands for a rule where none decided."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A rule that decided, and the facts that it read."""

    rule: Rule
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that an agency may do or not: ``what`` is ``publish``, ``receive`` or the name of a section.

    ``rules`` decided; there are none for a default deny, nor where only the whole message is held back. ``reason`` is a sentence,
    empty for a default deny; ``ways`` lead from a denial to an allow.
    """

    what: str
    allowed: bool
    rules: tuple[Applied, ...]
    reason: str
    ways: tuple[Way, ...] = ()

    @property
    def undecided(self) -> bool:
        """Whether it is denied because no rule applied."""
        return not self.allowed and not self.rules and not self.reason


@dataclass(frozen=True, slots=True)
class Explained:
    """All answers about one agency: publishing for the originator, else receiving and every section. ``tried``: how ways were sought."""

    situation: Situation
    originator: bool
    answers: tuple[Answer, ...]
    tried: Found


def explained(situation: Situation, bundle: Bundle, members: Mapping[str, Member], decider: Decider) -> Explained:
    """Explain every decision about the agency of a situation. ``decider`` decides under this bundle and the situation's facts for these
    members. Takes up to a second."""
    agency, labels, now_ms = situation.member, situation.labels, situation.now_ms
    own = agency.agency == labels.originator
    sections = [section for section in labels.sections if section != AUDIENCE]
    asked = [PUBLISH] if own else [RECEIVE, *sections]
    verdicts = {what: decider.explain(agency.agency, _action(what), labels, now_ms) for what in asked}
    given = _given(agency.agency, decider.distribute(labels, now_ms))
    allowed = {what: verdicts[what].allowed if own else what in given for what in asked}
    found = ways(situation, [what for what in asked if not allowed[what]], bundle, members)
    rules = {rule.id: rule for rule in bundle.rules()}
    answers: list[Answer] = []
    for what in asked:
        verdict, nearest = verdicts[what], found.ways.get(what, ())
        if what not in (PUBLISH, RECEIVE) and not verdicts[RECEIVE].allowed:
            answers.append(Answer(what, False, (), NOT_RECEIVED, nearest))
        elif verdict.allowed and not allowed[what]:
            answers.append(Answer(what, False, (), _withdrawn(agency.agency, decider.distribute(labels, now_ms)), nearest))
        else:
            answers.append(_answer(what, verdict, nearest, situation, bundle, rules, members))
    return Explained(situation, own, tuple(answers), found)


def together(answers: Sequence[Answer]) -> list[tuple[tuple[str, ...], Answer]]:
    """Answers that differ in the section only, each with the names of all of them, in the order of the first."""
    same: dict[object, tuple[list[str], Answer]] = {}
    for answer in answers:
        alone = answer.what if answer.what in (PUBLISH, RECEIVE) else ""
        same.setdefault((alone, answer.allowed, answer.rules, answer.reason, answer.ways), ([], answer))[0].append(answer.what)
    return [(tuple(names), answer) for names, answer in same.values()]


def _action(what: str) -> str:
    return what if what in (PUBLISH, RECEIVE) else f"read:{what}"


def _given(agency: str, distribution: Distribution) -> frozenset[str]:
    for release in distribution.releases:
        if release.agency == agency:
            return frozenset({RECEIVE, *(section for section, _ in release.given)})
    return frozenset()


def _withdrawn(agency: str, distribution: Distribution) -> str:
    """Why somebody who may receive gets nothing: it may not read the core, or nothing at all."""
    reason = next((each.reason for each in distribution.denials if each.agency == agency), "")
    return f"it gets no message of which it may not read the core: {reason}"


def _answer(
    what: str, verdict: Verdict, found: tuple[Way, ...], situation: Situation, bundle: Bundle, rules: Mapping[str, Rule],
    members: Mapping[str, Member],
) -> Answer:  # fmt: skip
    written = trees(bundle.policies)
    applied = [Applied(rules[name], facts(written[name], situation, members)) for name in verdict.rules if name not in UNDECIDED]
    reason = "" if verdict.rules[0] == DEFAULT_DENY else verdict.reason
    return Answer(what, verdict.allowed, tuple(applied), reason, found)
