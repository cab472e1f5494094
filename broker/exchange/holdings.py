"""What an agency holds of others, told from its inbox: the relay's slip on each delivery says which sections it was given.

A list for whoever suspends the agency, and for the owners who may recall. Nothing is opened but header and slip; no content is in it.
It says what was put into the inbox: whether the agency fetched its last records, or erased what it was told to, the exchange cannot see.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from broker.envelope.header import header_of
from broker.errors import Refusal
from broker.exchange.recall import taken_back
from broker.exchange.receive import is_receipt, open_delivery, subject_of
from broker.exchange.records import Record
from broker.exchange.rules import Rules
from broker.families.attachment import FAMILY as ATTACHMENT
from broker.families.lifecycles.tables import RECALL_FAMILY
from broker.values import immutable

HELD, RECALLED, WITHDRAWN = "HELD", "RECALLED", "WITHDRAWN"
"""It holds the revision; it was told that the owner recalled the subject, or that it is no longer disclosed to it, and has to erase."""
UNREADABLE: Final = "UNREADABLE"
"""The record is no delivery of this program's: nobody but the relay writes inboxes, so an auditor should look at it."""


@immutable
class Holding:
    """One subject in an agency's inbox. ``revision`` is the latest one that was delivered, ``sections`` were given with it; ``earlier``
    with earlier revisions and not with this one, as far as the inbox still has them. ``delivered_ms``: when the relay wrote it
    (Unix milliseconds); ``rule`` let the agency have it. ``state``: HELD, RECALLED, WITHDRAWN or UNREADABLE."""

    subject: str
    owner: str
    family: str
    revision: int
    sections: tuple[str, ...]
    earlier: tuple[str, ...]
    delivered_ms: int
    rule: str
    state: str


def holding_of(record: Record, rules: Rules) -> Holding | None:
    """What one record of an inbox says that the agency holds. None: it is a receipt, a record that only frees space, or a
    chunk of a file, which is held as the section that cites it.

    Signatures are not checked: who asks trusts its own relay, and a recipient checks them.
    """
    if record.value is None or record.key is None or is_receipt(record.key):
        return None
    opened = open_delivery(record.value, rules)
    read = opened if isinstance(opened, Refusal) else rules.schema("header").read(opened.parcel.statement.payload, logical=False)
    if isinstance(opened, Refusal) or isinstance(read, Refusal):
        subject = str(subject_of(record.key))
        return Holding(subject, subject.partition("/")[0], "", 0, (), (), record.timestamp_ms, "", UNREADABLE)
    header, slip = header_of(read), opened.slip
    if header.family == ATTACHMENT:
        return None
    sections = tuple(sorted(section for section, _rule in slip.given))
    state = HELD
    if taken_back(header.family, sections):
        state = RECALLED if header.family == RECALL_FAMILY else WITHDRAWN
    return Holding(header.subject, header.originator, header.family, header.revision, sections, (), record.timestamp_ms, slip.rule, state)


def after(before: Holding | None, later: Holding) -> Holding:
    """One subject after one more delivery. A recall is a message of its own family: the subject keeps the one it had, and a recall gives
    nothing of the subject."""
    if before is None:
        return later
    given = () if later.state == RECALLED else later.sections
    earlier = tuple(sorted({*before.sections, *before.earlier}.difference(given)))
    family = before.family if later.state == RECALLED and before.family else later.family
    return replace(later, sections=given, earlier=earlier, family=family)
