"""Which duties a delivered message gives rise to (domain dictionary 2.3, 2.5, 3.4 and 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.families.clocks.dates import DAY_MS, HOUR_MS, MINUTE_MS, end_of, years_later
from broker.families.clocks.duty import Duty
from broker.families.clocks.dwell import dwell_duties
from broker.families.heading import Heading
from broker.families.lifecycles.licence import DENIAL_YEARS
from broker.families.lifecycles.tables import move_of
from broker.families.message import Sections
from broker.families.rules import instant_ms
from broker.ids import owner_of

ACKNOWLEDGE_MS: Final[Mapping[str, int]] = {
    "FLASH": 5 * MINUTE_MS,
    "IMMEDIATE": 30 * MINUTE_MS,
    "PRIORITY": 4 * HOUR_MS,
    "ROUTINE": 24 * HOUR_MS,
}
"""Urgency to the time for an acknowledgement of level L3."""
ANSWER_MS: Final[Mapping[str, int]] = {
    "FLASH": 8 * HOUR_MS,
    "IMMEDIATE": 8 * HOUR_MS,
    "PRIORITY": 3 * DAY_MS,
    "ROUTINE": 7 * DAY_MS,
}
"""Urgency to the time for an answer where the question names none: 8 hours, 3 days, 7 days as EU police practice has it."""
FEEDBACK_MS: Final = 72 * HOUR_MS
"""Feedback is due so long after the examination or the anchor time."""
GRACE_MS: Final = DAY_MS
"""From due to the duty contacts for answers that take hours or days; for acknowledgements it is their own allowance once more."""
REVIEW_GRACE_MS: Final = 7 * DAY_MS
"""From due to the duty contacts for reviews, which are known years ahead."""
WATCH_YEARS: Final = 1
"""A watch on a person is reviewed after a year at the latest."""
RETENTION_YEARS: Final[Mapping[str, int]] = {"R1Y": 1, "R3Y": 3, "R5Y": 5, "R10Y": 10}
"""Retention classes in years; R30D is 30 days, CASE has no date: until the legal hold ends."""

ANSWERS: Final = frozenset({"ack", "feedback", "rfi_reply", "consent_reply", "recall_reply", "reachback_reply", "attachment"})
"""Families that answer: acknowledging an acknowledgement would never end. A chunk of a file is part of the message that cites it."""


def duties(header: Heading, sections: Sections, recipient: str, delivered_ms: int) -> list[Duty]:
    """Every duty that a message begins when it is delivered to a recipient, owed by it or to it.

    ``sections`` are those that were disclosed, decoded; ``delivered_ms`` is when the exchange delivered it. An originator asks this
    for each recipient of its receipt and keeps what is owed to it; with itself as recipient it gets what it owes everybody.
    """
    core = sections.get("core", {})
    mine = recipient == header.originator
    found = [] if mine else [*_acknowledgement(header, recipient, delivered_ms), *_answers(header, core, recipient, delivered_ms)]
    found += _reviews(header, sections, recipient)
    found += _ends(header, core, recipient)
    if header.family == "fz_warning":
        found += dwell_duties(header, sections, recipient)
    return found


def _acknowledgement(header: Heading, recipient: str, delivered_ms: int) -> Iterator[Duty]:
    if header.family not in ANSWERS and header.family != "recall":
        allowance = ACKNOWLEDGE_MS[header.urgency]
        due = delivered_ms + allowance
        yield Duty("ACKNOWLEDGE", header.subject, header.revision, recipient, header.originator, due, due + allowance)


def _answers(header: Heading, core: Mapping[str, Any], recipient: str, delivered_ms: int) -> Iterator[Duty]:
    """What the recipient owes the originator besides an acknowledgement."""
    usual = delivered_ms + ANSWER_MS[header.urgency]
    due: int | None = instant_ms(core.get("due"))
    match header.family:
        case "alert":
            anchor = instant_ms(core.get("decision_deadline")) or header.valid_until or delivered_ms
            kind, due = "FEEDBACK", max(anchor, delivered_ms) + FEEDBACK_MS
        case "rfi":
            kind, due = "ANSWER_RFI", due or usual
        case "reachback":
            kind, due = "ANSWER_REACHBACK", due or usual
        case "consent_request":
            kind, due = "ANSWER_CONSENT", due or usual
        case "recall":
            kind, due = "ANSWER_RECALL", due or delivered_ms + ACKNOWLEDGE_MS[header.urgency]
        case _:
            return
    yield Duty(kind, header.subject, header.revision, recipient, header.originator, due, due + GRACE_MS)


def withdrawal_duty(subject: str, revision: int, recipient: str, delivered_ms: int) -> Duty:
    """What an agency owes that got a revision without a section, because it dropped out of the audience. The message names no term: it
    has a day, whatever the urgency, which is about the content that it no longer gets."""
    due = delivered_ms + ACKNOWLEDGE_MS["ROUTINE"]
    return Duty("ANSWER_WITHDRAWAL", subject, revision, recipient, owner_of(subject), due, due + GRACE_MS)


def _reviews(header: Heading, sections: Sections, recipient: str) -> Iterator[Duty]:
    """What the originator owes everyone who holds the message."""
    core = sections.get("core", {})
    latest: int | None = None
    kind = ""
    if header.family == "licence" and move_of("licence", core) in ("DENY", "RENEW_DENIAL"):
        effective = instant_ms(core.get("effective_at")) or header.issued_at
        planned = instant_ms(sections.get("denial", {}).get("review_due"))
        kind, latest = "REVIEW_DENIAL", years_later(effective, DENIAL_YEARS)
        latest = latest if planned is None else min(planned, latest)
    elif header.family == "entity_watch":
        kind, latest = "REVIEW_WATCH", end_of(core.get("review_date"))
        if core.get("entity_kind") == "PERSON" or latest is None:
            year = years_later(header.issued_at, WATCH_YEARS)
            latest = year if latest is None else min(latest, year)
    if latest is not None:
        yield Duty(kind, header.subject, header.revision, header.originator, recipient, latest, latest + REVIEW_GRACE_MS)


def _ends(header: Heading, core: Mapping[str, Any], recipient: str) -> Iterator[Duty]:
    """Dates on which something is over by itself, for whoever holds it."""
    ends: list[tuple[str, int | None]] = []
    if header.family == "licence" and move_of("licence", core) in _RUNNING:
        ends.append(("LICENCE_ENDS", instant_ms(core.get("expires_at"))))
    elif header.family == "consent_reply" and str(core.get("decision")).startswith("GRANT"):
        ends.append(("CONSENT_ENDS", instant_ms(core.get("period_until"))))
    elif header.family == "licit_movement":
        ends.append(("OBJECT", instant_ms(core.get("objection_until"))))
    if header.family != "recall":
        ends.append(("ERASE", erase_at(header)))
    for kind, at in ends:
        if at is not None:
            yield Duty(kind, header.subject, header.revision, recipient, header.originator, at, None)


_RUNNING = ("GRANT", "AMEND", "SUBSTANTIALLY_LIMIT", "REINSTATE", "SUSPEND")


def erase_at(header: Heading) -> int | None:
    """When a message has to be gone by its retention class (domain dictionary 3.4), counted from the end of its validity or, where
    it has none, from its issue; None for CASE, which a legal hold keeps.

    Exchanges keep nothing for this long by themselves: it is for registers. A later revision starts the class anew.
    """
    closed = header.issued_at if header.valid_until is None else max(header.issued_at, header.valid_until)
    if header.retention == "R30D":
        return closed + 30 * DAY_MS
    years = RETENTION_YEARS.get(header.retention)
    return None if years is None else years_later(closed, years)
