"""What is owed, as rows: which duties a message begins for the agency that keeps the register, and which it meets.

What is open is a function of the set of messages, not of their order:

- the newest revision of a subject begins duties; of earlier ones only those last that silence must not end (``LASTING``);
- a recall, or a revision without content, ends all duties of the revisions before it, whether they came before or come after it;
- the newest revision of an answer counts: one that its author took back, or that this agency may no longer hold, answers nothing.
  Only an answer whose time is over by itself has been given all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broker.families.clocks.arising import FEEDBACK_MS, duties, withdrawal_duty
from broker.families.clocks.duty import Duty
from broker.families.clocks.settling import REPLIES, meets
from broker.families.rules import instant_ms
from broker.register.rows import AnswerRow, Delivered


def duties_of(delivered: Delivered, agency: str) -> tuple[Duty, ...]:
    """The duties that a message begins and that concern ``agency``: what it owes, and what is owed to it.

    For an own message the debtors are the recipients that its receipt names. Dates that only concern another agency's own copy (when
    it has to erase, say) are left to that agency.
    """
    if "core" not in delivered.sections:
        came = delivered.arrived_at or delivered.admitted_at
        return () if delivered.own else (withdrawal_duty(delivered.subject, delivered.revision, agency, came),)
    if not delivered.own:
        return tuple(duties(delivered, delivered.sections, agency, delivered.arrived_at or delivered.admitted_at))
    found = duties(delivered, delivered.sections, agency, delivered.admitted_at)
    for recipient in delivered.recipients:
        if recipient != agency:
            owed = duties(delivered, delivered.sections, recipient, delivered.admitted_at)
            found += [duty for duty in owed if duty.creditor == agency and duty.escalate_ms is not None]
    return tuple(dict.fromkeys(found))


def asked_at(delivered: Delivered) -> int:
    """From when on an answer that names no revision is about this one. A later delivery of the same revision asks nothing anew."""
    return min(delivered.issued_at, delivered.admitted_at)


def answers_of(delivered: Delivered) -> tuple[AnswerRow, ...]:
    """The duties of its author that a message meets, wholly or in part."""
    return tuple(dict.fromkeys((*_met(delivered), *_examined(delivered))))


def _met(delivered: Delivered) -> Iterator[AnswerRow]:
    if delivered.target is not None:
        for kind, due in meets(delivered.family, delivered.sections["core"]).items():
            yield AnswerRow(delivered.target, delivered.target_revision, delivered.originator, kind, delivered.admitted_at, due)


def _examined(delivered: Delivered) -> Iterator[AnswerRow]:
    """Whoever reports what an alert led to has examined: feedback is due 72 hours after that, whatever the anchor time was."""
    alert = (delivered.sections.get("method") or {}).get("alert_id")
    occurred = instant_ms(delivered.sections["core"].get("occurred_at"))
    if delivered.family == "seizure" and alert and occurred is not None:
        yield AnswerRow(alert, None, delivered.originator, "FEEDBACK", delivered.admitted_at, occurred + FEEDBACK_MS)


def expired_answers(delivered: Delivered) -> tuple[AnswerRow, ...]:
    """What an answer has met whose content is gone because its time is over: what its family meets."""
    kinds = ("ACKNOWLEDGE",) if delivered.family == "ack" else ("ACKNOWLEDGE", REPLIES.get(delivered.family, ""))
    if delivered.target is None or (delivered.family != "ack" and delivered.family not in REPLIES):
        return ()
    return tuple(
        AnswerRow(delivered.target, delivered.target_revision, delivered.originator, kind, delivered.admitted_at) for kind in kinds
    )


def standing(duty: Duty, asked: int, answers: Iterable[AnswerRow]) -> Duty | None:
    """A duty after the answers to it; None where it is met. ``asked``: :func:`asked_at` of the message that began it."""
    moved: list[tuple[int, int]] = []
    for answer in answers:
        if (answer.target, answer.debtor, answer.kind) != (duty.subject, duty.debtor, duty.kind):
            continue
        if answer.at < asked if answer.target_revision is None else answer.target_revision < duty.revision:
            continue
        if answer.due is None:
            return None
        moved.append((answer.at, answer.due))
    return duty.due_again(max(moved)[1]) if moved else duty
