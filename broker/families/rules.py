"""The parts that the families' content rules are made of: field checks and the findings they can give.

A rule that makes a message unusable is a Refusal (BAD_FIELD); one that only lessens its worth is a Finding, so that a hurried
officer can still warn the others, and the receipt tells what was missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.errors import Finding, Refusal
from broker.families.routing import COUNTRY, FREE_ZONE, well_formed_hs

FINDINGS: Final[dict[str, tuple[str, str]]] = {
    "NO_GOODS": ("WARN", "the message has no goods section: recipients cannot screen by commodity"),
    "NO_ROUTE": ("WARN", "the message has no route section: no country on the route can be told"),
    "SHORT_ROUTE": ("WARN", "the route lists fewer than two countries"),
    "NO_CONTROL_CODE": ("WARN", "the risk is a controlled list, and neither a control code nor a catch-all basis is given"),
    "ETA_BEFORE_ETD": ("WARN", "the expected arrival is before the departure that leads to it"),
    "BAD_HS": ("WARN", "an HS code is 6 or 8 digits in chapters 01 to 99 without 77"),
    "NO_ITEMS": ("WARN", "the licence has no items section: nobody can tell what it covers"),
    "NO_PARTIES": ("WARN", "the licence has no parties section: nobody can tell who holds it"),
    "NO_REASON": ("WARN", "the decision has no reason section"),
    "NO_EXPORTER_ID": ("WARN", "the exporter has neither EORI nor LEI: officers must match by name"),
    "NO_END_USER": ("WARN", "the licence names no consignee or no end user"),
    "BACKDATED": ("WARN", "the decision took effect more than 24 hours before it was published"),
    "NO_METHOD": ("WARN", "the report has no method section: nobody can tell what led to the detection"),
    "NO_EVALUATION": ("WARN", "a source is given and the header grades neither it nor the information"),
}
"""Code of a finding: its severity (domain dictionary 2.8) and what it means."""

Findings = list[Finding]


def found(code: str, path: str) -> Finding:
    """The finding of this code at this path."""
    severity, reason = FINDINGS[code]
    return Finding(severity, code, path, reason)


def bad(path: str, reason: str) -> Refusal:
    """A refusal because of one field."""
    return Refusal("BAD_FIELD", reason, path)


def rows(section: Mapping[str, Any] | None, name: str) -> list[Any]:
    """The list under a name, empty where the section or the list is missing."""
    return (section.get(name) or []) if section is not None else []


def check_countries(codes: Iterable[Any], path: str, member: str = "") -> Refusal | None:
    """Refuse the first that is not two ASCII capitals; ``member`` names the key where rows are records."""
    for number, row in enumerate(codes):
        code = row.get(member) if member else row
        if not (isinstance(code, str) and COUNTRY.fullmatch(code)):
            return bad(f"{path}[{number}]{member and '.' + member}", "give the country as an ISO 3166-1 code of two capitals, such as SG")
    return None


def check_free_zone(code: Any, needed: bool, path: str) -> Refusal | None:
    """Refuse a missing code where a free zone is passed, and a malformed one."""
    if code is None:
        return bad(path, "the goods pass a free zone: give its code, such as SGSIN-03") if needed else None
    if not (isinstance(code, str) and FREE_ZONE.fullmatch(code)):
        return bad(path, "a free zone is a UN/LOCODE, a hyphen and its number, such as SGSIN-03")
    return None


def hs_findings(codes: Iterable[tuple[str, Any]]) -> Findings:
    """A finding for each malformed code among ``(path, code)`` pairs."""
    return [found("BAD_HS", path) for path, code in codes if not (isinstance(code, str) and well_formed_hs(code))]


def first(*checks: Refusal | None) -> Refusal | None:
    """The first refusal among checks already made."""
    return next((refusal for refusal in checks if refusal is not None), None)
