"""The rows of the register, as values. Times are Unix milliseconds UTC; quantities are whole millionths of a unit.

A row belongs to the subject whose newest revision it came from, and goes with it. What a look-up makes by the thousand is a named
tuple: a quarter of the time of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

State = Literal["LIVE", "ERASED"]
Direction = Literal["IN", "OUT"]

MILLIONTHS: Final = 1_000_000
"""Quantities of messages have six places."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A verified message as it was disclosed to this agency, or one of its own with all sections.

    ``counter`` is the slip's number in the chain of this inbox, 0 for an own message: the same revision may come again with other
    sections when a policy changes, and the later decision counts. ``target`` is the subject that the message speaks about.
    ``sections`` are decoded records by name; what was withheld is not in them. ``recipients`` are those that the receipt of an own
    message names. ``arrived_at``: when a late delivery came, long after its message was admitted perhaps; what its recipient owes is
    reckoned from then. ``labels``: what else the signed header says that rules read (:mod:`broker.exchange.use`), empty where that is not
    known.
    """

    family: str
    originator: str
    subject: str
    revision: int
    counter: int
    leaf: bytes
    message_id: str
    issued_at: int
    admitted_at: int
    valid_until: int | None
    urgency: str
    tlp: str
    handling: str
    retention: str
    target: str | None
    target_revision: int | None
    sections: Mapping[str, Mapping[str, Any]]
    withheld: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    valid_from: int | None = None
    arrived_at: int | None = None
    labels: str = ""

    @property
    def correlation(self) -> Delivered:
        """What it speaks about: with it, this is a heading as families read it."""
        return self

    @property
    def ends(self) -> bool:
        """Whether it is the owner's word that its subject may no longer be held: a recall, or a revision without content."""
        return self.family == "recall" or "core" not in self.sections

    @property
    def own(self) -> bool:
        """Whether this agency wrote it itself: it then owes nobody an answer to it."""
        return self.counter == 0

    @property
    def rank(self) -> tuple[int, int, bytes]:
        """What is newer: the owner's revision, then the relay's later decision about it."""
        return self.revision, self.counter, self.leaf


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """What is kept of every subject, and all that is kept of an erased one: no content.

    ``reason`` and ``erased_at`` say why and when content went; ``withheld`` names sections this agency does not get. ``labels``: as
    :class:`Delivered` has them; empty for an erased subject.
    """

    subject: str
    family: str
    originator: str
    revision: int
    counter: int
    leaf: bytes
    message_id: str
    issued_at: int
    admitted_at: int
    valid_until: int | None
    urgency: str
    tlp: str
    handling: str
    withheld: str
    state: State = "LIVE"
    reason: str | None = None
    erased_at: int | None = None
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """Something a subject can be found by: ``kind`` of :data:`broker.register.keys.KINDS`, ``value`` in its comparable form.

    ``detail``: the authority of a cited licence, the role and name of a party, the scheme of a control code.
    """

    kind: str
    value: str
    detail: str = ""


class LicenceItemRow(NamedTuple):
    """An item of a licence. ``granted`` and ``stated`` (what the authority says is left) in millionths; None is not limited, not said."""

    line: int
    unit: str | None
    granted: int | None
    stated: int | None
    control_codes: tuple[str, ...] = ()
    hs_codes: tuple[str, ...] = ()
    description: str | None = None


class LicenceRow(NamedTuple):
    """A licence as its authority's newest decision leaves it. ``number`` is the comparable form of ``licence_no``.

    ``items`` is None where the section was not disclosed.
    """

    number: str
    authority: str
    licence_no: str
    licence_type: str
    decision: str
    status: str
    instruction: str | None
    effective_at: int
    published_at: int
    expires_at: int | None
    destinations: tuple[str, ...]
    items: tuple[LicenceItemRow, ...] | None


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A quantity written off an item of a licence; ``line`` is the item's number."""

    number: str
    authority: str
    line: int
    unit: str
    quantity: int


@dataclass(frozen=True, slots=True)
class MovementRow:
    """A container that entered a free zone, or whose goods left it. ``mode``: WATER or AIR, which sets how long they may stay.

    ``left_in``: the containers, separated by spaces, in which the goods left, where a report pairs them; empty for the same one.
    """

    zone: str
    container: str
    direction: Direction
    at: int
    mode: Literal["WATER", "AIR"]
    left_in: str = ""


@dataclass(frozen=True, slots=True)
class LinkRow:
    """What a subject says of another. ``kind``: HIT (a seizure names the alert that led to it), RELATED (alerts), or the family of an
    answer in capitals: ACK, FEEDBACK, LICENCE_USAGE, RFI_REPLY ... ``note`` is its code: the level, the result, the answer."""

    kind: str
    target: str
    target_revision: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """That a message meets a duty of its author about ``target``; ``due``: not wholly, the rest is due then.

    ``target_revision`` None: it is about what was asked before ``at``, when it was admitted.
    """

    target: str
    target_revision: int | None
    debtor: str
    kind: str
    at: int
    due: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """All rows that the newest message of a subject gives, and its sections as ``content``; an erased subject has its own row, and what a
    recall says itself. What is owed is in no row of it: duties of earlier revisions may last (:mod:`broker.register.duties`)."""

    subject: SubjectRow
    content: Mapping[str, Any] = field(default_factory=dict[str, Any])
    keys: tuple[Key, ...] = ()
    licence: LicenceRow | None = None
    usages: tuple[UsageRow, ...] = ()
    movements: tuple[MovementRow, ...] = ()
    links: tuple[LinkRow, ...] = ()
    answers: tuple[AnswerRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """What follows from several messages together. It stands while its cause does.

    ``about``: the licence number, container or alert that joins them; ``subject`` carries the flag, ``others`` are the rest of its
    cause; ``addressees`` should be told. It holds from ``starts_at`` (0: at once) to ``ends_at`` (None: open); ``since`` is when its
    cause was complete here.
    """

    code: str
    about: str
    subject: str
    others: tuple[str, ...]
    addressees: tuple[str, ...]
    text: str
    instruction: str | None
    since: int
    starts_at: int
    ends_at: int | None
