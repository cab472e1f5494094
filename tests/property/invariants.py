"""What holds of every bundle, whatever its rules permit. A new one is a predicate with a name, and a line in :data:`INVARIANTS`."""

from __future__ import annotations

from collections.abc import Callable

from broker.policy.model import AUDIENCE
from tests.property.label_space import COVERED, ORIGIN, Situation

Invariant = Callable[[Situation], bool]


def suspended_does_nothing(at: Situation) -> bool:
    """A suspended agency publishes, receives and reads nothing."""
    return not (at.member.suspended and at.may)


def only_the_originator_publishes(at: Situation) -> bool:
    """Nobody publishes in the name of another."""
    return "publish" not in at.may or at.member.agency == at.labels.originator


def audience_is_never_read(at: Situation) -> bool:
    """Nobody learns from the message who else received it."""
    return f"read:{AUDIENCE}" not in at.may


def red_only_for_the_named(at: Situation) -> bool:
    """TLP:RED and TLP:AMBER+STRICT go to the agencies that the originator names."""
    return at.labels.tlp not in ("RED", "AMBER_STRICT") or not at.gets or at.named


def auditors_get_nothing(at: Situation) -> bool:
    """Auditors are given no content, and say nothing."""
    return at.member.kind != "auditor" or not at.may


def embargo_holds(at: Situation) -> bool:
    """Nothing is disclosed before the embargo ends."""
    return at.labels.embargo_until_ms is None or at.now_ms >= at.labels.embargo_until_ms or not at.gets


def h3_persons_only_for_the_named(at: Situation) -> bool:
    """Under H3 only named agencies read who is concerned, and where it is known from."""
    secret = {"read:parties", "read:source", "read:tenants", "read:identity", "read:attachments"}
    return at.labels.handling != "H3" or at.named or secret.isdisjoint(at.may)


def nothing_without_the_core(at: Situation) -> bool:
    """Whoever receives a message that has a core reads it."""
    return not at.gets or {"receive", "read:core"} <= at.may


def originator_is_no_recipient(at: Situation) -> bool:
    """The originator gets nothing of its own back."""
    return at.member.agency != at.labels.originator or not at.gets


def persons_only_under_an_agreement(at: Situation) -> bool:
    """Parties, tenants and whom a watch is for are read abroad only in countries that are party to an agreement in force."""
    secret = {"read:parties", "read:tenants", "read:identity", "read:attachments"}
    return at.member.country in (ORIGIN, *COVERED) or secret.isdisjoint(at.may)


INVARIANTS: tuple[Invariant, ...] = (
    suspended_does_nothing,
    only_the_originator_publishes,
    audience_is_never_read,
    red_only_for_the_named,
    auditors_get_nothing,
    embargo_holds,
    h3_persons_only_for_the_named,
    nothing_without_the_core,
    originator_is_no_recipient,
    persons_only_under_an_agreement,
)
