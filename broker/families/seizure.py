"""Seizure and detention reports (domain dictionary 2.4): typed sections, routing labels, conditional rules, builder."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker import ids
from broker.errors import Finding, Refusal
from broker.families.attachment import Attachments, check_attachments
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels, well_formed_hs
from broker.families.rules import (
    Findings,
    bad,
    check_country,
    check_filled,
    check_free_zone,
    check_past,
    check_row_countries,
    first,
    found,
    rows,
)
from broker.families.shipment import (
    ControlCode,
    Conveyance,
    EquipmentUnit,
    Image,
    LicenceRef,
    Parties,
    RiskCategory,
    RouteCountry,
    SourceReport,
    TransportDocument,
    check_conveyances,
)


class Place(TypedDict):
    """Where it happened, on a grid of 0.1 degree."""

    country: str
    locode: NotRequired[str | None]
    grid_latitude: NotRequired[int | None]
    grid_longitude: NotRequired[int | None]
    location_kind: Literal["PORT", "FREE_ZONE", "POST_HUB", "AIRPORT", "LAND", "WAREHOUSE"]


class SeizureCore(TypedDict):
    """What was stopped, where and when. Never nominal."""

    event_no: str
    stage: Literal["PRELIMINARY", "CONFIRMED", "FINAL"]
    event_type: Literal["DETENTION", "SEIZURE", "FORFEITURE", "REFUSAL", "RETURN", "THEFT_LOSS"]
    occurred_at: datetime
    place: Place
    direction: Literal["IMPORT", "EXPORT", "TRANSIT", "TRANSHIP", "FZ_IN", "FZ_OUT"]
    declared_as_found: NotRequired[bool | None]
    risk_category: NotRequired[RiskCategory | None]
    licence_status_at_event: Literal["NONE", "VALID", "REVOKED", "SUSPENDED", "WRONG_ITEM", "EXCEEDED", "UNKNOWN"]
    licence_refs: NotRequired[list[LicenceRef]]
    route: NotRequired[list[RouteCountry]]
    free_zone_code: NotRequired[str | None]
    controlled_delivery: NotRequired[bool]


class GoodsIdentity(TypedDict):
    """What goods are called."""

    hs_code: str
    hs_edition: int
    description: str


class SeizedItem(TypedDict):
    """An item of goods, as declared and as found."""

    declared: NotRequired[GoodsIdentity | None]
    found: GoodsIdentity
    control_codes: NotRequired[list[ControlCode]]
    cas: NotRequired[str | None]
    un_number: NotRequired[str | None]
    make: NotRequired[str | None]
    model: NotRequired[str | None]
    serial: NotRequired[str | None]
    quantity: Decimal
    unit: str
    analysis_state: str


class SeizureGoods(TypedDict):
    """The goods section."""

    items: list[SeizedItem]


class SeizureEquipment(TypedDict):
    """The equipment section: containers, seals, papers, means of transport."""

    units: NotRequired[list[EquipmentUnit]]
    conveyances: NotRequired[list[Conveyance]]
    documents: NotRequired[list[TransportDocument]]
    mrn: NotRequired[str | None]


class SeizureMethod(TypedDict):
    """The method section: how it was found and hidden. Nominal."""

    detection_method: Literal["PROFILE", "ALERT", "SCAN", "RANDOM", "TIP", "DOG", "RAD_PORTAL", "PCA"]
    alert_id: NotRequired[str | None]
    concealment: NotRequired[str | None]
    document_fraud: NotRequired[list[str]]
    latitude_e6: NotRequired[int | None]
    longitude_e6: NotRequired[int | None]
    images: NotRequired[list[Image]]
    analyst: NotRequired[str | None]
    narrative: NotRequired[str | None]


class SeizureOutcome(TypedDict):
    """The outcome section: what followed."""

    lab_result: NotRequired[str | None]
    laboratory: NotRequired[str | None]
    reachback_ref: NotRequired[str | None]
    legal_outcome: NotRequired[str | None]
    penalty: NotRequired[Decimal | None]
    penalty_currency: NotRequired[str | None]
    disposal: NotRequired[str | None]


def _passes_zone(sections: Sections) -> bool:
    core = sections["core"]
    return (
        core.get("direction") in ("FZ_IN", "FZ_OUT")
        or core.get("place", {}).get("location_kind") == "FREE_ZONE"
        or any(row.get("role") == "ZONE_HOST" for row in rows(core, "route"))
    )


def _routing(sections: Sections) -> RoutingLabels:
    core = sections["core"]
    here = core["place"]["country"]
    countries = [(here, "PLACE"), *((row["country"], row["role"]) for row in rows(core, "route"))]
    if core["direction"] in ("FZ_IN", "FZ_OUT") or core["place"]["location_kind"] == "FREE_ZONE":
        countries.append((here, "ZONE_HOST"))
    codes: list[str] = []
    for item in rows(sections.get("goods"), "items"):
        codes += [identity["hs_code"] for identity in (item.get("declared"), item["found"]) if identity]
    return routing_labels(countries, codes, core.get("risk_category"), core.get("free_zone_code"))


def _check_place(sections: Sections) -> Refusal | None:
    core = sections["core"]
    place = core.get("place", {})
    latitude, longitude = place.get("grid_latitude"), place.get("grid_longitude")
    if (latitude is None) != (longitude is None):
        missing = "grid_latitude" if latitude is None else "grid_longitude"
        return bad(f"core.place.{missing}", "a grid cell needs latitude and longitude")
    if latitude is not None and not -900 <= latitude < 900:
        return bad("core.place.grid_latitude", "tenths of a degree, -900 to 899")
    if longitude is not None and not -1800 <= longitude < 1800:
        return bad("core.place.grid_longitude", "tenths of a degree, -1800 to 1799")
    return first(
        check_country(place.get("country"), "core.place.country"),
        check_row_countries(rows(core, "route"), "core.route"),
        check_free_zone(core.get("free_zone_code"), _passes_zone(sections), "core.free_zone_code"),
    )


def _check_method(sections: Sections) -> Refusal | None:
    method = sections.get("method")
    if method is None or method.get("detection_method") != "ALERT":
        return None
    try:
        ids.subject_id(method.get("alert_id") or "")
    except ids.InvalidId as error:
        return bad("method.alert_id", f"a detection by alert names it: {error.advice}")
    return None


def _check_goods(sections: Sections) -> Refusal | None:
    for number, item in enumerate(rows(sections.get("goods"), "items")):
        quantity = item.get("quantity")
        if isinstance(quantity, Decimal) and quantity < 0:
            return bad(f"goods.items[{number}].quantity", "a quantity is 0 or more")
    return check_filled(sections.get("goods"), "items", "goods.items")


def _check_outcome(sections: Sections) -> Refusal | None:
    outcome = sections.get("outcome", {})
    if outcome.get("penalty") is not None and not outcome.get("penalty_currency"):
        return bad("outcome.penalty_currency", "an amount needs its currency, an ISO 4217 code")
    return None


def _findings(sections: Sections) -> Findings:
    findings = [
        found("BAD_HS", f"goods.items[{number}].{name}.hs_code")
        for number, item in enumerate(rows(sections.get("goods"), "items"))
        for name in ("declared", "found")
        if item.get(name) and not well_formed_hs(item[name].get("hs_code"))
    ]
    findings += [found(code, name) for name, code in (("goods", "NO_GOODS"), ("method", "NO_METHOD")) if name not in sections]
    return findings


def _check(sections: Sections) -> list[Finding] | Refusal:
    if not sections["core"].get("event_no"):
        return bad("core.event_no", "give the number of the event")
    refusal = (
        _check_place(sections)
        or _check_method(sections)
        or _check_goods(sections)
        or _check_outcome(sections)
        or check_filled(sections.get("parties"), "parties", "parties.parties")
        or check_conveyances(rows(sections.get("equipment"), "conveyances"), "equipment.conveyances")
        or check_attachments(sections.get("attachments"))
    )
    return refusal or _findings(sections)


def _check_marks(message: Message) -> Refusal | None:
    """A controlled delivery is told to nobody before its end (domain dictionary 2.4)."""
    if message.sections.get("core", {}).get("controlled_delivery") is True and message.embargo_until_ms is None:
        return Refusal("BAD_LABELS", "a controlled delivery needs the time before which nothing is disclosed", "header.embargo_until")
    return None


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_past(message.sections["core"].get("occurred_at"), issued_ms, "core.occurred_at") or []


SEIZURE = Family(
    name="seizure",
    sections=("core", "goods", "equipment", "parties", "method", "source", "outcome", "attachments", "audience"),
    mandatory=("core", "audience"),
    types={
        "core": SeizureCore,
        "goods": SeizureGoods,
        "equipment": SeizureEquipment,
        "parties": Parties,
        "method": SeizureMethod,
        "source": SourceReport,
        "outcome": SeizureOutcome,
        "attachments": Attachments,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
    check_times=_check_times,
)


def seizure(
    *,
    subject: str,
    core: SeizureCore,
    audience: Audience | None = None,
    goods: SeizureGoods | None = None,
    equipment: SeizureEquipment | None = None,
    parties: Parties | None = None,
    method: SeizureMethod | None = None,
    source: SourceReport | None = None,
    outcome: SeizureOutcome | None = None,
    attachments: Attachments | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """A seizure or detention report. Labels that are left out take :class:`Message`'s defaults."""
    given = {
        "core": core,
        "goods": goods,
        "equipment": equipment,
        "parties": parties,
        "method": method,
        "source": source,
        "outcome": outcome,
        "attachments": attachments,
    }
    sections = complete_sections(SEIZURE.types, given)
    return Message("seizure", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
