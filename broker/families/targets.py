"""Messages about another's subject: what the header's target must be, and whom an answer goes to.

Only its owner revises or recalls a subject. What others say of it - an acknowledgement, feedback, a write-off, a proposal - is a
subject of their own that names the other as its target (domain dictionary 2.5). Whether the target exists is judged by the node
of its owner, never by the exchange: an author must not learn from a receipt what others hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from broker import ids
from broker.errors import Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message
from broker.values import Correlation

_TARGET: Final = "header.correlation.target"


def _bad(path: str, reason: str) -> Refusal:
    return Refusal("BAD_LABELS", reason, path)


def check_target(message: Message, family: Family) -> Refusal | None:
    """Whether the target is what the family asks for: BAD_LABELS otherwise. The target itself is well-formed already."""
    target = message.correlation.target
    if family.about == "RECALLED":
        return _check_recalled(message)
    if target is None:
        return _bad(_TARGET, f"a message of family {family.name} names the subject that it is about") if family.about == "TARGET" else None
    if family.about == "OWN":
        return None
    if not family.own_target and ids.owner_of(target) == ids.owner_of(message.subject):
        return _bad(_TARGET, f"{family.name} is said to the owner of a subject: name another agency's")
    if family.names_revision and message.correlation.target_revision is None:
        return _bad(f"{_TARGET}_revision", f"say which revision of {target} is meant")
    return None


def _check_recalled(message: Message) -> Refusal | None:
    if message.correlation.target is not None:
        return _bad(_TARGET, "the subject of a recall is the one that it takes back: leave the target out")
    if message.revision < 2:
        return _bad("revision", "a recall has the next revision of the subject that it takes back: 2 at least")
    return None


def owner_only(target: str | None, subject: str) -> Audience:
    """The audience of an answer: the owner of its target. Nobody where there is none, it is malformed, or it is the author's own."""
    try:
        owner = ids.owner_of(ids.subject_id(target or ""))
    except ids.InvalidId:
        return Audience()
    return Audience() if owner == ids.owner_of(subject) else Audience(agencies=(owner,))


def about_another(
    family: Family,
    given: Mapping[str, Mapping[str, object] | None],
    subject: str,
    target: str | None,
    target_revision: int | None,
    audience: Audience | None,
    valid_until_ms: int | None,
    labels: LabelArguments,
) -> Message:
    """A message about another's subject, for the builders: its target among the links that were given, the sections completed, and its
    audience the owner of the target where none was given."""
    labels["correlation"] = replace(labels.get("correlation", Correlation()), target=target, target_revision=target_revision)
    sections = complete_sections(family.types, given)
    return Message(family.name, subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
