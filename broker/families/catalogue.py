"""The families of this exchange, and the checks that every message of a family goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broker.errors import Finding, Refusal
from broker.families.ack import ACK
from broker.families.alert import ALERT
from broker.families.attachment import ATTACHMENT
from broker.families.coded import check_codes
from broker.families.codelists import NO_LISTS, CodeLists
from broker.families.consent_reply import CONSENT_REPLY
from broker.families.consent_request import CONSENT_REQUEST
from broker.families.correction import CORRECTION
from broker.families.entity_watch import ENTITY_WATCH
from broker.families.family import Family
from broker.families.feedback import FEEDBACK
from broker.families.fz_warning import FZ_WARNING
from broker.families.labels import check_labels
from broker.families.licence import LICENCE
from broker.families.licence_usage import LICENCE_USAGE
from broker.families.licit_movement import LICIT_MOVEMENT
from broker.families.message import Message
from broker.families.reachback import REACHBACK
from broker.families.reachback_reply import REACHBACK_REPLY
from broker.families.recall import RECALL
from broker.families.recall_reply import RECALL_REPLY
from broker.families.rfi import RFI
from broker.families.rfi_reply import RFI_REPLY
from broker.families.rules import found
from broker.families.seizure import SEIZURE
from broker.families.targets import check_target

_ALL: Final = (
    ALERT, LICENCE, SEIZURE, FZ_WARNING, ENTITY_WATCH, LICIT_MOVEMENT, ACK, FEEDBACK, LICENCE_USAGE, RFI, RFI_REPLY, CORRECTION,
    RECALL, RECALL_REPLY, CONSENT_REQUEST, CONSENT_REPLY, REACHBACK, REACHBACK_REPLY, ATTACHMENT,
)  # fmt: skip
FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in _ALL}
"""Family name to family. Other names are refused with UNKNOWN_FAMILY."""


def check_shape(message: Message) -> Refusal | None:
    """Whether the family is known and the sections are its own: UNKNOWN_FAMILY, UNKNOWN_SECTION, MISSING_SECTION.

    ``audience`` is a field of the message and may not be given as a section.
    """
    family = FAMILIES.get(message.family)
    if family is None:
        return Refusal("UNKNOWN_FAMILY", f"known families are {', '.join(FAMILIES)}", "family")
    for name in message.sections:
        if name not in family.types:
            shown = name[:40].encode("unicode_escape").decode("ascii")
            return Refusal("UNKNOWN_SECTION", f"sections of {message.family} are {', '.join(family.types)}", shown)
    for name in family.mandatory:
        if name != "audience" and name not in message.sections:
            return Refusal("MISSING_SECTION", f"every message of family {message.family} has a {name} section", name)
    return None


def check(message: Message, codelists: CodeLists = NO_LISTS, *, issued_ms: int | None = None) -> list[Finding] | Refusal:
    """Every rule of the domain that needs no history, for a whole message with decoded sections.

    ``issued_ms`` is the time of issue (Unix ms UTC); without it the rules that compare with it are left out.

    Identifiers and codes are judged by form and check digit, and by the code lists that are given; they never refuse. Returns the
    findings (an empty list is the normal case) or the first Refusal: UNKNOWN_FAMILY, UNKNOWN_SECTION, MISSING_SECTION, BAD_LABELS
    or BAD_FIELD, with a path. Sections must have passed their schema before.
    """
    refusal = check_shape(message) or check_labels(message)
    if refusal is not None:
        return refusal
    family = FAMILIES[message.family]
    refusal = check_target(message, family)
    if refusal is not None:
        return refusal
    findings = family.check(message.sections)
    if isinstance(findings, Refusal):
        return findings
    refusal = family.check_marks(message)
    if refusal is not None:
        return refusal
    timed = family.check_times(message, issued_ms) if issued_ms is not None else []
    if isinstance(timed, Refusal):
        return timed
    findings += timed
    if "source" in message.sections and message.evaluation is None:
        findings.append(found("NO_EVALUATION", "header.evaluation"))
    coded = check_codes(message.family, message.sections, codelists, family.types)
    told = {(finding.code, finding.path) for finding in coded}  # the walk says more of a bad HS code than a family's rules do
    return [finding for finding in findings if (finding.code, finding.path) not in told] + coded
