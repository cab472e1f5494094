"""Licit movements (domain dictionary 2.5): notice of lawful trade in precursors, so that what is not announced stands out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal, NotRequired, TypedDict, Unpack

from broker.errors import Finding, Refusal
from broker.families.completion import complete_sections
from broker.families.family import Family
from broker.families.message import Audience, LabelArguments, Message, Sections
from broker.families.routing import RoutingLabels, routing_labels
from broker.families.rules import rows
from broker.families.shipment import (
    ControlCode,
    Equipment,
    LicenceRef,
    Parties,
    RiskCategory,
    Route,
    TransportDocument,
    TransportMode,
    route_countries,
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


def _routing(sections: Sections) -> RoutingLabels:
    core, route = sections.get("core", {}), sections.get("route", {})
    codes = [item["hs_code"] for item in rows(sections.get("goods"), "items") if item.get("hs_code")]
    return routing_labels(route_countries(route), codes, core.get("risk_category"), route.get("free_zone_code"))


def _check(sections: Sections) -> list[Finding] | Refusal:
    return []


def _check_marks(message: Message) -> Refusal | None:
    return None


LICIT_MOVEMENT = Family(
    name="licit_movement",
    sections=("core", "goods", "route", "equipment", "parties", "audience"),
    mandatory=("core", "goods", "route", "audience"),
    types={
        "core": LicitMovementCore,
        "goods": LicitMovementGoods,
        "route": Route,
        "equipment": Equipment,
        "parties": Parties,
    },
    routing=_routing,
    check=_check,
    check_marks=_check_marks,
)


def licit_movement(
    *,
    subject: str,
    core: LicitMovementCore,
    goods: LicitMovementGoods,
    route: Route,
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
