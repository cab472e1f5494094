"""What an owner can say of one of its subjects: who received what, and what came back. Computed from its own receipts and register.

A receipt (:mod:`broker.envelope.receipt`) names recipients, sections given and withheld, the rules that decided, the time and the
versions of policy and directory. One of version 1 names no rules: they are then told only where there is no choice, of a recall and of
a withdrawal (:mod:`broker.exchange.recall`), which have one each. Times are Unix milliseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from broker.envelope.receipt import Receipt
from broker.exchange.recall import NO_LONGER_DISCLOSED, REACHES_HOLDERS

ACK: Final = "ACK"
FEEDBACK: Final = "FEEDBACK"
RECALL_REPLY: Final = "RECALL_REPLY"


@dataclass(frozen=True, slots=True)
class Said:
    """What an agency said about a subject, as the register of the subject's owner has it.

    ``kind``: the family of what it said, in capitals. ``revision``: the one that it speaks of, None where it named none. ``code``: the
    level of an acknowledgement, the result of a feedback, the answer to a recall; ``reason`` goes with a CANNOT.
    """

    kind: str
    agency: str
    subject: str
    revision: int | None
    code: str
    reason: str | None
    at_ms: int


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery to one agency, by the receipt of the revision. ``withheld_by`` are the rules of ``withheld``, in its order. Empty, and
    ``rule`` None: the receipt does not say, and policy decided it in the version that is named."""

    revision: int
    admitted_at: int
    sections: tuple[str, ...]
    withheld: tuple[str, ...]
    withheld_by: tuple[str, ...]
    rule: str | None
    policy_version: int
    directory_version: int

    @property
    def withdrawn(self) -> bool:
        """Whether it was the bare statement."""
        return not self.sections


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything about one recipient of a subject: what it was sent by revision, what it said by time."""

    agency: str
    sent: tuple[Sent, ...]
    said: tuple[Said, ...]

    def codes(self, kind: str) -> tuple[str, ...]:
        """The codes of what it said of this kind, each once, in order."""
        return tuple(dict.fromkeys(each.code for each in self.said if each.kind == kind))


def traces(receipts: Iterable[Receipt], said: Iterable[Said], recalled: int | None) -> list[Trace]:
    """One trace for each agency that a receipt of the subject names, in order of agency id. ``recalled``: the revision that is a recall,
    where one is. What agencies said that never received it is left out: it proves no delivery."""
    sent: dict[str, list[Sent]] = {}
    for receipt in accepted(receipts):
        revision = receipt.revision or 0
        for each in receipt.recipients:
            rule = each.rule or (NO_LONGER_DISCLOSED if each.withdrawn else REACHES_HOLDERS if revision == recalled else None)
            what = each.sections, each.withheld, each.withheld_by
            versions = receipt.policy_version, receipt.directory_version
            sent.setdefault(each.agency, []).append(Sent(revision, receipt.admitted_at, *what, rule, *versions))
    heard: dict[str, list[Said]] = {agency: [] for agency in sent}
    for each in sorted(said, key=lambda each: (each.at_ms, each.kind, each.subject)):
        if each.agency in heard:
            heard[each.agency].append(each)
    return [Trace(agency, tuple(sent[agency]), tuple(heard[agency])) for agency in sorted(sent)]


def accepted(receipts: Iterable[Receipt]) -> Sequence[Receipt]:
    """The receipts of accepted revisions, by revision."""
    return sorted((each for each in receipts if each.outcome == "ACCEPTED"), key=lambda each: each.revision or 0)
