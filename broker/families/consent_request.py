"""Requests for the owner's consent (domain dictionary 2.5, handling codes H1 and H2)."""

from datetime import datetime
from typing import NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, check_future, check_period, check_purposes, rows
from broker.families.shipment import Detail
from broker.families.targets import about_another


class ConsentRequestCore(TypedDict):
    """A request to the owner of a message for leave to pass it on or to use it otherwise. The header names the message."""

    recipients: NotRequired[list[str]]
    purposes: NotRequired[list[str]]
    evidential_use: bool
    legal_aid_ref: NotRequired[str | None]
    section_names: NotRequired[list[str]]
    period_from: NotRequired[datetime | None]
    period_until: datetime
    due: NotRequired[datetime | None]


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    if not (rows(core, "recipients") or rows(core, "purposes") or core.get("evidential_use")):
        return bad("core.recipients", "ask for something: a recipient, a purpose, or use in court")
    refusal = check_purposes(rows(core, "purposes"), "core.purposes")
    return refusal or check_period(core, "core") or []


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    core = message.sections["core"]
    late = check_future(core.get("period_until"), issued_ms, "core.period_until")
    return late or check_future(core.get("due"), issued_ms, "core.due") or []


CONSENT_REQUEST = Family(
    name="consent_request",
    sections=("core", "detail", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": ConsentRequestCore,
        "detail": Detail,
    },
    routing=unrouted,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
    about="TARGET",
)


def consent_request(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: ConsentRequestCore,
    audience: Audience | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A request for the owner's leave: ``target`` is the owner's subject. It goes to the owner."""
    sections = {"core": core, "detail": detail}
    return about_another(CONSENT_REQUEST, sections, subject, target, target_revision, audience, valid_until_ms, labels)
