"""The words and the JSON of ``broker policy explain``: the same on a screen and on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from broker.policy.counterfactual import PUBLISH, RECEIVE, conditions
from broker.policy.explain import Answer, Explained

WAYS_SHOWN: Final = 4
"""Most ways to an allow that are told; ``--json`` has them all."""


def answer_json(told: Explained, answer: Answer) -> dict[str, Any]:
    """One answer as ``--json`` shows it."""
    return {
        "agency": told.situation.member.agency, "what": answer.what, "allowed": answer.allowed,
        "rules": [
            {"id": each.rule.id, "effect": each.rule.effect, "title": each.rule.title, "basis": each.rule.basis, "facts": list(each.facts)}
            for each in answer.rules
        ],
        "reason": answer.reason or None,
        "would_be_given_if": [{"condition": condition, "rule": rule} for condition, rule in conditions(answer.ways, told.situation.member)],
        "ways": [
            {"changes": [{"sort": change.sort, "value": change.value} for change in way.changes], "rule": way.rule} for way in answer.ways
        ],
        "tried": {"single": told.tried.singles, "pairs": told.tried.pairs, "all_pairs": told.tried.complete},
    }  # fmt: skip


def what_told(names: tuple[str, ...], *, allowed: bool) -> str:
    """What is allowed or denied, as a verb: ``reads goods and route``, ``does not receive it``."""
    verb = {PUBLISH: ("may publish it", "may not publish it"), RECEIVE: ("receives it", "does not receive it")}.get(names[0])
    if verb is not None:
        return verb[0] if allowed else verb[1]
    *most, last = names
    listed = f"{', '.join(most)} {'and' if allowed else 'or'} {last}" if most else last
    return f"reads {listed}" if allowed else f"does not read {listed}"


def ways_told(told: Explained, answer: Answer) -> str:
    """One sentence on what would have to be otherwise; empty for what is allowed."""
    if answer.allowed:
        return ""
    found = conditions(answer.ways, told.situation.member)
    if not found:
        tried = told.tried
        pairs = "no two changes together" if tried.complete else f"none of {tried.pairs} pairs of changes that were tried"
        return f"No single change ({tried.singles} were tried) and {pairs} would give it."
    verb = "It would be allowed" if answer.what == PUBLISH else "It would be given"
    more = f"; {len(found) - WAYS_SHOWN} more ways are in --json" if len(found) > WAYS_SHOWN else ""
    return f"{verb} if {', or if '.join(_with_rules(found[:WAYS_SHOWN]))}{more}."


def _with_rules(found: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The conditions, a rule told after the last of those that it follows."""
    for number, (condition, rule) in enumerate(found):
        last = number + 1 == len(found) or found[number + 1][1] != rule
        yield f"{condition} (rule {rule})" if last else condition
