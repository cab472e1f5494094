"""Licensing decisions (domain dictionary 2.3): typed sections, routing labels, conditional rules, builder."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal, NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.clocks.dates import years_later
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.lifecycles.licence import DENIAL_YEARS
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels, well_formed_hs
from broker.families.rules import Findings, bad, check_countries, check_filled, first, found, instant_ms, rows
from broker.families.shipment import ControlCode

DecisionType = Literal[
    "GRANT", "AMEND", "SUSPEND", "REINSTATE", "REVOKE", "ANNUL", "SUBSTANTIALLY_LIMIT", "DENY", "DENY_REVIEW", "CATCHALL_IMPOSE",
    "CATCHALL_LIFT", "EXPIRE", "EXHAUST", "DETERMINATION",
]  # fmt: skip

_DAY_MS = 86_400_000

STOPPING: Final = ("SUSPEND", "REVOKE", "ANNUL")
"""Decisions that have to tell border officers what to do with shipments already moving."""
_WITH_PARTIES = ("GRANT", "AMEND", "SUSPEND", "REINSTATE", "REVOKE")
_WITH_REASON = ("SUSPEND", "REVOKE", "ANNUL", "SUBSTANTIALLY_LIMIT", "DENY")


class LicenceCore(TypedDict):
    """The decision as border officers need it. Never nominal."""

    decision_type: DecisionType
    authority: str
    licence_no: str
    licence_type: Literal["INDIVIDUAL", "GLOBAL", "GENERAL", "LARGE_PROJECT", "BROKERING", "TRANSIT", "TECH_ASSIST", "TRANSHIPMENT"]
    effective_at: datetime
    published_at: datetime
    expires_at: NotRequired[datetime | None]
    appeal_status: NotRequired[str | None]
    retroactive: NotRequired[bool]
    destinations: list[str]
    transit_countries: NotRequired[list[str]]
    shipments_in_transit_instruction: NotRequired[Literal["RELEASE", "HOLD", "RETURN", "CONTACT"] | None]
    final_assessment: NotRequired[str | None]


class LicenceItem(TypedDict):
    """An item of the licence."""

    line: int
    control_codes: NotRequired[list[ControlCode]]
    hs_codes: NotRequired[list[str]]
    hs_edition: NotRequired[int | None]
    description: NotRequired[str | None]
    quantity_granted: NotRequired[Decimal | None]
    quantity_remaining: NotRequired[Decimal | None]
    unit: NotRequired[str | None]


class LicenceItems(TypedDict):
    """The items section."""

    items: list[LicenceItem]


class LineValue(TypedDict):
    """Value of one item."""

    line: int
    amount: Decimal


class LicenceValue(TypedDict):
    """The value section."""

    currency: str
    total: Decimal
    remaining: NotRequired[Decimal | None]
    lines: NotRequired[list[LineValue]]


class LicenceParty(TypedDict):
    """A person or company of the licence. Nominal."""

    name: str
    person_type: str
    eori: NotRequired[str | None]
    lei: NotRequired[str | None]
    id: NotRequired[str | None]
    country: str
    address: NotRequired[str | None]


class LicenceParties(TypedDict):
    """The parties section. Nominal."""

    exporter: NotRequired[LicenceParty | None]
    consignee: NotRequired[LicenceParty | None]
    end_users: NotRequired[list[LicenceParty]]
    brokers: NotRequired[list[LicenceParty]]
    end_use_statement_ref: NotRequired[str | None]


class LicenceReason(TypedDict):
    """The reason section."""

    reason_code: Literal["DIVERSION_RISK", "FALSE_STATEMENT", "SANCTION", "END_USE_CHANGE", "BREACH", "HR_CONCERN", "OTHER"]
    reason_text: NotRequired[str | None]


class LicenceDenial(TypedDict):
    """The denial section: for consultation within a control regime."""

    regime: str
    denial_no: str
    essentially_identical_key: str
    valid_until: datetime
    review_due: NotRequired[datetime | None]
    consultation_contact: str


def _routing(sections: Sections) -> RoutingLabels:
    core = sections.get("core", {})
    countries = [(ids.country_of(core["authority"]), "LICENCE_ISSUER")] if core else []
    countries += [(country, "DESTINATION") for country in rows(core, "destinations")]
    countries += [(country, "TRANSIT") for country in rows(core, "transit_countries")]
    codes = [code for item in rows(sections.get("items"), "items") for code in rows(item, "hs_codes")]
    return routing_labels(countries, codes, None, None)


def _check_core(core: Mapping[str, Any]) -> Refusal | None:
    decision = core.get("decision_type")
    try:
        ids.agency_id(core.get("authority") or "")
    except ids.InvalidId as error:
        return bad("core.authority", f"it is not an agency id: {error.advice}")
    if not core.get("licence_no"):
        return bad("core.licence_no", "give the number of the licence")
    if not rows(core, "destinations"):
        return bad("core.destinations", "give at least one country of destination")
    if decision in STOPPING and core.get("shipments_in_transit_instruction") is None:
        return bad("core.shipments_in_transit_instruction", f"{decision} must say what to do with shipments already moving")
    if decision == "ANNUL" and core.get("retroactive") is not True:
        return bad("core.retroactive", "an annulment holds from the beginning: use true")
    if decision == "REINSTATE" and not core.get("final_assessment"):
        return bad("core.final_assessment", "the end of a suspension must carry the final assessment")
    return first(
        check_countries(rows(core, "destinations"), "core.destinations"),
        check_countries(rows(core, "transit_countries"), "core.transit_countries"),
    )


def _check_items(sections: Sections) -> Refusal | None:
    for number, item in enumerate(rows(sections.get("items"), "items")):
        path = f"items.items[{number}]"
        granted, remaining = item.get("quantity_granted"), item.get("quantity_remaining")
        if granted is not None and granted < 0:
            return bad(f"{path}.quantity_granted", "a quantity is 0 or more")
        if remaining is not None and remaining < 0:
            return bad(f"{path}.quantity_remaining", "a quantity is 0 or more")
        if granted is not None and remaining is not None and remaining > granted:
            return bad(f"{path}.quantity_remaining", "there cannot be more left than was granted")
        if (granted is not None or remaining is not None) and not item.get("unit"):
            return bad(f"{path}.unit", "a quantity needs its unit, a UN Recommendation 20 code such as KGM")
        if rows(item, "hs_codes") and item.get("hs_edition") is None:
            return bad(f"{path}.hs_edition", "HS codes need their edition: 2017, 2022 or 2028")
    return check_filled(sections.get("items"), "items", "items.items")


def _check_denial(sections: Sections) -> Refusal | None:
    core, denial = sections["core"], sections.get("denial")
    if denial is None:
        denied = core.get("decision_type") == "DENY"
        return bad("denial", "a denial needs its section: regime, number and key for consultation") if denied else None
    until, effective = instant_ms(denial.get("valid_until")), instant_ms(core.get("effective_at"))
    if until is not None and effective is not None and until > years_later(effective, DENIAL_YEARS):
        return bad("denial.valid_until", "a denial lapses at most three years after it took effect; renew it then")
    return None


def _check_holder(sections: Sections) -> Refusal | None:
    core, parties = sections["core"], sections.get("parties")
    holder = core.get("decision_type") in _WITH_PARTIES and core.get("licence_type") != "GENERAL"
    if parties is not None and holder and parties.get("exporter") is None:
        return bad("parties.exporter", "name the holder of the licence; only a GENERAL licence has none")
    return None


def _findings(sections: Sections) -> Findings:
    core, parties = sections["core"], sections.get("parties")
    decision, general = core.get("decision_type"), core.get("licence_type") == "GENERAL"
    findings = [
        found("BAD_HS", f"items.items[{number}].hs_codes[{place}]")
        for number, item in enumerate(rows(sections.get("items"), "items"))
        for place, code in enumerate(rows(item, "hs_codes"))
        if not well_formed_hs(code)
    ]
    if decision in _WITH_PARTIES and sections.get("items") is None:
        findings.append(found("NO_ITEMS", "items"))
    if decision in _WITH_PARTIES and not general:
        if parties is None:
            findings.append(found("NO_PARTIES", "parties"))
        else:
            exporter = parties.get("exporter")
            if exporter is not None and not (exporter.get("eori") or exporter.get("lei")):
                findings.append(found("NO_EXPORTER_ID", "parties.exporter"))
            if parties.get("consignee") is None or not rows(parties, "end_users"):
                findings.append(found("NO_END_USER", "parties"))
    if decision in _WITH_REASON and sections.get("reason") is None:
        findings.append(found("NO_REASON", "reason"))
    published, effective = instant_ms(core.get("published_at")), instant_ms(core.get("effective_at"))
    late = published is not None and effective is not None and published - effective > _DAY_MS
    if late and core.get("retroactive") is not True:
        findings.append(found("BACKDATED", "core.effective_at"))
    return findings


def _check(sections: Sections) -> list[Finding] | Refusal:
    refusal = _check_core(sections["core"]) or _check_items(sections) or _check_denial(sections) or _check_holder(sections)
    return refusal or _findings(sections)


def _check_marks(message: Message) -> Refusal | None:
    """An authority speaks for itself: the subject's owner is the authority that decided."""
    authority = message.sections.get("core", {}).get("authority")
    if authority != ids.owner_of(message.subject):
        return bad("core.authority", "an authority publishes its own decisions: use the agency id that the subject begins with")
    return None


LICENCE = Family(
    name="licence",
    sections=("core", "items", "value", "parties", "reason", "denial", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": LicenceCore,
        "items": LicenceItems,
        "value": LicenceValue,
        "parties": LicenceParties,
        "reason": LicenceReason,
        "denial": LicenceDenial,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
)


def licence(
    *,
    subject: str,
    core: LicenceCore,
    audience: Audience | None = None,
    items: LicenceItems | None = None,
    value: LicenceValue | None = None,
    parties: LicenceParties | None = None,
    reason: LicenceReason | None = None,
    denial: LicenceDenial | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A licensing decision. ``valid_until_ms`` (Unix ms UTC) is for the message, not the licence: that is ``core.expires_at``."""
    given = {"core": core, "items": items, "value": value, "parties": parties, "reason": reason, "denial": denial}
    sections = complete_sections(LICENCE.types, given)
    return Message("licence", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
