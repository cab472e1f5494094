"""The findings that identifiers and codes can give. None of them refuses a message, and none changes a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from broker.errors import Finding

CODE_FINDINGS: Final[dict[str, tuple[str, str]]] = {
    "MALFORMED": ("WARN", "not in the form of its scheme: compare it with the papers, and revise the message where it was mistyped"),
    "NOT_NORMAL": ("WARN", "spaces, small letters or missing zeros: who searches for the normal form, which the reason gives, misses it"),
    "CHECK_DIGIT": (
        "WARN", "the check digit, named in the reason, does not fit: a character was misread, or the number is false; compare, then revise",
    ),
    "DISCOURAGED": ("INFO", "a container number that ISO 6346 allows and advises against: it misses more errors than others"),
    "NOT_A_CONTAINER": ("INFO", "the unit's number is not of ISO 6346: right for trailers and the like, else give the container's number"),
    "BAD_HS": ("WARN", "an HS code is 6 or 8 digits in chapters 01 to 99 without 77"),
    "NATIONAL_HS": ("INFO", "chapters 98 and 99 are national: other countries cannot screen by them; add the code of the goods themselves"),
    "NO_EDITION": ("WARN", "an HS code without its edition: the same digits mean other goods in another edition; give hs_edition"),
    "UNKNOWN_EDITION": ("WARN", "the Harmonized System has the editions 2017, 2022 and 2028 here: correct hs_edition"),
    "HS_NOT_IN_EDITION": ("WARN", "the edition named has no such HS code: correct the code or its edition"),
    "OLD_EDITION": ("WARN", "the HS code is of an older edition than the one named: name that edition, or give the code's successor"),
    "UNKNOWN_LOCODE": ("WARN", "not in the installed edition of UN/LOCODE: look the place up by its name, or renew the list"),
    "UNKNOWN_FREE_ZONE": ("INFO", "the installed list knows no free zone near this UN/LOCODE: check the code, or add the zone to it"),
    "UNKNOWN_COUNTRY": ("WARN", "not in ISO 3166-1: look the country up; nobody can be asked about it"),
    "USER_ASSIGNED": ("INFO", "a code that ISO 3166 leaves to its users: agree on it with those who read it"),
    "UNKNOWN_CURRENCY": ("WARN", "not in ISO 4217: the amount cannot be compared; give the currency's code of three letters"),
    "UNKNOWN_UNIT": ("WARN", "not in UN Recommendation 20: the quantity cannot be added up; use a code such as KGM, LTR or H87"),
    "UNKNOWN_PACKAGE": ("WARN", "not in UN Recommendation 21: use a code such as CT or DR"),
    "UNKNOWN_UN_NUMBER": ("WARN", "not in the list of dangerous goods: those who handle the goods cannot tell the hazard; look it up"),
    "UNKNOWN_INCOTERM": ("WARN", "not of Incoterms 2020: use EXW, FCA, CPT, CIP, DAP, DPU, DDP, FAS, FOB, CFR or CIF"),
    "UNKNOWN_CONTROL_CODE": ("WARN", "the installed list of this scheme has no such entry: compare it with the edition named"),
    "NO_GRAMMAR": ("INFO", "nothing is known here of how this control list writes its entries: readers must know the list themselves"),
    "WRONG_SCHEDULE": ("WARN", "the chemical with this CAS number is in another CWC schedule than the control code: correct one of them"),
    "OBSOLETE_CODE": ("WARN", "withdrawn, deprecated or about to be removed: use its successor, which the reason names if it is known"),
    "MANY_FINDINGS": ("INFO", "more codes of the message are not right than are listed: correct these, and look again"),
    "NO_LIST": ("INFO", "a code list is not installed: its codes are judged by their form only; told once a run"),
    "BROKEN_LIST": ("WARN", "a file of the code lists cannot be read: the last good list is used; mend the file, no restart is needed"),
}  # fmt: skip
"""Code of a finding: its severity (domain dictionary 2.8), what it means and what to do."""

FINDINGS_LIMIT: Final = 100
"""Most findings that are told of one message: who got so many looks at the message again."""


def code_finding(code: str, path: str, reason: str = "") -> Finding:
    """The finding of this code at this path, with a reason of its own or the table's."""
    severity, meaning = CODE_FINDINGS[code]
    return Finding(severity, code, path, reason or meaning)


def bounded(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, or the first of them and MANY_FINDINGS where there are more than are told."""
    if len(findings) <= FINDINGS_LIMIT:
        return tuple(findings)
    return (*findings[: FINDINGS_LIMIT - 1], code_finding("MANY_FINDINGS", ""))
