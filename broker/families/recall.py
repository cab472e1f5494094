"""Recalls (domain dictionary 2.5): the owner takes a subject back. There is no content, only reason, action and term."""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_future, check_subject

RecallReason = Literal["ERROR", "WITHDRAWN", "COMPROMISED", "LAW", "EXPIRED"]
RecallAction = Literal["STOP_USE", "DELETE", "RETURN"]


class RecallCore(TypedDict):
    """The owner takes back a subject, which is the subject of this message: every revision below this one is recalled."""

    reason: RecallReason
    action: RecallAction
    due: datetime
    replaced_by: NotRequired[str | None]


def _check(sections: Sections) -> list[Finding] | Refusal:
    return check_subject(sections["core"].get("replaced_by"), "core.replaced_by") or []


def _check_marks(message: Message) -> Refusal | None:
    """What takes the place of a recalled subject is another one of the same owner."""
    other = message.sections.get("core", {}).get("replaced_by")
    if other is not None and (other == message.subject or ids.owner_of(other) != ids.owner_of(message.subject)):
        return bad("core.replaced_by", "name another subject of your own")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_future(message.sections["core"].get("due"), issued_ms, "core.due") or []


RECALL = Family(
    name="recall",
    sections=("core", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": RecallCore,
    },
    routing=unrouted,
    check=_check,
    check_marks=_check_marks,
    check_times=_check_times,
    about="RECALLED",
)


def recall(
    *,
    subject: str,
    core: RecallCore,
    audience: Audience | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A recall of ``subject``: ``revision`` is the one above the last. Its audience is that of the subject, or wider."""
    labels.setdefault("urgency", "IMMEDIATE")
    sections = complete_sections(RECALL.types, {"core": core})
    return Message("recall", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
