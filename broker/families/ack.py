"""Acknowledgements (domain dictionary 2.5): how far a recipient has taken one revision, or a code why it could not."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_past, rows
from broker.families.targets import about_another

AckLevel = Literal["L0", "L1", "L2", "L3", "L4"]


class AckCore(TypedDict):
    """How far a recipient has taken one revision of a message, or why it could not. The header names the revision."""

    level: NotRequired[AckLevel | None]
    refusal_code: NotRequired[str | None]
    refusal_reason: NotRequired[str | None]
    refusal_path: NotRequired[str | None]
    allowed_moves: NotRequired[list[str]]
    reached_at: datetime
    duty_contact: NotRequired[str | None]


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    if core.get("level") is None and not core.get("refusal_code"):
        return bad("core.refusal_code", "a negative answer carries a code; a positive one has a level")
    if core.get("level") is not None and core.get("refusal_code") is not None:
        return bad("core.level", "either a level was reached, or the message was refused with a code: leave one out")
    if rows(core, "allowed_moves") and not core.get("refusal_code"):
        return bad("core.allowed_moves", "moves that would be allowed belong to a negative answer")
    return []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_past(message.sections["core"].get("reached_at"), issued_ms, "core.reached_at") or []


ACK = Family(
    name="ack",
    sections=("core", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": AckCore,
    },
    routing=unrouted,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
    about="TARGET",
    names_revision=True,
)


def ack(
    *,
    subject: str,
    target: str,
    target_revision: int,
    core: AckCore,
    audience: Audience | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """An acknowledgement of one revision, to its owner unless an audience is given. It is kept for 30 days."""
    labels.setdefault("retention", "R30D")
    return about_another(ACK, {"core": core}, subject, target, target_revision, audience, valid_until_ms, labels)
