"""Answers to recalls (domain dictionary 2.5), counted by the owner until every holder has answered."""

import hashlib
from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_past
from broker.families.shipment import Detail
from broker.families.targets import about_another

RecallAnswer = Literal["STOPPED", "DELETED", "CANNOT"]


class RecallReplyCore(TypedDict):
    """A holder's answer to a recall. The header names the recalled subject and the revision of the recall."""

    answer: RecallAnswer
    reason_code: NotRequired[str | None]
    done_at: NotRequired[datetime | None]
    passed_on_to: NotRequired[list[str]]


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    answer = core.get("answer")
    if answer == "CANNOT" and not core.get("reason_code"):
        return bad("core.reason_code", "who cannot says why: COURT_ORDER, EVIDENCE, LEGAL_HOLD, PASSED_ON, TECHNICAL or another code")
    if answer != "CANNOT" and core.get("done_at") is None:
        return bad("core.done_at", f"say when it was {str(answer).lower()}")
    if answer == "CANNOT" and core.get("done_at") is not None:
        return bad("core.done_at", "CANNOT was not done: leave the time out")
    return []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_past(message.sections["core"].get("done_at"), issued_ms, "core.done_at") or []


RECALL_REPLY = Family(
    name="recall_reply",
    sections=("core", "detail", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": RecallReplyCore,
        "detail": Detail,
    },
    routing=unrouted,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
    about="TARGET",
    names_revision=True,
)


def recall_reply(
    *,
    subject: str,
    target: str,
    target_revision: int,
    core: RecallReplyCore,
    audience: Audience | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A holder's answer to a recall: ``target`` is the recalled subject, ``target_revision`` the recall's. It goes to the owner."""
    return about_another(RECALL_REPLY, {"core": core, "detail": detail}, subject, target, target_revision, audience, valid_until_ms, labels)


def reply_subject(agency: str, recalled: str, revision: int) -> str:
    """The subject of an agency's answer to a recall, which follows from the recall: so an answer that was made before is found again, and
    made again it is a duplicate, never a second one."""
    return f"{agency}/recall/{hashlib.sha256(recalled.encode()).hexdigest()[:24]}-{revision}"
