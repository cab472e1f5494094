"""The owner's consent or refusal (domain dictionary 2.5): what policy takes as a fact once it is signed."""

from datetime import datetime
from typing import Final, Literal, NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.rfi_reply import RefusalGround
from broker.families.routing import unrouted
from broker.families.rules import bad, check_future, check_period, check_purposes, check_subject, first, rows
from broker.families.shipment import Detail
from broker.families.targets import about_another

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


GRANTING: Final = ("GRANT", "GRANT_WITH_LIMIT")


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    decision, grant = core.get("decision"), core.get("decision") in GRANTING
    if decision == "GRANT_WITH_LIMIT" and not (core.get("limit") or "").strip():
        return bad("core.limit", "state the limit")
    if decision == "GRANT" and core.get("limit") is not None:
        return bad("core.limit", "a grant with a limit is GRANT_WITH_LIMIT")
    if decision == "REFUSE" and core.get("refusal_ground") is None:
        return bad("core.refusal_ground", "a refusal holds its ground: LAW, SOVEREIGNTY, ONGOING_CASE, DISPROPORTIONATE or THIRD_PARTY")
    if decision != "REFUSE" and core.get("refusal_ground") is not None:
        return bad("core.refusal_ground", f"{decision} is no refusal: leave the ground out")
    if grant and core.get("period_until") is None:
        return bad("core.period_until", "a grant ends: say when")
    if grant and not (rows(core, "recipients") or rows(core, "purposes") or core.get("evidential_use")):
        return bad("core.recipients", "say what is granted: recipients, purposes, or use in court")
    refusal = first(
        check_subject(core.get("consented_subject"), "core.consented_subject"),
        check_purposes(rows(core, "purposes"), "core.purposes"),
        check_period(core, "core"),
    )
    return refusal or []


def _check_marks(message: Message) -> Refusal | None:
    """Consent is the owner's: to its own subject, and to nobody else's."""
    consented = message.sections.get("core", {}).get("consented_subject")
    if ids.owner_of(consented or "") != ids.owner_of(message.subject):
        return bad("core.consented_subject", "an owner consents for its own subjects: name one of yours")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    core = message.sections["core"]
    if core.get("decision") not in GRANTING:
        return []
    return check_future(core.get("period_until"), issued_ms, "core.period_until") or []


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
    check_times=_check_times,
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
    sections = {"core": core, "detail": detail}
    return about_another(CONSENT_REPLY, sections, subject, target, target_revision, audience, valid_until_ms, labels)
