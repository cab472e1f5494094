"""Licit movements (domain dictionary 2.5): notice of lawful trade in precursors, so that what is not announced stands out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family, no_mark_rules
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import Findings, bad, check_above_zero, check_edition, check_filled, check_future, first, found, rows
from broker.families.shipment import (
    ControlCode,
    Conveyance,
    Equipment,
    LicenceRef,
    Parties,
    RiskCategory,
    RouteCountry,
    RoutePlace,
    TransportDocument,
    TransportMode,
    check_route,
    route_countries,
    time_findings,
)


class LicitMovementCore(TypedDict):
    """Notice of a lawful movement of precursors or other watched substances, without personal data."""

    direction: Literal["EXPORT", "IMPORT", "TRANSIT"]
    pre_export_ref: NotRequired[str | None]
    departs_on: NotRequired[date | None]
    objection_until: NotRequired[datetime | None]
    transport_mode: NotRequired[TransportMode | None]
    documents: NotRequired[list[TransportDocument]]
    mrn: NotRequired[str | None]
    ucr: NotRequired[str | None]
    licence_refs: NotRequired[list[LicenceRef]]
    risk_category: NotRequired[RiskCategory | None]


class Substance(TypedDict):
    """A substance."""

    cas: str
    name: str
    quantity: Decimal
    unit: str
    hs_code: NotRequired[str | None]
    hs_edition: NotRequired[int | None]
    cus: NotRequired[str | None]
    un_number: NotRequired[str | None]
    package_count: NotRequired[int | None]
    package_type: NotRequired[str | None]
    control_codes: NotRequired[list[ControlCode]]


class LicitMovementGoods(TypedDict):
    """The substances."""

    items: list[Substance]


class LicitMovementRoute(TypedDict):
    """The route section."""

    countries: list[RouteCountry]
    places: list[RoutePlace]
    conveyances: NotRequired[list[Conveyance]]
    free_zone_code: NotRequired[str | None]


def _routing(sections: Sections) -> RoutingLabels:
    core, route = sections.get("core", {}), sections.get("route", {})
    codes = [item["hs_code"] for item in rows(sections.get("goods"), "items") if item.get("hs_code")]
    return routing_labels(route_countries(route), codes, core.get("risk_category"), route.get("free_zone_code"))


def _check(sections: Sections) -> list[Finding] | Refusal:
    core, route, items = sections["core"], sections["route"], rows(sections["goods"], "items")
    if core.get("direction") == "EXPORT" and not core.get("pre_export_ref"):
        return bad("core.pre_export_ref", "an export is notified before: give the reference of the notification")
    for number, item in enumerate(items):
        path = f"goods.items[{number}]"
        if not (item.get("cas") or "").strip():
            return bad(f"{path}.cas", "name the substance by its CAS number")
        refusal = check_above_zero(item.get("quantity"), f"{path}.quantity") or check_edition(item, path)
        if refusal is not None:
            return refusal
    refusal = first(
        check_filled(sections["goods"], "items", "goods.items"),
        check_route(route),
        check_filled(sections.get("equipment"), "units", "equipment.units"),
        check_filled(sections.get("parties"), "parties", "parties.parties"),
    )
    if refusal is not None:
        return refusal
    findings: Findings = []
    if len(rows(route, "countries")) < 2:
        findings.append(found("SHORT_ROUTE", "route.countries"))
    if not {"EXPORTER", "IMPORTER"} <= {party.get("role") for party in rows(sections.get("parties"), "parties")}:
        findings.append(found("NO_TRADERS", "parties"))
    return findings + time_findings(rows(route, "places"), "route.places")


def _check_times(message: Message, issued_ms: int) -> list[Finding] | Refusal:
    return check_future(message.sections["core"].get("objection_until"), issued_ms, "core.objection_until") or []


LICIT_MOVEMENT = Family(
    name="licit_movement",
    sections=("core", "goods", "route", "equipment", "parties", "audience"),
    mandatory=("core", "goods", "route", "audience"),
    types={
        "core": LicitMovementCore,
        "goods": LicitMovementGoods,
        "route": LicitMovementRoute,
        "equipment": Equipment,
        "parties": Parties,
    },
    routing=_routing,
    check=_check,
    check_marks=no_mark_rules,
    check_times=_check_times,
)


def licit_movement(
    *,
    subject: str,
    core: LicitMovementCore,
    goods: LicitMovementGoods,
    route: LicitMovementRoute,
    audience: Audience | None = None,
    equipment: Equipment | None = None,
    parties: Parties | None = None,
    valid_until_ms: int | None = None,
    **labels: Unpack[LabelArguments],
) -> Message:
    """Notice of a lawful movement."""
    labels.setdefault("purposes", ("PROLIF_PREVENTION",))
    sections = complete_sections(
        LICIT_MOVEMENT.types, {"core": core, "goods": goods, "route": route, "equipment": equipment, "parties": parties}
    )
    return Message("licit_movement", subject, sections, audience or Audience(), valid_until_ms=valid_until_ms, **labels)
