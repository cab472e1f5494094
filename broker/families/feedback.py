"""Feedback on another agency's message (domain dictionary 2.5): result, examination, use, what follows."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_amount, check_country, check_past, check_subject, first, found
from broker.families.shipment import Detail
from broker.families.targets import about_another

FeedbackResult = Literal[
    "NO_MATCH",
    "MATCH_NOT_ACTIONED",
    "NOT_LOCATED",
    "DEPARTED",
    "EXAMINED_NEGATIVE",
    "EXAMINED_POSITIVE",
    "INCONCLUSIVE",
    "LICENCE_OK",
    "OBJECTION",
    "NO_OBJECTION",
]


class NextPlace(TypedDict):
    """Where the goods went on to."""

    country: str
    locode: NotRequired[str | None]


class FeedbackCore(TypedDict):
    """What a recipient found when it acted on another agency's message, without personal data. The header names the message."""

    result: FeedbackResult
    exam_type: NotRequired[str | None]
    examined_at: NotRequired[datetime | None]
    hours_spent: NotRequired[Decimal | None]
    usefulness: NotRequired[int | None]
    false_positive_reason: NotRequired[str | None]
    linked_seizure: NotRequired[str | None]
    departed_to: NotRequired[NextPlace | None]


EXAMINED: Final = ("EXAMINED_NEGATIVE", "EXAMINED_POSITIVE")


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    result, usefulness = core.get("result"), core.get("usefulness")
    if result in EXAMINED and not core.get("exam_type"):
        return bad("core.exam_type", f"{result} says how the goods were examined")
    if result in EXAMINED and core.get("examined_at") is None:
        return bad("core.examined_at", f"{result} says when the goods were examined")
    if result == "DEPARTED" and core.get("departed_to") is None:
        return bad("core.departed_to", "say where the goods went on to, so that the next country can be told")
    if usefulness is not None and not 1 <= usefulness <= 5:
        return bad("core.usefulness", "1 (not at all) to 5 (decisive)")
    refusal = first(
        check_amount(core.get("hours_spent"), "core.hours_spent"),
        check_country((core.get("departed_to") or {"country": "XX"}).get("country"), "core.departed_to.country"),
        check_subject(core.get("linked_seizure"), "core.linked_seizure"),
    )
    if refusal is not None:
        return refusal
    return [found("NO_SEIZURE", "core.linked_seizure")] if result == "EXAMINED_POSITIVE" and not core.get("linked_seizure") else []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_past(message.sections["core"].get("examined_at"), issued_ms, "core.examined_at") or []


FEEDBACK = Family(
    name="feedback",
    sections=("core", "detail", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": FeedbackCore,
        "detail": Detail,
    },
    routing=unrouted,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
    about="TARGET",
    names_revision=True,
)


def feedback(
    *,
    subject: str,
    target: str,
    target_revision: int,
    core: FeedbackCore,
    audience: Audience | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """What came of another agency's message. It goes to that agency unless an audience is given."""
    return about_another(FEEDBACK, {"core": core, "detail": detail}, subject, target, target_revision, audience, valid_until_ms, labels)
