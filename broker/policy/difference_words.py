"""A difference between two sets of rules in words: the same on a screen, on a page of paper and on a page of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from broker.policy.counterfactual import PUBLISH, RECEIVE
from broker.policy.difference import APART, COMMUNITY, COUNTRY, NAMED, OWN, ROUTE, SUSPENDED, Example, Group
from broker.policy.model import Labels
from broker.policy.premises import moment_shown, tlp_shown
from broker.policy.rewording import Piece

_KINDS: Final[Mapping[str, str]] = {
    "customs": "customs", "licensing": "licensing authorities", "police": "police", "coastguard": "coast guards",
    "zone": "free-zone authorities", "fiu": "financial intelligence units", "regulator": "regulators",
    "international": "international bodies", "auditor": "auditors",
}  # fmt: skip
_RELATIONS: Final[Mapping[str, str]] = {
    NAMED: "that are named", COMMUNITY: "of a named community", COUNTRY: "of a named country", ROUTE: "of a country on the route",
    APART: "that are not addressed", SUSPENDED: "that are suspended", OWN: "",
}  # fmt: skip
MARKS_SHOWN: Final = 6
"""Most combinations of marks that are told; ``--json`` has them all."""
NAMES_SHOWN: Final = 3
"""Most names of an audience that are told of an example."""


def who(group: Group) -> str:
    """Whom it is about: ``licensing authorities that are named``."""
    kinds = "agencies of every kind" if set(_KINDS) <= set(group.kinds) else listed([_KINDS.get(kind, kind) for kind in group.kinds], "and")
    relations = [told for name, told in _RELATIONS.items() if name in group.relations and told]
    return f"{kinds} {listed(relations, 'or')}".strip()


def what(group: Group) -> str:
    """What it is: ``receive, read core and goods``."""
    sections = sorted((each for each in group.what if each not in (PUBLISH, RECEIVE)), key=lambda each: (each != "core", each))
    verbs = [each for each in (PUBLISH, RECEIVE) if each in group.what]
    return ", ".join([*verbs, *([f"read {listed(sections, 'and')}"] if sections else [])])


def because(group: Group, states: Mapping[str, str], *, gain: bool) -> str:
    """The rule that makes the difference, and what happened to it."""
    rule = f"rule {group.rule} ({states.get(group.rule, 'unchanged')})"
    if not group.stops:
        return rule
    return f"{rule} does not stop it any more" if gain else f"{rule} stops it"


def sentence(group: Group, states: Mapping[str, str], *, gain: bool) -> str:
    """A difference in one sentence."""
    return (
        f"{who(group)} {'GAIN' if gain else 'LOSE'} {what(group)} of {listed(group.families, 'and')}: {because(group, states, gain=gain)}"
    )


def counted(group: Group, recorded: int) -> str:
    """In how many cases it shows."""
    counts = [f"{group.made_up} made-up messages and scenarios"] if group.made_up else []
    counts += [f"{group.recorded} of {recorded} recorded messages"] if group.recorded else []
    return " and ".join(counts)


def marks(group: Group) -> str:
    """The marks under which it shows; empty where that is all that were tried."""
    told = [f"TLP:{tlp_shown(tlp)} {handling}" for tlp, handling in group.marks]
    more = f" and {len(told) - MARKS_SHOWN} more" if len(told) > MARKS_SHOWN else ""
    return f"seen under {', '.join(told[:MARKS_SHOWN])}{more}" if told else ""


def exemplified(example: Example) -> str:
    """One case: the agency, and the labels of the message."""
    labels = example.labels
    return (
        f"{example.agency} in {example.name}: {labels.family} of {labels.originator}, TLP:{tlp_shown(labels.tlp)}, {labels.handling}, "
        f"{_addressed(labels)}, at {moment_shown(example.now_ms)}"
    )


def _addressed(labels: Labels) -> str:
    names = [*labels.audience_agencies, *labels.audience_communities, *labels.audience_countries]
    return f"to {_some(names)}" if names else "to nobody by name"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def changed_pieces(pieces: Iterable[Piece]) -> list[Piece]:
    """The pieces with what is the same cut down to the words beside a change."""
    short: list[Piece] = []
    for kind, text in pieces:
        flat = " ".join(text.split())
        if kind == "same" and len(flat) > 60:
            flat = f"{flat[:24]} … {flat[-24:]}" if short else f"… {flat[-24:]}"
        lead, tail = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() else "")
        short.append((kind, f"{lead}{flat}{tail}"))
    return short


def listed(names: Sequence[str], word: str) -> str:
    """Names with commas, and a word before the last."""
    *most, last = names or ("",)
    return f"{', '.join(most)} {word} {last}" if most else last
