"""Answers to requests for information (domain dictionary 2.5)."""

from datetime import datetime
from typing import Final, Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_agency, check_filled, check_future, first, found
from broker.families.shipment import Parties
from broker.families.targets import about_another

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


_ANSWERING: Final = ("FULL", "PARTIAL")


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    status, ground, other = core.get("status"), core.get("refusal_ground"), core.get("redirected_to")
    if status == "REFUSED" and ground is None:
        return bad("core.refusal_ground", "a refusal holds its ground: LAW, SOVEREIGNTY, ONGOING_CASE, DISPROPORTIONATE or THIRD_PARTY")
    if status != "REFUSED" and ground is not None:
        return bad("core.refusal_ground", f"{status} is no refusal: leave the ground out")
    if status == "REDIRECTED" and other is None:
        return bad("core.redirected_to", "say which agency can answer")
    if status != "REDIRECTED" and other is not None:
        return bad("core.redirected_to", f"{status} redirects to nobody: leave it out")
    if core.get("rest_due") is not None and status != "PARTIAL":
        return bad("core.rest_due", f"only a PARTIAL answer has a rest to come, not {status}")
    told = next((name for name in ("answers", "parties") if name in sections), None)
    if status not in _ANSWERING and told is not None:
        return bad(told, f"{status} gives no answer: leave the section out")
    refusal = first(
        check_agency(other, "core.redirected_to"),
        check_filled(sections.get("answers"), "answers", "answers.answers"),
        check_filled(sections.get("parties"), "parties", "parties.parties"),
    )
    if refusal is not None:
        return refusal
    return [found("NO_ANSWERS", "answers")] if status in _ANSWERING and told is None else []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_future(message.sections["core"].get("rest_due"), issued_ms, "core.rest_due") or []


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
    check_marks=no_mark_rules,
    check_times=_check_times,
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
    sections = {"core": core, "answers": answers, "parties": parties}
    return about_another(RFI_REPLY, sections, subject, target, target_revision, audience, valid_until_ms, labels)
