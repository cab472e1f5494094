"""What a changed rule says otherwise, word by word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from broker.policy.bundle import Bundle
from broker.policy.source import split
from broker.policy.widening import changed_rules

State = Literal["new", "gone", "changed"]
Piece = tuple[Literal["same", "new", "gone"], str]
"""A stretch of a rule's text, and whether both bundles have it."""
_WORD: Final = re.compile(r"\s+|\w+(?:[-.]\w+)*|[^\w\s]")


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that is new, gone, or says something else. ``title`` and ``basis`` as it stands now, or stood last."""

    id: str
    state: State
    title: str
    basis: str
    pieces: tuple[Piece, ...]


def rule_changes(old: Bundle, new: Bundle) -> tuple[RuleChange, ...]:
    """Every rule that is not the same in both, in order of id; layout alone is no change."""
    changed = changed_rules(old, new)
    named: tuple[tuple[str, State], ...] = (("added", "new"), ("gone", "gone"), ("changed", "changed"))
    states: dict[str, State] = {name: state for sort, state in named for name in changed[sort]}
    rules = {rule.id: rule for rule in (*old.rules(), *new.rules())}
    before, after = _texts(old), _texts(new)
    return tuple(
        RuleChange(name, states[name], rules[name].title, rules[name].basis, reworded(before.get(name, ""), after.get(name, "")))
        for name in sorted(states)
    )


def reworded(old: str, new: str) -> tuple[Piece, ...]:
    """Two texts as one, in pieces that both have, only the new one, or only the old one has; what is gone comes before what is new."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    pieces: list[Piece] = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(before[i:j])))
            continue
        if i < j:
            pieces.append(("gone", "".join(before[i:j])))
        if k < m:
            pieces.append(("new", "".join(after[k:m])))
    return tuple(pieces)


def _texts(bundle: Bundle) -> dict[str, str]:
    return {each.rule: each.text for each in split("", bundle.policies)}
