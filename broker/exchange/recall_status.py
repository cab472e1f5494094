"""How far a recall has come, at its owner: n of m holders confirmed, who is silent, who is told of it (domain dictionary 4, recall).

A recall asks every agency that was given any revision. A narrowed audience asks those who dropped out, and is counted in the same way
while there is no recall. All follows from the owner's receipts and from what it was answered; nothing is kept but these. Times are
Unix milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from broker import ids
from broker.envelope.receipt import Receipt
from broker.errors import Refusal
from broker.exchange.recall import remembered
from broker.exchange.trace import RECALL_REPLY, Said, accepted
from broker.families.clocks.arising import ACKNOWLEDGE_MS, GRACE_MS, withdrawal_duty
from broker.families.clocks.duty import Chain, Duty, Escalation, escalations
from broker.families.lifecycles.effects import effects_of, handle
from broker.families.lifecycles.recall import RECALL as MACHINE
from broker.families.lifecycles.tables import RECALL_FAMILY

CONFIRMED: Final = ("STOPPED", "DELETED", "CANNOT")
"""Answers: only silence is none."""
SILENT: Final = "SILENT"
UNREACHED: Final = "UNREACHED"
"""A holder to whom the exchange could not deliver: suspended, or no member any more."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a recall says: its revision, reason, action, and until when an answer is due (None: by urgency)."""

    revision: int
    reason: str
    action: str
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class Holder:
    """An agency that has to confirm. ``state``: OPEN, SILENT (past due), UNREACHED, or its answer, with the time and, for CANNOT, why.

    ``held`` are the revisions that it was given; ``asked`` is the revision that takes them back, which ``reached`` it or not.
    """

    agency: str
    held: tuple[int, ...]
    asked: int
    reached: bool
    due_ms: int
    state: str
    answered_ms: int | None = None
    reason: str | None = None

    @property
    def confirmed(self) -> bool:
        """Whether it has answered."""
        return self.state in CONFIRMED


@dataclass(frozen=True, slots=True)
class RecallStatus:
    """``recall`` None: no recall, the audience was narrowed. ``told`` is who has to be told of silence by now, ``next_ms`` and ``next_to``
    the next step of that; None where everybody has answered or everybody was told."""

    subject: str
    recall: Terms | None
    holders: tuple[Holder, ...]
    told: tuple[Escalation, ...]
    next_ms: int | None
    next_to: str | None

    @property
    def confirmed(self) -> int:
        """How many have answered."""
        return sum(holder.confirmed for holder in self.holders)

    @property
    def complete(self) -> bool:
        """Whether all have."""
        return self.confirmed == len(self.holders)


def recall_status(
    subject: str, receipts: Iterable[Receipt], said: Iterable[Said], recall: Terms | None, *, now_ms: int, chain: Chain = ()
) -> RecallStatus | None:
    """The status at a time; None where nothing was ever taken back. ``receipts`` and ``said`` are all of the subject's, ``chain`` are the
    owner's duty contacts."""
    history = accepted(receipts)
    held = _held(history, None if recall is None else recall.revision)
    asked = _asked_by_recall(history, held, recall) if recall is not None else _asked_by_narrowing(history, held)
    if recall is None and not asked:
        return None
    answers = [each for each in said if each.kind == RECALL_REPLY]
    holders = tuple(_heard(holder, answers, now_ms) for holder in asked)
    owner = ids.owner_of(subject)
    duties = [_duty(subject, owner, holder, recall=recall is not None) for holder in holders if not holder.confirmed]
    told = escalations(duties, now_ms, chain)
    next_ms, next_to = _next(duties, now_ms, chain)
    return RecallStatus(subject, recall, holders, tuple(told), next_ms, next_to)


def _held(history: Sequence[Receipt], recalled: int | None) -> Mapping[str, tuple[int, ...]]:
    """Who was given which revisions; a recall is none."""
    held: dict[str, list[int]] = {}
    for receipt in history:
        for each in receipt.recipients:
            if not each.withdrawn and receipt.revision != recalled:
                held.setdefault(each.agency, []).append(receipt.revision or 0)
    return {agency: tuple(revisions) for agency, revisions in sorted(held.items())}


def _asked_by_recall(history: Sequence[Receipt], held: Mapping[str, tuple[int, ...]], recall: Terms) -> list[Holder]:
    own = [each for each in history if each.revision == recall.revision]  # the first receipt, and later ones of holders that were away
    reached = {each.agency for receipt in own for each in receipt.recipients}
    begun = own[0].admitted_at if own else 0
    due = recall.due_ms if recall.due_ms is not None else begun + ACKNOWLEDGE_MS["IMMEDIATE"]
    everyone = {**dict.fromkeys(reached, ()), **held}
    return [Holder(agency, everyone[agency], recall.revision, agency in reached, due, "OPEN") for agency in sorted(everyone)]


def _asked_by_narrowing(history: Sequence[Receipt], held: Mapping[str, tuple[int, ...]]) -> list[Holder]:
    """Those who held an earlier revision and are not given the last: each is asked by the revision that withdrew, or by the last where
    it could not be told yet. A withdrawal has no term of its own: a day."""
    state = remembered(history)
    if state is None:
        return []
    found: list[Holder] = []
    for agency in state.former:
        withdrew = [each for each in history for r in each.recipients if r.agency == agency and r.withdrawn]
        by = history[-1] if agency in state.untold or not withdrew else withdrew[-1]
        due = withdrawal_duty(by.subject or "", by.revision or 0, agency, by.admitted_at).due_ms
        found.append(Holder(agency, held.get(agency, ()), by.revision or 0, agency not in state.untold, due, "OPEN"))
    return found


def _heard(holder: Holder, answers: Iterable[Said], now_ms: int) -> Holder:
    """The holder after its answers to this revision or a later one, in order of time; what does not follow changes nothing (who said
    DELETED cannot have STOPPED only)."""
    state, last = MACHINE.initial, None
    for each in sorted(answers, key=lambda each: (each.at_ms, each.subject)):
        if each.agency != holder.agency or (each.revision or 0) < holder.asked:
            continue
        after = handle(RECALL_FAMILY, state, effects_of("recall_reply", {"answer": each.code}, RECALL_FAMILY))
        if not isinstance(after, Refusal) and after in CONFIRMED:
            state, last = after, each
    if last is None:
        open_state = SILENT if holder.due_ms <= now_ms else MACHINE.initial
        state = open_state if holder.reached else UNREACHED
    answered, reason = (last.at_ms, last.reason) if last else (None, None)
    return Holder(holder.agency, holder.held, holder.asked, holder.reached, holder.due_ms, state, answered, reason)


def _duty(subject: str, owner: str, holder: Holder, *, recall: bool) -> Duty:
    return Duty(
        "ANSWER_RECALL" if recall else "ANSWER_WITHDRAWAL",
        subject,
        holder.asked,
        holder.agency,
        owner,
        holder.due_ms,
        holder.due_ms + GRACE_MS,
    )


def _next(duties: Sequence[Duty], now_ms: int, chain: Chain) -> tuple[int | None, str | None]:
    """The next time at which somebody has to be told, and who."""
    steps = [(duty.due_ms, duty.creditor) for duty in duties]
    steps += [(duty.escalate_ms + contact.after_ms, contact.name) for duty in duties if duty.escalate_ms for contact in chain]
    return min((step for step in steps if step[0] > now_ms), default=(None, None))
