"""The JSON of ``broker policy diff``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.cli.policy_ground import labels_json
from broker.policy.difference import Group
from broker.policy.difference_words import sentence
from broker.policy.premises import moment_shown, tlp_shown
from broker.policy.rewording import RuleChange


def group_json(group: Group, states: Mapping[str, str], *, gain: bool) -> dict[str, Any]:
    """A difference as ``--json`` shows it."""
    return {
        "difference": "gain" if gain else "loss", "sentence": sentence(group, states, gain=gain), "kinds": list(group.kinds),
        "relations": list(group.relations), "what": list(group.what), "families": list(group.families), "rule": group.rule,
        "rule_state": states.get(group.rule), "stops": group.stops, "made_up": group.made_up, "recorded": group.recorded,
        "marks": [{"tlp": tlp_shown(tlp), "handling": handling} for tlp, handling in group.marks], "agencies": list(group.agencies),
        "example": {
            "name": group.example.name, "agency": group.example.agency, "at": moment_shown(group.example.now_ms),
            "labels": labels_json(group.example.labels),
        },
    }  # fmt: skip


def rule_json(change: RuleChange) -> dict[str, Any]:
    """A rule that is not the same as ``--json`` shows it."""
    return {
        "rule": change.id, "state": change.state, "title": change.title, "basis": change.basis,
        "text": [[kind, text] for kind, text in change.pieces],
    }  # fmt: skip
