"""Answers to requests for information (domain dictionary 2.5)."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.shipment import Parties
from broker.families.targets import aimed, owner_only

ReplyStatus = Literal["FULL", "PARTIAL", "NO_DATA", "REFUSED", "REDIRECTED"]
RefusalGround = Literal["LAW", "SOVEREIGNTY", "ONGOING_CASE", "DISPROPORTIONATE", "THIRD_PARTY"]


class RfiReplyCore(TypedDict):
    """The answer to a request for information, as far as it names no person. The header names the request."""

    status: ReplyStatus
    refusal_ground: NotRequired[RefusalGround | None]
    redirected_to: NotRequired[str | None]
    rest_due: NotRequired[datetime | None]
    answered_codes: NotRequired[list[str]]


class ReplyAnswer(TypedDict):
    """An answer."""

    question_code: str
    text: str
    source_ref: NotRequired[str | None]


class RfiReplyAnswers(TypedDict):
    """The answers in words; may name people."""

    answers: list[ReplyAnswer]


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


RFI_REPLY = Family(
    name="rfi_reply",
    sections=("core", "answers", "parties", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": RfiReplyCore,
        "answers": RfiReplyAnswers,
        "parties": Parties,
    },
    routing=unrouted,
    check=_check,
    check_marks=_check_marks,
    about="TARGET",
)


def rfi_reply(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: RfiReplyCore,
    audience: Audience | None = None,
    answers: RfiReplyAnswers | None = None,
    parties: Parties | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """The answer to a request: ``target`` is the request's subject. It goes to the asker unless an audience is given."""
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(RFI_REPLY.types, {"core": core, "answers": answers, "parties": parties})
    return Message("rfi_reply", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
