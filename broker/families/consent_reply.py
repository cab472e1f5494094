"""The owner's consent or refusal (domain dictionary 2.5): what policy takes as a fact once it is signed."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.rfi_reply import RefusalGround
from broker.families.routing import unrouted
from broker.families.shipment import Detail
from broker.families.targets import aimed, owner_only

ConsentDecision = Literal["GRANT", "GRANT_WITH_LIMIT", "REFUSE", "WITHDRAW"]


class ConsentReplyCore(TypedDict):
    """The owner's leave, or refusal, which policy then takes as a fact. The header names the request."""

    decision: ConsentDecision
    consented_subject: str
    recipients: NotRequired[list[str]]
    purposes: NotRequired[list[str]]
    evidential_use: NotRequired[bool]
    section_names: NotRequired[list[str]]
    period_from: NotRequired[datetime | None]
    period_until: NotRequired[datetime | None]
    limit: NotRequired[str | None]
    refusal_ground: NotRequired[RefusalGround | None]


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


CONSENT_REPLY = Family(
    name="consent_reply",
    sections=("core", "detail", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": ConsentReplyCore,
        "detail": Detail,
    },
    routing=unrouted,
    check=_check,
    check_marks=_check_marks,
    about="TARGET",
)


def consent_reply(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: ConsentReplyCore,
    audience: Audience | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """The owner's answer: ``target`` is the request's subject. It goes to the asker."""
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(CONSENT_REPLY.types, {"core": core, "detail": detail})
    return Message("consent_reply", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
