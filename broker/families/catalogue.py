"""The families of this exchange, and the checks that every message of a family goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broker.errors import Finding, Refusal
from broker.families.alert import ALERT
from broker.families.coded import check_codes
from broker.families.codelists import NO_LISTS, CodeLists
from broker.families.family import Family
from broker.families.labels import check_labels
from broker.families.licence import LICENCE
from broker.families.message import Message
from broker.families.rules import found
from broker.families.seizure import SEIZURE

FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in (ALERT, LICENCE, SEIZURE)}
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


def check(message: Message, codelists: CodeLists = NO_LISTS) -> list[Finding] | Refusal:
    """Every rule of the domain that needs no clock and no history, for a whole message with decoded sections.

    Identifiers and codes are judged by form and check digit, and by the code lists that are given; they never refuse. Returns the
    findings (an empty list is the normal case) or the first Refusal: UNKNOWN_FAMILY, UNKNOWN_SECTION, MISSING_SECTION, BAD_LABELS
    or BAD_FIELD, with a path. Sections must have passed their schema before.
    """
    refusal = check_shape(message) or check_labels(message)
    if refusal is not None:
        return refusal
    family = FAMILIES[message.family]
    findings = family.check(message.sections)
    if isinstance(findings, Refusal):
        return findings
    refusal = family.check_marks(message)
    if refusal is not None:
        return refusal
    if "source" in message.sections and message.evaluation is None:
        findings.append(found("NO_EVALUATION", "header.evaluation"))
    coded = check_codes(message.family, message.sections, codelists)
    told = {(finding.code, finding.path) for finding in coded}  # the walk says more of a bad HS code than a family's rules do
    return [finding for finding in findings if (finding.code, finding.path) not in told] + coded
