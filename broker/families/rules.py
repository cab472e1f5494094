"""The parts that the families' content rules are made of: field checks and the findings they can give.

A rule that makes a message unusable is a Refusal (BAD_FIELD); one that only lessens its worth is a Finding, so that a hurried
officer can still warn the others, and the receipt tells what was missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker.errors import Finding, Refusal
from broker.families.code_findings import CODE_FINDINGS
from broker.families.routing import COUNTRY, FREE_ZONE

FINDINGS: Final[dict[str, tuple[str, str]]] = {
    "NO_GOODS": ("WARN", "the message has no goods section: recipients cannot screen by commodity"),
    "NO_ROUTE": ("WARN", "the message has no route section: no country on the route can be told"),
    "SHORT_ROUTE": ("WARN", "the route lists fewer than two countries"),
    "NO_CONTROL_CODE": ("WARN", "the risk is a controlled list, and neither a control code nor a catch-all basis is given"),
    "ETA_BEFORE_ETD": ("WARN", "the expected arrival is before the departure that leads to it"),
    **CODE_FINDINGS,
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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ms(value: Any) -> int | None:
    """A time as Unix milliseconds: the codec gives aware datetimes, or milliseconds already. None for anything else."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return (value - _EPOCH) // timedelta(milliseconds=1)
    return value if isinstance(value, int) else None


def rows(section: Mapping[str, Any] | None, name: str) -> list[Any]:
    """The list under a name, empty where the section or the list is missing."""
    return (section.get(name) or []) if section is not None else []


def check_country(code: Any, path: str) -> Refusal | None:
    """Refuse what is not two ASCII capitals."""
    if isinstance(code, str) and COUNTRY.fullmatch(code):
        return None
    return bad(path, "give the country as an ISO 3166-1 code of two capitals, such as SG")


def check_countries(codes: Iterable[Any], path: str, member: str = "") -> Refusal | None:
    """The first refusal in a list of country codes; ``member`` is what follows the index in the path."""
    for number, code in enumerate(codes):
        if check_country(code, path) is not None:
            return check_country(code, f"{path}[{number}]{member}")
    return None


def check_row_countries(records: Iterable[Any], path: str) -> Refusal | None:
    """The first refusal in a list of records that have a ``country``."""
    return check_countries((row.get("country") for row in records), path, ".country")


def check_free_zone(code: Any, needed: bool, path: str) -> Refusal | None:
    """Refuse a missing code where a free zone is passed, and a malformed one."""
    if code is None:
        return bad(path, "the goods pass a free zone: give its code, such as SGSIN-03") if needed else None
    if not (isinstance(code, str) and FREE_ZONE.fullmatch(code)):
        return bad(path, "a free zone is a UN/LOCODE, a hyphen and its number, such as SGSIN-03")
    return None


def first(*checks: Refusal | None) -> Refusal | None:
    """The first refusal among checks already made."""
    return next((refusal for refusal in checks if refusal is not None), None)
