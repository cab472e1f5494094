"""A duty is a value: who owes whom what, by when. What is open is a set of them; messages discharge, silence escalates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

KINDS: Final[dict[str, str]] = {
    "ACKNOWLEDGE": "the recipient says at level L3 that the message was taken in",
    "FEEDBACK": "the recipient of an alert says what came of it",
    "ANSWER_RFI": "the agency asked answers a request for information",
    "ANSWER_CONSENT": "the owner grants or refuses a consent asked for",
    "ANSWER_REACHBACK": "the experts asked answer",
    "ANSWER_RECALL": "a holder says STOPPED, DELETED or CANNOT",
    "ANSWER_WITHDRAWAL": "who dropped out of a subject's audience says the same",
    "REVIEW_DENIAL": "the authority reviews a denial, at three years at the latest",
    "REVIEW_WATCH": "the owner reviews an entity watch",
    "LEAVE_ZONE": "goods in transhipment leave the free zone, or their exemption is over",
    "WARN_OF_DWELL": "five days are left before goods must have left the free zone",
    "OBJECT": "the time to object to a licit movement is over",
    "CONSENT_ENDS": "a consent is over",
    "LICENCE_ENDS": "a licence is over",
    "ERASE": "the retention class lets nothing be kept longer",
}
"""Every kind of duty. The last five are dates: they come by themselves, and nobody is late."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What ``debtor`` owes ``creditor`` about a revision of a subject. Times are Unix ms UTC.

    From ``due_ms`` on the creditor is told that it is open, from ``escalate_ms`` on the duty contacts as well. ``escalate_ms`` None:
    a date on which something ends by itself, and nobody is late. ``about`` tells two duties of one subject apart.
    """

    kind: str
    subject: str
    revision: int
    debtor: str
    creditor: str
    due_ms: int
    escalate_ms: int | None
    about: str = ""

    def due_again(self, due_ms: int) -> Duty:
        """The same duty with another time, as much later to the duty contacts as before."""
        grace = None if self.escalate_ms is None else self.escalate_ms - self.due_ms
        return replace(self, due_ms=due_ms, escalate_ms=None if grace is None else due_ms + grace)


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who is told of silence, so many milliseconds after a duty's ``escalate_ms``: a function, never a person."""

    name: str
    after_ms: int = 0


Chain = tuple[Contact, ...]
"""The escalation chain of an agency, from its configuration: the duty contact first, then those above."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Whom to tell that a duty is not met: rung 0 is the creditor, from 1 on the contacts of the chain."""

    duty: Duty
    rung: int
    to: str


def overdue(duties: Iterable[Duty], now_ms: int) -> list[Duty]:
    """What is past its time, the oldest first."""
    return sorted((duty for duty in duties if duty.due_ms <= now_ms), key=lambda duty: (duty.due_ms, duty.subject, duty.kind, duty.debtor))


def next_due(duties: Iterable[Duty]) -> int | None:
    """The first time at which something is due; None where nothing is open."""
    return min((duty.due_ms for duty in duties), default=None)


def escalations(duties: Iterable[Duty], now_ms: int, chain: Chain, told: Collection[Escalation] = ()) -> list[Escalation]:
    """Who has to be told now of silence and was not yet.

    ``told`` is what the caller has kept of earlier answers, stored in one transaction with what it did about them: so each rung of
    each duty is climbed once, however often and however late this is asked.
    """
    return [step for duty in overdue(duties, now_ms) for step in _rungs(duty, now_ms, chain) if step not in told]


def _rungs(duty: Duty, now_ms: int, chain: Chain) -> Iterator[Escalation]:
    if duty.escalate_ms is None:
        return
    yield Escalation(duty, 0, duty.creditor)
    for rung, contact in enumerate(chain, 1):
        if duty.escalate_ms + contact.after_ms <= now_ms:
            yield Escalation(duty, rung, contact.name)
