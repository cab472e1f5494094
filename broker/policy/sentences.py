"""Decisions in words, for officials: which rule decided, and what it would have taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from broker.policy.rules import Rule

_KINDS: Final[Mapping[str, str]] = {
    "customs": "a customs administration",
    "licensing": "a licensing authority",
    "police": "a police service",
    "coastguard": "a coast guard",
    "zone": "a free-zone authority",
    "fiu": "a financial intelligence unit",
    "regulator": "a regulator",
    "international": "an international body",
    "auditor": "an auditor",
}
_FAMILIES: Final[Mapping[str, str]] = {
    "licence": "licence decision", "seizure": "seizure report", "fz_warning": "free-zone warning", "ack": "acknowledgement",
    "rfi": "request for information", "rfi_reply": "reply to a request for information", "recall_reply": "answer to a recall",
    "reachback": "reach-back", "reachback_reply": "reply to a reach-back", "licence_usage": "write-off of a licence",
    "licit_movement": "notice of a licit movement", "consent_request": "request for consent", "consent_reply": "answer about consent",
    "attachment": "chunk of an attached file",
}  # fmt: skip
NOT_A_MEMBER: Final = "it is not a member of this exchange"
BAD_LABELS: Final = "the message's labels are not of the policy schema's vocabulary, so nothing is decided in its favour"
BAD_MEMBER: Final = "the agency's directory entry is not of the policy schema's vocabulary, so nothing is decided in its favour"


def decided(rules: Iterable[Rule]) -> str:
    """Why something is allowed, or denied by rule: the titles of the rules that applied."""
    return "; ".join(rule.title for rule in rules)


def failed(errors: Iterable[str]) -> str:
    """Why something is denied because deciding failed."""
    return f"deciding failed, which denies: {'; '.join(errors)}"


def unpermitted(kind: str, action: str, family: str, groups: frozenset[str], rules: Iterable[Rule]) -> str:
    """Why nothing permits an action, and the permits of which one would have had to apply.

    ``groups`` are the action and every action group it belongs to.
    """
    verb, _, section = action.partition(":")
    what = f"{verb} the {section} of" if section else verb
    here = _FAMILIES.get(family, family.replace("_", " "))
    article = "an" if here[:1] in "aeiou" else "a"
    denied = f"no rule lets {_KINDS.get(kind, f'an agency of kind `{kind[:40]}`')} {what} this {here}"
    titles = [rule.title for rule in rules if rule.effect == "permit" and _covers(rule, groups, family)]
    if not titles:
        return f"{denied}: there is no rule by which anybody may {what} {article} {here}"
    return f"{denied}; it would take: {'; or: '.join(titles)}"


def _covers(rule: Rule, groups: frozenset[str], family: str) -> bool:
    return rule.concerns(groups) and (not rule.families or family in rule.families)
