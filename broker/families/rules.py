"""The parts that the families' content rules are made of: field checks and the findings they can give.

A rule that makes a message unusable is a Refusal (BAD_FIELD); one that only lessens its worth is a Finding, so that a hurried
officer can still warn the others, and the receipt tells what was missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.code_findings import CODE_FINDINGS
from broker.families.message import PURPOSES
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
    "PAST_DEADLINE": ("WARN", "the time by which recipients should decide had passed when the message was issued"),
    "NO_SEIZURE": ("WARN", "goods were found, and no seizure report is named: nobody can follow what became of them"),
    "NO_ANSWERS": ("WARN", "the reply says that it answers, and has neither an answers nor a parties section"),
    "NO_PAIR": ("WARN", "the warning has no movements section: nobody can follow the goods through the zone"),
    "NO_ENTITY_ID": ("WARN", "the entity has no identification number: officers must match by name"),
    "NO_DETERMINATION": ("WARN", "the reply says that it answers, and has no determination section"),
    "NO_TRADERS": ("WARN", "the exporter or the importer is not named"),
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


def check_filled(section: Mapping[str, Any] | None, name: str, path: str) -> Refusal | None:
    """Refuse a section that is there and whose list is empty."""
    if section is not None and not section.get(name):
        return bad(path, "give at least one entry, or leave the section out")
    return None


def check_subject(text: Any, path: str) -> Refusal | None:
    """Refuse what is there and no subject id."""
    try:
        return None if text is None else _discard(ids.subject_id(text))
    except ids.InvalidId as error:
        return bad(path, f"it is not a subject id: {error.advice}")


def check_subjects(texts: Iterable[Any], path: str) -> Refusal | None:
    """The first refusal in a list of subject ids."""
    return first(*(check_subject(text, f"{path}[{number}]") for number, text in enumerate(texts)))


def check_agency(text: Any, path: str) -> Refusal | None:
    """Refuse what is there and no agency id."""
    try:
        return None if text is None else _discard(ids.agency_id(text))
    except ids.InvalidId as error:
        return bad(path, f"it is not an agency id: {error.advice}")


def _discard(_: str) -> None:
    return None


def check_purposes(codes: Iterable[Any], path: str) -> Refusal | None:
    """Refuse a purpose that the header could not carry."""
    for number, code in enumerate(codes):
        if code not in PURPOSES:
            return bad(f"{path}[{number}]", f"use codes out of {', '.join(PURPOSES)}")
    return None


def check_amount(value: Any, path: str) -> Refusal | None:
    """Refuse a number below 0."""
    return bad(path, "an amount is 0 or more") if isinstance(value, Decimal) and value < 0 else None


def check_above_zero(value: Any, path: str) -> Refusal | None:
    """Refuse a number that is not above 0."""
    return bad(path, "a quantity is above 0") if isinstance(value, Decimal) and value <= 0 else None


def check_measure(item: Mapping[str, Any], path: str) -> Refusal | None:
    """Refuse a quantity below 0 or without its unit."""
    if item.get("quantity") is not None and not item.get("unit"):
        return bad(f"{path}.unit", "a quantity needs its unit, a UN Recommendation 20 code such as KGM")
    return check_amount(item.get("quantity"), f"{path}.quantity")


def check_edition(item: Mapping[str, Any], path: str) -> Refusal | None:
    """Refuse an HS code without its edition."""
    if item.get("hs_code") is not None and item.get("hs_edition") is None:
        return bad(f"{path}.hs_edition", "an HS code needs its edition: 2017, 2022 or 2028")
    return None


def check_lines(items: Iterable[Any], path: str) -> Refusal | None:
    """Refuse numbers of items that are below 1 or stand twice."""
    seen: set[Any] = set()
    for number, item in enumerate(items):
        line = item.get("line")
        if line is None or line < 1 or line in seen:
            return bad(f"{path}[{number}].line", "number the items from 1, each once")
        seen.add(line)
    return None


def check_period(section: Mapping[str, Any], path: str) -> Refusal | None:
    """Refuse a ``period_until`` that does not lie after ``period_from``."""
    since, until = instant_ms(section.get("period_from")), instant_ms(section.get("period_until"))
    if since is not None and until is not None and until <= since:
        return bad(f"{path}.period_until", "the period ends before it begins")
    return None


SLACK_MS: Final = 5 * 60_000
"""How far two agencies' clocks may differ: what happened may seem to lie so far after the issue."""
_DAY_MS: Final = 86_400_000


def check_past(value: Any, issued_ms: int, path: str) -> Refusal | None:
    """Refuse a time of something that happened and that lies after the issue."""
    instant = instant_ms(value)
    return bad(path, "it lies after the issue of the message") if instant is not None and instant > issued_ms + SLACK_MS else None


def check_future(value: Any, issued_ms: int, path: str) -> Refusal | None:
    """Refuse a time by which something is to be done and that had passed at the issue: nobody could keep it."""
    instant = instant_ms(value)
    return bad(path, "it had passed when the message was issued") if instant is not None and instant <= issued_ms else None


def days_after(day: Any, issued_ms: int) -> int | None:
    """Days from the day of issue (UTC) to a date; negative before it. None for anything but a date."""
    if not isinstance(day, date) or isinstance(day, datetime):
        return None
    return day.toordinal() - _EPOCH.toordinal() - issued_ms // _DAY_MS


def check_day_past(day: Any, issued_ms: int, path: str) -> Refusal | None:
    """Refuse the date of something that happened and that lies after the issue; a day's grace for the time zones east of UTC."""
    days = days_after(day, issued_ms)
    return bad(path, "it lies after the issue of the message") if days is not None and days > 1 else None
