"""Feedback on another agency's message (domain dictionary 2.5): result, examination, use, what follows."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.shipment import Detail
from broker.families.targets import aimed, owner_only

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


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


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
    check_marks=_check_marks,
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
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(FEEDBACK.types, {"core": core, "detail": detail})
    return Message("feedback", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
