"""How messages discharge duties: answers by their debtors, later revisions and recalls by the owner of the subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.families.clocks.arising import FEEDBACK_MS, duties
from broker.families.clocks.duty import Duty
from broker.families.heading import Heading
from broker.families.message import Sections
from broker.families.rules import instant_ms

REPLIES: Final = {
    "feedback": "FEEDBACK",
    "rfi_reply": "ANSWER_RFI",
    "consent_reply": "ANSWER_CONSENT",
    "recall_reply": "ANSWER_RECALL",
    "reachback_reply": "ANSWER_REACHBACK",
}
"""Family of an answer to the kind of duty that it meets. Each says as well that its target was opened."""

_ENOUGH: Final = frozenset({"L3", "L4", None})
"""Levels that meet an acknowledgement; None is a negative one: an answer too, only silence is none."""
LASTING: Final = frozenset({"ACKNOWLEDGE", "ANSWER_RECALL"})
"""What a later revision of the subject does not take back: whoever is silent is silent."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is still open, and what a message discharged. A duty whose time moved is open with its new time, and not discharged."""

    open: tuple[Duty, ...]
    discharged: tuple[Duty, ...]


def settle(open_duties: Iterable[Duty], header: Heading, core: Any) -> Settled:
    """Take in a message: what its author owed about its target, and what its subject's earlier revisions had begun."""
    still: list[Duty] = []
    met: list[Duty] = []
    for duty in open_duties:
        after = _after(duty, header, core)
        (met if after is None else still).append(duty if after is None else after)
    return Settled(tuple(still), tuple(met))


def _after(duty: Duty, header: Heading, core: Any) -> Duty | None:
    """The duty as it stands after a message; None: it is discharged."""
    if duty.subject == header.subject and header.revision > duty.revision:
        return None if header.family == "recall" or duty.kind not in LASTING else duty
    links = header.correlation
    if links.target != duty.subject or duty.debtor != header.originator or (links.target_revision or duty.revision) < duty.revision:
        return duty
    met = meets(header.family, core)
    if duty.kind not in met:
        return duty
    rest = met[duty.kind]
    return None if rest is None else duty.due_again(rest)


def meets(family: str, core: Mapping[str, Any]) -> dict[str, int | None]:
    """The kinds of duty about its target that a message of the debtor meets: None where nothing is left of it, else when the rest is
    due, in Unix ms."""
    if family == "ack":
        return {"ACKNOWLEDGE": None} if core.get("level") in _ENOUGH else {}
    if family in REPLIES:
        rest = instant_ms(core.get("rest_due")) if core.get("status") == "PARTIAL" else None
        met = {"ACKNOWLEDGE": None, REPLIES[family]: rest}
        return met | {"ANSWER_WITHDRAWAL": None} if family == "recall_reply" else met
    return {"ANSWER_REACHBACK": None} if family == "licence" and core.get("decision_type") == "DETERMINATION" else {}


def examined(open_duties: Iterable[Duty], subject: str, debtor: str, at_ms: int) -> tuple[Duty, ...]:
    """Once the goods were examined, feedback is due 72 hours after it, whatever the anchor time was."""
    return tuple(
        duty.due_again(at_ms + FEEDBACK_MS) if (duty.kind, duty.subject, duty.debtor) == ("FEEDBACK", subject, debtor) else duty
        for duty in open_duties
    )


def take(
    open_duties: Iterable[Duty], header: Heading, sections: Sections, recipient: str, delivered_ms: int, *, newest: int = 0
) -> Settled:  # fmt: skip
    """:func:`settle`, then the duties that the message begins itself. ``newest`` is the highest revision of its subject that was
    seen: an older one that comes late begins nothing.
    """
    settled = settle(open_duties, header, sections.get("core", {}))
    if header.revision < newest:
        return settled
    known = set(settled.open)
    fresh = (duty for duty in duties(header, sections, recipient, delivered_ms) if duty not in known)
    return Settled((*settled.open, *fresh), settled.discharged)
