"""Corrections (domain dictionary 2.5): a proposal to the owner, or the owner's record of its own correction."""

import re
from typing import Final, Literal, NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import unrouted
from broker.families.rules import bad, rows
from broker.families.shipment import Detail
from broker.families.targets import about_another


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


PATH_LIMIT: Final = 512
_PATH = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*(?:\[[0-9]{1,5}\])?)+")


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    paths = rows(core, "paths")
    if not paths:
        return bad("core.paths", "name at least one field")
    for number, path in enumerate(paths):
        if len(path) > PATH_LIMIT or not _PATH.fullmatch(path):
            return bad(f"core.paths[{number}]", "a path is a section and the fields inside it, such as goods.items[0].hs_code")
    if len(set(paths)) != len(paths):
        return bad("core.paths", "name each field once")
    if [change.get("path") for change in rows(sections["changes"], "changes")] != paths:
        return bad("changes.changes", "give one change for each path of the core, in the same order")
    return []


def _check_marks(message: Message) -> Refusal | None:
    """Only the owner corrects; what anybody else sends is a proposal."""
    core, links = message.sections.get("core", {}), message.correlation
    own = ids.owner_of(links.target or "") == ids.owner_of(message.subject)
    if own != (core.get("correction_kind") == "OWNER_RECORD"):
        return bad("core.correction_kind", "OWNER_RECORD is for subjects of one's own, PROPOSAL for those of others")
    corrected, wrong = core.get("corrected_in"), links.target_revision or 0
    if own and corrected is None:
        return bad("core.corrected_in", "say in which revision it was corrected")
    if corrected is not None and not (own and corrected > wrong):
        return bad("core.corrected_in", "the owner corrects in a revision above the wrong one; a proposal corrects in none")
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
    sections = {"core": core, "changes": changes, "detail": detail}
    return about_another(CORRECTION, sections, subject, target, target_revision, audience, valid_until_ms, labels)
