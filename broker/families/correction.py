"""Corrections (domain dictionary 2.5): a proposal to the owner, or the owner's record of its own correction."""

from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.shipment import Detail
from broker.families.targets import aimed, owner_only


class CorrectionCore(TypedDict):
    """A correction of one revision of a message: a proposal to its owner, or the owner's record of what it corrected."""

    correction_kind: Literal["PROPOSAL", "OWNER_RECORD"]
    paths: list[str]
    reason_code: str
    corrected_in: NotRequired[int | None]


class Change(TypedDict):
    """A field and its values."""

    path: str
    old_digest: bytes
    new_value: NotRequired[str | None]


class CorrectionChanges(TypedDict):
    """The values, which may be personal."""

    changes: list[Change]


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


CORRECTION = Family(
    name="correction",
    sections=("core", "changes", "detail", "audience"),
    mandatory=("core", "changes", "audience"),
    types={
        "core": CorrectionCore,
        "changes": CorrectionChanges,
        "detail": Detail,
    },
    routing=unrouted,
    check=_check,
    check_marks=_check_marks,
    about="TARGET",
    own_target=True,
    names_revision=True,
)


def correction(
    *,
    subject: str,
    target: str,
    target_revision: int,
    core: CorrectionCore,
    changes: CorrectionChanges,
    audience: Audience | None = None,
    detail: Detail | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A correction. A proposal goes to the owner of its target; the owner's own record goes where its audience says."""
    labels["correlation"] = aimed(labels, target, target_revision)
    sections = complete_sections(CORRECTION.types, {"core": core, "changes": changes, "detail": detail})
    return Message("correction", subject, sections, audience or owner_only(target, subject), valid_until_ms=valid_until_ms, **labels)
