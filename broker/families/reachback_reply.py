"""The experts' answer to a reach-back (domain dictionary 2.5).

It is a family of its own and no licence decision of type DETERMINATION: laboratories and regulators answer too, who issue no
licences; a hazard or "needs a sample" is no decision; and a licence decision must name number, type of licence and destinations,
which goods in a customs shed do not have. Where a licensing authority does decide formally, ``core.licence_ref`` names that decision.
"""

from datetime import datetime
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.attachment import Attachments, check_attachments
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_edition, check_filled, check_lines, check_past, first, found, rows
from broker.families.shipment import Confidence, ControlCode, Detail, LicenceRef
from broker.families.targets import about_another

Determination = Literal["CONTROLLED", "NOT_CONTROLLED", "UNDETERMINED"]


class ReachbackReplyCore(TypedDict):
    """What the experts determined, in short. The header names the request."""

    status: Literal["FULL", "PARTIAL", "NEEDS_SAMPLE", "CANNOT"]
    conclusion: Determination
    licence_needed: NotRequired[bool | None]
    hazardous: NotRequired[bool | None]
    licence_ref: NotRequired[LicenceRef | None]
    laboratory: NotRequired[str | None]
    determined_at: datetime


class DeterminedItem(TypedDict):
    """An item of the request."""

    line: int
    conclusion: Determination
    control_codes: NotRequired[list[ControlCode]]
    hs_code: NotRequired[str | None]
    hs_edition: NotRequired[int | None]
    cas: NotRequired[str | None]
    un_number: NotRequired[str | None]
    hazard: NotRequired[str | None]
    confidence: NotRequired[Confidence | None]
    method: NotRequired[str | None]


class ReachbackReplyDetermination(TypedDict):
    """What was determined of each item."""

    items: list[DeterminedItem]


def _check(sections: Sections) -> list[Finding] | Refusal:
    core, items = sections["core"], rows(sections.get("determination"), "items")
    for number, item in enumerate(items):
        if item.get("conclusion") == "CONTROLLED" and not rows(item, "control_codes"):
            return bad(f"determination.items[{number}].control_codes", "say under which entry the item is controlled")
    controlled = any(item.get("conclusion") == "CONTROLLED" for item in items)
    if items and controlled != (core.get("conclusion") == "CONTROLLED"):
        return bad("core.conclusion", "the goods are CONTROLLED where one item is, and only then")
    refusal = first(
        check_lines(items, "determination.items"),
        *(check_edition(item, f"determination.items[{number}]") for number, item in enumerate(items)),
        check_filled(sections.get("determination"), "items", "determination.items"),
        check_attachments(sections.get("attachments")),
    )
    if refusal is not None:
        return refusal
    answered = core.get("status") in ("FULL", "PARTIAL")
    return [found("NO_DETERMINATION", "determination")] if answered and not items else []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_past(message.sections["core"].get("determined_at"), issued_ms, "core.determined_at") or []


REACHBACK_REPLY = Family(
    name="reachback_reply",
    sections=("core", "determination", "detail", "attachments", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": ReachbackReplyCore,
        "determination": ReachbackReplyDetermination,
        "detail": Detail,
        "attachments": Attachments,
    },
    routing=unrouted,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
    about="TARGET",
)


def reachback_reply(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: ReachbackReplyCore,
    audience: Audience | None = None,
    determination: ReachbackReplyDetermination | None = None,
    detail: Detail | None = None,
    attachments: Attachments | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """The experts' answer: ``target`` is the question's subject. It goes to the asker."""
    sections = {"core": core, "determination": determination, "detail": detail, "attachments": attachments}
    return about_another(REACHBACK_REPLY, sections, subject, target, target_revision, audience, valid_until_ms, labels)
