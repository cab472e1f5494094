"""Use of licences (domain dictionary 2.3): what customs wrote off, reported back to the authority that issued the licence."""

from datetime import date
from decimal import Decimal
from typing import NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import bad, check_above_zero, check_agency, check_amount, check_day_past, check_lines, rows
from broker.families.targets import about_another


class UsageLine(TypedDict):
    """What was written off one item."""

    line: int
    quantity: Decimal
    unit: str
    amount: NotRequired[Decimal | None]
    currency: NotRequired[str | None]
    cancelled: NotRequired[bool]


class LicenceUsageCore(TypedDict):
    """What customs wrote off a licence at one declaration. The header names the licence's subject."""

    authority: str
    licence_no: str
    mrn: NotRequired[str | None]
    declaration_no: NotRequired[str | None]
    declared_on: date
    office: NotRequired[str | None]
    lines: list[UsageLine]


def _routing(sections: Sections) -> RoutingLabels:
    authority = sections.get("core", {}).get("authority")
    return routing_labels([(ids.country_of(authority), "LICENCE_ISSUER")] if authority else (), (), None, None)


def _check(sections: Sections) -> list[Finding] | Refusal:
    core = sections["core"]
    lines = rows(core, "lines")
    if not (core.get("licence_no") or "").strip():
        return bad("core.licence_no", "give the number of the licence")
    if not (core.get("mrn") or core.get("declaration_no")):
        return bad("core.mrn", "name the declaration by its MRN, or by declaration_no where there is none")
    if not lines:
        return bad("core.lines", "say what was used, at least one item of the licence")
    for number, line in enumerate(lines):
        path = f"core.lines[{number}]"
        refusal = check_above_zero(line.get("quantity"), f"{path}.quantity") or check_amount(line.get("amount"), f"{path}.amount")
        if refusal is not None:
            return refusal
        if not line.get("unit"):
            return bad(f"{path}.unit", "a quantity needs its unit, a UN Recommendation 20 code such as KGM")
        if line.get("amount") is not None and not line.get("currency"):
            return bad(f"{path}.currency", "an amount needs its currency, an ISO 4217 code")
    return check_agency(core.get("authority"), "core.authority") or check_lines(lines, "core.lines") or []


def _check_marks(message: Message) -> Refusal | None:
    """What is written off goes back to the authority that issued the licence."""
    if message.sections.get("core", {}).get("authority") != ids.owner_of(message.correlation.target or ""):
        return bad("core.authority", "the target is a subject of the authority that issued the licence")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_day_past(message.sections["core"].get("declared_on"), issued_ms, "core.declared_on") or []


LICENCE_USAGE = Family(
    name="licence_usage",
    sections=("core", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": LicenceUsageCore,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    check_times=_check_times,
    about="TARGET",
)


def licence_usage(
    *,
    subject: str,
    target: str,
    target_revision: int | None = None,
    core: LicenceUsageCore,
    audience: Audience | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A write-off: ``target`` is the licence's subject. It goes to the licensing authority."""
    labels.setdefault("purposes", ("LICENSING",))
    return about_another(LICENCE_USAGE, {"core": core}, subject, target, target_revision, audience, valid_until_ms, labels)
